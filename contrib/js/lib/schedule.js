// SPDX-License-Identifier: BSD-2-Clause
// When to attach again. It only computes; whoever asks does the waiting.
//
//   a carrier that carried was lost          0 – 500 ms
//   failures in a row                        0 – 1 s, 0 – 2 s, … up to min(30 s, resume/4)
//   the server itself was lost               0 – spread, then twice that, … up to the same (or spread)
//
// All of it with full jitter: after a restart 10,000 clients must not come as one. The third row
// also keeps those that came too early apart from those whose first turn it is.

const FIRST = 500;
const LONGEST = 30000;

export class Schedule {
  #random;
  #now;
  #limit;
  #attaches = []; // times of the latest ones
  #failures = 0;
  #losses = 0; // times in a row that the server could not be reached
  #notBefore = 0;

  // random and now as Math.random and performance.now. limit: {count, per}: at most so many attaches
  // in so many ms.
  constructor({ random = Math.random, now = () => performance.now(), limit = { count: 10, per: 10000 } } = {}) {
    this.#random = random;
    this.#now = now;
    this.#limit = limit;
    this.resume = 30000;
    this.spread = 5000;
  }

  // From OPEN, in ms.
  configure({ resume, spread }) {
    this.resume = resume;
    this.spread = spread;
  }

  // A carrier delivered more than OPEN: what failed before is forgotten.
  carried() {
    this.#failures = 0;
    this.#losses = 0;
  }

  // lost: no answer came, on any transport. retryAfter: ms that the server asked for.
  failed({ lost = false, retryAfter = 0 } = {}) {
    this.#failures++;
    this.#losses = lost ? this.#losses + 1 : 0;
    this.#notBefore = this.#now() + retryAfter;
  }

  // ms until the next attach.
  delay() {
    return Math.max(this.#random() * this.#range(), this.earliest());
  }

  // ms until an attach is allowed at all, also for one that was woken.
  earliest() {
    const now = this.#now();
    const { count, per } = this.#limit;
    const oldest = this.#attaches.length < count ? -Infinity : this.#attaches[0];
    return Math.max(0, this.#notBefore - now, oldest + per - now);
  }

  // An attach begins.
  attaching() {
    this.#attaches.push(this.#now());
    if (this.#attaches.length > this.#limit.count)
      this.#attaches.shift();
  }

  #range() {
    const longest = Math.min(LONGEST, this.resume / 4);
    if (this.#losses > 0)
      return Math.min(this.spread * 2 ** (this.#losses - 1), Math.max(longest, this.spread));
    return Math.min(FIRST * 2 ** Math.min(this.#failures, 16), Math.max(longest, FIRST));
  }
}
