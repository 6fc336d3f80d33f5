// SPDX-License-Identifier: BSD-2-Clause
// What came from the server, in order and each message once, until the application takes it.
//
//        told         consumed            received
//          │              │                   │
//      ····|▒▒▒▒▒▒▒▒▒▒▒▒▒▒|▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓|
//          an ACK is due      wait for resume()
//
// The window bounds what lies between consumed and received, and so memory.

import { ProtocolError } from "./frames.js";
import { costOf } from "./outbox.js";

// A number is missing: the carrier lost something. Another attach mends it.
export class Gap extends Error {}

export class Inbox {
  window = 0;
  received = 0;
  consumed = 0;
  told = 0; // the highest ACK that the server was sent
  untold = 0; // cost of what was consumed since
  close = null; // {code, reason}: nothing follows what waits

  #waiting = [];
  #cost = 0;

  get empty() {
    return this.#waiting.length === 0;
  }

  // Keeps a message unless it is repeated.
  receive(message) {
    if (message.seq <= this.received)
      return;
    if (message.seq !== this.received + 1)
      throw new Gap(`message ${message.seq} came after ${this.received}`);
    const cost = costOf(message.payload);
    if (this.#cost > 0 && this.#cost + cost > this.window)
      throw new ProtocolError("more than the window allows", 1008);
    this.received = message.seq;
    this.#waiting.push(message);
    this.#cost += cost;
  }

  peek() {
    return this.#waiting[0];
  }

  // The application took what peek() gave.
  consume() {
    const message = this.#waiting.shift();
    const cost = costOf(message.payload);
    this.#cost -= cost;
    this.untold += cost;
    this.consumed = message.seq;
  }

  // The server was, or is being, told what is consumed.
  tell(seq = this.consumed) {
    this.told = seq;
    this.untold = 0;
  }
}
