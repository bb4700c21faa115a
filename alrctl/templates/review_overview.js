/* The grid of all images, to see what was answered and to jump. Images are decoded only while they are near. */

const FILTERS = [
  ["all", "All", () => true],
  ["open", "Unanswered", (record) => !record.state],
  ["unsure", "Unsure", (record) => record.state === "unsure"],
  ["skipped", "Skipped", (record) => record.state === "skipped"],
  ["comment", "With a comment", (record) => record.comment.trim() !== ""],
];
let watcher = null;

/** Return what was said of a sample, in a word. */
function wordOf(record) {
  if (record.state === "answered") return data.classes[record.label];
  return { unsure: "Unsure", skipped: "Skipped" }[record.state] ?? "";
}

function filters() {
  const ofClass = data.classes.map((name, label) =>
    ["class-" + label, name, (record) => record.state === "answered" && record.label === label]);
  return [...FILTERS, ...ofClass];
}

function openOverview() {
  fillFilter();
  fillGrid();
  openDialog("overview");
  const current = element("grid").querySelector("[aria-current]") ?? element("grid").firstElementChild;
  current?.scrollIntoView({ block: "center" });
  current?.focus();
}

/** Fill the list of filters, each with how many it finds; the one chosen stays chosen. */
function fillFilter() {
  const chosen = element("filter").value || "all";
  const options = filters().map(([value, name, fits]) => {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = `${name} (${answers.records.filter(fits).length})`;
    return option;
  });
  element("filter").replaceChildren(...options);
  element("filter").value = chosen;
}

function fillGrid() {
  const [, , fits] = filters().find(([value]) => value === element("filter").value);
  const found = samples.map((_, index) => index).filter((index) => fits(answers.records[index]));
  watcher?.disconnect();
  watcher = new IntersectionObserver(showNear, { root: element("grid"), rootMargin: "400px" });
  element("grid").replaceChildren(...found.map(gridCell));
  for (const cell of element("grid").children) watcher.observe(cell);
  const entry = element("grid").querySelector("[aria-current]") ?? element("grid").firstElementChild;
  if (entry) entry.tabIndex = 0;
  element("nothing-found").hidden = found.length > 0;
}

function gridCell(index) {
  const record = answers.records[index];
  const cell = document.createElement("button");
  const word = wordOf(record);
  cell.type = "button";
  cell.className = "cell " + (record.state || "open");
  cell.dataset.index = index;
  cell.tabIndex = -1;
  const said = record.comment.trim() !== "";
  if (index === answers.position) cell.setAttribute("aria-current", "true");
  const thumb = textIn("span", samples[index].seen ? "" : "No image", "thumb");
  if (samples[index].seen) thumb.append(new Image());
  const number = textIn("span", "", "number");
  number.append(textIn("span", "Image ", "unseen"), `${index + 1}${said ? " \u270e" : ""}`);
  const state = textIn("span", word, word ? "word" : "unseen");
  if (!word) state.textContent = "unanswered";
  cell.append(thumb, number, state);
  return cell;
}

function textIn(tag, text, name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = name;
  return made;
}

/** Decode the images that came near, and let go of those that went away. */
function showNear(entries) {
  for (const { target, isIntersecting } of entries) {
    const image = target.querySelector("img");
    if (image === null) continue;
    image.alt = "";
    if (isIntersecting) image.src = addressOf(Number(target.dataset.index));
    else image.removeAttribute("src");
  }
}

function onGridClick(event) {
  const cell = event.target.closest(".cell");
  if (cell === null) return;
  element("overview").close();
  show(Number(cell.dataset.index));
}

/** Move through the grid with the arrow keys. */
function onGridKey(event) {
  const cells = [...element("grid").children];
  const at = cells.indexOf(document.activeElement);
  const columns = cells.filter((cell) => cell.offsetTop === cells[0].offsetTop).length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -at, End: cells.length - 1 - at };
  const to = cells[at + steps[event.key]];
  if (at < 0 || !to) return;
  event.preventDefault();
  cells[at].tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

function closeOverview() {
  watcher?.disconnect();
  element("grid").replaceChildren();
}

function listenToOverview() {
  element("filter").addEventListener("change", fillGrid);
  element("grid").addEventListener("click", onGridClick);
  element("grid").addEventListener("keydown", onGridKey);
  element("overview").addEventListener("close", closeOverview);
}
