"use strict";
/* The answers as CSV, as `alrctl relabel` reads it. Nothing here touches the page. */

const COLUMNS = ["sample_id", "label", "annotator", "unsure", "seconds", "comment", "timestamp"];
const FORMULA = /^'*[=+\-@\t\r]/;
const QUOTED = /^'+[=+\-@\t\r]/;

/** Quote a text: a spreadsheet must not take it for a formula, and nothing in it may end the cell. */
function csvCell(text) {
  const safe = FORMULA.test(text) ? "'" + text : text;
  return '"' + safe.replaceAll('"', '""') + '"';
}

/** Return the whole file, rows being lists of texts. */
function csvText(rows) {
  return "\ufeff" + [COLUMNS, ...rows].map((row) => row.map(csvCell).join(",") + "\r\n").join("");
}

/** Return a cell as it was before `csvCell`. */
function plainCell(text) {
  const trimmed = text.trim();
  return QUOTED.test(trimmed) ? trimmed.slice(1) : trimmed;
}

/** Return the sign between the cells: that which stands most often in the header. */
function delimiterOf(text) {
  const header = text.split("\n", 1)[0];
  const count = (sign) => header.split(sign).length;
  return [",", ";", "\t"].reduce((best, sign) => (count(sign) > count(best) ? sign : best));
}

/** Split a CSV into rows of texts; quoted cells may hold anything. */
function csvRows(text, delimiter) {
  const rows = [];
  let row = [], cell = "", quoted = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') cell += text[++at];
      else quoted = false;
    } else if (sign === '"' && cell === "") quoted = true;
    else if (sign === delimiter) { row.push(cell); cell = ""; }
    else if (sign === "\n") { rows.push([...row, cell]); row = []; cell = ""; }
    else if (sign !== "\r") cell += sign;
  }
  if (quoted) throw new Error("a quotation mark is not closed; the file is not whole");
  if (cell !== "" || row.length) rows.push([...row, cell]);
  return rows.filter((one) => one.some((part) => part !== ""));
}

/** Return a file of answers as objects by the names of the columns; what is missing is the empty text. */
function parseAnswers(text) {
  const whole = text.replace(/^\ufeff/, "").replace(/\r\n/g, "\n");
  const [header = [], ...body] = csvRows(whole, delimiterOf(whole));
  const names = header.map((name) => name.trim());
  if (!names.includes("sample_id") || !names.includes("label")) {
    throw new Error("it has no columns sample_id and label");
  }
  return body.map((row) => Object.fromEntries(COLUMNS.map((name) => {
    const place = names.indexOf(name);
    return [name, place < 0 ? "" : plainCell(row[place] ?? "")];
  })));
}
