// One symbol of one market: its prices at each exchange, and what a pair of them has earned.

import { getJson } from "./access.js";
import { Chart } from "./chart.js";
import * as format from "./format.js";
import { element, put } from "./format.js";
import { Series } from "./series.js";

const INTERVAL_MS = 250;
/** The bands are of a quarter of an hour, and move slowly. */
const BANDS_EVERY_MS = 15_000;
/** One for each exchange, told apart in both themes. */
const COLORS = ["#e6a117", "#3f8efc", "#2bb673", "#e0524d", "#a66cff", "#19b5c4", "#e667af", "#8f9aa7"];

export class SymbolView {
  #shown = null;

  /**
   * @param root the section to fill
   * @param socket where what comes is asked for
   */
  constructor(root, socket) {
    Object.assign(this, { root, socket });
    const find = (it) => root.querySelector(it);
    [this.title, this.trouble, this.body] = [find("h2"), find("#trouble"), find("tbody")];
    [this.buy, this.sell, this.kind] = [find("#buy"), find("#sell"), find("#kind")];
    this.prices = new Chart(find("#prices"), "price");
    this.cross = new Chart(find("#cross"), "gross bps");
    for (const it of [this.buy, this.sell]) it.addEventListener("change", () => this.#choosePair());
    this.kind.addEventListener("change", () => this.prices.hasten());
    find("#reset").addEventListener("click", () => [this.prices, this.cross].forEach((it) => it.reset()));
  }

  /** Shows a symbol; `best` is its best cross, if one is known. */
  open(symbol, market, best) {
    this.close();
    const of = { symbols: [symbol], market, interval_ms: INTERVAL_MS };
    const requests = ["quotes", "spreads"].map((channel) => ({ channel, ...of }));
    this.#shown = { symbol, market, requests, quotes: new Map(), crosses: new Map(), lines: new Map(), best, refreshed: 0 };
    put(this.title, `${symbol} ${market}`);
    put(this.trouble, "");
    this.body.replaceChildren();
    for (const it of [this.buy, this.sell]) it.replaceChildren();
    for (const it of [this.prices, this.cross]) it.clear();
    for (const it of requests) this.socket.subscribe(it);
    this.reload();
  }

  close() {
    for (const it of this.#shown?.requests ?? []) this.socket.unsubscribe(it);
    this.#shown = null;
  }

  /** Fetches the history: at first, and after what came meanwhile was missed. */
  async reload() {
    const shown = this.#shown;
    if (!shown) return;
    shown.refreshed = performance.now();
    try {
      const history = await getJson(`api/v1/history?${this.#query(shown)}`);
      if (shown !== this.#shown) return;
      for (const it of history.histories) this.#load(it);
      shown.crosses = new Map(history.crosses.map((it) => [pairOf(it), it]));
      this.#offerPairs(history.histories.map((it) => it.exchange));
      put(this.trouble, "");
    } catch (error) {
      if (shown === this.#shown) put(this.trouble, error.message);
    }
  }

  /** Takes in a quote. */
  onQuote(quote) {
    const shown = this.#shown;
    if (quote.symbol !== shown?.symbol || quote.market !== shown.market) return;
    shown.quotes.set(quote.exchange, quote);
    const { bid_price: bid, ask_price: ask } = quote;
    if (bid === null || ask === null) return;
    const ms = quote.ts_recv / 1e6;
    const { mid, bids, asks } = this.#lines(quote.exchange);
    mid.add(ms, (bid + ask) / 2);
    bids.add(ms, bid);
    asks.add(ms, ask);
  }

  /** Takes in a cross. */
  onSpread(cross) {
    if (cross.market !== this.#shown?.market || pairOf(cross) !== this.#pair()) return;
    this.#shown.gross?.add(cross.ts_recv / 1e6, cross.gross_bps);
  }

  /** Shows what is new. */
  update() {
    const shown = this.#shown;
    if (!shown) return;
    if (BANDS_EVERY_MS < performance.now() - shown.refreshed) this.#refreshBands(shown);
    const failed = (error) => put(this.trouble, error.message);
    this.prices.draw(this.#priceLines(shown)).catch(failed);
    this.cross.draw(...this.#crossLines(shown)).catch(failed);
    this.#listQuotes(shown);
  }

  #query({ symbol, market }) {
    return new URLSearchParams({ symbol, market });
  }

  #lines(exchange) {
    const { lines } = this.#shown;
    if (!lines.has(exchange)) lines.set(exchange, { mid: new Series(), bids: new Series(), asks: new Series() });
    return lines.get(exchange);
  }

  #load({ exchange, samples }) {
    const { mid, bids, asks } = this.#lines(exchange);
    const side = (sign) => samples.map(([ts, mid, bps]) => [ts, mid * (1 + (sign * bps) / 20_000)]);
    mid.load(samples);
    bids.load(side(-1));
    asks.load(side(1));
  }

  async #refreshBands(shown) {
    shown.refreshed = performance.now();
    const query = this.#query(shown);
    query.set("exchange", this.buy.value);
    const history = await getJson(`api/v1/history?${query}`).catch(() => ({ crosses: [] }));
    for (const it of history.crosses) shown.crosses.set(pairOf(it), it);
  }

  #offerPairs(exchanges) {
    const { best, crosses } = this.#shown;
    for (const it of [this.buy, this.sell]) {
      const chosen = it.value;
      it.replaceChildren(...exchanges.map((name) => new Option(name)));
      if (exchanges.includes(chosen)) it.value = chosen;
    }
    if (!this.#shown.gross) {
      const median = (it) => it.gross_bps?.p50 ?? -Infinity;
      const pair = best ?? [...crosses.values()].sort((a, b) => median(b) - median(a))[0];
      if (pair) [this.buy.value, this.sell.value] = [pair.buy_exchange, pair.sell_exchange];
    }
    this.#choosePair();
  }

  #choosePair() {
    this.#shown.gross = new Series();
    this.#shown.gross.load(this.#shown.crosses.get(this.#pair())?.samples ?? []);
    this.cross.reset();
  }

  #pair() {
    return pairOf({ buy_exchange: this.buy.value, sell_exchange: this.sell.value });
  }

  #priceLines({ lines }) {
    const sides = this.kind.querySelector(":checked").value === "sides";
    return [...lines].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([name, { mid, bids, asks }], n) => {
      const color = COLORS[n % COLORS.length];
      if (!sides) return [{ name, color, series: mid }];
      return [{ name: `${name} bid`, color, series: bids, width: 1 }, { name: `${name} ask`, color, series: asks, width: 2 }];
    });
  }

  #crossLines({ gross, crosses }) {
    if (!gross) return [[]];
    const known = crosses.get(this.#pair());
    const color = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    const name = `buy ${this.buy.value}, sell ${this.sell.value}`;
    const lines = [{ name, color, series: gross }];
    const level = (name, y, color) => {
      const x = [gross.x[0], gross.x.at(-1)];
      lines.push({ name, color, dash: "dot", width: 1, series: { x, y: [y, y] } });
    };
    if (!known || gross.x.length === 0) return [lines];
    level("both fees", known.fees_bps, COLORS[3]);
    if (!known.gross_bps) return [lines];
    const { p3, p50, p97 } = known.gross_bps;
    level("3 %", p3, COLORS[7]);
    level("median", p50, COLORS[0]);
    level("97 %", p97, COLORS[7]);
    return [lines, [{ y0: p3, y1: p97 }]];
  }

  #listQuotes({ quotes }) {
    const now = Date.now();
    const rows = [...quotes.values()].sort((a, b) => (a.exchange < b.exchange ? -1 : 1));
    while (this.body.children.length < rows.length) {
      const row = element("tr");
      for (let n = 0; n < 7; n += 1) row.append(element("td"));
      this.body.append(row);
    }
    for (const [n, it] of rows.entries()) {
      const { bid_price: bid, ask_price: ask } = it;
      const spread = bid && ask ? ((ask - bid) / ((ask + bid) / 2)) * 1e4 : NaN;
      const cells = [
        it.exchange,
        format.price(bid),
        format.size(it.bid_size),
        format.price(ask),
        format.size(it.ask_size),
        format.bps(spread),
        format.age(now - it.ts_recv / 1e6),
      ];
      cells.forEach((text, at) => put(this.body.children[n].children[at], text));
    }
  }
}

const pairOf = ({ buy_exchange, sell_exchange }) => `${buy_exchange} ${sell_exchange}`;
