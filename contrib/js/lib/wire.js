// SPDX-License-Identifier: BSD-2-Clause
// A WebSocket that carries: given up when its first message is late or when it falls silent.

import { End, withQuery } from "./http.js";
import { Silence } from "./silence.js";

const CLOSE_AWAY = 4000; // any code but 1000, 1001 and none: a session waits for an attach
const PROBE_TIME = 5000;
const ERROR_GRACE = 50;

export class Wire {
  #env;
  #owner;
  #socket = null;
  #patience = null;
  #silence = null;

  // owner: message(data), closed(code, reason), failed(kind, message); the last two at most once, and
  // none after drop().
  constructor(env, owner) {
    this.#env = env;
    this.#owner = owner;
  }

  // patience: ms until settle(). Throws nothing.
  open({ query, protocols = [], patience }) {
    const { clock, url, WebSocket } = this.#env;
    this.#patience = clock.setTimeout(() => this.#fail(End.LOST, "nothing came in time"), patience);
    try {
      this.#socket = new WebSocket(withQuery(url, query), protocols);
    } catch (error) {
      clock.clearTimeout(this.#patience);
      this.#patience = clock.setTimeout(() => this.#fail(End.UNUSABLE, error.message), 0);
      return;
    }
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }) => {
      this.#silence?.touch();
      this.#owner?.message(data);
    };
    this.#socket.onclose = ({ code, reason }) => this.#end((owner) => owner.closed(code, reason));
    // `close` follows and tells more, but not in every Node.
    this.#socket.onerror = () => clock.setTimeout(() => this.#fail(End.LOST, "the WebSocket failed"), ERROR_GRACE);
  }

  // It works. interval: ms between the server's signs of life.
  settle(interval) {
    const { clock, silenceLimit } = this.#env;
    clock.clearTimeout(this.#patience);
    this.#silence?.stop();
    this.#silence = new Silence(clock, silenceLimit(interval), () => this.#fail(End.LOST, "nothing came for too long"));
  }

  // ms since something came.
  get idle() {
    return this.#silence?.idle ?? 0;
  }

  send(data) {
    if (this.#socket?.readyState === 1)
      this.#socket.send(data);
  }

  // What was sent makes the server answer; else the network has changed under us.
  expectAnswer() {
    this.#silence?.expectWithin(PROBE_TIME);
  }

  drop(code = CLOSE_AWAY) {
    this.#owner = null;
    this.#env.clock.clearTimeout(this.#patience);
    this.#silence?.stop();
    const socket = this.#socket;
    this.#socket = null;
    if (!socket)
      return;
    socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #fail(kind, message) {
    this.#end((owner) => owner.failed(kind, message));
  }

  #end(tell) {
    const owner = this.#owner;
    this.drop();
    if (owner)
      tell(owner);
  }
}
