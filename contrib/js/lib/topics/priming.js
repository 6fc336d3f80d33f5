// SPDX-License-Identifier: BSD-2-Clause
// Fetches the retained values of filters that joined a connection which is resumed at a cursor, and so
// brings history and no retained values: a short request of their own, without a cursor.

import { poll } from "./carriers/longpoll.js";
import { TopicStream } from "./carriers/sse.js";
import { End } from "../http.js";

const TIME = 20000; // ms for all of it
const ATTEMPTS = 3; // in a row, before they are done without
const PAUSE = 1000; // ms after the first failure
const HEAD_START = 200; // ms that a poll has to bring what came since the cursor: it is older

export class Priming {
  #env;
  #owner;
  #kind = "";
  #filters = [];
  #stream = null;
  #abort = null;
  #timer = null;
  #headStart = null;
  #failures = 0;

  // owner: retained(item), primed(filters), refused(filters, message), after which another may start.
  constructor(env, owner) {
    this.#env = env;
    this.#owner = owner;
  }

  get busy() {
    return this.#kind !== "";
  }

  // kind: of the carrier; a route need not have the others.
  start(kind, filters) {
    this.#kind = kind;
    this.#filters = filters;
    this.#timer = this.#env.clock.setTimeout(() => this.#failed({ kind: End.LOST }), TIME);
    if (kind === "sse")
      this.#byStream();
    else
      this.#headStart = this.#env.clock.setTimeout(() => this.#byPoll(), HEAD_START);
  }

  drop() {
    this.#kind = "";
    for (const timer of [this.#timer, this.#headStart])
      this.#env.clock.clearTimeout(timer);
    this.#stream?.drop();
    this.#abort?.abort();
    this.#stream = this.#abort = null;
  }

  #byStream() {
    this.#stream = new TopicStream(this.#env, {
      item: (_, item) => item.retained && this.#owner.retained(item),
      settled: () => this.#done(),
      cursor() {},
      ended: (_, failure) => this.#failed(failure),
    });
    this.#stream.start({ filters: this.#filters });
  }

  async #byPoll() {
    const abort = this.#abort = new AbortController();
    try {
      const { messages } = await poll(this.#env, { filters: this.#filters, signal: abort.signal });
      if (this.#abort !== abort)
        return;
      for (const item of messages)
        if (item.retained)
          this.#owner.retained(item);
      this.#done();
    } catch (error) {
      if (this.#abort === abort)
        this.#failed(error);
    }
  }

  #done() {
    const filters = this.#filters;
    this.drop();
    this.#failures = 0;
    this.#owner.primed(filters);
  }

  #failed({ kind, message, status, retryAfter = 0 }) {
    const { clock } = this.#env;
    const [carrier, filters] = [this.#kind, this.#filters];
    this.drop();
    if (kind === End.DENIED && (status === 403 || status === 400)) {
      this.#owner.refused(filters, message);
    } else if (++this.#failures < ATTEMPTS) {
      this.#kind = carrier;
      this.#timer = clock.setTimeout(() => this.start(carrier, filters), Math.max(PAUSE * this.#failures, retryAfter));
    } else {
      this.#failures = 0;
      this.#owner.primed(filters);
    }
  }
}
