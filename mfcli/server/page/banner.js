/** A quiet line if the server is gone, or has loaded another model. */

import * as api from "./api.js";
import { element, fill } from "./dom.js";

const PERIOD = 15_000; // milliseconds between two looks at a server that answers
const RETRY = 3_000; // and at one that does not

/**
 * Watch the server.
 *
 * @param {HTMLElement} node
 * @param {() => void} onNew Shows the view once more, with another model.
 */
export function watch(node, onNew) {
  let isLost = false;
  let shown = null; // the digest of the model whose numbers are on the page
  let timer = 0;

  async function look() {
    const { model } = await api.health().catch(() => ({ model: null }));
    if (model) {
      shown ??= model;
      if (model !== shown) offer(model);
    }
    plan(isLost ? RETRY : PERIOD);
  }

  function plan(pause) {
    clearTimeout(timer);
    timer = setTimeout(look, pause);
  }

  function offer(model) {
    say("The server has loaded another model.", "Show its numbers", () => {
      shown = model;
      fill(node);
      api.forget();
      onNew();
    });
  }

  function say(text, label, act) {
    fill(node, element("p", {}, text, " ", element("button", { type: "button", class: "quiet small", click: act }, label)));
  }

  api.connection.addEventListener("lost", () => {
    if (isLost) return;
    isLost = true;
    say("The server does not answer. The page tries again.", "Try now", look);
    plan(RETRY);
  });
  api.connection.addEventListener("found", () => {
    if (!isLost) return;
    isLost = false;
    fill(node);
    plan(0); // it may have another model now
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
  look();
}
