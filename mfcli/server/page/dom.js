/** Elements from data. Data become text nodes and attributes, never markup. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Create an element.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes] Functions are listeners, such as `click`; true is an
 *     attribute without a value; false, null and undefined are omitted.
 * @param {...(Child | Child[])} children
 * @returns {any} An HTMLElement; the caller knows its kind.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...nodes(children));
  return made;
}

/** Replace what is inside an element. */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
}

/** Say a sentence to people who use a screen reader. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Set a custom property, by which style sheets draw a number. */
export function setProperty(node, name, value) {
  node.style.setProperty(name, String(value));
  return node;
}

let last = 0;

/** Return an id that no other element has. */
export function uniqueId(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}

function nodes(children) {
  return children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);
}
