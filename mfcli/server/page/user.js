/** A user: recommendations with reasons, and the history. */

import * as api from "./api.js";
import { element } from "./dom.js";
import { rating } from "./rating.js";
import { recommendedRows } from "./recommended.js";
import { empty, fact, itemLink, section } from "./rows.js";
import { scaleOf } from "./scale.js";
import { count, counted, isolated, month, signed } from "./text.js";

const RECOMMENDED = 10;
const REASONS = 3;
const HISTORY = 20; // ratings that are shown at first
const LEAST = 0.005; // a smaller bias is shown as nothing
const MOST = 1000; // as many as the server gives at once

export async function userView(id, signal) {
  const model = await api.model();
  const scale = scaleOf(model);
  const explain = model.split ? REASONS : 0;
  const [user, { recommendations }, history] = await Promise.all([
    api.user(id, signal),
    api.recommendations(id, { n: RECOMMENDED, explain }, signal),
    model.split ? api.ratings(id, { n: HISTORY }, signal) : null,
  ]);
  const nodes = [
    element("header", { class: "intro" },
      element("h1", {}, "User ", element("bdi", {}, String(user.user)))),
    element("dl", { class: "tiles" }, facts(user, model, scale)),
    element("div", { class: "columns wide-first" },
      section("Recommendations", null, recommendations.length
        ? element("ol", { class: "list ranked" }, recommendedRows(recommendations, scale))
        : empty("There is no item left to recommend.")),
      historySection(id, history, scale, signal)),
  ];
  return { title: `User ${isolated(String(user.user))}`, nodes };
}

function facts(user, model, scale) {
  const noun = model.feedback === "implicit" ? "Events" : "Training ratings";
  const found = [fact(noun, count(user.count))];
  if (user.mean !== null && scale.kind !== "like") found.push(fact("Mean rating", rating(scale, user.mean, false)));
  if (Math.abs(user.bias) >= LEAST) found.push(fact("Bias of the user", signed(user.bias)));
  return found;
}

function historySection(id, history, scale, signal) {
  if (!history) {
    return section("History", null, empty("This server has no split, so it does not know what users have rated. Start it with mfcli serve --split FOLDER."));
  }
  const rows = history.ratings;
  if (!rows.length) return section("History", null, empty("The split has no ratings by this user."));
  const list = element("ul", { class: "list three" }, rows.map((row) => ratedRow(row, scale)));
  const order = rows[0].timestamp === undefined ? "highest first" : "latest first";
  return section("History", order, list, rows.length === HISTORY && moreButton(id, list, scale, signal));
}

function ratedRow(row, scale) {
  return element("li", { class: "row" },
    itemLink(row),
    rating(scale, row.rating),
    row.timestamp !== undefined && element("time", {}, month(row.timestamp)));
}

/** A button that shows the rest of the history. */
function moreButton(id, list, scale, signal) {
  const button = element("button", { type: "button", class: "quiet", click: showAll }, "Show more");
  async function showAll() {
    button.disabled = true;
    try {
      const { ratings } = await api.ratings(id, { n: MOST }, signal);
      list.append(...ratings.slice(HISTORY).map((row) => ratedRow(row, scale)));
      list.children[HISTORY]?.querySelector("a").focus();
      button.replaceWith(ratings.length === MOST ? `The first ${counted(MOST, "rating")}.` : "");
    } catch (error) {
      button.disabled = false;
      button.textContent = `${error.message} Try again`;
    }
  }
  return button;
}
