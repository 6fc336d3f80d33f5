// SPDX-License-Identifier: BSD-2-Clause
// A picture of what carried the session, the last minute of it: a lane for each transport, a mark where a
// carrier was lost.

const SPAN = 60_000; // ms in the picture
const WIDTH = 600;
const LANE = 22;
const LANES = ["websocket", "sse", "longpoll"];
const SVG = "http://www.w3.org/2000/svg";

export const NAMES = { websocket: "WebSocket", sse: "SSE", longpoll: "long polling", plain: "plain WebSocket" };

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes))
    element.setAttribute(key, value);
  return element;
}

export class Timeline {
  #bars = []; // {lane, from, to: null while it goes on}
  #losses = [];
  #lost = 0;
  #timer = null;

  constructor(svg, summary) {
    this.svg = svg;
    this.summary = summary;
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${LANE * LANES.length}`);
    this.#draw();
  }

  begin() {
    this.#bars = [];
    this.#losses = [];
    this.#lost = 0;
    this.#timer ??= setInterval(() => this.#draw(), 250);
    this.#draw();
  }

  // A transport carries from now on; null: none does.
  carry(transport) {
    const now = performance.now();
    const last = this.#bars.at(-1);
    if (last && last.to === null)
      last.to = now;
    if (transport)
      this.#bars.push({ lane: LANES.indexOf(transport === "plain" ? "websocket" : transport), from: now, to: null });
    this.#draw();
  }

  lose() {
    this.#losses.push(performance.now());
    this.#lost++;
    this.carry(null);
  }

  end() {
    this.carry(null);
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #draw() {
    const now = performance.now();
    const x = (at) => WIDTH - Math.min(now - at, SPAN) / SPAN * WIDTH;
    this.#bars = this.#bars.filter(({ to }) => to === null || now - to < SPAN);
    this.#losses = this.#losses.filter((at) => now - at < SPAN);
    const parts = LANES.map((name, i) =>
      shape("line", { class: "lane", x1: 0, x2: WIDTH, y1: (i + 0.5) * LANE, y2: (i + 0.5) * LANE }));
    for (const { lane, from, to } of this.#bars)
      parts.push(shape("rect", {
        class: `bar ${LANES[lane]}`, x: x(from), y: lane * LANE + 5, rx: 3, height: LANE - 10,
        width: Math.max(x(to ?? now) - x(from), 2),
      }));
    for (const at of this.#losses)
      parts.push(shape("line", { class: "loss", x1: x(at), x2: x(at), y1: 1, y2: LANE * LANES.length - 1 }));
    this.svg.replaceChildren(...parts);
    const last = this.#bars.at(-1);
    const carried = last && last.to === null ? `carried by ${NAMES[LANES[last.lane]]}` : "no carrier";
    this.summary.textContent = `${carried}, lost ${this.#lost === 1 ? "once" : `${this.#lost} times`}`;
  }
}
