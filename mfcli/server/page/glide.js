/** Rows that move to their new places, unless the reader prefers no motion. */

const DURATION = 260; // milliseconds

/** Change the rows of a list, each with a data-item, and let those that stay move. */
export function glide(list, change) {
  const before = new Map([...list.children].map((row) => [row.dataset.item, top(row)]));
  change();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const row of list.children) {
    const from = before.get(row.dataset.item);
    if (from === undefined) {
      row.animate([{ opacity: 0 }, { opacity: 1 }], DURATION);
    } else if (from !== top(row)) {
      const path = [{ transform: `translateY(${from - top(row)}px)` }, { transform: "none" }];
      row.animate(path, { duration: DURATION, easing: "ease-out" });
    }
  }
}

const top = (row) => row.getBoundingClientRect().top;
