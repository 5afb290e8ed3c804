// Puts the page together: what is shown, what is subscribed to, and when it is painted.

import { getJson, keepToken } from "./access.js";
import { put } from "./format.js";
import { Health } from "./health.js";
import { Screener } from "./screener.js";
import { Socket } from "./socket.js";
import { SymbolView } from "./symbol.js";
import { Table } from "./table.js";

/** How often it is painted at most: nobody reads faster. */
const PAINT_EVERY_MS = 250;
/** How often the table is while no cross begins to pay, so that one that does need seldom wait. */
const PAINT_TABLE_EVERY_MS = 500;
/** What the server tells at once has come by then. */
const SETTLES_MS = 5;
const TICK_MS = 10;
const LISTS_EVERY_MS = 60_000;
const LAG_SHOWN_MS = 10_000;
// As they come: the server holds them back itself, but for those that begin to pay.
const BEST = { channel: "screener" };

const find = (it) => document.querySelector(it);
const [link, lag, count] = [find("#link"), find("#lag"), find("#count")];
const [text, market, exchange] = [find("#text"), find("#market"), find("#exchange")];

keepToken();
const screener = new Screener();
const filter = () => ({ text: text.value, market: market.value, exchange: exchange.value });
const table = new Table(find("#table"), screener, filter, (key) => {
  const { symbol, market } = screener.get(key);
  location.hash = `#/${encodeURIComponent(symbol)}/${market}`;
});
let missed = 0;
let missedAt = -Infinity;
let trouble = "";
let wasLost = false;

const socket = new Socket(
  {
    best: (it) => {
      begins = screener.take(it) || begins;
      if (begins) paintIfDue();
    },
    quote: (it) => symbol.onQuote(it),
    spread: (it) => symbol.onSpread(it),
    error: (it) => (trouble = `server: ${it.detail}`),
    lag: (it) => {
      missed += it.dropped + it.upstream;
      missedAt = performance.now();
    },
  },
  (state, said) => {
    link.dataset.state = state;
    put(link, said);
    if (state === "live" && wasLost) {
      symbol.reload();
      list();
    }
    wasLost = state === "lost" || (wasLost && state === "connecting");
  },
);
const symbol = new SymbolView(find("#symbol"), socket);
new Health(find("#health"), (it) => (trouble = it));

/** The instruments, so that symbols show of which there is no cross yet. */
async function list() {
  const { instruments } = await getJson("api/v1/instruments").catch(() => ({ instruments: [] }));
  for (const it of instruments) screener.list(it);
  offer(market, instruments.map((it) => it.market));
  offer(exchange, instruments.map((it) => it.exchange));
}

function offer(select, names) {
  const there = new Set([...select.options].map((it) => it.value));
  for (const it of new Set(names)) if (!there.has(it)) select.add(new Option(it));
}

/** `#/BTC-USDT/spot` shows a symbol, anything else the table. */
function route() {
  const [, name, of] = location.hash.split("/").map(decodeName);
  const isSymbol = Boolean(name && of);
  find("#symbol").hidden = !isSymbol;
  find("#screener").hidden = isSymbol;
  document.title = isSymbol ? `${name} ${of} – spread-aggregator` : "spread-aggregator";
  if (isSymbol) {
    socket.unsubscribe(BEST);
    symbol.open(name, of, screener.get(`${name}/${of}`)?.best);
  } else {
    symbol.close();
    socket.subscribe(BEST);
    table.refresh();
    find("#table").focus({ preventScroll: true });
  }
}

function decodeName(it) {
  try {
    return decodeURIComponent(it);
  } catch {
    return it;
  }
}

/** Whether a cross has begun to pay that is not shown yet. */
let begins = false;
let paintedAt = -Infinity;
let isAsked = false;

/** Paints, if it is time to: soon, once for all that has just come. */
function paintIfDue() {
  const canWait = !begins && find("#symbol").hidden;
  const due = paintedAt + (canWait ? PAINT_TABLE_EVERY_MS : PAINT_EVERY_MS);
  if (isAsked || performance.now() < due) return;
  isAsked = true;
  setTimeout(paint, SETTLES_MS);
}

function paint() {
  const now = performance.now();
  isAsked = false;
  paintedAt = now;
  if (document.hidden) return;
  if (find("#symbol").hidden) put(count, `${table.update(begins)} of ${screener.total}`);
  else symbol.update();
  begins = false;
  const lagging = now - missedAt < LAG_SHOWN_MS ? `the page lags: ${missed} messages missed` : "";
  put(lag, lagging || trouble);
}

addEventListener("hashchange", route);
for (const it of [text, market, exchange]) it.addEventListener("input", () => table.refresh());
find("#filters").addEventListener("submit", (event) => event.preventDefault());
text.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    text.value = "";
    table.refresh();
  }
  if (["Escape", "Enter", "ArrowDown"].includes(event.key)) {
    event.preventDefault();
    find("#table").focus();
  }
});
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select");
  if (event.key === "/" && !typing && find("#symbol").hidden) {
    event.preventDefault();
    text.focus();
  } else if (event.key === "Escape" && !find("#symbol").hidden) {
    location.hash = "#/";
  }
});

const THEME = "spread-aggregator-theme";
const theme = (it) => (document.documentElement.dataset.theme = it);
const prefersLight = () => matchMedia("(prefers-color-scheme: light)").matches;
if (localStorage.getItem(THEME)) theme(localStorage.getItem(THEME));
find("#theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? (prefersLight() ? "light" : "dark");
  localStorage.setItem(THEME, theme(now === "light" ? "dark" : "light"));
});

list();
setInterval(list, LISTS_EVERY_MS);
route();
setInterval(paintIfDue, TICK_MS);
