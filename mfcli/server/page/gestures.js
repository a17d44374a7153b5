/** Pointers and keys that move the map. */

const SLACK = 5; // pixels that a click may move
const REACH = { mouse: 14, touch: 26 }; // pixels around a dot in which it is hit
const STEP = 60; // pixels that an arrow key moves the map
const ZOOM = 1.5; // of a key or a button

/**
 * @typedef {object} Moves
 * @property {(index: number) => void} select
 * @property {(index: number) => void} hover
 * @property {() => void} moved The plane has changed.
 * @property {() => number} selected
 */

/**
 * Let a pointer and keys move the plane.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {import("./plane.js").Plane} plane
 * @param {Moves} moves
 */
export function follow(canvas, plane, moves) {
  followPointers(canvas, plane, moves);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaMode === 1 ? 16 * event.deltaY : event.deltaY;
    plane.zoomAt(Math.exp(-pixels / (event.ctrlKey ? 100 : 400)), event.offsetX, event.offsetY);
    moves.moved();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keyAction(event, plane, moves);
    if (!act) return;
    event.preventDefault();
    act();
    moves.moved();
  });
}

/** Zoom in (1) or out (-1) by a step. */
export function zoomStep(plane, direction) {
  plane.zoomAt(ZOOM ** direction);
}

function keyAction(event, plane, moves) {
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (arrow && event.shiftKey) return () => moves.select(neighbor(plane, moves.selected(), ...arrow));
  if (arrow) return () => plane.pan(-STEP * arrow[0], -STEP * arrow[1]);
  return {
    "+": () => zoomStep(plane, 1),
    "=": () => zoomStep(plane, 1),
    "-": () => zoomStep(plane, -1),
    0: () => plane.reset(),
    Home: () => plane.reset(),
    Enter: () => moves.select(plane.hit(plane.width / 2, plane.height / 2, Infinity)),
    " ": () => moves.select(plane.hit(plane.width / 2, plane.height / 2, Infinity)),
  }[event.key];
}

function neighbor(plane, selected, right, down) {
  if (selected < 0) return plane.hit(plane.width / 2, plane.height / 2, Infinity);
  const next = plane.next(selected, right, down);
  return next < 0 ? selected : next;
}

/** One pointer moves the map, two zoom it, and a click selects. */
function followPointers(canvas, plane, moves) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let travelled = 0;

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (down.size === 0) travelled = 0;
    down.set(event.pointerId, place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const from = down.get(event.pointerId);
    const to = place(event);
    if (!from) return moves.hover(plane.hit(to.x, to.y, REACH.mouse));
    travelled += Math.hypot(to.x - from.x, to.y - from.y);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    if (other) pinch(plane, from, to, other);
    else if (travelled > SLACK) plane.pan(to.x - from.x, to.y - from.y);
    down.set(event.pointerId, to);
    canvas.classList.toggle("dragged", travelled > SLACK);
    moves.moved();
  });
  canvas.addEventListener("pointerup", (event) => {
    const { x, y } = place(event);
    if (down.size === 1 && travelled <= SLACK) moves.select(plane.hit(x, y, REACH[event.pointerType] ?? REACH.touch));
    lift(event);
  });
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => moves.hover(-1));
  canvas.addEventListener("dblclick", (event) => {
    plane.zoomAt(2, event.offsetX, event.offsetY);
    moves.moved();
  });

  function lift(event) {
    down.delete(event.pointerId);
    canvas.classList.remove("dragged");
  }
}

const place = (event) => ({ x: event.offsetX, y: event.offsetY });

/** A finger moves while another one stays. */
function pinch(plane, from, to, other) {
  const before = Math.hypot(from.x - other.x, from.y - other.y);
  const after = Math.hypot(to.x - other.x, to.y - other.y);
  plane.pan((to.x - from.x) / 2, (to.y - from.y) / 2);
  if (before > 0 && after > 0) plane.zoomAt(after / before, (to.x + other.x) / 2, (to.y + other.y) / 2);
}
