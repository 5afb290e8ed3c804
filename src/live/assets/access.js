// How the server is reached: addresses relative to the page, and the token if it wants one.

const KEY = "spread-aggregator-token";

/** Takes the token out of the address, where it would be seen and remembered. */
export function keepToken() {
  const address = new URL(location.href);
  const token = address.searchParams.get("token");
  if (token === null) return;
  sessionStorage.setItem(KEY, token);
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
}

/** The address of the WebSocket. A browser can show a token there in no other way. */
export function socketAddress() {
  const address = new URL("ws", location.origin + location.pathname);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const token = sessionStorage.getItem(KEY);
  if (token) address.searchParams.set("token", token);
  return address;
}

const DEADLINE_MS = 10_000;

async function get(path) {
  const token = sessionStorage.getItem(KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { headers, signal: AbortSignal.timeout(DEADLINE_MS) });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.error ?? `${path} answers ${answer.status}`);
}

export const getJson = async (path) => (await get(path)).json();
export const getText = async (path) => (await get(path)).text();
