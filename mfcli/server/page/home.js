/** The first view: what the model is, and where to go. */

import * as api from "./api.js";
import { element } from "./dom.js";
import { rating } from "./rating.js";
import { MAP, RATE } from "./routes.js";
import { empty, itemLink, measure, section, userLink } from "./rows.js";
import { scaleOf } from "./scale.js";
import { count, counted, moment, nounOf, number } from "./text.js";

const POPULAR = 10;
const ACTIVE = 10;

export async function homeView(_, signal) {
  const [model, { items }, { users }] = await Promise.all([
    api.model(),
    api.items({ n: POPULAR }, signal),
    api.users({ n: ACTIVE }, signal),
  ]);
  const nodes = [
    element("header", { class: "intro" },
      element("h1", {}, "What this model knows"),
      element("p", { class: "lead" }, summary(model))),
    element("div", { class: "doors" },
      door(RATE, `Rate a few ${model.titles ? "titles" : "items"}`, "and see recommendations change at once"),
      door(MAP, "Explore the map", "of items, by the main directions of their factors")),
    element("div", { class: "columns wide-first" }, popular(items, model), active(users, model)),
    about(model),
  ];
  return { title: "", nodes };
}

function summary({ items, users, k, predicts, scale }) {
  const size = `${counted(items, "item")} and ${counted(users, "user")}, each with ${counted(k, "factor")}.`;
  if (predicts === "ratings") return `${size} It predicts ratings from ${number(scale.min)} to ${number(scale.max)}.`;
  return `${size} It ranks items by scores, which are not ratings.`;
}

function door(address, title, text) {
  return element("a", { class: "door", href: address }, element("strong", {}, title), " ", element("span", {}, text));
}

function popular(items, model) {
  if (!items.length) return section("Popular items", null, empty("The model has no items."));
  const scale = scaleOf(model);
  const most = items[0].count;
  const rows = items.map((row) => element("li", { class: "row" },
    itemLink(row),
    row.mean !== null && scale.kind !== "like" && rating(scale, row.mean, false),
    measure(row.count, most, count(row.count), `${nounOf(model)}s`)));
  return section("Popular items", null, element("ol", { class: "list three" }, rows));
}

function active(users, model) {
  if (!users.length) return section("Active users", null, empty("The model has no users."));
  const most = users[0].count;
  const rows = users.map((row) => element("li", { class: "row" },
    userLink(row.user),
    measure(row.count, most, count(row.count), `${nounOf(model)}s`)));
  return section("Active users", null, element("ol", { class: "list" }, rows));
}

function about(model) {
  const facts = {
    "Trained on": model.trained_on.join(", "),
    Loaded: moment(model.loaded),
    Digest: element("code", {}, String(model.digest).slice(0, 12)),
    "Also loaded": loadedWith(model),
    mfcli: model.mfcli,
  };
  const pairs = Object.entries(facts).map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  return section("About the model", null, element("dl", { class: "facts" }, pairs));
}

function loadedWith({ titles, split }) {
  return `${titles ? "titles" : "no titles"}, ${split ? "a split with the histories of users" : "no split"}`;
}
