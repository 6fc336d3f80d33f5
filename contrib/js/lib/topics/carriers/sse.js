// SPDX-License-Identifier: BSD-2-Clause
// Topics on a stream of server-sent events.

import { Stream } from "../../stream.js";
import { parseItem } from "../messages.js";

export class TopicStream {
  kind = "sse";
  sends = false;

  #env;
  #listener;
  #stream;
  #begun = false;
  #settled = false;

  // listener: as for TopicSocket, but neither primed nor refused.
  constructor(env, listener) {
    this.#env = env;
    this.#listener = listener;
    this.#stream = new Stream(env, { event: (event) => this.#event(event), ended: (failure) => this.#end(failure) });
  }

  start({ filters, since }) {
    this.#stream.start({ query: { topic: filters, since } });
  }

  drop() {
    this.#listener = null;
    this.#stream.drop();
  }

  #event({ event, data, id }) {
    if (!this.#begun)
      this.#stream.settle(this.#env.heartbeat);
    this.#begun = true;
    if (event !== "message")
      return;
    // An id alone: nothing for these filters, and the bus is so far. A message's id is in its JSON; the
    // field `id:` stays what it was where there is none.
    if (data === "")
      this.#listener?.cursor(this, id);
    else
      this.#take(parseItem(data));
  }

  #take(item) {
    if (item.event === "cursor") {
      this.#listener?.cursor(this, item.since);
    } else if (item.event !== "subscribed") {
      this.#listener?.item(this, item);
    } else if (!this.#settled) {
      this.#settled = true;
      this.#listener?.settled(this, item.since);
    }
  }

  #end(failure) {
    const listener = this.#listener;
    this.drop();
    listener?.ended(this, failure);
  }
}
