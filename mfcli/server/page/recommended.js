/** Recommended items, each with the rated items that speak for it. */

import { element } from "./dom.js";
import { rating } from "./rating.js";
import { itemLink, measure } from "./rows.js";
import { itemRoute } from "./routes.js";
import { nameOf, shortened, signed } from "./text.js";

const LETTERS = 60; // of the title of a reason

/**
 * @param {any[]} rows As the commands print them with --json.
 * @param {import("./scale.js").Scale} scale
 * @param {(row: any) => Node[]} [more] What to add to a row.
 * @returns {HTMLElement[]}
 */
export function recommendedRows(rows, scale, more = () => []) {
  const best = Math.max(...rows.map((row) => row.score ?? 0));
  return rows.map((row) => element("li", { class: "row", "data-item": row.item },
    itemLink(row), value(row, scale, best), more(row), because(row)));
}

/** A predicted rating, or a score, which only ranks. */
function value(row, scale, best) {
  if (row.prediction !== undefined) return rating(scale, row.prediction, false);
  return measure(row.score, best, row.score.toFixed(3), "score");
}

/** The rated items that contribute most, as a sentence. */
function because(row) {
  const digits = row.prediction === undefined ? digitsOf(row.because_1_contribution) : 2;
  const reasons = [];
  for (let number = 1; row[`because_${number}`] !== undefined; number += 1) {
    const item = row[`because_${number}`];
    if (item === null) continue; // fewer items contribute
    const title = shortened(nameOf({ item, title: row[`because_${number}_title`] }), LETTERS);
    const contribution = signed(row[`because_${number}_contribution`], digits);
    reasons.push([reasons.length ? ", " : "because of ", reason({ item, title }, contribution)]);
  }
  return reasons.length > 0 && element("p", { class: "because" }, reasons);
}

/** How many decimals show two digits of a score that count. */
function digitsOf(score) {
  return score ? Math.min(Math.max(1 - Math.floor(Math.log10(Math.abs(score))), 3), 9) : 3;
}

function reason(row, contribution) {
  return [
    element("a", { href: itemRoute(row.item) }, element("bdi", {}, row.title)),
    "\u00a0",
    element("span", { class: "contribution", title: `adds ${contribution}` }, contribution),
  ];
}
