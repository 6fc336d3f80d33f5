// SPDX-License-Identifier: BSD-2-Clause
// Topics on a WebSocket: the only carrier that also takes what is published, and on which
// subscriptions change without a new request.

import { End, Failure } from "../../http.js";
import { Wire } from "../../wire.js";
import { parseItem } from "../messages.js";

const CLOSE_OVER = 1000;
const FILTERS_MAX = 64; // in one message
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
  #requests = new Map(); // ref: {filters, answer}
  #adding = null; // the filters that are asked for

  // listener: item(carrier, item), settled(carrier, since) once it is subscribed, then cursor(carrier,
  // since), primed(carrier, filters, since), refused(carrier, filters, reason); ended(carrier, failure)
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
    this.#wire.open({ query: { topic: filters, since }, patience });
  }

  get idle() {
    return this.#wire.idle;
  }

  // Whether the last add() was answered. The server has a limit for what has not begun.
  get mayAdd() {
    return this.#adding === null;
  }

  // Subscribes to some of the filters and returns them. Their retained values come, then primed(); or
  // refused(), all of them for what one is to blame for.
  add(filters) {
    this.#adding = filters.slice(0, FILTERS_MAX);
    this.#request({ subscribe: this.#adding }, { filters: this.#adding });
    return this.#adding;
  }

  remove(filters) {
    for (let at = 0; at < filters.length; at += FILTERS_MAX)
      this.#wire.send(JSON.stringify({ unsubscribe: filters.slice(at, at + FILTERS_MAX) }));
  }

  // answer({id}) or answer({reason}); neither if the carrier is lost before.
  publish(publication, answer) {
    this.#request(publication, { answer });
  }

  // Asks for a sign of life, by what must be answered, if with a refusal, and changes nothing.
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

  #subscribed({ since }) {
    if (!this.#settled) {
      this.#settled = true;
      this.#listener?.settled(this, since);
    } else if (this.#adding) {
      const filters = this.#adding;
      this.#adding = null;
      this.#listener?.primed(this, filters, since);
    }
  }

  #acknowledged({ ref, id = null }, request) {
    this.#requests.delete(ref);
    request?.answer?.({ id });
  }

  #refused({ ref, reason = "refused" }, request) {
    this.#requests.delete(ref);
    request.answer?.({ reason });
    if (!request.filters)
      return;
    this.#adding = null;
    this.#listener?.refused(this, request.filters, reason);
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
