/* What the person does: keys, buttons and time; and the start of it all. */

let lastSign = null; // when the person last did something, in milliseconds; null while no time is counted
let pendingSave = 0;

/* --- time --------------------------------------------------------------------------------------------------------- */

/** Count the time since the last sign of life for the current image: of a pause, at most `IDLE`. */
function countTime() {
  const moment = performance.now();
  if (lastSign !== null) {
    answers.records[answers.position].seconds += Math.min((moment - lastSign) / 1000, IDLE);
  }
  lastSign = document.hidden || openOne() ? null : moment;
}

/* --- moving and answering ----------------------------------------------------------------------------------------- */

function show(index) {
  if (index < 0 || index >= samples.length) return;
  countTime();
  answers.position = index;
  showImage(index);
  save();
  draw();
}

function draw() {
  drawSample();
  drawProgress();
}

function step(by) {
  const index = answers.position + by;
  if (index < 0 || index >= samples.length) return;
  show(index);
  announce(`${whereabouts()}${spoken()}`);
}

function whereabouts() {
  return `Image ${answers.position + 1} of ${samples.length}`;
}

function spoken() {
  const word = wordOf(answers.records[answers.position]);
  return word ? `, ${word}` : "";
}

function choose(label) {
  if (label < data.classes.length) decide("answered", label);
}

/** Take an answer down and go on to the next sample that has none. */
function decide(state, label = -1) {
  countTime();
  const index = answers.position;
  answer(index, state, label);
  clearFind();
  const word = wordOf(answers.records[index]);
  tell(word, state);
  const next = nextOpen(index);
  if (next < 0) {
    draw();
    announce(`${word}. All images are dealt with.`);
    openSummary();
    return;
  }
  show(next);
  announce(`${word}. ${whereabouts()}`);
}

function clearAnswer() {
  if (!answers.records[answers.position].state) return;
  answer(answers.position, "");
  draw();
  tell("Answer cleared");
  announce("Answer cleared");
}

function takeBack() {
  countTime();
  const index = undo();
  if (index < 0) return announce("Nothing to undo");
  show(index);
  tell("Undone");
  announce(`Undone. ${whereabouts()}${spoken()}`);
}

function goToOpen() {
  const next = nextOpen(answers.position);
  if (next < 0) return openSummary();
  show(next);
  announce(whereabouts());
}

function toggleTold() {
  if (data.blind) return;
  answers.told = !answers.told;
  drawTold();
  save();
  const { given, suggested } = samples[answers.position];
  announce(answers.told ? `Given label ${given}, suggested label ${suggested}` : "Labels hidden");
}

function togglePixels() {
  answers.pixelated = !answers.pixelated;
  drawView();
  save();
}

function onComment() {
  if (!comment(answers.position, element("comment").value)) return;
  clearTimeout(pendingSave);
  pendingSave = setTimeout(saveNow, 300);
}

function saveNow() {
  clearTimeout(pendingSave);
  save();
  drawProgress();
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

const KEYS = {
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  Home: () => show(0),
  End: () => show(samples.length - 1),
  n: goToOpen,
  "+": () => zoomBy(1.25),
  "=": () => zoomBy(1.25),
  "-": () => zoomBy(0.8),
  r: resetView,
  p: togglePixels,
  "[": () => adjust("brightness", view.brightness - 10),
  "]": () => adjust("brightness", view.brightness + 10),
  ",": () => adjust("contrast", view.contrast - 10),
  ".": () => adjust("contrast", view.contrast + 10),
};
const ONCE = { // a key that is held down does these once only
  u: () => decide("unsure"),
  s: () => decide("skipped"),
  x: clearAnswer,
  Delete: clearAnswer,
  z: takeBack,
  c: () => element("comment").focus(),
  h: toggleTold,
  g: openOverview,
  d: download,
  "?": () => openDialog("help"),
  "/": () => element("find").focus(),
  f: () => element("find").focus(),
};

function isTyping(target) {
  return target.matches("input:not([type=checkbox]), textarea, select");
}

/** Return the digit of a key, from keyboards on which digits need Shift too; "" if it is none. */
function digitOf(event) {
  if (/^\d$/.test(event.key)) return event.key;
  return event.shiftKey ? "" : /^Digit(\d)$/.exec(event.code)?.[1] ?? "";
}

function onKey(event) {
  countTime();
  if (event.defaultPrevented || event.isComposing || openOne()) return;
  if (isTyping(event.target)) return onTyped(event);
  if (!answers.keys) return;
  const isUndo = (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "z";
  if (!isUndo && (event.ctrlKey || event.metaKey || event.altKey)) return;
  const digit = isUndo ? "" : digitOf(event);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = digit ? () => choose((Number(digit) + 9) % 10) : ONCE[key] ?? KEYS[key];
  if (!act) return;
  event.preventDefault();
  if (!event.repeat || KEYS[key]) act();
}

/** While the person types, only these keys mean something. */
function onTyped(event) {
  if (event.key === "Escape") {
    if (event.target === element("find")) clearFind();
    event.target.blur();
  }
  if (event.target !== element("find")) return;
  if (event.key === "Enter" && highlighted >= 0 && !event.repeat) {
    event.target.blur();
    choose(highlighted);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") moveHighlight(event.key === "ArrowDown" ? 1 : -1);
  else return;
  event.preventDefault();
}

/* --- start -------------------------------------------------------------------------------------------------------- */

const CLICKS = {
  back: () => step(-1),
  on: () => step(1),
  "zoom-in": () => zoomBy(1.25),
  "zoom-out": () => zoomBy(0.8),
  "reset-view": resetView,
  unsure: () => decide("unsure"),
  skip: () => decide("skipped"),
  undo: takeBack,
  clear: clearAnswer,
  tell: toggleTold,
  "open-overview": openOverview,
  download,
  "open-settings": () => openDialog("settings"),
  "open-help": () => openDialog("help"),
  "finish-download": download,
  "settings-download": download,
  "open-summary": () => { element("settings").close(); openSummary(); },
  "see-unsure": seeUnsure,
  "choose-file": () => element("file").click(),
  "take-in": takeIn,
  "go-on-here": () => location.reload(),
};

function seeUnsure() {
  element("finish").close();
  fillFilter();
  element("filter").value = counts().unsure ? "unsure" : "skipped";
  openOverview();
}

function setName(event) {
  answers.annotator = event.target.value.trim();
  for (const id of ["name", "start-name"]) element(id).value = event.target.value;
  save();
}

/** Another window took this queue over: go on there, so that neither overwrites the other. */
function onStorage(event) {
  if (event.key !== PLACE || answers.isElsewhere) return;
  answers.isElsewhere = true;
  openOne()?.close();
  openDialog("elsewhere");
}

function onLeave(event) {
  if (answers.changes > answers.downloaded && !answers.isElsewhere) event.preventDefault();
}

function listen() {
  for (const [id, act] of Object.entries(CLICKS)) element(id).addEventListener("click", act);
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", countTime);
  document.addEventListener("keydown", onKey);
  for (const kind of ["pointerdown", "pointermove", "wheel"]) document.addEventListener(kind, countTime, { passive: true });
  document.addEventListener("visibilitychange", () => { countTime(); if (document.hidden) save(); });
  addEventListener("pagehide", () => { countTime(); save(); });
  addEventListener("beforeunload", onLeave);
  addEventListener("storage", onStorage);
  element("comment").addEventListener("input", onComment);
  element("comment").addEventListener("change", saveNow);
  element("find").addEventListener("input", findClass);
  element("file").addEventListener("change", onFile);
  element("smooth").addEventListener("change", togglePixels);
  element("keys").addEventListener("change", (event) => { answers.keys = event.target.checked; save(); });
  for (const id of ["name", "start-name"]) element(id).addEventListener("change", setName);
  element("start").addEventListener("close", () => { answers.begun = true; save(); });
  element("elsewhere").addEventListener("close", () => openDialog("elsewhere")); // only a reload leads out of it
  listenToStage();
  listenToOverview();
}

function begin() {
  restore();
  buildClasses();
  element("name").value = element("start-name").value = answers.annotator;
  element("keys").checked = answers.keys;
  element("progress").setAttribute("aria-valuemax", samples.length);
  for (const one of document.querySelectorAll(".if-told")) one.hidden = data.blind;
  element("adjust").open = data.classes.length <= MANY && matchMedia("(min-width: 48em) and (min-height: 46em)").matches;
  if (matchMedia("(hover: none)").matches) element("find").placeholder = "Find a class";
  listen();
  const open = answers.records[answers.position].state ? nextOpen(answers.position) : answers.position;
  show(open < 0 ? answers.position : open);
  if (!answers.begun && !data.annotator) openDialog("start");
  else if (open < 0) openSummary();
  document.documentElement.classList.add("ready");
}

begin();
