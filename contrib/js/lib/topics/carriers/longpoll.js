// SPDX-License-Identifier: BSD-2-Clause
// Topics in answers to polls: what is left when a proxy holds streams back. An answer is taken whole or
// not at all, and the cursor in it is where the next poll begins.

import { End, Failure } from "../../http.js";

const PAUSE = 500; // ms after an answer that came at once with nothing

// Returns {messages, since}. Throws Failure.
export async function poll({ http }, { filters, since, signal }) {
  const response = await http.request("GET", {
    expect: [200], accept: "application/json", query: { topic: filters, since }, signal,
  });
  try {
    const { messages, since: next } = await response.json();
    if (Array.isArray(messages) && typeof next === "string")
      return { messages, since: next };
  } catch (error) {
    throw new Failure(End.LOST, error.message);
  }
  throw new Failure(End.LOST, "not the answer to a poll");
}

export class TopicPoll {
  kind = "longpoll";
  sends = false;

  #env;
  #listener;
  #filters;
  #since;
  #abort = null;
  #settled = false;
  #timer = null;
  #began = 0;

  // listener: as for TopicStream.
  constructor(env, listener) {
    this.#env = env;
    this.#listener = listener;
  }

  // proven: the server answered a moment ago. Else it is asked something, as a poll may be held for long.
  start({ filters, since, proven }) {
    const { clock } = this.#env;
    this.#filters = filters;
    this.#since = since;
    this.#poll();
    if (since !== undefined && proven)
      this.#timer = clock.setTimeout(() => this.#settle(), 0);
    else if (since !== undefined)
      this.#ask();
  }

  get idle() {
    return this.#env.clock.now() - this.#began;
  }

  drop() {
    this.#listener = null;
    this.#env.clock.clearTimeout(this.#timer);
    this.#abort?.abort();
  }

  #ask() {
    this.#env.http.request("OPTIONS", { expect: [200, 204], signal: this.#abort.signal }).then(() => this.#settle(), () => {});
  }

  #settle(since) {
    if (this.#settled)
      return;
    this.#settled = true;
    this.#listener?.settled(this, since);
  }

  async #poll() {
    const { clock, pollWait, silenceLimit } = this.#env;
    const first = this.#since === undefined;
    const abort = new AbortController();
    const timer = clock.setTimeout(() => abort.abort(), silenceLimit(pollWait));
    this.#began = clock.now();
    this.#abort = abort;
    try {
      const answer = await poll(this.#env, { filters: this.#filters, since: this.#since, signal: abort.signal });
      this.#answered(answer, first);
    } catch (error) {
      this.#end(error instanceof Failure ? error : new Failure(End.LOST, error.message));
    } finally {
      clock.clearTimeout(timer);
    }
  }

  #answered({ messages, since }, first) {
    // Without a cursor it was the retained values; with one, what is new to who is subscribed.
    if (!first)
      this.#settle();
    for (const item of messages)
      this.#listener?.item(this, item);
    if (first)
      this.#settle(since);
    else
      this.#listener?.cursor(this, since);
    this.#since = since;
    // Nothing at once, again and again, is a server or a cache at fault; it is not to be asked in a loop.
    const again = first || messages.length > 0 || this.idle >= PAUSE;
    if (this.#listener)
      this.#timer = this.#env.clock.setTimeout(() => this.#poll(), again ? 0 : PAUSE);
  }

  #end(failure) {
    const listener = this.#listener;
    this.drop();
    listener?.ended(this, failure);
  }
}
