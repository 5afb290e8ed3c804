// The dashboard in a browser, against the demonstration.

import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { DEADLINE_MS, ROOT, browser, demo, freePort, open } from "./support.mjs";

const PICTURES = process.env.PICTURES ?? join(ROOT, "target/browser/pictures");
const PICTURE_BYTES_MAX = 300_000;
const LAPTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const SIZE = ["--symbols", "60", "--rate", "3000"];
const ROW = "#table .space .row:not([hidden])";

let port, served, chromium, context, page, complaints;

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  port = await freePort();
  [served, chromium] = await Promise.all([demo(port, ...SIZE), browser()]);
  context = await chromium.newContext({ viewport: LAPTOP, colorScheme: "dark" });
  await context.addInitScript(listen);
  ({ page, complaints } = await open(context));
  await page.goto(served.url);
});

after(async () => {
  await chromium?.close();
  await served?.stop();
});

/** In the page: how long after its receipt each cross that pays is shown, and each that begins to. */
function listen() {
  const latest = new Map();
  const begun = new Map();
  window.latencies = [];
  window.beginnings = [];
  const Plain = WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...of) {
      super(...of);
      this.addEventListener("message", ({ data }) => {
        const it = JSON.parse(data);
        // What is known already is told first, however old it is.
        if (it.type !== "best" || performance.now() < 3_000) return;
        const key = `${it.symbol}/${it.market}`;
        if (it.net_bps <= 0) begun.delete(key);
        else if (!(0 < latest.get(key)?.net_bps)) begun.set(key, it.ts_recv);
        latest.set(key, it);
      });
    }
  };
  addEventListener("DOMContentLoaded", () => {
    new MutationObserver((seen) => {
      for (const row of new Set(seen.map((it) => it.target.parentElement?.closest(".row")))) {
        const key = row?.dataset.key;
        if (begun.has(key) && 0 < Number(row.querySelector(".net").textContent)) {
          window.beginnings.push(Date.now() - begun.get(key) / 1e6);
          begun.delete(key);
        }
        const it = latest.get(key);
        if (!it || it.seen || it.net_bps <= 0 || row.querySelector(".net").textContent !== it.net_bps.toFixed(2)) continue;
        it.seen = true;
        window.latencies.push(Date.now() - it.ts_recv / 1e6);
      }
    }).observe(document.querySelector("#table"), { subtree: true, childList: true, characterData: true });
  });
}

const texts = (selector) => page.locator(selector).allTextContents();
const until = (what, of) => page.waitForFunction(what, of, { timeout: DEADLINE_MS });

/** All exchanges deliver, and how much is known. */
async function settled() {
  await until(() => document.querySelector("#lag").textContent === "" && !document.querySelector("#health.old"));
  await until(() => document.querySelectorAll("#venues .delivering").length === 16);
  await until(() => [...document.querySelectorAll("#venues span")].every((it) => / [0-9]/.test(it.textContent)));
}

async function picture(name) {
  const path = join(PICTURES, `${name}.png`);
  await page.screenshot({ path });
  assert.ok(statSync(path).size < PICTURE_BYTES_MAX, `${path} is too large`);
}

function nothingWentWrong() {
  assert.deepEqual(complaints, []);
}

test("rows come, with the best cross of each symbol", async () => {
  await until(() => document.querySelectorAll("#venues .delivering").length === 16);
  // Exchanges list a few that others do not; what each says of itself has been tested elsewhere.
  const { instruments } = await (await fetch(new URL("/api/v1/instruments", served.url))).json();
  const names = new Set(instruments.map((it) => `${it.symbol}/${it.market}`));
  assert.ok(100 < names.size);
  await until((count) => document.querySelector("#count").textContent === count, `${names.size} of ${names.size}`);
  await until(() => document.querySelectorAll("#table .space .row.pays").length);
  assert.equal(await page.locator("#link").textContent(), "live");
  nothingWentWrong();
});

test("crosses that pay are shown soon after their quotes were received", async (t) => {
  // All that pay are in sight.
  await page.setViewportSize({ ...LAPTOP, height: 4_000 });
  await until(() => 200 <= window.latencies.length && 50 <= window.beginnings.length);
  for (const [what, of] of [["latencies", "crosses"], ["beginnings", "that begin to pay"]]) {
    const sorted = (await page.evaluate((it) => window[it], what)).sort((a, b) => a - b);
    const at = (part) => sorted[Math.floor(part * (sorted.length - 1))].toFixed(0);
    t.diagnostic(`${sorted.length} ${of}, ms from receipt to table: median ${at(0.5)}, 95 % ${at(0.95)}, most ${at(1)}`);
    assert.ok(sorted.every((it) => 0 <= it));
  }
  await page.setViewportSize(LAPTOP);
  await picture("laptop-dark");
});

test("a column sorts, and again the other way", async () => {
  await page.locator(".head .symbol").click();
  const names = await texts(`${ROW} .symbol`);
  assert.deepEqual(names, [...names].sort());
  await page.locator(".head .symbol").click();
  await until(([row, first]) => document.querySelector(`${row} .symbol`).textContent !== first, [ROW, names[0]]);
  const tops = await page.locator(ROW).evaluateAll((rows) =>
    rows
      .map((it) => [new DOMMatrix(it.style.transform).f, it.querySelector(".symbol").textContent])
      .sort(([a], [b]) => a - b)
      .map(([, name]) => name),
  );
  assert.deepEqual(tops, [...tops].sort().reverse());
  await page.locator(".head .net").click();
  assert.equal(await page.locator(".head .net").getAttribute("aria-sort"), "descending");
});

test("text, market and exchange filter", async () => {
  await page.locator("#table").focus();
  await page.keyboard.press("/");
  await page.keyboard.type("btc-usdt");
  await until(() => document.querySelector("#count").textContent.startsWith("2 of"));
  await page.locator("#market").selectOption("perp");
  await until(() => document.querySelector("#count").textContent.startsWith("1 of"));
  assert.deepEqual(await texts(`${ROW} .market`), ["perp"]);
  await page.locator("#market").selectOption("");
  await page.locator("#text").press("Escape");
  await page.locator("#exchange").selectOption("okx");
  const legs = await page.locator(ROW).evaluateAll((rows) =>
    rows.map((it) => [it.querySelector(".buy").textContent, it.querySelector(".sell").textContent]),
  );
  assert.ok(0 < legs.length);
  await page.locator("#exchange").selectOption("");
});

test("the light theme is chosen and kept", async () => {
  await page.locator("#theme").click();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
  await page.reload();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
  await until(() => document.querySelectorAll("#table .space .row.pays").length);
  await settled();
  await picture("laptop-light");
  await page.locator("#theme").click();
});

test("keys open a symbol, and its charts grow", async () => {
  await page.locator("#text").fill("BTC-USDT");
  await page.locator("#market").selectOption("spot");
  await until(() => document.querySelector("#count").textContent.startsWith("1 of"));
  await page.locator("#table").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await until(() => location.hash === "#/BTC-USDT/spot");
  const points = (id) => page.evaluate((id) => {
    const drawn = document.querySelector(id).data ?? [];
    return [drawn.length, drawn.reduce((sum, it) => sum + it.x.length, 0)];
  }, id);
  await until(() => document.querySelector("#prices").data?.length === 8 && document.querySelector("#cross").data?.length);
  const before = [await points("#prices"), await points("#cross")];
  const more = ([id, [, count]]) => count + 5 < document.querySelector(id).data.reduce((sum, it) => sum + it.x.length, 0);
  await until(more, ["#prices", before[0]]);
  await until(more, ["#cross", before[1]]);
  // What is drawn grows too.
  const end = (id) => page.evaluate((id) => Date.parse(document.querySelector(id)._fullLayout.xaxis.range[1]), id);
  for (const id of ["#prices", "#cross"]) {
    const drawn = [id, await end(id)];
    await until(([id, end]) => end + 2_000 < Date.parse(document.querySelector(id)._fullLayout.xaxis.range[1]), drawn);
  }
  await until(() => 5 <= (document.querySelector("#cross").data ?? []).length);
  assert.equal(await page.locator("#quotes tbody tr").count(), 8);
  await page.locator("#prices").hover();
  await until(() => document.querySelector("#prices .hoverlayer")?.textContent.includes("okx"));
  await picture("symbol");
  await page.locator("#kind input[value=sides]").check();
  await until(() => document.querySelector("#prices").data.length === 16);
  await page.keyboard.press("Escape");
  await until(() => !document.querySelector("#screener").hidden);
  nothingWentWrong();
});

test("it connects again by itself when the server comes back", async () => {
  await page.locator("#text").fill("");
  await page.locator("#market").selectOption("");
  await served.stop();
  await until(() => document.querySelector("#health.old"));
  await until(() => /reconnecting/.test(document.querySelector("#link").textContent));
  nothingBut(/net::ERR_|WebSocket connection to/);
  served = await demo(port, ...SIZE);
  await until(() => document.querySelector("#link").textContent === "live");
  nothingBut(/net::ERR_|WebSocket connection to/);
  await until(() => document.querySelectorAll("#table .space .row.pays").length);
  await settled();
  nothingWentWrong();
});

/** Takes out what is right to complain of while there is no server. */
function nothingBut(expected) {
  const others = complaints.splice(0).filter((it) => !expected.test(it));
  assert.deepEqual(others, []);
}

test("a phone shows it without scrolling sideways", async () => {
  await page.setViewportSize(PHONE);
  await settled();
  await until(() => document.documentElement.scrollWidth <= innerWidth);
  const table = await page.locator("#table").evaluate((it) => [it.scrollWidth, it.clientWidth]);
  assert.ok(table[0] <= table[1], `${table}`);
  await picture("phone");
});

test("a token is taken out of the address", async () => {
  await page.goto(String(new URL("/?token=secret#/", served.url)));
  await until(() => location.search === "" && sessionStorage.length === 1);
  await until(() => document.querySelector("#link").textContent === "live");
  nothingWentWrong();
});
