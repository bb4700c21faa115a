/* What is seen beside the image: classes, progress, what was said of the sample, dialogs, the summary. */

const HANDY = "1234567890"; // keys of the first ten classes
const MANY = 10; // classes from which on there is a box to find one
let highlighted = -1; // place of the class that Enter in the box would choose

function announce(text) {
  element("live").textContent = text;
}

function openDialog(id) {
  countTime();
  element(id).showModal();
  lastSign = null; // what a dialog takes is no time for the image
}

function openOne() {
  return document.querySelector("dialog[open]");
}

/** Say for a moment what was done. */
function tell(text, kind = "") {
  const chip = element("chip");
  chip.textContent = text;
  chip.className = kind;
  chip.hidden = false;
  chip.getAnimations().forEach((animation) => { animation.cancel(); animation.play(); });
}

/* --- classes ------------------------------------------------------------------------------------------------------ */

function classButton(name, label) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "class";
  button.append(textIn("span", name, "name"));
  if (label < HANDY.length) {
    const key = textIn("kbd", HANDY[label]);
    key.setAttribute("aria-hidden", "true");
    button.prepend(key);
    button.setAttribute("aria-keyshortcuts", HANDY[label]);
  }
  button.addEventListener("click", () => choose(label));
  return button;
}

function buildClasses() {
  element("classes").replaceChildren(...data.classes.map(classButton));
  const isLong = data.classes.length > MANY;
  element("classes").classList.toggle("many", isLong);
  document.body.classList.toggle("many", isLong);
  element("find").hidden = !isLong;
  for (const one of document.querySelectorAll(".if-many")) one.hidden = !isLong;
}

function shownClasses() {
  return [...element("classes").children].flatMap((button, label) => (button.hidden ? [] : [label]));
}

/** Show the classes that hold what was typed, and highlight the first of them. */
function findClass() {
  const wanted = element("find").value.trim().toLowerCase();
  [...element("classes").children].forEach((button, label) => {
    button.hidden = !data.classes[label].toLowerCase().includes(wanted);
  });
  const found = shownClasses();
  const starts = found.find((label) => data.classes[label].toLowerCase().startsWith(wanted));
  highlight(wanted === "" ? -1 : starts ?? found[0] ?? -1);
  element("none-found").hidden = found.length > 0;
  if (wanted !== "") announce(highlighted < 0 ? "No class found" : `${found.length} found, Enter chooses ${data.classes[highlighted]}`);
}

function highlight(label) {
  highlighted = label;
  [...element("classes").children].forEach((button, place) => button.classList.toggle("highlighted", place === label));
  if (label >= 0) element("classes").children[label].scrollIntoView({ block: "nearest" });
}

function moveHighlight(by) {
  const found = shownClasses();
  if (!found.length) return;
  highlight(found[(found.indexOf(highlighted) + by + found.length) % found.length]);
  announce(data.classes[highlighted]);
}

function clearFind() {
  if (element("find").value === "" && highlighted < 0) return;
  element("find").value = "";
  findClass();
}

/* --- the sample --------------------------------------------------------------------------------------------------- */

function drawSample() {
  const record = answers.records[answers.position];
  [...element("classes").children].forEach((button, label) => {
    button.setAttribute("aria-pressed", String(record.state === "answered" && record.label === label));
  });
  for (const [id, state] of [["unsure", "unsure"], ["skip", "skipped"]]) {
    element(id).setAttribute("aria-pressed", String(record.state === state));
  }
  element("clear").disabled = !record.state;
  element("undo").disabled = answers.undone.length === 0;
  element("comment").value = record.comment;
  element("position").textContent = `${answers.position + 1} / ${samples.length}`;
  element("back").disabled = answers.position === 0;
  element("on").disabled = answers.position === samples.length - 1;
  drawTold();
}

/** Show or hide the labels; of a blind page there are none. */
function drawTold() {
  if (data.blind) return;
  const sample = samples[answers.position];
  element("sample-id").textContent = sample.id;
  element("told").hidden = !answers.told;
  element("tell").setAttribute("aria-expanded", String(answers.told));
  element("tell-word").textContent = answers.told ? "Hide labels" : "Show labels";
  element("given").textContent = answers.told ? sample.given : "";
  element("suggested").textContent = answers.told ? sample.suggested : "";
  element("reason").textContent = answers.told ? sample.reason : "";
  for (const one of document.querySelectorAll(".if-reason")) one.hidden = !sample.reason;
}

/* --- progress ----------------------------------------------------------------------------------------------------- */

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function timeInWords(seconds) {
  if (seconds < 90) return `${Math.max(Math.round(seconds), 1)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

function drawProgress() {
  const found = counts();
  const dealtWith = samples.length - found.open;
  const left = secondsLeft();
  const parts = [`${found.answered} of ${samples.length} answered`];
  if (found.unsure) parts.push(`${found.unsure} unsure`);
  if (found.skipped) parts.push(`${found.skipped} skipped`);
  const time = left !== null && found.open ? `about ${timeInWords(left)} left` : "";
  element("progress-text").replaceChildren(textIn("span", parts.join(" \u00b7 ")), textIn("span", time.replace("about", "\u2248")));
  element("progress").setAttribute("aria-valuenow", dealtWith);
  element("progress").setAttribute("aria-valuetext", [...parts, time].filter(Boolean).join(", "));
  for (const state of ["answered", "unsure", "skipped"]) {
    element("part-" + state).style.width = (100 * found[state]) / samples.length + "%";
  }
  document.title = `${dealtWith}/${samples.length} \u00b7 ${data.title}`;
  drawNotice();
}

/** Say so where the browser does not keep the answers. */
function drawNotice() {
  const told = answers.trouble === "" ? "" :
    `This browser does not keep your answers (${answers.trouble}). Download the CSV often; without it they are lost when you close the page.`;
  if (element("notice").textContent !== told) element("notice").textContent = told;
  element("notice").hidden = told === "";
  element("download").classList.toggle("due", answers.changes > answers.downloaded);
}

/* --- summary ------------------------------------------------------------------------------------------------------ */

function summaryLines() {
  const found = counts();
  const seconds = answers.records.reduce((sum, record) => sum + record.seconds, 0);
  const ofClass = data.classes.map((name, label) => [name, answers.records.filter((one) => one.state === "answered" && one.label === label).length]);
  const lines = ofClass.filter(([, count]) => count > 0).sort((one, other) => other[1] - one[1]);
  lines.push(["Unsure", found.unsure], ["Skipped", found.skipped], ["With a comment", found.commented]);
  if (found.open) lines.push(["Unanswered", found.open]);
  return { lines, seconds, found };
}

function openSummary() {
  const { lines, seconds, found } = summaryLines();
  const rows = lines.map(([name, count]) => {
    const row = document.createElement("tr");
    const head = textIn("th", name);
    head.scope = "row";
    row.append(head, textIn("td", String(count)));
    return row;
  });
  element("summary").replaceChildren(...rows);
  element("finish-title").textContent = found.open ? "So far" : "All done. Thank you!";
  const pace = found.open === samples.length ? "" : `, ${timeInWords(seconds / (samples.length - found.open))} an image`;
  element("finish-text").textContent = `${plural(samples.length, "image")}, ${timeInWords(seconds)} in all${pace}.`;
  element("finish-next").hidden = found.open > 0;
  element("see-unsure").hidden = found.unsure + found.skipped === 0;
  openDialog("finish");
}
