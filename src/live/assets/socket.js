// The WebSocket: keeps subscriptions, and connects again by itself.

import { socketAddress } from "./access.js";

const FIRST_MS = 500;
const MOST_MS = 15_000;
/** Without a message for so many intervals of the server's heartbeat the connection is dead. */
const BEATS = 3;

export class Socket {
  #wanted = new Map();
  #failures = 0;
  #heard = 0;
  #beat = 15_000;
  #socket = null;

  /**
   * @param on what is done with a message, by its type
   * @param say is told the state, a text for people, and when it is tried again
   */
  constructor(on, say) {
    this.on = on;
    this.say = say;
    setInterval(() => this.#watch(), 1_000);
    // A machine that wakes up, or finds its network again, need not wait.
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
    this.#connect();
  }

  /** Subscribes now and after every reconnect, until `unsubscribe`. */
  subscribe(request) {
    this.#wanted.set(JSON.stringify(request), request);
    this.#send({ op: "subscribe", ...request });
  }

  unsubscribe(request) {
    if (!this.#wanted.delete(JSON.stringify(request))) return;
    const { interval_ms, ...of } = request;
    this.#send({ op: "unsubscribe", ...of });
  }

  #send(request) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(request));
  }

  #connect() {
    clearTimeout(this.retry);
    this.retry = null;
    this.say("connecting", "connecting");
    const socket = new WebSocket(socketAddress());
    this.#socket = socket;
    this.#heard = performance.now();
    socket.onopen = () => {
      for (const it of this.#wanted.values()) this.#send({ op: "subscribe", ...it });
    };
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = () => socket === this.#socket && this.#lost();
  }

  #take(data) {
    this.#heard = performance.now();
    const message = JSON.parse(data);
    if (message.type === "hello") {
      this.#beat = message.ping_interval_ms;
      this.say("live", "live");
    } else if (message.type === "subscribed") {
      // What connects and is dropped at once is not tried at full speed.
      this.#failures = 0;
    }
    this.on[message.type]?.(message);
  }

  #lost() {
    this.#socket = null;
    const most = Math.min(MOST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    const wait = most / 2 + (Math.random() * most) / 2;
    this.say("lost", `reconnecting, attempt ${this.#failures}`);
    this.retry = setTimeout(() => this.#connect(), wait);
  }

  #watch() {
    if (this.#socket && this.#beat * BEATS < performance.now() - this.#heard) {
      const silent = this.#socket;
      this.#lost();
      silent.close();
    }
  }

  #hurry() {
    if (this.retry) this.#connect();
  }
}
