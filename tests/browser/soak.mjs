// How the page bears everything for two minutes: long tasks of its thread, and its heap.
// node tests/browser/soak.mjs [SECONDS [demo's options]]

import { browser, demo, freePort, open } from "./support.mjs";

const [seconds = "120", ...options] = process.argv.slice(2);
const more = options.length ? options : ["--symbols", "1000", "--rate", "20000"];
const EVERY_S = 20;

const served = await demo(await freePort(), ...more);
const chromium = await browser();
const { page, complaints } = await open(await chromium.newContext({ viewport: { width: 1280, height: 800 } }));
await page.addInitScript(() => {
  window.tasks = [];
  new PerformanceObserver((it) => window.tasks.push(...it.getEntries().map((it) => it.duration))).observe({ type: "longtask", buffered: true });
});
await page.goto(served.url);
const devtools = await page.context().newCDPSession(page);
for (let at = EVERY_S; at <= Number(seconds); at += EVERY_S) {
  await new Promise((done) => setTimeout(done, EVERY_S * 1_000));
  await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await devtools.send("Runtime.getHeapUsage");
  const tasks = await page.evaluate(() => window.tasks.splice(0));
  const shown = await page.evaluate(() => ["#count", "#lag", "#totals"].map((it) => document.querySelector(it).textContent).join(" | "));
  const sum = tasks.reduce((sum, it) => sum + it, 0);
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  console.log(`${at} s: heap ${(usedSize / 1e6).toFixed(1)} MB, ${tasks.length} tasks over 50 ms, the longest ${Math.max(0, ...tasks).toFixed(0)} ms, ${sum.toFixed(0)} ms in all, ${nodes} elements; ${shown}`);
}
console.log(complaints.length ? complaints : "no complaints");
await chromium.close();
await served.stop();
