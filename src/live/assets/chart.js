// Lines over time, drawn by plotly.js, which is loaded when the first chart is.

const LIBRARY = "assets/plotly-3.js";
const EVERY_MS = 250;
/** A chart takes at most one part in so many of the time. */
const SHARE = 5;

let library;

function load() {
  library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = LIBRARY;
    script.onload = () => done(window.Plotly ?? window.moduleName);
    script.onerror = () => {
      library = undefined;
      failed(new Error(`${LIBRARY} cannot be loaded`));
    };
    document.head.append(script);
  });
  return library;
}

const CONFIG = { displayModeBar: false, scrollZoom: true, responsive: true, doubleClick: "reset", showTips: false };

export class Chart {
  #next = 0;
  #held = false;
  #zoom = 0;
  #draws = 0;

  /**
   * @param root the element to fill
   * @param unit what the values are
   */
  constructor(root, unit) {
    this.root = root;
    this.unit = unit;
    // To draw would end what the pointer has begun.
    root.addEventListener("pointerdown", () => (this.#held = true));
    for (const it of ["pointerup", "pointercancel"]) addEventListener(it, () => (this.#held = false));
  }

  /** Draws if it is time to. A line is `{name, color, dash, width, series}`; `bands` are `{y0, y1}`. */
  async draw(lines, bands = []) {
    const now = performance.now();
    if (this.#held || now < this.#next || this.root.clientWidth === 0) return;
    this.#next = Infinity;
    try {
      const plotly = await load();
      const start = performance.now();
      this.#draws += 1;
      await plotly.react(this.root, lines.map(trace), this.#layout(bands), CONFIG);
      const end = performance.now();
      this.#next = end + Math.max(EVERY_MS, SHARE * (end - start));
    } catch (error) {
      this.#next = performance.now() + 1_000;
      throw error;
    }
  }

  /** Draws at the next call, whenever the last one was. */
  hasten() {
    if (Number.isFinite(this.#next)) this.#next = 0;
  }

  /** Shows all there is. */
  reset() {
    this.#zoom += 1;
    this.hasten();
  }

  /** Of another subject: zoom and choice of lines begin anew. */
  clear() {
    this.reset();
    if (library && this.root.data) load().then((it) => it.purge(this.root));
  }

  #layout(bands) {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: color("--line"), zerolinecolor: color("--line"), tickfont: { size: 11 } };
    return {
      uirevision: "kept",
      // The arrays are the same ones, with more in them.
      datarevision: this.#draws,
      xaxis: { ...axis, type: "date", hoverformat: "%H:%M:%S", uirevision: this.#zoom },
      yaxis: { ...axis, title: { text: this.unit, font: { size: 11 } }, exponentformat: "none", uirevision: this.#zoom },
      shapes: bands.map((it) => ({
        type: "rect",
        layer: "below",
        xref: "paper",
        x0: 0,
        x1: 1,
        line: { width: 0 },
        fillcolor: color("--band"),
        ...it,
      })),
      margin: { l: 76, r: 12, t: 8, b: 28 },
      hovermode: "x unified",
      // Points of the past are far apart: the nearest is meant, wherever it is.
      hoverdistance: -1,
      hoverlabel: { bgcolor: color("--panel"), bordercolor: color("--line"), font: { color: color("--text") } },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 11 } },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: color("--text"), family: "system-ui, sans-serif", size: 12 },
    };
  }
}

function trace({ name, color, dash, width = 1.5, series }) {
  const shape = dash ? "linear" : "hv";
  return { type: "scatter", mode: "lines", name, x: series.x, y: series.y, line: { color, dash, width, shape }, connectgaps: false };
}
