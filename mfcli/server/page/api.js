/** The HTTP interface of the server. */

/** An answer that is not a result: what happened, and the details. */
export class Problem extends Error {
  /**
   * @param {string} title
   * @param {string} detail
   * @param {number} status The HTTP status; 0 if there was no answer.
   */
  constructor(title, detail, status) {
    super(detail || title);
    this.title = title;
    this.detail = detail;
    this.status = status;
  }
}

/** Dispatches "lost" if the server does not answer, and "found" if it does. */
export const connection = new EventTarget();

/** @type {Promise<any> | null} */
let known = null;

/** Return what `GET /model` says; asked once. */
export function model() {
  if (!known) {
    known = ask("model");
    known.catch(forget);
  }
  return known;
}

/** Forget the model, because the server has loaded another one. */
export function forget() {
  known = null;
}

export const health = (signal) => ask("health", {}, signal);
export const items = (query, signal) => ask("items", query, signal);
export const item = (id, signal) => ask(`items/${part(id)}`, {}, signal);
export const similar = (id, query, signal) => ask(`items/${part(id)}/similar`, query, signal);
export const users = (query, signal) => ask("users", query, signal);
export const user = (id, signal) => ask(`users/${part(id)}`, {}, signal);
export const ratings = (id, query, signal) => ask(`users/${part(id)}/ratings`, query, signal);
export const map = (query, signal) => ask("map", query, signal);

/** Recommend to a user of the model. */
export const recommendations = (id, query, signal) =>
  ask(`users/${part(id)}/recommendations`, query, signal);

/** Recommend to somebody who has rated a few items. */
export function recommendFor(given, options, signal) {
  const body = JSON.stringify({ ratings: given, ...options });
  const headers = { "content-type": "application/json" };
  return send("recommendations", { method: "POST", headers, body, signal });
}

const part = (id) => encodeURIComponent(String(id));

function ask(path, query = {}, signal = undefined) {
  const text = new URLSearchParams(query).toString();
  return send(text ? `${path}?${text}` : path, { signal });
}

async function send(path, options) {
  const response = await answer(new URL(path, document.baseURI), options);
  const content = await response.json().catch(() => null);
  if (response.ok && content !== null) return content;
  const title = content?.title ?? "The answer of the server is not readable";
  throw new Problem(title, content?.detail ?? response.statusText, response.status);
}

async function answer(url, options) {
  try {
    const response = await fetch(url, options);
    connection.dispatchEvent(new Event("found"));
    return response;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    connection.dispatchEvent(new Event("lost"));
    throw new Problem("The server does not answer", "Check that mfcli serve is still running.", 0);
  }
}
