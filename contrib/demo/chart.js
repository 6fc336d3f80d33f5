// SPDX-License-Identifier: BSD-2-Clause
// The values of a topic over the last minute, as a line.

const SPAN = 60_000; // ms in the picture
const WIDTH = 600;
const HEIGHT = 150;
const MARGIN = 8; // above and below the line
const LEAST = 2; // range of values that the height stands for at least: noise shall look like noise

export class Chart {
  #points = []; // {at, value}
  #parts;

  // parts: line, area, least, most and now, the elements to draw into.
  constructor(svg, parts) {
    this.#parts = parts;
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    setInterval(() => this.#draw(), 250);
  }

  add(value) {
    this.#points.push({ at: performance.now(), value });
    this.#draw();
  }

  #draw() {
    const now = performance.now();
    this.#points = this.#points.filter(({ at }, i) => now - at < SPAN || i === this.#points.length - 1);
    if (this.#points.length === 0)
      return;
    const values = this.#points.map(({ value }) => value);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const middle = (least + most) / 2;
    const range = Math.max(most - least, LEAST);
    const x = (at) => (WIDTH - Math.min(now - at, SPAN) / SPAN * WIDTH).toFixed(1);
    const y = (value) => (HEIGHT / 2 - (value - middle) / range * (HEIGHT - 2 * MARGIN)).toFixed(1);
    // What was last is so until something else comes.
    const line = [...this.#points, { at: now, value: values.at(-1) }].map(({ at, value }) => `${x(at)},${y(value)}`);
    this.#parts.line.setAttribute("points", line.join(" "));
    this.#parts.area.setAttribute("d", `M${line[0].split(",")[0]},${HEIGHT} L${line.join(" L")} L${WIDTH},${HEIGHT} Z`);
    this.#parts.now.textContent = values.at(-1).toFixed(1);
    this.#parts.least.textContent = least.toFixed(1);
    this.#parts.most.textContent = most.toFixed(1);
  }
}
