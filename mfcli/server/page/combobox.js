/** A text field with suggestions: the combobox of the ARIA Authoring Practices, with a list box. */

import { announce, element, fill, uniqueId } from "./dom.js";
import { counted } from "./text.js";

const MOST = 200; // letters that the server takes
const PAUSE = 120; // milliseconds without a key before the server is asked

/**
 * @typedef {object} Option
 * @property {Node[]} nodes
 * @property {() => void} pick
 */

/** @typedef {{label: string, options: Option[]}} Group */

/**
 * @param {string} label
 * @param {string} placeholder
 * @param {(text: string, signal: AbortSignal) => Promise<Group[]>} find
 * @returns {HTMLElement}
 */
export function combobox(label, placeholder, find) {
  const list = element("div", { id: uniqueId("options"), class: "options", role: "listbox", "aria-label": label, hidden: true });
  const input = element("input", {
    type: "search", role: "combobox", "aria-label": label, placeholder, maxlength: MOST, autocomplete: "off", spellcheck: "false",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
  });
  const note = element("p", { class: "options note", hidden: true });
  /** @type {{node: HTMLElement, pick: () => void}[]} */
  let options = [];
  let active = -1;
  let asked = new AbortController();
  let timer = 0;

  function close() {
    clearTimeout(timer);
    asked.abort();
    options = [];
    list.hidden = note.hidden = true;
    input.setAttribute("aria-expanded", "false");
    activate(-1);
  }

  function activate(number) {
    options[active]?.node.setAttribute("aria-selected", "false");
    active = number;
    const node = options[active]?.node;
    if (!node) return input.removeAttribute("aria-activedescendant");
    node.setAttribute("aria-selected", "true");
    node.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", node.id);
  }

  function pick(option) {
    input.value = "";
    close();
    option.pick();
  }

  function show(groups) {
    close();
    fill(list, groups.filter((group) => group.options.length).map((group) => groupNode(group)));
    list.hidden = options.length === 0;
    note.hidden = !list.hidden;
    note.textContent = "Nothing found";
    input.setAttribute("aria-expanded", String(!list.hidden));
    announce(list.hidden ? "Nothing found" : counted(options.length, "suggestion"));
  }

  function groupNode(group) {
    const heading = element("div", { class: "group", id: uniqueId("group"), role: "presentation" }, group.label);
    return element("div", { role: "group", "aria-labelledby": heading.id }, heading, group.options.map(optionNode));
  }

  function optionNode(option) {
    const node = element("div", {
      id: uniqueId("option"), role: "option", "aria-selected": "false",
      pointerdown: (event) => event.preventDefault(), // the field keeps the focus
      click: () => pick(option),
    }, option.nodes);
    options.push({ node, pick: option.pick });
    return node;
  }

  async function ask() {
    asked.abort(); // a late answer to an earlier text is dropped
    const { signal } = (asked = new AbortController());
    const text = input.value.trim();
    if (!text) return close();
    try {
      const groups = await find(text, signal);
      if (!signal.aborted) show(groups);
    } catch (error) {
      if (signal.aborted) return;
      close();
      note.textContent = error.message;
      note.hidden = false;
    }
  }

  function move(step) {
    if (!options.length) return ask();
    const places = options.length + 1; // one of them is the text field
    activate(((active + 1 + step + places) % places) - 1);
  }

  const keys = {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => options.length && pick(options[Math.max(active, 0)]),
    Escape: () => (list.hidden && note.hidden ? (input.value = "") : close()),
    Tab: null,
  };
  input.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.isComposing) return;
    event.preventDefault();
    keys[event.key]();
  });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  input.addEventListener("blur", close);
  return element("div", { class: "combobox" }, input, list, note);
}
