/** Ratings: shown, and given. */

import { element, setProperty } from "./dom.js";
import { hidden } from "./rows.js";
import { LIKED, ratingAt, share } from "./scale.js";
import { isolated, number } from "./text.js";

/**
 * Show a rating, or a predicted one, on its scale.
 *
 * @param {import("./scale.js").Scale} scale
 * @param {number} value
 * @param {boolean} [isExact] False for means and predictions, which have two digits.
 */
export function rating(scale, value, isExact = true) {
  if (scale.kind === "like") return element("span", { class: "rating" }, number(value));
  const text = isExact ? number(value) : value.toFixed(scale.max < 10 ? 2 : 1);
  const digits = element("span", { class: "digits" }, text);
  return element("span", { class: "rating" }, drawing(scale, value), digits, hidden(` of ${number(scale.max)}`));
}

/**
 * Let somebody rate an item: a slider in the shape of stars, or a button where one can only like.
 *
 * @param {import("./scale.js").Scale} scale
 * @param {string} name
 * @param {number | null} value Null if it is not rated yet.
 * @param {(value: number | null) => void} onRate
 * @returns {{node: HTMLElement, control: HTMLElement, set: (value: number | null) => void}}
 */
export function ratingControl(scale, name, value, onRate) {
  const made = scale.kind === "like" ? likeButton(name, onRate) : slider(scale, name, onRate);
  made.set(value);
  return made;
}

function drawing(scale, value) {
  const made = element("span", { class: scale.kind, "aria-hidden": "true" });
  return setProperty(setProperty(made, "--most", scale.max), "--share", share(scale, value));
}

function likeButton(name, onRate) {
  const control = element("button", {
    type: "button", class: "like", "aria-label": `I like ${isolated(name)}`, click: () => onRate(isLiked ? null : LIKED),
  }, "Like");
  let isLiked = false;
  const set = (value) => {
    isLiked = value !== null;
    control.setAttribute("aria-pressed", String(isLiked));
    control.textContent = isLiked ? "Liked" : "Like";
  };
  return { node: element("span", { class: "rate" }, control), control, set };
}

/**
 * A range input, which knows keys, touch and screen readers, lies over the drawing. Its thumb is
 * as wide as a step, so that a click on a half star gives this half star.
 */
function slider(scale, name, onRate) {
  const { min, max, step } = scale;
  const control = element("input", { type: "range", min, max, step, "aria-label": `Your rating of ${isolated(name)}` });
  const shown = drawing(scale, scale.zero);
  const digits = element("output", { class: "digits", "aria-hidden": "true" });
  const node = element("span", { class: "rate" }, element("span", { class: "slider" }, shown, control), digits);
  setProperty(node, "--most", max);
  setProperty(node, "--steps", Math.round((max - scale.zero) / step));
  let current = null;

  function draw(value, isPreview) {
    setProperty(shown, "--share", value === null ? 0 : share(scale, value));
    shown.classList.toggle("preview", isPreview);
    digits.textContent = value === null ? "" : number(value);
  }

  function set(value) {
    current = value;
    node.classList.toggle("rated", value !== null);
    control.value = String(value ?? ratingAt(scale, 0.5));
    control.setAttribute("aria-valuetext", value === null ? "not rated" : `${number(value)} of ${number(max)}`);
    draw(value, false);
  }

  function rate() {
    const value = Number(control.value);
    if (value === current) return;
    set(value);
    onRate(value);
  }

  control.addEventListener("input", rate);
  control.addEventListener("click", rate); // where the hidden thumb was, there is no input event
  control.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") rate();
  });
  control.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse" || event.buttons) return;
    const box = control.getBoundingClientRect();
    draw(ratingAt(scale, (event.clientX - box.left) / box.width), true);
  });
  control.addEventListener("pointerleave", () => draw(current, false));
  return { node, control, set };
}
