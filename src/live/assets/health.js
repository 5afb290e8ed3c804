// How the collector is doing: `/api/v1/health` and `/metrics`, every two seconds.

import { getJson, getText } from "./access.js";
import * as format from "./format.js";
import { element, put } from "./format.js";

const EVERY_MS = 2_000;
const NAMES_SHOWN = 5;

/** Sums the counters of the page by name, and those of venues by name and venue. */
function readCounters(page) {
  const sums = new Map();
  const add = (key, value) => sums.set(key, (sums.get(key) ?? 0) + value);
  for (const line of page.split("\n")) {
    const found = /^spread_aggregator_(events|queue_dropped|live_dropped|gaps)_total(\{.*\})? (\S+)$/.exec(line);
    if (!found) continue;
    const [, name, labels = "", value] = found;
    add(name, Number(value));
    const exchange = /exchange="([^"]*)"/.exec(labels)?.[1];
    const market = /market="([^"]*)"/.exec(labels)?.[1];
    if (exchange) add(`${name} ${exchange} ${market}`, Number(value));
  }
  return sums;
}

export class Health {
  #before = null;

  /**
   * @param root the strip
   * @param note is told each failure, and an empty text when all is well again
   */
  constructor(root, note) {
    this.totals = root.querySelector("#totals");
    this.root = root;
    this.venues = root.querySelector("#venues");
    this.quarantine = root.querySelector("#quarantine");
    this.note = note;
    this.#turn();
  }

  async #turn() {
    try {
      const spreads = getJson("api/v1/spreads?limit=1").catch(() => ({ quarantined: [] }));
      const [health, page, { quarantined }] = await Promise.all([getJson("api/v1/health"), getText("metrics"), spreads]);
      const rate = this.#rates(readCounters(page));
      this.#showTotals(health, rate);
      this.#showVenues(health.exchanges, rate);
      this.#showQuarantine(quarantined);
      this.root.classList.remove("old");
      this.note("");
    } catch (error) {
      this.root.classList.add("old");
      this.note(`health: ${error.message}`);
    }
    setTimeout(() => this.#turn(), EVERY_MS);
  }

  /** Sums and, per second, what they have grown by; a collector that has begun anew counts anew. */
  #rates(sums) {
    const now = performance.now();
    const before = this.#before;
    this.#before = { sums, now };
    return (key) => {
      const total = sums.get(key) ?? 0;
      const grown = total - (before?.sums.get(key) ?? total);
      return { total, perSecond: before && 0 <= grown ? (grown / (now - before.now)) * 1000 : NaN };
    };
  }

  #showTotals(health, rate) {
    const dropped = rate("queue_dropped").total + rate("live_dropped").total;
    const facts = [
      ["status", health.status, health.status === "ok" ? "good" : "bad"],
      ["events/s", format.count(rate("events").perSecond), ""],
      ["dropped", format.count(dropped), 0 < dropped ? "warn" : ""],
      ["gaps", format.count(rate("gaps").total), 0 < rate("gaps").total ? "warn" : ""],
      ["memory", format.bytes(health.process.resident_memory_bytes ?? NaN), ""],
      ["clients", format.count(health.live.clients), ""],
      ["up", format.age(health.uptime_seconds * 1000), ""],
    ];
    fill(this.totals, facts, (node, [name, text, state]) => {
      node.className = state;
      put(node.firstChild, name);
      put(node.lastChild, text);
    });
    this.totals.title = health.problems.join("\n");
  }

  #showVenues(venues, rate) {
    fill(this.venues, venues, (node, it) => {
      const { up, wanted } = it.connections;
      node.className = `state ${it.state}`;
      put(node.firstChild, `${it.exchange} ${it.market}`);
      put(node.lastChild, `${it.state} ${format.count(rate(`events ${it.exchange} ${it.market}`).perSecond)}/s`);
      const title = [
        `${it.instruments} instruments, ${up} of ${wanted} connections`,
        `${it.reconnects} reconnects, ${it.decode_errors} frames not decoded`,
        ...some("stale", it.stale),
        ...some("refused", it.refused),
      ].join("\n");
      if (node.title !== title) node.title = title;
    });
  }

  #showQuarantine(pairs) {
    this.quarantine.hidden = pairs.length === 0;
    put(this.quarantine.querySelector("summary"), `${pairs.length} pairs held back`);
    if (!this.quarantine.open) return;
    const list = this.quarantine.querySelector("ul");
    fill(list, pairs, (node, it) => {
      const why = it.judged ? "two assets of one name" : "maybe two assets of one name";
      put(node.firstChild, `${it.symbol} ${it.market}`);
      put(node.lastChild, `${it.exchanges.join(" and ")} are a factor of ${it.ratio.toPrecision(4)} apart since ${format.clock(it.since)} UTC: ${why}`);
    });
  }
}

const some = (what, names) => (names.length ? [`${what}: ${names.slice(0, NAMES_SHOWN).join(", ")}`] : []);

/** Makes a list as long as the items, of two texts each, without building anew what is there. */
function fill(list, items, set) {
  while (items.length < list.children.length) list.lastChild.remove();
  while (list.children.length < items.length) {
    const node = element("li");
    node.append(element("b"), element("span"));
    list.append(node);
  }
  for (const [n, it] of items.entries()) set(list.children[n], it);
}
