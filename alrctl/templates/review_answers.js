/* What was answered: kept in the browser, taken back, counted, and merged with answers from elsewhere. */

const data = JSON.parse(document.getElementById("data").textContent);
const samples = data.samples.map((row) => data.blind
  ? { id: row[0], seen: row[1] }
  : { id: row[0], given: row[1], suggested: row[2], reason: row[3], seen: row[4] });
const PLACE = "alrctl-review:" + data.digest;
const NAME_PLACE = "alrctl-review:annotator";
const IDLE = 60; // seconds of a pause that are counted at most

const answers = {
  records: samples.map(blankRecord),
  position: 0,
  annotator: data.annotator,
  changes: 0,
  downloaded: 0, // how many of the changes are in a downloaded file
  told: false, // whether given and suggested label are shown
  pixelated: false,
  keys: true,
  begun: false,
  undone: [],
  isElsewhere: false, // whether another window has gone on with this queue
  trouble: "", // why the browser does not keep the answers
};
const KEPT = ["position", "annotator", "changes", "downloaded", "told", "pixelated", "keys", "begun"];

/** A record; state is "" (open), "answered", "unsure" or "skipped"; label is the place of a class. */
function blankRecord() {
  return { state: "", label: -1, seconds: 0, comment: "", time: "", annotator: "" };
}

function isBlank(record) {
  return !record.state && !record.comment && !record.seconds;
}

/** Read what the browser kept of this queue. */
function restore() {
  try {
    if (!answers.annotator) answers.annotator = localStorage.getItem(NAME_PLACE) ?? "";
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? "null");
    if (kept === null) return;
    for (const name of KEPT) if (typeof kept[name] === typeof answers[name]) answers[name] = kept[name];
    for (const [index, record] of Object.entries(kept.records)) {
      if (answers.records[index]) answers.records[index] = { ...blankRecord(), ...record };
    }
    answers.position = Math.min(Math.max(answers.position, 0), samples.length - 1);
  } catch (error) {
    answers.trouble = String(error.message ?? error);
  }
}

/** Keep everything in the browser; where it cannot, the reason stands in `answers.trouble`. */
function save() {
  if (answers.isElsewhere) return;
  const records = {};
  answers.records.forEach((record, index) => { if (!isBlank(record)) records[index] = record; });
  const kept = Object.fromEntries(KEPT.map((name) => [name, answers[name]]));
  try {
    localStorage.setItem(PLACE, JSON.stringify({ ...kept, records }));
    if (answers.annotator) localStorage.setItem(NAME_PLACE, answers.annotator);
    answers.trouble = "";
  } catch (error) {
    answers.trouble = String(error.message ?? error);
  }
}

/** Answer a sample, or mark it; the answer before can be taken back. */
function answer(index, state, label = -1) {
  const before = answers.records[index];
  answers.undone.push({ position: index, records: [[index, { ...before }]] });
  answers.records[index] = { ...before, state, label, time: state ? now() : "", annotator: state ? answers.annotator : "" };
  answers.changes++;
  save();
}

function now() {
  return new Date().toISOString();
}

/** Set a sample's comment; return whether that changed it. */
function comment(index, text) {
  const record = answers.records[index];
  const plain = text.replace(/\r\n?/g, "\n");
  if (plain === record.comment) return false;
  record.comment = plain;
  if (!record.annotator) record.annotator = answers.annotator;
  answers.changes++;
  return true;
}

/** Take the last answer back, comments and time apart; return where it was, or -1. */
function undo() {
  const step = answers.undone.pop();
  if (!step) return -1;
  for (const [index, before] of step.records) {
    const { comment: said, seconds } = answers.records[index];
    answers.records[index] = step.whole ? before : { ...before, comment: said, seconds };
  }
  answers.changes++;
  save();
  return step.position;
}

/** Return the next sample without an answer after `from`, from the beginning again after the last; -1 if none. */
function nextOpen(from) {
  for (let step = 1; step <= samples.length; step++) {
    const index = (from + step) % samples.length;
    if (!answers.records[index].state) return index;
  }
  return -1;
}

/** Count the samples by state. */
function counts() {
  const found = { answered: 0, unsure: 0, skipped: 0, open: 0, commented: 0 };
  for (const record of answers.records) {
    found[record.state || "open"]++;
    if (record.comment.trim()) found.commented++;
  }
  return found;
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Return the seconds left at the usual pace, or null before five samples are dealt with. */
function secondsLeft() {
  const taken = answers.records.filter((record) => record.state && record.seconds > 0).map((record) => record.seconds);
  return taken.length < 5 ? null : median(taken) * counts().open;
}

function answersAsRows() {
  const rows = [];
  answers.records.forEach((record, index) => {
    if (!record.state && !record.comment.trim()) return;
    rows.push([
      samples[index].id,
      record.state === "answered" ? data.classes[record.label] : "",
      record.annotator || answers.annotator,
      String(record.state === "unsure"),
      record.seconds.toFixed(1),
      record.comment,
      record.time,
    ]);
  });
  return rows;
}

/* --- answers from a file ------------------------------------------------------------------------------------------ */

/** Return a row of a file as a record, or null where it cannot be understood. */
function recordOfRow(row) {
  const unsure = row.unsure.toLowerCase();
  const label = row.label === "" ? -1 : data.classes.findIndex((name) => name.trim() === row.label);
  const seconds = Number(row.seconds.replace(",", ".") || 0);
  if (!["", "true", "false", "1", "0"].includes(unsure) || (row.label !== "" && label < 0)) return null;
  let state = label >= 0 ? "answered" : row.timestamp ? "skipped" : "";
  if (label < 0 && ["true", "1"].includes(unsure)) state = "unsure";
  const known = Number.isFinite(seconds) && seconds > 0 ? seconds : 0;
  return { state, label, seconds: known, comment: row.comment, time: row.timestamp, annotator: row.annotator };
}

/** Return both comments: the longer where one holds the other. */
function joined(one, other) {
  if (one.includes(other)) return one;
  return other.includes(one) ? other : one + "\n" + other;
}

/** Return what becomes of a record when another of the same sample comes in: the later answer counts. */
function merged(mine, theirs) {
  const isLater = theirs.state && (!mine.state || Date.parse(theirs.time) > Date.parse(mine.time));
  const winner = isLater ? theirs : mine;
  const seconds = Math.max(mine.seconds, theirs.seconds);
  return { ...winner, annotator: winner.annotator || theirs.annotator, seconds, comment: joined(mine.comment, theirs.comment) };
}

/** Return what would change if the rows of a file were taken in, and how many rows would not. */
function planMerge(rows) {
  const places = new Map(samples.map((sample, index) => [sample.id.trim(), index]));
  const plan = { records: new Map(), added: 0, replaced: 0, kept: 0, foreign: 0, unclear: 0 };
  for (const row of rows) {
    const index = places.get(row.sample_id);
    const theirs = recordOfRow(row);
    if (index === undefined) plan.foreign++;
    else if (theirs === null) plan.unclear++;
    else planRecord(plan, index, theirs);
  }
  return plan;
}

function planRecord(plan, index, theirs) {
  const mine = plan.records.get(index) ?? answers.records[index];
  const after = merged(mine, theirs);
  if (JSON.stringify(after) === JSON.stringify(mine)) {
    if (theirs.state && (theirs.state !== mine.state || theirs.label !== mine.label)) plan.kept++;
    return;
  }
  if (after.state === mine.state && after.label === mine.label) {
    if (theirs.state && (theirs.state !== mine.state || theirs.label !== mine.label)) plan.kept++;
  } else if (mine.state) plan.replaced++;
  else plan.added++;
  plan.records.set(index, after);
}

/** Take a plan in, as one step that can be taken back. */
function applyMerge(plan) {
  const before = [...plan.records.keys()].map((index) => [index, { ...answers.records[index] }]);
  answers.undone.push({ position: answers.position, records: before, whole: true });
  for (const [index, record] of plan.records) answers.records[index] = record;
  answers.changes++;
  save();
}
