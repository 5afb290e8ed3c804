// The screener's table: as many rows in the page as fit on the screen, whatever there are.

import { COLUMNS } from "./screener.js";
import * as format from "./format.js";
import { element, put } from "./format.js";

/** How often rows move by themselves, or nobody could point at one; their numbers change more often. */
const SORT_EVERY_MS = 1_000;
const SPARE_ROWS = 4;

export class Table {
  #rows = [];
  #pool = [];
  #order = { column: "net", falling: true };
  #sorted = -Infinity;
  #chosen = null;
  /** All rows are as high as the head. */
  #rowPx = 28;

  /**
   * @param root the element to fill
   * @param screener what is shown
   * @param filter says what is let through
   * @param open is told the row that somebody opens
   */
  constructor(root, screener, filter, open) {
    Object.assign(this, { root, screener, filter, open });
    this.head = element("div", "", "row head");
    this.head.setAttribute("role", "row");
    this.space = element("div", "", "space");
    root.append(this.head, this.space);
    for (const [id, column] of Object.entries(COLUMNS)) this.#addHead(id, column);
    root.addEventListener("scroll", () => this.paint(), { passive: true });
    root.addEventListener("keydown", (event) => this.#key(event));
    this.space.addEventListener("click", ({ target }) => {
      const row = target.closest(".row");
      if (row) this.open(row.dataset.key);
    });
    new ResizeObserver(() => this.#resize()).observe(root);
  }

  /** Orders again and paints, at once: somebody has asked for something else. */
  refresh() {
    this.#sorted = -Infinity;
    this.update();
  }

  /** Shows what is new, in its place if `isUrgent`; returns how many rows there are. */
  update(isUrgent = false) {
    const now = performance.now();
    if (isUrgent || SORT_EVERY_MS <= now - this.#sorted) {
      this.#rows = this.screener.view(this.filter(), this.#order, now);
      this.#sorted = now;
    }
    this.paint();
    return this.#rows.length;
  }

  #resize() {
    this.#rowPx = this.head.offsetHeight || this.#rowPx;
    this.paint();
  }

  paint() {
    const now = performance.now();
    const { scrollTop, clientHeight } = this.root;
    if (clientHeight === 0) return;
    const first = Math.max(0, Math.floor(scrollTop / this.#rowPx) - SPARE_ROWS);
    const shown = Math.ceil(clientHeight / this.#rowPx) + 2 * SPARE_ROWS;
    const height = `${this.#rows.length * this.#rowPx}px`;
    if (this.space.style.height !== height) this.space.style.height = height;
    this.root.setAttribute("aria-rowcount", this.#rows.length + 1);
    while (this.#pool.length < shown) this.#pool.push(this.#makeRow());
    for (const [n, node] of this.#pool.entries()) {
      const row = n < shown ? this.#rows[first + n] : undefined;
      node.hidden = row === undefined;
      if (row) this.#fill(node, row, first + n, now);
    }
  }

  #fill(node, row, at, now) {
    const top = `translateY(${at * this.#rowPx}px)`;
    if (node.style.transform !== top) node.style.transform = top;
    node.dataset.key = row.key;
    node.setAttribute("aria-rowindex", at + 2);
    const chosen = row.key === this.#chosen;
    node.setAttribute("aria-selected", chosen);
    node.classList.toggle("pays", 0 < row.best?.net_bps);
    if (chosen) this.root.setAttribute("aria-activedescendant", node.id);
    let n = 0;
    for (const { by, format: kind } of Object.values(COLUMNS)) {
      const value = by(row, now);
      put(node.children[n], value === undefined ? format.NONE : kind ? format[kind](value) : value);
      n += 1;
    }
  }

  #makeRow() {
    const row = element("div", "", "row");
    row.setAttribute("role", "row");
    row.id = `row-${this.#pool.length}`;
    for (const id of Object.keys(COLUMNS)) {
      const cell = element("span", "", `cell ${id}`);
      cell.setAttribute("role", "gridcell");
      row.append(cell);
    }
    this.space.append(row);
    return row;
  }

  #addHead(id, column) {
    const cell = element("button", column.name, `cell ${id}`);
    cell.type = "button";
    cell.setAttribute("role", "columnheader");
    cell.addEventListener("click", () => {
      const again = this.#order.column === id;
      // Names begin with the first, numbers with the greatest.
      this.#order = { column: id, falling: again ? !this.#order.falling : Boolean(column.format) };
      this.#markHead();
      this.root.scrollTop = 0;
      this.refresh();
    });
    this.head.append(cell);
    this.#markHead();
  }

  #markHead() {
    for (const [n, id] of Object.keys(COLUMNS).entries()) {
      const { column, falling } = this.#order;
      const order = id !== column ? "none" : falling ? "descending" : "ascending";
      this.head.children[n]?.setAttribute("aria-sort", order);
    }
  }

  #key(event) {
    if (event.target.closest(".head") && event.key === "Enter") return;
    const page = Math.max(1, Math.floor(this.root.clientHeight / this.#rowPx) - 2);
    const at = this.#rows.findIndex((it) => it.key === this.#chosen);
    const last = this.#rows.length - 1;
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined && 0 <= last) {
      event.preventDefault();
      this.#choose(Math.min(Math.max(to, 0), last));
    } else if (event.key === "Enter" && this.#chosen) {
      this.open(this.#chosen);
    } else if (event.key === "Escape") {
      this.#chosen = null;
      this.paint();
    }
  }

  #choose(at) {
    this.#chosen = this.#rows[at].key;
    const top = at * this.#rowPx;
    const room = this.root.clientHeight - 2 * this.#rowPx;
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    if (this.root.scrollTop + room < top) this.root.scrollTop = top - room;
    this.paint();
  }
}
