// SPDX-License-Identifier: BSD-2-Clause
// How long a carrier may be idle on this way. A proxy with a short timeout cuts carriers while nothing
// passes; then the heartbeat, or the time that a poll is held, is halved until they live, and that is
// remembered. One such end says nothing: networks change. Two in a row do.

const SHORTEST = 1000; // ms; what the server honours, and what counts as idle
const SLACK = 5000; // ms; nothing for longer than a silent carrier is noticed: the machine slept

export class IdleLimit {
  #memory;
  #timeout;
  #deaths = 0;

  // timeout: ms that a heartbeat may be late.
  constructor(memory, timeout) {
    this.#memory = memory;
    this.#timeout = timeout;
    this.value = memory.get().idle; // ms to ask for, or undefined: as the server has it
  }

  // What to expect where the server's own figure is interval.
  of(interval) {
    return Math.min(interval || Infinity, this.value ?? Infinity);
  }

  // ms after which silence is a loss.
  silence(interval) {
    return this.of(interval) + this.#timeout;
  }

  // A carrier was lost that had been idle for so long, attached for age ms.
  died({ idle, age, interval }) {
    const usual = this.of(interval);
    if (usual === Infinity || idle < SHORTEST || idle > this.silence(interval) + SLACK)
      return;
    if (globalThis.navigator?.onLine === false)
      return;
    this.#deaths = age > 3 * usual ? 1 : this.#deaths + 1;
    if (this.#deaths < 2 || usual <= SHORTEST)
      return;
    this.value = Math.max(SHORTEST, Math.floor(usual / 2));
    this.#memory.set({ idle: this.value });
  }
}
