// Values over time for a chart: history first, then what comes, one point a second.

const STEP_MS = 1_000;
/** The server remembers a quarter of an hour. */
const KEPT_MS = 900_000;
/** A longer pause is shown as one. */
const PAUSE_MS = 15_000;

export class Series {
  x = [];
  y = [];

  /** Takes in `[nanoseconds, value]` pairs, the oldest first, in place of all. */
  load(samples) {
    this.x = [];
    this.y = [];
    for (const [ts, value] of samples) this.#append(ts / 1e6, value);
  }

  /** Takes in a value of now, in milliseconds; of one second the last one remains. */
  add(ms, value) {
    const last = this.x.length - 1;
    if (0 <= last && this.y[last] !== null) {
      if (ms < this.x[last]) return;
      const step = Math.floor(ms / STEP_MS);
      if (Math.floor(this.x[last] / STEP_MS) === step) {
        this.x[last] = ms;
        this.y[last] = value;
        return;
      }
    }
    this.#append(ms, value);
    const old = this.x.findIndex((it) => ms - KEPT_MS <= it);
    if (0 < old) {
      this.x.splice(0, old);
      this.y.splice(0, old);
    }
  }

  #append(ms, value) {
    const last = this.x.at(-1);
    if (last !== undefined && PAUSE_MS < ms - last) {
      this.x.push(last + 1);
      this.y.push(null);
    }
    this.x.push(ms);
    this.y.push(value);
  }
}
