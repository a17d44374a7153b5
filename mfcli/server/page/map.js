/** The map of items: two principal components of their factors. */

import * as api from "./api.js";
import { announce, element, fill } from "./dom.js";
import { follow, zoomStep } from "./gestures.js";
import { Painter } from "./painter.js";
import { Plane } from "./plane.js";
import { itemRoute, mapRoute } from "./routes.js";
import { empty } from "./rows.js";
import { itemBox } from "./search.js";
import { count, counted, nameOf, nounOf, percent } from "./text.js";

const ITEMS = 2000;
const NEAREST = 10;
const KEYS = "Arrow keys move the map, plus and minus zoom, zero shows everything. Enter selects the item in the"
  + " middle, Shift with an arrow key the next item in that direction.";

export async function mapView(id, signal) {
  const [model, found] = await Promise.all([api.model(), api.map({ n: ITEMS }, signal)]);
  if (found.items.length < 2) return { title: "Map", nodes: [heading(), empty("A map needs two items or more.")] };
  const rows = found.items.map((item, index) => ({ item, title: found.titles?.[index], count: found.count[index] }));
  const atlas = new Atlas(rows, found, nounOf(model), signal);
  const nodes = [
    heading(),
    element("p", { class: "remark map-note" }, honestly(found, model)),
    element("div", { class: "atlas" }, atlas.frame, atlas.panel),
  ];
  return { title: "Map", nodes, shown: () => atlas.begin(id) };
}

const heading = () => element("h1", {}, "Map of items");

/** What the map shows, and what it cannot show. */
function honestly({ items, variance }, model) {
  const which = items.length < model.items
    ? `The ${count(items.length)} most popular of ${counted(model.items, "item")}`
    : `All ${counted(items.length, "item")}`;
  const [first, second] = variance;
  const rest = 1 - first - second;
  return `${which}, by the two principal components of their factors. Across: ${percent(first)} of the variance,`
    + ` up: ${percent(second)}.${rest > 0.0005 ? ` The map does not show the other ${percent(rest)}.` : ""}`;
}

/** The map, and beside it what is selected. */
class Atlas {
  #rows;
  #noun;
  #plane;
  #painter;
  #canvas;
  #selected = -1;
  #hovered = -1;
  #isPlanned = false;

  constructor(rows, points, noun, signal) {
    this.#rows = rows;
    this.#noun = noun;
    this.#plane = new Plane(points);
    this.#canvas = element("canvas", {
      tabindex: "0", role: "application", "aria-label": "Map of items", "aria-roledescription": "map", "aria-describedby": "map-keys",
    });
    const drawn = { plane: this.#plane, counts: rows.map((row) => row.count), names: rows.map(nameOf) };
    this.#painter = new Painter(this.#canvas, drawn);
    this.frame = element("div", { class: "frame" }, this.#canvas, this.#buttons());
    this.details = element("div", { class: "details" });
    this.panel = element("section", { class: "selected", "aria-label": "Selected item" },
      itemBox("Find on the map", (row) => this.#find(row.item)), this.details);
    follow(this.#canvas, this.#plane, {
      select: (index) => index >= 0 && this.#select(index),
      hover: (index) => this.#hover(index),
      moved: () => this.#plan(),
      selected: () => this.#selected,
    });
    this.#watch(signal);
    this.#describe();
  }

  /** The map is in the page: draw it, around an item if there is an id. */
  begin(id) {
    this.#painter.resize();
    if (id !== null) this.#find(id);
    this.#plan();
  }

  #buttons() {
    const button = (text, label, act) => element("button", {
      type: "button", class: "quiet", "aria-label": label, title: label, click: () => { act(); this.#plan(); },
    }, text);
    return element("div", { class: "zoom" },
      button("+", "Zoom in", () => zoomStep(this.#plane, 1)),
      button("−", "Zoom out", () => zoomStep(this.#plane, -1)),
      button("⤢", "Show everything", () => this.#plane.reset()));
  }

  /** Draw again if the size, the colors or the focus change, until the view is left. */
  #watch(signal) {
    const sizes = new ResizeObserver(() => {
      this.#painter.resize();
      this.#plan();
    });
    sizes.observe(this.#canvas);
    signal.addEventListener("abort", () => sizes.disconnect());
    const plan = () => this.#plan();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", plan, { signal });
    this.#canvas.addEventListener("focus", plan);
    this.#canvas.addEventListener("blur", plan);
  }

  /** Draw once before the next picture, whatever has changed until then. */
  #plan() {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    requestAnimationFrame(() => {
      this.#isPlanned = false;
      this.#painter.draw(this.#selected, this.#hovered, this.#canvas.matches(":focus-visible"));
    });
  }

  #hover(index) {
    if (index === this.#hovered) return;
    this.#hovered = index;
    this.#canvas.classList.toggle("over", index >= 0);
    this.#plan();
  }

  #find(id) {
    const index = this.#rows.findIndex((row) => String(row.item) === String(id));
    if (index >= 0) {
      this.#plane.focusOn(index);
      this.#select(index);
    } else {
      fill(this.details, empty(`This item is not among the ${count(this.#rows.length)} most popular ones, which the map shows.`));
    }
  }

  /** Select an item. The address follows, so that the way back leads here. */
  #select(index) {
    this.#selected = index;
    history.replaceState(history.state, "", mapRoute(this.#rows[index].item));
    this.#describe();
    announce(`Selected: ${nameOf(this.#rows[index])}`);
    this.#plan();
  }

  #describe() {
    const keys = element("p", { class: "remark", id: "map-keys" }, KEYS);
    if (this.#selected < 0) return fill(this.details, element("p", {}, "Select an item on the map."), keys);
    const row = this.#rows[this.#selected];
    const near = this.#plane.nearest(this.#selected, NEAREST).map((index) => element("li", {},
      element("button", { type: "button", class: "plain", click: () => this.#moveTo(index) },
        element("bdi", {}, nameOf(this.#rows[index])))));
    fill(this.details,
      element("h2", {}, element("bdi", {}, nameOf(row))),
      element("p", {}, counted(row.count, this.#noun)),
      element("p", { class: "actions" }, element("a", { class: "button", href: itemRoute(row.item) }, "Open")),
      element("h3", {}, "Nearest on the map"),
      element("ol", { class: "near" }, near),
      keys);
  }

  #moveTo(index) {
    this.#plane.center = { x: this.#plane.x[index], y: this.#plane.y[index] };
    this.#select(index);
    this.details.querySelector("h2 + p + p a").focus();
  }
}
