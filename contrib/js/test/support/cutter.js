// SPDX-License-Identifier: BSD-2-Clause
// A TCP proxy in front of the model that cuts connections: at a random byte of either direction, or
// when nothing passed for a while.

import net from "node:net";

export class Cutter {
  cuts = 0;
  #server;
  #streams = new Set();

  // random: in [0, 1). longest: at most so many bytes pass before the cut; none if not given.
  // idle: ms. split: bytes are passed on in pieces of random length.
  constructor(port, { random = Math.random, longest = Infinity, idle = Infinity, split = false }) {
    this.#server = net.createServer((client) => {
      const server = net.connect(port, "127.0.0.1");
      let left = longest === Infinity ? Infinity : Math.floor(random() * longest);
      let timer = null;
      const cut = () => {
        clearTimeout(timer);
        client.destroy();
        server.destroy();
      };
      const touch = () => {
        clearTimeout(timer);
        timer = idle === Infinity ? null : setTimeout(() => {
          this.cuts++;
          cut();
        }, idle);
      };
      const pass = (from, to) => from.on("data", (data) => {
        touch();
        const part = data.subarray(0, Math.min(left, data.length));
        left -= part.length;
        const middle = split ? Math.floor(random() * part.length) : part.length;
        to.write(part.subarray(0, middle));
        to.write(part.subarray(middle));
        if (part.length < data.length) {
          this.cuts++;
          // What was passed on before the cut still arrives, as it may in a network.
          to.end();
          setTimeout(cut, 5);
        }
      });
      for (const stream of [client, server]) {
        stream.setNoDelay();
        this.#streams.add(stream);
        stream.on("error", cut);
        stream.on("close", () => {
          this.#streams.delete(stream);
          cut();
        });
      }
      pass(client, server);
      pass(server, client);
      touch();
    });
  }

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `ws://127.0.0.1:${this.#server.address().port}/r`;
    return this;
  }

  async stop() {
    for (const stream of this.#streams)
      stream.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
