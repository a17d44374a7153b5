/** The ratings that somebody has given on this page. They stay in this tab of the browser. */

const KEY = "mfcli ratings";

/** @typedef {{item: number | string, title?: string, rating: number | null}} Given */

/** @type {Given[]} Newest first; without a rating: chosen, but not rated yet. */
let given = restored();

/** The chosen items, newest first. */
export const chosen = () => given;

/** The ratings as the server takes them. */
export const rated = () =>
  given.filter((one) => one.rating !== null).map(({ item, rating }) => ({ item, rating }));

/** Choose an item, in front of the others; if it is rated already, its rating stays. */
export function addRating({ item, title }, rating = null) {
  const earlier = given.find((one) => one.item === item);
  given = [earlier ?? { item, title, rating }, ...given.filter((one) => one !== earlier)];
  store();
}

/** Rate an item, or take the rating back (null). */
export function setRating({ item, title }, rating) {
  const earlier = given.find((one) => one.item === item);
  if (earlier) earlier.rating = rating;
  else given = [...given, { item, title, rating }];
  store();
}

/** Take everything back. */
export function clearRatings() {
  given = [];
  store();
}

function store() {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(given));
  } catch {
    // Without storage, the ratings end with the page.
  }
}

function restored() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter(isGiven) : [];
  } catch {
    return [];
  }
}

function isGiven(one) {
  const isId = ["number", "string"].includes(typeof one?.item);
  return isId && (one.rating === null || Number.isFinite(one.rating));
}
