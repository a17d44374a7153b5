/** Numbers and names as text. */

const WHOLE = new Intl.NumberFormat("en-US");
const SIGNIFICANT = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const HUNDREDTHS = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const MONTH = new Intl.DateTimeFormat("en-US", { year: "numeric", month: "short", timeZone: "UTC" });
const MOMENT = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeStyle: "short" });

/** "1,234" */
export const count = (value) => WHOLE.format(value);

/** "1 rating", "1,234 ratings" */
export const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

/** A number of any size, with three digits that count. */
export const number = (value) => SIGNIFICANT.format(value).replace("-", "−");

/** "3.92" */
export const hundredths = (value) => HUNDREDTHS.format(value).replace("-", "−");

/** "+0.04": what adds to a prediction or subtracts from it. */
export const signed = (value, digits = 2) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

/** What a model has learned from, one of them. */
export const nounOf = (model) => (model.feedback === "implicit" ? "event" : "rating");

/** "93%"; never 100% or 0% of what is only almost so. */
export function percent(fraction) {
  const value = 100 * fraction;
  if (value <= 0 || value >= 100) return `${Math.round(value)}%`;
  if (value < 1 || value > 99) return `${Math.min(Math.max(value, 0.1), 99.9).toFixed(1)}%`;
  return `${Math.round(value)}%`;
}

/** The month of a number of seconds since 1970; empty if there is no such time. */
export function month(seconds) {
  const moment = new Date(1000 * seconds);
  return Number.isNaN(moment.getTime()) ? "" : MONTH.format(moment);
}

/** The date and time of an ISO 8601 text, or the text itself. */
export function moment(text) {
  const found = new Date(text);
  return Number.isNaN(found.getTime()) ? text : MOMENT.format(found);
}

/** The title of an item, or its id. */
export const nameOf = (row) => (row.title ? row.title : String(row.item));

/** A name inside a sentence: its direction, right-to-left or not, ends with it. */
export const isolated = (name) => `\u2068${name}\u2069`;

/** The start of a text, up to a number of characters; complete characters, not halves of them. */
export function shortened(text, length) {
  if (text.length <= length) return text;
  return `${Array.from(text.slice(0, 2 * length)).slice(0, length - 1).join("").trimEnd()}…`;
}
