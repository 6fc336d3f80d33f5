// SPDX-License-Identifier: BSD-2-Clause
// What the application sent and the server has not consumed yet, numbered, in order.
//
//        acked          sent                 last
//          │              │                    │
//      ····|▓▓▓▓▓▓▓▓▓▓▓▓▓▓|░░░░░░░░░░░░░░░░░░░░|
//            under way       wait for the window or for a carrier
//
// Every message is kept until it is acknowledged, so that after an attach it can be sent again.

import { ProtocolError } from "./frames.js";

export const MESSAGE_OVERHEAD = 32; // what a message counts in a window beside its payload

export const costOf = (payload) => payload.length + MESSAGE_OVERHEAD;

export class Outbox {
  window = 0;
  acked = 0;
  last = 0;
  bytes = 0; // payload of all that is kept

  #kept = []; // from #first on: {type, seq, payload}
  #first = 0;
  #sent = 0;
  #highest = 0; // that any carrier was given
  #underWay = 0; // cost of what lies between acked and #sent

  get sent() {
    return this.#sent;
  }

  get empty() {
    return this.acked === this.last;
  }

  // Whether all has been handed to a carrier: a CLOSE may follow.
  get allSent() {
    return this.#sent === this.last;
  }

  add(type, payload) {
    this.#kept.push({ type, seq: ++this.last, payload });
    this.bytes += payload.length;
  }

  // The next message that the window lets go, or null. It stays next until sentNext().
  // A message larger than the window goes alone.
  peek() {
    if (this.allSent)
      return null;
    const message = this.#at(this.#sent + 1);
    if (this.#underWay > 0 && this.#underWay + costOf(message.payload) > this.window)
      return null;
    return message;
  }

  sentNext() {
    this.#underWay += costOf(this.#at(++this.#sent).payload);
    this.#highest = Math.max(this.#highest, this.#sent);
  }

  // All up to seq is consumed. An older number than one before says nothing new.
  acknowledge(seq) {
    if (seq > this.#highest)
      throw new ProtocolError("an ACK of what was not sent");
    while (this.acked < seq) {
      const { payload } = this.#kept[this.#first];
      this.#kept[this.#first++] = undefined;
      this.acked++;
      this.bytes -= payload.length;
      if (this.acked <= this.#sent)
        this.#underWay -= costOf(payload);
    }
    this.#sent = Math.max(this.#sent, this.acked);
    if (this.#first > 1024 && this.#first * 2 > this.#kept.length) {
      this.#kept.splice(0, this.#first);
      this.#first = 0;
    }
  }

  // What follows seq is sent again; what is acknowledged never is.
  rewind(seq = 0) {
    const target = Math.max(seq, this.acked);
    while (this.#sent > target)
      this.#underWay -= costOf(this.#at(this.#sent--).payload);
  }

  // The other side takes no more.
  clear() {
    this.#kept = [];
    this.#first = 0;
    this.#underWay = 0;
    this.acked = this.#sent = this.#highest = this.last;
    this.bytes = 0;
  }

  #at(seq) {
    return this.#kept[this.#first + seq - this.acked - 1];
  }
}
