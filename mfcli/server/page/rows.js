/** What several views show about items and users: names as links, bars, facts. */

import { element, setProperty } from "./dom.js";
import { itemRoute, userRoute } from "./routes.js";
import { nameOf } from "./text.js";

/** The name of an item as a link to it. */
export function itemLink(row) {
  return element("a", { class: "name", href: itemRoute(row.item) }, element("bdi", {}, nameOf(row)));
}

/** The id of a user as a link to it. */
export function userLink(id) {
  return element("a", { class: "name", href: userRoute(id) }, element("bdi", {}, String(id)));
}

/** A number with a bar, and what it is for those who do not see the bar. */
export function measure(value, most, text, noun) {
  const share = most > 0 ? Math.min(Math.max(value / most, 0), 1) : 0;
  const bar = setProperty(element("span", { class: "bar", "aria-hidden": "true" }), "--share", share);
  const digits = element("span", { class: "digits" }, text);
  return element("span", { class: "measure", title: `${text} ${noun}` }, bar, digits, hidden(` ${noun}`));
}

/** Words for screen readers alone. */
export function hidden(text) {
  return element("span", { class: "visually-hidden" }, text);
}

/** A section with a heading and a remark to it. */
export function section(title, remark, ...children) {
  const small = remark && element("small", {}, ` ${remark}`);
  return element("section", {}, element("h2", {}, title, small), ...children);
}

/** A fact in large letters: a number, what it is, and a remark. */
export function fact(label, value, remark = "") {
  return element("div", {},
    element("dt", {}, label),
    element("dd", {}, value, remark && element("small", {}, remark)));
}

/** A sentence where a list would be. */
export function empty(text) {
  return element("p", { class: "empty" }, text);
}
