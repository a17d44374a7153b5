/** Rate a few titles: the recommendations follow at once. */

import * as api from "./api.js";
import { announce, element, fill } from "./dom.js";
import { addRating, chosen, clearRatings, rated, setRating } from "./given.js";
import { glide } from "./glide.js";
import { ratingControl } from "./rating.js";
import { recommendedRows } from "./recommended.js";
import { empty, itemLink } from "./rows.js";
import { LIKED, scaleOf } from "./scale.js";
import { itemBox } from "./search.js";
import { counted, isolated, nameOf } from "./text.js";

const PAUSE = 150; // milliseconds after a rating before the server is asked
const RECOMMENDED = 10;
const REASONS = 3;
const POPULAR = 8; // titles to begin with, and as many more at a time

export async function rateView(_, signal) {
  const [model, { items }] = await Promise.all([api.model(), api.items({ n: 10 * POPULAR }, signal)]);
  const scale = scaleOf(model);
  const things = model.titles ? "titles" : "items";
  const follow = follower(scale, signal, (row) => titles.add(row));
  const titles = titleList(scale, items, things, follow);
  const nodes = [
    element("header", { class: "intro" },
      element("h1", {}, scale.kind === "like" ? `Choose ${things} that you like` : `Rate a few ${things}`),
      element("p", { class: "lead" }, "The recommendations follow at once. What you choose stays in this tab of the browser.")),
    element("div", { class: "columns rating-columns" }, titles.node, follow.node),
  ];
  return { title: "Rate", nodes, shown: titles.update };
}

/** The titles to rate: those that were chosen, then popular ones. */
function titleList(scale, popular, things, follow) {
  const isLike = scale.kind === "like";
  const list = element("ul", { class: "list rateable", "aria-label": `The ${things}` });
  const heading = element("h2", {});
  const clear = element("button", { type: "button", class: "quiet small", click: clearAll }, "Clear all");
  const more = element("button", { type: "button", class: "quiet", click: showMore }, `More popular ${things}`);
  /** @type {Map<number | string, ReturnType<typeof titleRow>>} */
  const rows = new Map();
  let unused = [...popular];

  function update() {
    const number = rated().length;
    const what = isLike ? "What you like" : "Your ratings";
    heading.textContent = number ? `${what} (${number})` : what;
    clear.hidden = jump.hidden = number === 0;
    more.hidden = !unused.length;
    follow.changed();
  }

  function rate(row, value) {
    setRating(row, value);
    update();
  }

  function rowOf(row, value) {
    if (!rows.has(row.item)) rows.set(row.item, titleRow(row, scale, value, rate));
    return rows.get(row.item);
  }

  /** Put an item on top, to be rated next. */
  function add(row) {
    addRating(row);
    const made = rowOf(row, null);
    list.prepend(made.node);
    if (isLike) made.rate(LIKED);
    update();
    made.control.focus();
    made.node.scrollIntoView({ block: "nearest" });
  }

  function showMore() {
    const next = unused.splice(0, POPULAR).filter((row) => !rows.has(row.item));
    list.append(...next.map((row) => rowOf(row, null).node));
    more.hidden = !unused.length;
  }

  function clearAll() {
    clearRatings();
    for (const { set } of rows.values()) set(null);
    announce("Everything is cleared");
    update();
    list.querySelector("input, button")?.focus();
  }

  list.append(...chosen().map((row) => rowOf(row, row.rating).node));
  showMore();
  const jump = element("button", { type: "button", class: "jump", click: follow.jump }, "See recommendations");
  const node = element("section", { class: "titles" },
    element("div", { class: "heading" }, heading, clear), itemBox(`Find ${things} to add`, add), list, more, jump);
  return { node, add, update };
}

/** An item with its rating and, if it is rated, a button that takes the rating back. */
function titleRow(row, scale, value, onRate) {
  const name = nameOf(row);
  const rate = ratingControl(scale, name, value, change);
  const remove = scale.kind !== "like" && element("button", {
    type: "button", class: "remove", "aria-label": `Remove your rating of ${isolated(name)}`, click: () => change(null),
  }, "×");
  const node = element("li", { class: "row title" }, itemLink(row), rate.node, remove);
  function set(given) {
    rate.set(given);
    if (remove) remove.classList.toggle("unused", given === null);
  }
  function change(given) {
    set(given);
    onRate(row, given);
    if (given === null) rate.control.focus();
  }
  set(value);
  return { node, set, rate: change, control: rate.control };
}

/** The recommendations, which follow the ratings. */
function follower(scale, signal, onAdd) {
  const list = element("ol", { class: "list ranked" });
  const note = element("div", {});
  const heading = element("h2", { tabindex: "-1" }, "Recommended for you");
  const node = element("section", { class: "followed" }, heading, note, list);
  /** @type {Map<string, number> | null} */
  let ranks = null;
  let asked = new AbortController();
  let timer = 0;
  let isLost = false; // the server did not answer to the newest ratings
  signal.addEventListener("abort", () => stop());
  api.connection.addEventListener("found", () => isLost && changed(), { signal });

  function stop() {
    clearTimeout(timer);
    asked.abort();
  }

  function changed() {
    stop(); // only the newest answer counts
    isLost = false;
    timer = setTimeout(ask, ranks ? PAUSE : 0);
  }

  async function ask() {
    asked = new AbortController();
    const own = asked.signal;
    const ratings = rated();
    if (!ratings.length) return show([], empty("Recommendations appear here."));
    try {
      const found = await api.recommendFor(ratings, { n: RECOMMENDED, explain: REASONS }, own);
      if (!own.aborted) show(found.recommendations, noteOn(found));
    } catch (error) {
      if (own.aborted) return;
      isLost = error.status === 0;
      fill(note, empty(error.message));
    }
  }

  function show(rows, text) {
    const before = ranks ?? new Map();
    fill(note, text);
    glide(list, () => fill(list, recommendedRows(rows, scale, (row) => [
      rise(row, ranks?.size ? before : null),
      addButton(row),
    ])));
    ranks = new Map(rows.map((row) => [row.item, row.rank]));
    if (rows.length) announce(`First recommendation: ${nameOf(rows[0])}`);
  }

  function addButton(row) {
    const word = scale.kind === "like" ? "Like" : "Rate";
    const label = `${word} ${isolated(nameOf(row))}`;
    return element("button", { type: "button", class: "quiet small", "aria-label": label, click: () => onAdd(row) }, word);
  }

  /** Go to the recommendations, which are below the titles on a narrow screen. */
  function jump() {
    node.scrollIntoView();
    heading.focus({ preventScroll: true });
  }

  return { node, changed, jump };
}

/** By how many places an item has moved up. */
function rise(row, before) {
  const rank = before?.get(row.item);
  if (before && rank === undefined) return element("span", { class: "rise" }, "new");
  return rank > row.rank && element("span", { class: "rise", title: `Was ${rank}` }, `▲ ${rank - row.rank}`);
}

/** What to say besides the list, if anything. */
function noteOn({ recommendations, unknown_items: unknown }) {
  if (!recommendations.length) return empty("There is no item left to recommend.");
  return unknown.length > 0 && empty(`The model does not know ${counted(unknown.length, "item")} that you chose.`);
}
