// SPDX-License-Identifier: BSD-2-Clause
// What a CulvertSocket connects with, so that the page can cut it: the lost WebSocket or request is what a
// lost network is to the library.

export class Taps {
  #cuts = new Set();

  constructor() {
    const taps = this;
    this.WebSocket = class extends WebSocket {
      constructor(url, protocols) {
        super(url, protocols);
        const cut = () => super.close(3900, "cut");
        taps.#cuts.add(cut);
        this.addEventListener("close", () => taps.#cuts.delete(cut));
      }
    };
    this.fetch = (input, init = {}) => this.#fetch(input, init);
  }

  async #fetch(input, init) {
    const abort = new AbortController();
    const cut = () => abort.abort();
    init.signal?.addEventListener("abort", cut);
    if (init.signal?.aborted)
      abort.abort();
    this.#cuts.add(cut);
    const done = () => this.#cuts.delete(cut);
    try {
      const response = await fetch(input, { ...init, signal: abort.signal });
      // Until its body is read, it can be cut.
      if (!response.body)
        done();
      return response;
    } catch (error) {
      done();
      throw error;
    }
  }

  cut() {
    const cuts = [...this.#cuts];
    this.#cuts.clear();
    for (const cut of cuts)
      cut();
  }
}
