// SPDX-License-Identifier: BSD-2-Clause
// Opens a session: by WebSocket, and by POST when that fails or takes its time. The first OPEN wins;
// a session that comes second is ended at once, so that the target sees one client and not two.
//
//      WebSocket ────────────────────────────────────────► OPEN
//               1 s, or it failed: POST ─────────────► 201

import { WebSocketCarrier } from "./carriers/websocket.js";

export class Opening {
  #env;
  #protocols;
  #result;
  #headStart;
  #limit;
  #waiting = new Set(); // "websocket", "http": under way
  #untried;
  #carrier = null;
  #timer = null;
  #deadline = null;
  #settled = false;
  #message = "";

  // result: won(open, carrier or null), failed(message), and later maybe websocketWorks().
  // headStart: ms that the first way has for itself. limit: ms for all of it.
  constructor(env, { protocols, ladder, headStart, limit }, result) {
    this.#env = env;
    this.#protocols = protocols;
    this.#result = result;
    this.#headStart = headStart;
    this.#limit = limit;
    this.#untried = this.#ways(ladder);
  }

  start() {
    const { clock } = this.#env;
    this.#deadline = clock.setTimeout(() => this.#fail("no answer in time"), this.#limit);
    this.#next();
  }

  cancel() {
    this.#settle();
    this.#carrier?.drop({ over: true });
  }

  // What worked before comes first.
  #ways(ladder) {
    const { transport } = this.#env.memory.get();
    const first = ladder.includes(transport) ? transport : ladder[0];
    const ways = new Set([first, ...ladder].map((kind) => (kind === "websocket" ? kind : "http")));
    return [...ways];
  }

  #next() {
    const { clock } = this.#env;
    clock.clearTimeout(this.#timer);
    const way = this.#untried.shift();
    if (!way)
      return;
    this.#waiting.add(way);
    // WebSocket is the better one, so only it is overtaken for being slow.
    if (way === "websocket" && this.#untried.length > 0)
      this.#timer = clock.setTimeout(() => this.#next(), this.#headStart);
    if (way === "websocket")
      this.#openWebSocket();
    else
      this.#post();
  }

  #openWebSocket() {
    this.#carrier = new WebSocketCarrier(this.#env, this);
    this.#carrier.start({ protocols: this.#protocols, patience: this.#limit });
  }

  async #post() {
    const { http } = this.#env;
    try {
      const open = await http.open(this.#protocols, { timeout: this.#limit });
      if (this.#settled) {
        http.remove(open.session);
        return;
      }
      this.#settle();
      this.#result.won(open, null);
    } catch (error) {
      this.#lost("http", error.message);
    }
  }

  // ---- what the WebSocket tells ----

  opened(carrier, open) {
    if (this.#settled) {
      carrier.drop({ over: true });
      this.#result.websocketWorks();
      return;
    }
    this.#settle();
    this.#carrier = null;
    this.#result.won(open, carrier);
  }

  frame() {}

  ended(carrier, failure) {
    this.#carrier = null;
    this.#lost("websocket", failure.message);
  }

  // ---- endings ----

  #lost(way, message) {
    this.#waiting.delete(way);
    // What HTTP says is worth more than what a WebSocket says, which is nothing.
    if (way === "http" || this.#message === "")
      this.#message = message;
    if (this.#settled)
      return;
    if (this.#untried.length > 0)
      this.#next();
    else if (this.#waiting.size === 0)
      this.#fail(this.#message);
  }

  #fail(message) {
    if (this.#settled)
      return;
    this.cancel();
    this.#result.failed(message);
  }

  #settle() {
    this.#settled = true;
    this.#env.clock.clearTimeout(this.#timer);
    this.#env.clock.clearTimeout(this.#deadline);
  }
}
