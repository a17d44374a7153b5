/* Shows the numbers of charts on hover, touch and keys. They are read from the tables. */
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";

  const make = (tag, className, ...children) => {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...children);
    return made;
  };

  const draw = (tag, className, attributes) => {
    const made = document.createElementNS(SVG, tag);
    made.setAttribute("class", className);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  const place = (element) => ("at" in element.dataset ? Number(element.dataset.at) : NaN);

  const isolated = (text) => make("bdi", "", text);

  /* Return the rows of a table. A row has entries: a name, a text, the ends of its interval, the
     number of its series, and its place in percent. */
  const read = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    const entriesOf = (row) => {
      const entries = [];
      [...row.cells].forEach((cell, column) => {
        const head = heads[column];
        const text = cell.textContent;
        if (column === 0) return;
        if ("bound" in head.dataset) entries.at(-1).ends.push(text);
        else {
          const series = head.dataset.series;
          entries.push({ name: head.textContent, text, ends: [], series, at: place(cell) });
        }
      });
      return entries.filter((entry) => entry.text !== "");
    };
    return [...table.tBodies[0].rows]
      .map((row) => ({ label: row.cells[0].textContent, at: place(row), entries: entriesOf(row) }))
      .filter((row) => !Number.isNaN(row.at));
  };

  const interval = (entry) => {
    const [low, high] = entry.ends;
    return entry.ends.length && low + high !== "" ? `${low} to ${high}` : "";
  };

  const spoken = (row) =>
    [row.label, ...row.entries.map((entry) => `${entry.name} ${entry.text} ${interval(entry)}`)]
      .join(", ")
      .trim();

  const start = (figure) => {
    const plot = figure.querySelector(".chart-plot");
    const drawing = figure.querySelector(".chart-drawing");
    const keys = [...figure.querySelectorAll(".chart-legend .chart-key")];
    const first = drawing.querySelector("[class^=chart-color]")?.classList[0];
    const step = Number(figure.dataset.step);
    const inRows = figure.classList.contains("chart-rows");
    const table = figure.querySelector("table");
    const rows = table ? read(table) : [];
    if (rows.length === 0) return;
    // Lines whose points are at the same places are read from top to bottom, others by distance.
    const most = Math.max(...rows.map((row) => row.entries.length));
    const complete = rows.every((row) => row.entries.length === most);

    const tip = make("div", "chart-tip");
    const status = make("div", "visually-hidden");
    tip.hidden = true;
    tip.setAttribute("aria-hidden", "true"); // the status says the same
    status.setAttribute("role", "status");
    plot.append(tip, status);
    plot.tabIndex = 0;
    plot.setAttribute("role", "application"); // so that screen readers pass on arrow keys
    plot.setAttribute("aria-roledescription", "chart");
    plot.setAttribute("aria-labelledby", figure.querySelector("figcaption").id);
    let current = -1;
    let drawn = [];

    const point = (row, entry) => (inRows ? [entry.at, row.at] : [row.at, entry.at]);

    const cursor = (row) => {
      if (step === 0) {
        const x = `${row.at}%`;
        return draw("line", "chart-cursor", { x1: x, x2: x, y1: 0, y2: "100%" });
      }
      const [x, y, width, height] = inRows
        ? [0, 100 - row.at - step / 2, 100, step]
        : [row.at - step / 2, 0, step, 100];
      const box = { x: `${x}%`, y: `${y}%`, width: `${width}%`, height: `${height}%` };
      return draw("rect", "chart-cursor", box);
    };

    const dots = (row) =>
      row.entries
        .filter((entry) => step === 0 && !Number.isNaN(entry.at))
        .map((entry) => {
          const [x, y] = point(row, entry);
          const color = keys[entry.series]?.classList[1] ?? first; // without a legend
          const ends = { cx: `${x}%`, cy: `${100 - y}%`, r: 5 };
          return draw("circle", `chart-dot ${color}`, ends);
        });

    const fill = (row) => {
      const list = make("dl", "");
      for (const entry of row.entries) {
        const name = make("dt", "");
        const key = keys.length > 0 && keys[entry.series];
        if (key) name.append(key.cloneNode(true));
        name.append(isolated(entry.name));
        const value = make("dd", "", isolated(entry.text));
        if (interval(entry)) value.append(make("small", "", interval(entry)));
        list.append(name, value);
      }
      tip.replaceChildren(make("strong", "", isolated(row.label)), list);
    };

    /* Put the tip beside the cursor; if there is no room, above the drawing, or below it. */
    const settle = (row) => {
      const gap = 14;
      const width = plot.clientWidth;
      const height = plot.clientHeight;
      tip.style.left = "0";
      tip.style.top = "0";
      const x = (row.at / 100) * width;
      let left = (width - tip.offsetWidth) / 2;
      let top = -tip.offsetHeight - gap / 2;
      if (plot.getBoundingClientRect().top + top < 0) top = height + 2 * gap;
      if (inRows) {
        const middle = (1 - row.at / 100) * height;
        const below = middle + ((step / 200) * height);
        const above = middle - ((step / 200) * height) - tip.offsetHeight;
        top = row.at < 50 ? above : below;
      } else if (x + gap + tip.offsetWidth <= width) [left, top] = [x + gap, 0];
      else if (x - gap - tip.offsetWidth >= 0) [left, top] = [x - gap - tip.offsetWidth, 0];
      tip.style.left = `${left}px`;
      tip.style.top = `${top}px`;
    };

    const hide = () => {
      current = -1;
      tip.hidden = true;
      status.textContent = "";
      for (const element of drawn) element.remove();
      drawn = [];
    };

    const show = (index) => {
      if (index === current) return;
      hide();
      current = index;
      const row = rows[index];
      drawn = [cursor(row), ...dots(row)];
      drawing.append(...drawn);
      fill(row);
      tip.hidden = false;
      settle(row);
    };

    const nearest = (event) => {
      const box = drawing.getBoundingClientRect();
      const x = (100 * (event.clientX - box.left)) / box.width;
      const y = 100 - (100 * (event.clientY - box.top)) / box.height;
      const distance = (row) => {
        if (inRows) return Math.abs(row.at - y);
        if (complete) return Math.abs(row.at - x);
        const drawable = row.entries.filter((entry) => !Number.isNaN(entry.at));
        return Math.min(...drawable.map((entry) => Math.hypot(row.at - x, (entry.at - y) / 2)));
      };
      let best = 0;
      let least = Infinity;
      rows.forEach((row, index) => {
        const now = distance(row);
        if (now < least) [best, least] = [index, now];
      });
      return best;
    };

    const moves = (key) =>
      ({
        ArrowRight: current + 1,
        ArrowDown: current + 1,
        ArrowLeft: current - 1,
        ArrowUp: current - 1,
        PageDown: current + 10,
        PageUp: current - 10,
        Home: 0,
        End: rows.length - 1,
      })[key];

    drawing.addEventListener("pointermove", (event) => show(nearest(event)));
    drawing.addEventListener("pointerdown", (event) => show(nearest(event)));
    drawing.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") hide(); // a finger leaves with each tap
    });
    document.addEventListener("pointerdown", (event) => {
      if (!plot.contains(event.target)) hide();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
    });
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const target = moves(event.key);
      if (target === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      show(Math.min(Math.max(target, 0), rows.length - 1));
      status.textContent = spoken(rows[current]);
    });
  };

  document.querySelectorAll("figure.chart").forEach(start);
})();
