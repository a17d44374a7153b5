/** The addresses of the views, after the # of the page's address. */

const part = (id) => encodeURIComponent(String(id));

export const HOME = "#/";
export const RATE = "#/rate";
export const MAP = "#/map";
export const itemRoute = (id) => `#/items/${part(id)}`;
export const userRoute = (id) => `#/users/${part(id)}`;
export const mapRoute = (id) => `#/map/${part(id)}`;

const WITH_ID = ["items", "users"];

/**
 * Return the name of a view and the id in an address; the name is null if there is no such view.
 *
 * @param {string} hash
 * @returns {{name: string | null, id: string | null}}
 */
export function parsed(hash) {
  const [, name = "home", id = null] = /^#\/([a-z]+)?(?:\/(.*))?$/s.exec(hash || HOME) ?? [null, "?"];
  if (WITH_ID.includes(name) && !id) return { name: null, id: null };
  try {
    return { name, id: id === null ? null : decodeURIComponent(id) };
  } catch {
    return { name: null, id: null }; // a % that encodes nothing
  }
}
