// SPDX-License-Identifier: BSD-2-Clause
// A sensor that one of the pages is: whose timer fires first publishes, and the others wait, as they see
// that a value came. When that page goes, or its tab sleeps, another takes over from the last value.

const INTERVAL = 1000; // ms
const LATE = 300; // more, and up to twice that, for those who wait
const USUAL = 21;

export class Sensor {
  #publish;
  #value = USUAL;
  #sent = ""; // what we published last
  #leading = false;
  #timer = null;

  // publish(text): a promise.
  constructor(publish) {
    this.#publish = publish;
  }

  start() {
    this.#plan();
  }

  // Somebody's value came, as text.
  came(text) {
    this.#value = Number(text);
    this.#leading = text === this.#sent;
    this.#plan();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #plan() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#measure(), this.#leading ? INTERVAL : INTERVAL + LATE * (1 + Math.random()));
  }

  // A room's temperature: it wanders, and comes back.
  #measure() {
    const value = this.#value + (USUAL - this.#value) * 0.05 + (Math.random() - 0.5);
    this.#sent = value.toFixed(2);
    this.#publish(this.#sent).catch(() => {
      // Without a connection there is nothing to see; the next value is as good.
    }).finally(() => this.#plan());
  }
}
