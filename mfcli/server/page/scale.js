/** The scale of a model's ratings, and how ratings on it are drawn and given. */

const STEPS = 100; // of a scale whose ratings have no common step

/** @typedef {"like" | "stars" | "bar"} Kind */

/**
 * @typedef {object} Scale
 * @property {Kind} kind "like" if there is only one possible rating, as for events.
 * @property {number} min
 * @property {number} max
 * @property {number} step
 * @property {number} zero Where drawings begin: a step below the smallest rating.
 */

/**
 * Return the scale of a model.
 *
 * @param {{feedback: string, scale: {min: number, max: number, step: number | null}}} model
 * @returns {Scale}
 */
export function scaleOf({ feedback, scale }) {
  const { min, max } = scale;
  if (feedback === "implicit" || !(max > min)) return { kind: "like", min, max, step: 1, zero: 0 };
  const step = scale.step ?? (max - min) / STEPS;
  const zero = min - step;
  const isStars = Math.abs(zero) < 1e-9 && max <= 5 && Number.isInteger(max);
  return { kind: isStars ? "stars" : "bar", min, max, step, zero };
}

/** Where a rating is between the begin (0) and the end (1) of its drawing. */
export function share(scale, value) {
  const length = scale.max - scale.zero;
  return Math.min(Math.max((value - scale.zero) / length, 0), 1);
}

/** The rating at a place of the drawing, between 0 and 1. */
export function ratingAt(scale, place) {
  const steps = Math.ceil((place * (scale.max - scale.zero)) / scale.step - 1e-9);
  const value = scale.zero + steps * scale.step;
  return Math.min(Math.max(Number(value.toFixed(9)), scale.min), scale.max);
}

/** The rating that "liked" stands for. */
export const LIKED = 1;
