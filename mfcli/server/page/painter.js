/** Draws the map on a canvas: dots by popularity, and titles that do not overlap. */

import { isolated, shortened } from "./text.js";

const SMALLEST = 2; // radius of a dot, in pixels
const LARGEST = 9;
const LETTERS = 28; // of a title
const ROOM = 13_000; // square pixels of the map for a title
const CLEAR = 6; // radius of dots that no title covers, on a wide screen
const WIDE = 600_000; // square pixels of a map with dots of full size
const LINE = 16; // height of a title, in pixels

/** @typedef {{counts: number[], names: string[], plane: import("./plane.js").Plane}} Drawn */

export class Painter {
  #canvas;
  #drawn;
  #context;
  #most;
  #widths = new Map();

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Drawn} drawn
   */
  constructor(canvas, drawn) {
    this.#canvas = canvas;
    this.#drawn = drawn;
    this.#context = canvas.getContext("2d");
    this.#most = Math.max(1, drawn.counts[0] ?? 1);
  }

  /** The canvas has another size, or is on a screen with other pixels. */
  resize() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#drawn.plane.resize(width, height);
  }

  /**
   * Draw everything.
   *
   * @param {number} selected -1 if there is none.
   * @param {number} hovered -1 if there is none.
   * @param {boolean} hasCross Whether the keyboard selects what is in the middle.
   */
  draw(selected, hovered, hasCross) {
    const { plane, names } = this.#drawn;
    const context = this.#context;
    const style = getComputedStyle(this.#canvas);
    const color = (name) => style.getPropertyValue(name).trim();
    context.clearRect(0, 0, plane.width, plane.height);
    this.#axes(color("--line"));
    const places = names.map((_, index) => plane.at(index));
    this.#dots(places, color("--dot"), color("--surface"));
    for (const index of new Set([hovered, selected])) {
      if (index >= 0) this.#ring(places[index], this.#radius(index), color("--series-5"));
    }
    this.#titles(places, [selected, hovered], { text: color("--text"), halo: color("--surface"), font: style.fontFamily });
    if (hasCross) this.#cross(color("--muted"));
  }

  #radius(index) {
    const size = Math.sqrt(this.#drawn.counts[index] / this.#most);
    return this.#smaller() * (SMALLEST + (LARGEST - SMALLEST) * size);
  }

  /** Dots are smaller on a small screen, until the map is zoomed. */
  #smaller() {
    const { width, height, zoom } = this.#drawn.plane;
    return Math.min(1, Math.max(0.55, Math.sqrt((width * height) / WIDE)) * zoom ** 0.25);
  }

  /** Lines where the components are zero: items that the factors do not tell from the mean. */
  #axes(color) {
    const { plane } = this.#drawn;
    const x = plane.width / 2 - plane.center.x * plane.unit;
    const y = plane.height / 2 + plane.center.y * plane.unit;
    this.#context.strokeStyle = color;
    this.#context.lineWidth = 1;
    this.#context.beginPath();
    this.#context.moveTo(x, 0);
    this.#context.lineTo(x, plane.height);
    this.#context.moveTo(0, y);
    this.#context.lineTo(plane.width, y);
    this.#context.stroke();
  }

  #dots(places, color, edge) {
    const context = this.#context;
    context.fillStyle = color;
    context.strokeStyle = edge;
    context.lineWidth = 1;
    for (let index = places.length - 1; index >= 0; index -= 1) { // popular ones on top
      if (!this.#isVisible(places[index])) continue;
      context.beginPath();
      context.arc(places[index].x, places[index].y, this.#radius(index), 0, 2 * Math.PI);
      context.globalAlpha = 0.75;
      context.fill();
      context.globalAlpha = 1;
      context.stroke();
    }
  }

  #ring(place, radius, color) {
    const context = this.#context;
    context.fillStyle = color;
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(place.x, place.y, radius, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
    context.arc(place.x, place.y, radius + 4, 0, 2 * Math.PI);
    context.stroke();
  }

  /** Titles of what is selected and of popular items, as far as there is room. */
  #titles(places, first, { text, halo, font }) {
    const { plane } = this.#drawn;
    const context = this.#context;
    const taken = this.#largeDots(places);
    let left = Math.ceil((plane.width * plane.height) / ROOM);
    Object.assign(context, { textBaseline: "middle", lineJoin: "round", lineWidth: 3.5, strokeStyle: halo, fillStyle: text });
    const chosen = new Set(first.filter((index) => index >= 0));
    for (const index of [...chosen, ...places.keys()]) {
      if (left <= 0) break;
      if (!this.#isVisible(places[index]) || taken.has(-1 - index)) continue;
      context.font = `${chosen.has(index) ? 600 : 400} 12.5px ${font}`;
      const box = this.#box(index, places[index], chosen.has(index), taken);
      if (!box) continue;
      taken.set(-1 - index, box);
      left -= 1;
      context.strokeText(box.name, box.x, box.y + LINE / 2);
      context.fillText(box.name, box.x, box.y + LINE / 2);
    }
  }

  /** The places of dots that no title covers, by the number of the item. */
  #largeDots(places) {
    const found = new Map();
    for (const [index, { x, y }] of places.entries()) {
      const radius = this.#radius(index);
      if (radius < CLEAR * this.#smaller()) break; // the others are smaller
      found.set(index, { x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius });
    }
    return found;
  }

  /** Where a title fits beside its dot; null if there is no room. What is chosen always fits. */
  #box(index, place, isChosen, taken) {
    const name = isolated(shortened(this.#drawn.names[index], LETTERS));
    const key = `${index} ${isChosen}`;
    if (!this.#widths.has(key)) this.#widths.set(key, this.#context.measureText(name).width);
    const width = this.#widths.get(key);
    const gap = this.#radius(index) + (isChosen ? 9 : 5);
    const [beside, middle] = [place.y - LINE / 2, place.x - width / 2];
    const sides = [[place.x + gap, beside], [place.x - gap - width, beside], [middle, place.y + gap], [middle, place.y - gap - LINE]]
      .map(([x, y]) => ({ name, x, y, width, height: LINE }))
      .filter((box) => box.x >= 0 && box.x + width <= this.#drawn.plane.width);
    const isFree = (box) => [...taken].every(([other, there]) => other === index || !overlap(box, there));
    return sides.find(isFree) ?? (isChosen ? sides[0] : null) ?? null;
  }

  #cross(color) {
    const { width, height } = this.#drawn.plane;
    const context = this.#context;
    context.strokeStyle = color;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(width / 2 - 10, height / 2);
    context.lineTo(width / 2 + 10, height / 2);
    context.moveTo(width / 2, height / 2 - 10);
    context.lineTo(width / 2, height / 2 + 10);
    context.stroke();
  }

  #isVisible({ x, y }) {
    const { width, height } = this.#drawn.plane;
    return x > -LARGEST && y > -LARGEST && x < width + LARGEST && y < height + LARGEST;
  }
}

function overlap(one, other) {
  return one.x < other.x + other.width + 4 && other.x < one.x + one.width + 4
    && one.y < other.y + other.height && other.y < one.y + one.height;
}
