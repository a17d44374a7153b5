/** How far each entry of the browser's history was scrolled, for the way back. */
export class Places {
  #tops = new Map();
  #entry = entry();
  #isShown = false;

  constructor() {
    history.scrollRestoration = "manual"; // the browser would scroll before there is content
    addEventListener("scroll", () => this.#isShown && this.#tops.set(this.#entry, scrollY), { passive: true });
  }

  /** The address has changed, but the page still shows the view before. */
  leave() {
    this.#isShown = false;
  }

  /** The view of the address is shown: scroll to where it was left. */
  enter() {
    this.#entry = entry();
    this.#isShown = true;
    scrollTo(0, this.#tops.get(this.#entry) ?? 0);
  }
}

function entry() {
  if (typeof history.state?.entry !== "number") history.replaceState({ entry: Math.random() }, "");
  return history.state.entry;
}
