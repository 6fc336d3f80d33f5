// SPDX-License-Identifier: BSD-2-Clause
// The transports of one way to a server, in the order of preference, and what is known of them.

export class Ladder {
  last; // transport that worked last

  #kinds;
  #unusable = new Set();

  constructor(kinds) {
    this.#kinds = kinds;
  }

  get kinds() {
    return this.#kinds;
  }

  has(kind) {
    return this.#kinds.includes(kind);
  }

  spoil(kind) {
    this.#unusable.add(kind);
  }

  // What to try, one after the other. What worked last comes first, and a WebSocket that did not
  // work comes last: it takes longest to fail, and moving up is for later.
  order(among = this.#kinds) {
    const usable = among.filter((kind) => !this.#unusable.has(kind));
    if (usable.length === 0)
      this.#unusable.clear();
    const rank = (kind) => (kind === this.last ? 0 : kind === "websocket" ? 2 : 1);
    return [...(usable.length > 0 ? usable : among)].sort((a, b) => rank(a) - rank(b));
  }
}
