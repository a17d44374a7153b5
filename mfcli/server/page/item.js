/** An item: how popular it is, its mean rating, and similar items. */

import * as api from "./api.js";
import { element } from "./dom.js";
import { addRating } from "./given.js";
import { rating } from "./rating.js";
import { mapRoute, RATE } from "./routes.js";
import { empty, fact, itemLink, measure, section } from "./rows.js";
import { LIKED, scaleOf } from "./scale.js";
import { count, hundredths, nameOf, percent, signed } from "./text.js";

const SIMILAR = 20;
const LEAST = 0.005; // a smaller bias is shown as nothing

export async function itemView(id, signal) {
  const [model, row, alike] = await Promise.all([
    api.model(),
    api.item(id, signal),
    similarTo(id, signal),
  ]);
  const name = nameOf(row);
  const scale = scaleOf(model);
  const nodes = [
    element("header", { class: "intro" },
      element("p", { class: "kind" }, row.title ? ["Item ", element("bdi", {}, String(row.item))] : "Item"),
      element("h1", {}, element("bdi", {}, name)),
      element("p", { class: "actions" },
        element("a", { class: "button", href: RATE, click: () => addRating(row, scale.kind === "like" ? LIKED : null) }, scale.kind === "like" ? "I like it" : "Rate it"),
        element("a", { class: "button quiet", href: mapRoute(row.item) }, "Show on the map"))),
    element("dl", { class: "tiles" }, facts(row, model, scale)),
    section("Similar items", Array.isArray(alike) && "by the cosine between factors", similarList(alike)),
  ];
  return { title: name, nodes };
}

function facts(row, model, scale) {
  const noun = model.feedback === "implicit" ? "Events" : "Ratings";
  const isAlone = model.items < 2;
  const found = [fact(noun, count(row.count), !isAlone && `more than ${percent(row.popularity)} of items; ties count half`)];
  if (row.mean !== null && scale.kind !== "like") {
    found.push(fact("Mean rating", rating(scale, row.mean, false)));
  }
  if (Math.abs(row.bias) >= LEAST) {
    const remark = model.predicts === "ratings" ? `the mean of all is ${hundredths(model.mu)}` : "in scores";
    found.push(fact("Bias of the item", signed(row.bias), remark));
  }
  return found;
}

function similarList(alike) {
  if (typeof alike === "string") return empty(alike);
  if (!alike.length) return empty("There is no other item to compare with.");
  return element("ol", { class: "list ranked halves" }, alike.map((one) => element("li", { class: "row" },
    itemLink(one), measure(one.cosine, 1, hundredths(one.cosine), "cosine"))));
}

/** The similar items, or why there are none: an item without training ratings has no factors. */
async function similarTo(id, signal) {
  try {
    return (await api.similar(id, { n: SIMILAR }, signal)).similar;
  } catch (error) {
    if (error.status >= 400 && error.status < 500) return error.message;
    throw error;
  }
}
