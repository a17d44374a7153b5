/** The search of the page: titles, ids and users. */

import * as api from "./api.js";
import { combobox } from "./combobox.js";
import { element } from "./dom.js";
import { itemRoute, userRoute } from "./routes.js";
import { counted, nameOf, nounOf } from "./text.js";

const ITEMS = 8;
const USERS = 3;

/** The search box: it opens what is picked. */
export function searchBox() {
  return combobox("Search for items and users", "Search for titles, ids and users", async (q, signal) => {
    const [items, users] = await Promise.all([
      itemOptions(q, ITEMS, signal, (row) => open(itemRoute(row.item))),
      userOptions(q, signal),
    ]);
    return [items, users];
  });
}

/** A box that searches for items only. */
export function itemBox(label, onPick) {
  return combobox(label, label, async (q, signal) => [await itemOptions(q, ITEMS, signal, onPick)]);
}

async function itemOptions(q, n, signal, onPick) {
  const [{ items }, model] = await Promise.all([api.items({ q, n }, signal), api.model()]);
  const options = items.map((row) => {
    const isById = Boolean(row.title) && String(row.item).startsWith(q);
    const facts = [isById && `id ${row.item}`, counted(row.count, nounOf(model))].filter(Boolean);
    return { nodes: optionNodes(nameOf(row), facts.join(" · ")), pick: () => onPick(row) };
  });
  return { label: "Items", options };
}

async function userOptions(q, signal) {
  const [{ users }, model] = await Promise.all([api.users({ q, n: USERS }, signal), api.model()]);
  const options = users.map((row) => ({
    nodes: optionNodes(String(row.user), counted(row.count, nounOf(model))),
    pick: () => open(userRoute(row.user)),
  }));
  return { label: "Users", options };
}

function optionNodes(name, facts) {
  return [element("bdi", { class: "name" }, name), " ", element("small", {}, element("bdi", {}, facts))];
}

function open(address) {
  location.hash = address;
}
