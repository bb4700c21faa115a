/* The image: what is decoded, and how it is looked at (zoom, pan, brightness, contrast). */

const AHEAD = 3; // images decoded before they are wanted
const MOST_ZOOM = 16;
const view = { zoom: 1, x: 0, y: 0, brightness: 100, contrast: 100 };
const pointers = new Map();
const ready = new Map(); // index -> decoded image, of the next few only
let gesture = null;

const element = (id) => document.getElementById(id);

/** Return the address of an image: its bytes lie in the page as text until they are wanted. */
function addressOf(index) {
  const holder = element("image-" + index);
  return holder === null ? "" : "data:" + holder.textContent;
}

function preload(wanted) {
  for (const index of ready.keys()) if (!wanted.includes(index)) ready.delete(index);
  for (const index of wanted) {
    if (ready.has(index) || !samples[index].seen) continue;
    const image = new Image();
    image.src = addressOf(index);
    ready.set(index, image);
  }
}

/** Show an image, and decode the next few. */
function showImage(index) {
  const picture = element("picture");
  const { seen } = samples[index];
  picture.hidden = !seen;
  element("no-image").hidden = seen;
  picture.alt = seen ? `Image ${index + 1} of ${samples.length}` : "";
  if (seen) picture.src = ready.get(index)?.src ?? addressOf(index);
  else picture.removeAttribute("src");
  resetZoom();
  const following = Array.from({ length: AHEAD }, (_, step) => index + 1 + step).filter((next) => next < samples.length);
  const open = nextOpen(index);
  preload(open < 0 ? following : [...new Set([...following, open])]);
}

function drawView() {
  const picture = element("picture");
  picture.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
  picture.style.filter = view.brightness === 100 && view.contrast === 100
    ? "" : `brightness(${view.brightness}%) contrast(${view.contrast}%)`;
  picture.classList.toggle("pixelated", answers.pixelated);
  element("stage").classList.toggle("zoomed", view.zoom > 1);
  element("zoom-text").textContent = Math.round(100 * view.zoom) + " %";
  element("smooth").checked = !answers.pixelated;
  for (const name of ["brightness", "contrast"]) {
    element(name).value = view[name];
    element(name + "-text").textContent = view[name] + " %";
  }
}

function resetZoom() {
  Object.assign(view, { zoom: 1, x: 0, y: 0 });
  drawView();
}

function resetView() {
  Object.assign(view, { brightness: 100, contrast: 100 });
  resetZoom();
  announce("View reset");
}

/** Zoom so that the point (x, y), counted from the middle of the stage, stays where it is. */
function zoomBy(factor, x = 0, y = 0) {
  const zoom = Math.min(Math.max(view.zoom * factor, 1), MOST_ZOOM);
  const share = zoom / view.zoom;
  moveTo(x - (x - view.x) * share, y - (y - view.y) * share, zoom);
}

/** Move the image, without losing it at the edge of the stage. */
function moveTo(x, y, zoom = view.zoom) {
  const { clientWidth, clientHeight } = element("stage");
  const [across, down] = [(clientWidth * (zoom - 1)) / 2, (clientHeight * (zoom - 1)) / 2];
  Object.assign(view, { zoom, x: Math.min(Math.max(x, -across), across), y: Math.min(Math.max(y, -down), down) });
  drawView();
}

function fromMiddle(x, y) {
  const box = element("stage").getBoundingClientRect();
  return [x - box.left - box.width / 2, y - box.top - box.height / 2];
}

function adjust(name, value) {
  view[name] = Math.min(Math.max(value, 20), 300);
  drawView();
}

/* --- mouse and fingers -------------------------------------------------------------------------------------------- */

function onWheel(event) {
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 400), ...fromMiddle(event.clientX, event.clientY));
}

function onPointerDown(event) {
  if (event.button !== 0) return;
  element("stage").setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  gesture = { kind: event.pointerType, x: event.clientX, y: event.clientY, pinched: pointers.size > 1 };
}

function onPointerMove(event) {
  const before = pointers.get(event.pointerId);
  if (before === undefined) return;
  const point = [event.clientX, event.clientY];
  if (pointers.size === 2) pinch(event.pointerId, point);
  else if (view.zoom > 1) moveTo(view.x + point[0] - before[0], view.y + point[1] - before[1]);
  pointers.set(event.pointerId, point);
}

function pinch(moving, point) {
  const [, other] = [...pointers].find(([id]) => id !== moving);
  const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
  const middle = fromMiddle((point[0] + other[0]) / 2, (point[1] + other[1]) / 2);
  zoomBy(apart(point) / Math.max(apart(pointers.get(moving)), 1), ...middle);
}

/** End a gesture; a quick stroke of a finger to the side, on an image that is not zoomed, goes on or back. */
function onPointerUp(event) {
  if (!pointers.delete(event.pointerId) || gesture === null) return;
  const [across, down] = [event.clientX - gesture.x, event.clientY - gesture.y];
  const isSwipe = gesture.kind === "touch" && !gesture.pinched && event.type === "pointerup";
  if (isSwipe && view.zoom === 1 && Math.abs(across) > 50 && Math.abs(across) > 2 * Math.abs(down)) step(across < 0 ? 1 : -1);
  if (pointers.size === 0) gesture = null;
}

function onDoubleClick(event) {
  if (view.zoom > 1) resetZoom();
  else zoomBy(2.5, ...fromMiddle(event.clientX, event.clientY));
}

function listenToStage() {
  const stage = element("stage");
  stage.addEventListener("wheel", onWheel, { passive: false });
  stage.addEventListener("pointerdown", onPointerDown);
  stage.addEventListener("pointermove", onPointerMove);
  stage.addEventListener("pointerup", onPointerUp);
  stage.addEventListener("pointercancel", onPointerUp);
  stage.addEventListener("dblclick", onDoubleClick);
  for (const name of ["brightness", "contrast"]) {
    element(name).addEventListener("input", (event) => adjust(name, Number(event.target.value)));
    element(name).addEventListener("pointerup", (event) => event.target.blur()); // the keys are free again
  }
}
