/** Shows the view of the page's address; links, back and forward work. */

import { connection } from "./api.js";
import { element, fill } from "./dom.js";
import { parsed } from "./routes.js";
import { Places } from "./places.js";

/**
 * @typedef {object} View
 * @property {string} title
 * @property {Node[]} nodes
 * @property {() => void} [shown] Called when the nodes are in the page.
 * @property {boolean} [isLost] The server did not answer.
 */

/** @typedef {(id: string | null, signal: AbortSignal) => Promise<View>} MakeView */

const PATIENCE = 200; // milliseconds before a sign of loading appears, so that nothing flickers

/**
 * Show views from now on.
 *
 * @param {HTMLElement} main
 * @param {Record<string, MakeView>} views
 * @returns {() => void} Shows the current view once more.
 */
export function route(main, views) {
  const places = new Places();
  let current = new AbortController();
  let isLost = false;

  async function show(takesFocus = true) {
    current.abort();
    current = new AbortController();
    const { signal } = current;
    const busy = setTimeout(() => main.setAttribute("aria-busy", "true"), PATIENCE);
    signal.addEventListener("abort", () => clearTimeout(busy));
    isLost = false;
    const view = await made(views, signal, show);
    if (signal.aborted) return;
    isLost = view.isLost === true;
    clearTimeout(busy);
    main.removeAttribute("aria-busy");
    document.title = view.title ? `${view.title} · mfcli` : "mfcli";
    fill(main, view.nodes);
    view.shown?.();
    markCurrent();
    if (takesFocus) focusHeading(main);
    places.enter();
  }

  addEventListener("hashchange", () => {
    places.leave();
    show();
  });
  connection.addEventListener("found", () => isLost && show(false));
  show(false);
  return show;
}

async function made(views, signal, again) {
  const { name, id } = parsed(location.hash);
  const make = name !== null && Object.hasOwn(views, name) ? views[name] : null;
  if (!make) return problemView("There is no such view", "The address may be mistyped.", null);
  try {
    return await make(id, signal);
  } catch (error) {
    if (!signal.aborted && !error.title) console.error(error);
    const view = problemView(error.title ?? "The view could not be shown", error.message, again);
    return { ...view, isLost: error.status === 0 };
  }
}

function problemView(title, detail, again) {
  const retry = again && element("button", { type: "button", click: again }, "Try again");
  const text = [element("h1", {}, title), element("p", {}, detail), retry];
  return { title, nodes: [element("section", { class: "problem" }, text)] };
}

/** Mark the link of the current view in the navigation. */
function markCurrent() {
  const { name } = parsed(location.hash);
  for (const link of document.querySelectorAll("header nav a")) {
    const isCurrent = parsed(link.getAttribute("href")).name === name;
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function focusHeading(main) {
  const heading = main.querySelector("h1") ?? main;
  heading.setAttribute("tabindex", "-1");
  heading.focus({ preventScroll: true });
}
