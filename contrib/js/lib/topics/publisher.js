// SPDX-License-Identifier: BSD-2-Clause
// What is published, until the server has it: in order, by messages on a WebSocket or one POST after
// the other. Nothing is sent twice: whether what was under way on a lost connection arrived is not known,
// and only the application can tell whether it may be repeated.

import { End } from "../http.js";
import { publication } from "./messages.js";

const PAUSE = 1000; // ms, where a rate limit does not tell

// uncertain: it may have been published all the same. status: of an answer by HTTP, or 0.
export class PublishError extends Error {
  name = "PublishError";

  constructor(message, { uncertain = false, status = 0 } = {}) {
    super(message);
    this.uncertain = uncertain;
    this.status = status;
  }
}

const sizeOf = ({ topic, data }) => topic.length + data.length;

export class Publisher {
  #env;
  #timeout;
  #limit;
  #idle;
  #sender = null; // a carrier, "http", or null
  #queue = [];
  #sent = new Set(); // by messages, not acknowledged
  #posting = null;
  #pause = null; // timer
  #bytes = 0;

  // timeout: ms for each. limit: {count, bytes} of all that is not acknowledged. idle(): called when
  // nothing is under way any more.
  constructor(env, { timeout, limit, idle }) {
    this.#env = env;
    this.#timeout = timeout;
    this.#limit = limit;
    this.#idle = idle;
  }

  get busy() {
    return this.#queue.length + this.#sent.size > 0 || this.#posting !== null;
  }

  // data is the publisher's from now on. Returns a promise of {id}. It goes with the next pump().
  add(topic, data, retain) {
    const { count, bytes } = this.#limit;
    const entry = { topic, data, retain, sent: false, abort: null };
    const waiting = this.#queue.length + this.#sent.size + (this.#posting ? 1 : 0);
    if (waiting >= count || this.#bytes + sizeOf(entry) > bytes)
      return Promise.reject(new PublishError("too much waits to be published"));
    this.#bytes += sizeOf(entry);
    this.#queue.push(entry);
    entry.timer = this.#env.clock.setTimeout(() => this.#late(entry), this.#timeout);
    return new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
  }

  // sender: what takes messages from now on. What a lost one had under way is over.
  use(sender) {
    if (sender === this.#sender)
      return;
    this.#sender = sender;
    for (const entry of [...this.#sent])
      this.#fail(entry, "the connection was lost before this was acknowledged");
    this.pump();
  }

  // One that goes by POST is waited for, so that the order is kept when a WebSocket takes over.
  pump() {
    while (this.#sender && !this.#posting && this.#pause === null && this.#queue.length > 0) {
      const entry = this.#queue.shift();
      entry.sent = true;
      if (this.#sender === "http" || !this.#sender.sends)
        this.#post(entry);
      else
        this.#send(entry);
    }
  }

  close(message) {
    this.#sender = null;
    this.#env.clock.clearTimeout(this.#pause);
    for (const entry of [...this.#queue, ...this.#sent, this.#posting])
      if (entry)
        this.#fail(entry, message);
  }

  #send(entry) {
    this.#sent.add(entry);
    this.#sender.publish(publication(entry.topic, entry.data, entry.retain), ({ id, reason }) => {
      if (!this.#sent.has(entry))
        return;
      if (reason === undefined)
        this.#done(entry, id);
      else
        this.#fail(entry, reason, { uncertain: false });
    });
  }

  async #post(entry) {
    const { topic, data, retain } = entry;
    this.#posting = entry;
    entry.abort = new AbortController();
    try {
      const response = await this.#env.http.request("POST", {
        expect: [200], accept: "application/json", query: { topic, retain: retain ? 1 : undefined }, body: data,
        type: typeof data === "string" ? "text/plain; charset=utf-8" : "application/octet-stream", signal: entry.abort.signal,
      });
      const { id = null } = await response.json().catch(() => ({}));
      this.#done(entry, id);
    } catch (error) {
      this.#refused(entry, error);
    } finally {
      this.#posting = null;
      this.pump();
      this.#tellIdle();
    }
  }

  #refused(entry, { kind, message, status = 0, retryAfter = 0 }) {
    if (kind === End.LIMITED && entry.timer !== null && this.#sender) {
      entry.sent = false;
      this.#queue.unshift(entry);
      this.#pause = this.#env.clock.setTimeout(() => {
        this.#pause = null;
        this.pump();
      }, retryAfter || PAUSE);
    } else {
      this.#fail(entry, message, { uncertain: status < 400 || status >= 500, status });
    }
  }

  #late(entry) {
    this.#fail(entry, entry.sent ? "not acknowledged in time" : "no connection in time");
  }

  #done(entry, id) {
    if (this.#remove(entry))
      entry.resolve({ id });
  }

  #fail(entry, message, { uncertain = entry.sent, status } = {}) {
    if (this.#remove(entry))
      entry.reject(new PublishError(message, { uncertain, status }));
  }

  // Returns whether it was still there.
  #remove(entry) {
    if (entry.timer === null)
      return false;
    this.#env.clock.clearTimeout(entry.timer);
    entry.timer = null;
    this.#bytes -= sizeOf(entry);
    this.#sent.delete(entry);
    this.#queue = this.#queue.filter((other) => other !== entry);
    entry.abort?.abort();
    this.#tellIdle();
    return true;
  }

  #tellIdle() {
    if (!this.busy)
      this.#idle();
  }
}
