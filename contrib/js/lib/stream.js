// SPDX-License-Identifier: BSD-2-Clause
// A stream of server-sent events that carries: judged by how soon it begins, given up when it falls
// silent. Read by fetch.

import { EventStreamParser } from "./eventstream.js";
import { End, Failure } from "./http.js";
import { Silence } from "./silence.js";

const OPEN_TIME = 3000; // ms; a stream whose headers or first event take longer is held back by a proxy

export class Stream {
  #env;
  #owner;
  #abort = new AbortController();
  #reader = null;
  #patience = null;
  #silence = null;

  // owner: event({event, data, id}), which may throw, and ended(failure), once; none after drop().
  constructor(env, owner) {
    this.#env = env;
    this.#owner = owner;
  }

  // request: id and query, as Http has them.
  start(request) {
    this.#patience = this.#env.clock.setTimeout(() => this.#end(End.UNUSABLE, "no headers in time"), OPEN_TIME);
    this.#run(request).catch((error) => {
      if (error instanceof Failure)
        this.#fail(error);
      else
        this.#end(End.LOST, error.message);
    });
  }

  // It works. interval: ms between the server's signs of life.
  settle(interval) {
    const { clock, silenceLimit } = this.#env;
    clock.clearTimeout(this.#patience);
    this.#silence?.stop();
    this.#silence = new Silence(clock, silenceLimit(interval), () => this.#end(End.LOST, "nothing came for too long"));
  }

  // ms since something came.
  get idle() {
    return this.#silence?.idle ?? 0;
  }

  drop() {
    this.#owner = null;
    this.#env.clock.clearTimeout(this.#patience);
    this.#silence?.stop();
    this.#abort.abort();
    // Node 20 may forget the signal of a request once it has its answer, and leave the connection.
    this.#reader?.cancel().catch(() => {});
  }

  async #run(request) {
    const { clock, http } = this.#env;
    const response = await http.request("GET", {
      expect: [200], accept: "text/event-stream", signal: this.#abort.signal, ...request,
    });
    if (!response.body?.getReader)
      throw new Failure(End.UNUSABLE, "fetch does not stream here");
    clock.clearTimeout(this.#patience);
    if (!this.#owner)
      return;
    this.#patience = clock.setTimeout(() => this.#end(End.UNUSABLE, "no event in time"), OPEN_TIME);
    const parser = new EventStreamParser((event) => this.#owner?.event(event));
    this.#reader = response.body.getReader();
    while (this.#owner) {
      const { done, value } = await this.#reader.read();
      if (done)
        break;
      this.#silence?.touch();
      parser.take(value);
    }
    this.#end(End.LOST, "the stream ended");
  }

  #end(kind, message) {
    this.#fail(new Failure(kind, message));
  }

  #fail(failure) {
    const owner = this.#owner;
    this.drop();
    owner?.ended(failure);
  }
}
