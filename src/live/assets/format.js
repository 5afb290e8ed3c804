// Numbers for people. What is not known is a dash.

export const NONE = "–";

/** The shortest decimal, never with an exponent. */
export function price(it) {
  if (!Number.isFinite(it)) return NONE;
  const text = String(it);
  return text.includes("e") ? it.toFixed(14).replace(/\.?0+$/, "") : text;
}

/** Four significant digits. */
export function size(it) {
  if (!Number.isFinite(it)) return NONE;
  if (10_000 <= it) return count(it);
  return price(Number(it.toPrecision(4)));
}

export const bps = (it) => (Number.isFinite(it) ? it.toFixed(2) : NONE);

/** Milliseconds. */
export function age(it) {
  if (!Number.isFinite(it)) return NONE;
  const ms = Math.max(it, 0);
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 600_000) return `${Math.round(ms / 1000)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** With k, M or G. */
export function count(it) {
  if (!Number.isFinite(it)) return NONE;
  for (const [unit, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (unit * 10 <= it) return `${(it / unit).toFixed(it < unit * 100 ? 1 : 0)}${name}`;
  }
  return String(Math.round(it));
}

export const bytes = (it) => (Number.isFinite(it) ? `${Math.round(it / 1_048_576)} MiB` : NONE);

export const clock = (nanos) => new Date(nanos / 1e6).toISOString().slice(11, 19);

/** An element with a text and a class. Texts come from exchanges: nothing of them is ever read as HTML. */
export function element(tag, text = "", className = "") {
  const it = document.createElement(tag);
  it.textContent = text;
  it.className = className;
  return it;
}

/** Sets a text, if it is another. */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
