/** The plane of the map: where items are on the screen, and which of them are near. */

const LARGEST = 400; // times the view of everything
const MARGIN = 0.88; // of the screen is used by the view of everything

/** @typedef {{x: number[], y: number[]}} Points In the order of popularity. */

export class Plane {
  /** @param {Points} points */
  constructor({ x, y }) {
    this.x = x;
    this.y = y;
    this.width = this.height = 1;
    this.zoom = 1;
    this.box = { left: least(x), right: most(x), low: least(y), high: most(y) };
    this.center = this.middle();
  }

  /** The size of the screen has changed. */
  resize(width, height) {
    this.width = Math.max(width, 1);
    this.height = Math.max(height, 1);
  }

  /** Show everything. */
  reset() {
    this.zoom = 1;
    this.center = this.middle();
  }

  middle() {
    const { left, right, low, high } = this.box;
    return { x: (left + right) / 2, y: (low + high) / 2 };
  }

  /** Pixels of a unit of the plane. Both axes have the same, so distances can be compared. */
  get unit() {
    const across = this.box.right - this.box.left || 1e-9;
    const up = this.box.high - this.box.low || 1e-9;
    const all = Math.min(this.width / across, this.height / up, 1e6);
    return MARGIN * this.zoom * all;
  }

  /** Where an item is on the screen. */
  at(index) {
    const { unit, center } = this;
    return {
      x: this.width / 2 + (this.x[index] - center.x) * unit,
      y: this.height / 2 - (this.y[index] - center.y) * unit,
    };
  }

  /** Move what is shown by pixels. */
  pan(right, down) {
    const { left, right: end, low, high } = this.box;
    this.center = {
      x: within(this.center.x - right / this.unit, left, end),
      y: within(this.center.y + down / this.unit, low, high),
    };
  }

  /** Zoom by a factor; the place of the screen stays where it is. */
  zoomAt(factor, x = this.width / 2, y = this.height / 2) {
    const before = this.unit;
    this.zoom = within(this.zoom * factor, 1, LARGEST);
    const share = 1 / before - 1 / this.unit;
    this.center = {
      x: this.center.x + (x - this.width / 2) * share,
      y: this.center.y - (y - this.height / 2) * share,
    };
  }

  /** The item nearest to a place of the screen, within a number of pixels; -1 if there is none. */
  hit(x, y, reach) {
    let found = -1;
    let best = reach;
    for (let index = 0; index < this.x.length; index += 1) {
      const place = this.at(index);
      const distance = Math.hypot(place.x - x, place.y - y);
      if (distance < best) [found, best] = [index, distance];
    }
    return found;
  }

  /** The items nearest to an item, without it. */
  nearest(index, n) {
    const others = this.x.map((_, other) => other).filter((other) => other !== index);
    const distances = this.x.map((_, other) => this.distance(index, other));
    return others.sort((one, other) => distances[one] - distances[other]).slice(0, n);
  }

  /** The nearest item in a direction of the screen; -1 if there is none. */
  next(index, right, down) {
    let found = -1;
    let best = Infinity;
    for (let other = 0; other < this.x.length; other += 1) {
      const [x, y] = [this.x[other] - this.x[index], this.y[other] - this.y[index]];
      const ahead = x * right - y * down;
      const aside = Math.abs(x * down + y * right);
      if (ahead <= 0 || aside > ahead) continue; // outside a quarter of a circle
      if (Math.hypot(x, y) < best) [found, best] = [other, Math.hypot(x, y)];
    }
    return found;
  }

  /** Show an item in the middle, with its nearest items around it. */
  focusOn(index, n = 12) {
    const last = this.nearest(index, n).pop();
    const radius = last === undefined ? 0 : this.distance(index, last);
    this.zoom = 1;
    const wanted = (0.35 * Math.min(this.width, this.height)) / (radius * this.unit || 1);
    this.zoom = within(wanted, 1, LARGEST);
    this.center = { x: this.x[index], y: this.y[index] };
  }

  distance(one, other) {
    return Math.hypot(this.x[one] - this.x[other], this.y[one] - this.y[other]);
  }
}

const within = (value, low, high) => Math.min(Math.max(value, low), high);
const least = (values) => values.reduce((one, other) => Math.min(one, other), Infinity);
const most = (values) => values.reduce((one, other) => Math.max(one, other), -Infinity);
