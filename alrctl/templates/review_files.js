/* Answers out and in as CSV files. */

let plan = null; // what a loaded file would change

function fileName() {
  const who = answers.annotator.replace(/[^\p{L}\p{N}_-]+/gu, "_").slice(0, 40);
  return ["answers", who, now().slice(0, 10)].filter(Boolean).join("-") + ".csv";
}

function download() {
  countTime();
  const rows = answersAsRows();
  if (!rows.length) {
    tell("Nothing to download yet");
    return announce("Nothing to download yet");
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csvText(rows)], { type: "text/csv;charset=utf-8" }));
  link.download = fileName();
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  answers.downloaded = answers.changes;
  saveNow();
  tell(`${plural(rows.length, "row")} downloaded`);
  announce(`${plural(rows.length, "row")} downloaded`);
}

/** Say what a file would change, before it changes anything. */
async function onFile(event) {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  try {
    plan = planMerge(parseAnswers(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer())));
    element("plan").textContent = planInWords(plan);
  } catch (error) {
    plan = null;
    element("plan").textContent = `${file.name} cannot be read: ${error.message}.`;
  }
  element("take-in").hidden = plan === null || plan.records.size === 0;
}

function planInWords({ records, added, replaced, kept, foreign, unclear }) {
  const lines = [`${plural(added, "new answer")}.`];
  if (replaced) lines.push(`${plural(replaced, "answer")} given later than yours would replace them.`);
  if (kept) lines.push(`${plural(kept, "answer")} of yours would stay, being the later.`);
  const others = records.size - added - replaced;
  if (others > 0) lines.push(`In ${plural(others, "row")} only comment, name or time would change.`);
  if (foreign) lines.push(`${plural(foreign, "row")} not of this queue, left out.`);
  if (unclear) lines.push(`${plural(unclear, "row")} with an unknown class or mark, left out.`);
  if (!records.size) lines.push("Nothing would change.");
  return lines.join(" ");
}

function takeIn() {
  const count = plan.records.size;
  applyMerge(plan);
  plan = null;
  element("settings").close();
  show(answers.position);
  tell(`${plural(count, "row")} taken in`);
  announce(`${plural(count, "row")} taken in`);
}
