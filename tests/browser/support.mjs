// A demonstration to look at, and a browser to look with.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TARGET = join(ROOT, "target/browser");
const BINARY = process.env.SPREAD_AGGREGATOR ?? join(ROOT, "target/debug/spread-aggregator");
const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

/** For a machine that has much else to do. */
export const DEADLINE_MS = 120_000;

/** A port of loopback that nobody has. */
export function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** Runs `demo` at a port; returns its address and what stops it. */
export async function demo(port, ...more) {
  const dir = join(TARGET, "data");
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(TARGET, { recursive: true });
  const listen = ["--listen", `127.0.0.1:${port}`];
  const child = spawn(BINARY, ["demo", "--for", "30m", "--dir", dir, ...listen, ...more], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (it) => (said = (said + it).slice(-10_000)));
  const gone = new Promise((done) => child.once("exit", done));
  const url = await new Promise((done, failed) => {
    child.stdout.on("data", (it) => {
      const found = /dashboard: (\S+)/.exec(it);
      if (found) done(found[1]);
    });
    gone.then((code) => failed(new Error(`demo ended with ${code}: ${said}`)));
  });
  const stop = () => {
    child.kill("SIGINT");
    return gone;
  };
  return { url, stop };
}

export function browser() {
  const { chromium } = createRequire(join(TARGET, "package.json"))("playwright-core");
  // A container has no namespaces for the sandbox; all that is visited is ours.
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--enable-precise-memory-info"] });
}

/** A page that keeps what goes wrong in it, until `complaints.length = 0`. */
export async function open(context) {
  const complaints = [];
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (it) =>
      console.error(`policy: ${it.violatedDirective} ${it.blockedURI} ${it.sourceFile}:${it.lineNumber}`),
    );
  });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE_MS);
  page.on("console", (it) => {
    if (["error", "warning"].includes(it.type())) complaints.push(`${it.text()} ${it.location().url}`);
  });
  page.on("pageerror", (it) => complaints.push(String(it.stack ?? it)));
  return { page, complaints };
}
