// SPDX-License-Identifier: BSD-2-Clause
// Notices that nothing came for too long. Signs of life are many and cheap: they only move a time,
// and the timer looks at it when it is due.

export class Silence {
  #clock;
  #limit;
  #onsilent;
  #timer = null;
  #seen;

  constructor(clock, limit, onsilent) {
    this.#clock = clock;
    this.#limit = limit;
    this.#onsilent = onsilent;
    this.#seen = clock.now();
    this.#arm(limit);
  }

  // ms since the last sign of life.
  get idle() {
    return this.#clock.now() - this.#seen;
  }

  touch() {
    this.#seen = this.#clock.now();
  }

  // A sign of life is asked for, and must come within ms.
  expectWithin(ms) {
    const asked = this.#clock.now();
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => {
      if (this.#seen < asked)
        this.#onsilent();
      else
        this.#arm(this.#limit - this.idle);
    }, ms);
  }

  stop() {
    this.#clock.clearTimeout(this.#timer);
  }

  #arm(ms) {
    if (ms === Infinity)
      return;
    this.#timer = this.#clock.setTimeout(() => {
      if (this.idle >= this.#limit)
        this.#onsilent();
      else
        this.#arm(this.#limit - this.idle);
    }, Math.max(1, ms));
  }
}
