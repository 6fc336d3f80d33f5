// SPDX-License-Identifier: BSD-2-Clause
// When to try WebSocket again while something lesser carries: soon at first, then less and less often.

const LONGEST = 300000; // ms between two tries

export class Climb {
  #env;
  #owner;
  #timer = null;
  #failures = 0;

  // owner: wanted(), whether there is anything to gain; begin(), which returns false where this is
  // no moment for it.
  constructor(env, owner) {
    this.#env = env;
    this.#owner = owner;
  }

  // after: ms, if it is known when.
  plan(after) {
    const { clock, random, climbInterval } = this.#env;
    clock.clearTimeout(this.#timer);
    if (!this.#owner.wanted())
      return;
    const interval = Math.min(LONGEST, climbInterval * 2 ** this.#failures);
    this.#timer = clock.setTimeout(() => this.#owner.begin() || this.plan(), after ?? interval * (0.5 + random() / 2));
  }

  failed() {
    this.#failures++;
    this.plan();
  }

  // A WebSocket delivered.
  succeeded() {
    this.#failures = 0;
  }

  stop() {
    this.#env.clock.clearTimeout(this.#timer);
  }
}
