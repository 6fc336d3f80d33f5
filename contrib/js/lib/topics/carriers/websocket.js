// SPDX-License-Identifier: BSD-2-Clause
// Topics on a WebSocket: the only carrier that also takes what is published, and on which
// subscriptions change without a new request.

import { End, Failure } from "../../http.js";
import { Wire } from "../../wire.js";
import { parseItem } from "../messages.js";

const CLOSE_OVER = 1000;
const LEAVING = new Set([1001, 1012]); // the server is being stopped or started again

export class TopicSocket {
  kind = "websocket";
  sends = true;

  #env;
  #listener;
  #wire;
  #begun = false;
  #settled = false;
  #ref = 0;
  #requests = new Map(); // ref: {filter, answer}

  // listener: item(carrier, item), settled(carrier, since) once it is subscribed, then cursor(carrier,
  // since), primed(carrier, filter, since), refused(carrier, filter, reason); ended(carrier, failure)
  // at most once. None after drop().
  constructor(env, listener) {
    this.#env = env;
    this.#listener = listener;
    this.#wire = new Wire(env, {
      message: (data) => this.#message(data),
      closed: (code, reason) => this.#closed(code, reason),
      failed: (kind, message) => this.#end(kind, message),
    });
  }

  // filters: what to subscribe to. since: the cursor, or undefined. patience: ms until anything comes.
  start({ filters, since, patience }) {
    const heartbeat = this.#env.idle.of(this.#env.heartbeat);
    this.#wire.open({ query: { topic: filters, since, heartbeat }, patience });
  }

  get idle() {
    return this.#wire.idle;
  }

  // Its retained values come, then primed(); or refused().
  add(filter) {
    this.#request({ subscribe: [filter] }, { filter });
  }

  remove(filters) {
    this.#wire.send(JSON.stringify({ unsubscribe: filters }));
  }

  // answer({id}) or answer({reason}); neither if the carrier is lost before.
  publish(publication, answer) {
    this.#request(publication, { answer });
  }

  // Asks for a sign of life, by what must be answered and changes nothing.
  probe() {
    this.#request({ unsubscribe: [] }, {});
    this.#wire.expectAnswer();
  }

  drop({ over = false } = {}) {
    this.#listener = null;
    this.#wire.drop(over ? CLOSE_OVER : undefined);
  }

  #request(message, request) {
    const ref = ++this.#ref;
    this.#requests.set(ref, request);
    this.#wire.send(JSON.stringify({ ...message, ref }));
  }

  #message(data) {
    let item;
    try {
      item = parseItem(data);
    } catch (error) {
      this.#end(End.LOST, error.message);
      return;
    }
    if (!this.#begun)
      this.#wire.settle(this.#env.heartbeat);
    this.#begun = true;
    this.#take(item);
  }

  #take(item) {
    const request = this.#requests.get(item.ref);
    if (item.event === "subscribed")
      this.#subscribed(item);
    else if (item.event === "cursor")
      this.#listener?.cursor(this, item.since);
    else if (item.event === "ack")
      this.#acknowledged(item, request);
    else if (item.event === "error" && request)
      this.#refused(item, request);
    else
      this.#listener?.item(this, item);
  }

  // Requests are answered in their order, so that an answer without a ref is the first one's.
  #subscribed({ since, ref }) {
    if (!this.#settled) {
      this.#settled = true;
      this.#listener?.settled(this, since);
      return;
    }
    const asked = [...this.#requests].find(([one, { filter }]) => filter !== undefined && (ref ?? one) === one);
    if (!asked)
      return;
    this.#requests.delete(asked[0]);
    this.#listener?.primed(this, asked[1].filter, since);
  }

  #acknowledged({ ref, id = null }, request) {
    if (!request || request.filter !== undefined)
      return; // `subscribed` answers these
    this.#requests.delete(ref);
    request.answer?.({ id });
  }

  #refused({ ref, reason = "refused" }, request) {
    this.#requests.delete(ref);
    if (request.filter !== undefined)
      this.#listener?.refused(this, request.filter, reason);
    else
      request.answer?.({ reason });
  }

  #closed(code, reason) {
    this.#end(LEAVING.has(code) ? End.UNREACHABLE : End.LOST, `WebSocket closed with ${code} ${reason}`.trim());
  }

  #end(kind, message) {
    const listener = this.#listener;
    this.drop();
    listener?.ended(this, new Failure(kind, message));
  }
}
