// What the table shows: the best cross of each symbol and market.

/** @typedef {{key: string, symbol: string, market: string, exchanges: Set<string>, best: object?, at: number}} Row */

export class Screener {
  /** @type {Map<string, Row>} */
  #rows = new Map();

  /** How many rows there are. */
  get total() {
    return this.#rows.size;
  }

  /** Makes a symbol known at an exchange. */
  list({ symbol, market, exchange }) {
    this.#row(symbol, market).exchanges.add(exchange);
  }

  /** Takes in a message of the channel; says whether it begins to pay. */
  take(best) {
    const row = this.#row(best.symbol, best.market);
    const paid = 0 < row.best?.net_bps;
    row.best = best;
    row.at = performance.now();
    return !paid && 0 < best.net_bps;
  }

  get(key) {
    return this.#rows.get(key);
  }

  /** The rows that a filter lets through, in order: those without a cross last. */
  view({ text, market, exchange }, { column, falling }, now) {
    const words = text.toUpperCase().split(/\s+/).filter(Boolean);
    const rows = [];
    for (const row of this.#rows.values()) {
      if (row.best && row.best.expires_us / 1000 < now - row.at) row.best = null;
      if (market && row.market !== market) continue;
      if (!words.every((it) => row.symbol.includes(it))) continue;
      if (exchange && row.best?.buy_exchange !== exchange && row.best?.sell_exchange !== exchange) continue;
      rows.push(row);
    }
    const sign = falling ? -1 : 1;
    const by = COLUMNS[column].by;
    return rows.sort((a, b) => {
      const [x, y] = [by(a, now), by(b, now)];
      if (x === undefined || y === undefined) {
        if (x !== y) return x === undefined ? 1 : -1;
      } else if (x !== y) {
        return x < y ? -sign : sign;
      }
      return a.key < b.key ? -1 : 1;
    });
  }

  #row(symbol, market) {
    const key = `${symbol}/${market}`;
    let row = this.#rows.get(key);
    if (!row) {
      row = { key, symbol, market, exchanges: new Set(), best: null, at: 0 };
      this.#rows.set(key, row);
    }
    return row;
  }
}

/** Milliseconds since a leg was received. */
const age = (us) => (row, now) => (row.best ? row.best[us] / 1000 + now - row.at : undefined);
const of = (name) => (row) => row.best?.[name];

/** Name, and what of a row it shows and is ordered by. */
export const COLUMNS = {
  symbol: { name: "symbol", by: (row) => row.symbol },
  market: { name: "market", by: (row) => row.market },
  bid: { name: "bid", by: of("bid_price"), format: "price" },
  sell: { name: "sell at", by: of("sell_exchange") },
  ask: { name: "ask", by: of("ask_price"), format: "price" },
  buy: { name: "buy at", by: of("buy_exchange") },
  gross: { name: "gross bps", by: of("gross_bps"), format: "bps" },
  net: { name: "net bps", by: of("net_bps"), format: "bps" },
  size: { name: "size", by: of("size"), format: "size" },
  bid_age: { name: "bid age", by: age("sell_age_us"), format: "age" },
  ask_age: { name: "ask age", by: age("buy_age_us"), format: "age" },
  episodes: { name: "episodes today", by: of("episodes"), format: "count" },
};
