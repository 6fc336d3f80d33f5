// SPDX-License-Identifier: BSD-2-Clause
// The server's side of one session, written from the protocol and not from the client. It is strict:
// whatever the client does against the protocol goes to fault().

import { decode, encode, Type } from "../../lib/frames.js";

const cost = (payload) => payload.length + 32;

export class ModelSession {
  carrier = null; // {kind, send(frame), detach(), over()}
  n = 0;
  received = 0;
  consumed = 0;
  out = []; // {type, seq, payload}, all from acked + 1 on
  last = 0;
  acked = 0;
  sent = 0; // on this carrier
  ackTold = 0;
  closeOut = null;
  closeIn = null;
  ended = false;
  attaches = [];
  posts = 0;
  bytesIn = 0;

  #model;
  #pending = []; // came, and the target did not take it yet
  #costs = new Map(); // of what is not acknowledged to the client: seq, cost
  #expected = 0; // on a WebSocket
  #mayRepeat = true;
  #postAck = 0;

  constructor(model, id) {
    this.#model = model;
    this.id = id;
    this.target = model.options.target(this);
  }

  fault(text) {
    this.#model.faults.push(`${this.id.slice(0, 4)}: ${text}`);
  }

  get open() {
    const { window, resume, heartbeat, poll, spread, message_max, protocol, transports } = this.#model.options;
    return { session: this.id, ack: this.#tell(), window, resume, heartbeat, poll, spread, message_max, protocol, transports };
  }

  // ---- attach ----

  // Returns an HTTP status: 200, or why not.
  attach(kind, query, carrier) {
    const ack = Number(query.ack ?? NaN);
    const n = Number(query.n ?? NaN);
    if (Number.isNaN(n) || Number.isNaN(ack))
      this.fault(`${kind} attach without n or ack`);
    if (n < this.n)
      return 409;
    if (ack < this.acked || ack > this.last) {
      this.fault(`attach with ack ${ack}, was ${this.acked} of ${this.last}`);
      return 409;
    }
    this.n = n;
    this.carrier?.detach();
    this.carrier = carrier;
    this.attaches.push({ kind, at: performance.now(), ack, n, heartbeat: query.heartbeat, wait: query.wait });
    this.#expected = 0;
    if (kind !== "longpoll" || this.lastKind !== "longpoll")
      this.#mayRepeat = true;
    this.lastKind = kind;
    this.sent = 0; // acknowledge() raises it to what is known to have arrived
    this.acknowledge(ack);
    return 200;
  }

  lost(carrier) {
    if (this.carrier === carrier)
      this.carrier = null;
  }

  // ---- from the client ----

  // Returns null, or the status that a POST is answered with.
  message(frame, { post = false } = {}) {
    const { seq, payload } = frame;
    if (!post) {
      if (this.#expected && seq !== this.#expected)
        this.fault(`WebSocket message ${seq}, not ${this.#expected}`);
      this.#expected = seq + 1;
    }
    if (seq > this.received + 1) {
      this.fault(`gap: ${seq} after ${this.received}`);
      return 409;
    }
    if (seq <= this.received) {
      if (!this.#mayRepeat && !this.#model.options.cuts)
        this.fault(`${seq} repeated without a reason`);
      return null;
    }
    if (seq <= this.ackTold)
      this.fault(`${seq} after its acknowledgement`);
    this.received = seq;
    this.bytesIn += payload.length;
    this.#costs.set(seq, cost(payload));
    const outstanding = [...this.#costs.values()].reduce((sum, value) => sum + value, 0);
    if (outstanding > this.#model.options.window && this.#costs.size > 1)
      this.fault(`window overrun: ${outstanding}`);
    this.#pending.push(frame);
    this.feed();
    return null;
  }

  acknowledge(seq) {
    if (seq > this.last)
      this.fault(`ack ${seq} of ${this.last}`);
    while (this.acked < seq) {
      this.out.shift();
      this.acked++;
    }
    this.sent = Math.max(this.sent, this.acked);
    this.feed();
  }

  frame(frame, how) {
    switch (frame.type) {
      case Type.BINARY:
      case Type.TEXT:
        return this.message(frame, how);
      case Type.ACK:
        if (how.post && frame.seq < this.#postAck)
          this.fault(`ack went down to ${frame.seq}`);
        if (how.post)
          this.#postAck = frame.seq;
        this.acknowledge(frame.seq);
        return null;
      case Type.CLOSE:
        this.closeIn = frame;
        this.feed();
        return null;
      case Type.PING:
        if (!how.post)
          this.carrier?.send({ type: Type.PONG, payload: frame.payload });
        return null;
      case Type.PONG:
        return null;
    }
    this.fault(`a frame of type ${frame.type}`);
    return 400;
  }

  // Frames of a whole POST. Returns {status, frames}.
  post(frames) {
    let status = 200;
    let first = true;
    this.posts++;
    for (const bytes of frames) {
      const frame = decode(bytes);
      const isMessage = frame.type === Type.BINARY || frame.type === Type.TEXT;
      status = this.frame(frame, { post: true }) ?? status;
      if (status !== 200)
        break;
      if (isMessage && first && frame.seq > this.received)
        this.fault("impossible");
      first &&= !isMessage;
    }
    this.#mayRepeat = false;
    const answer = [encode({ type: Type.ACK, seq: this.#tell() })];
    if (this.closeOut && this.ended)
      answer.push(encode({ type: Type.CLOSE, ...this.closeOut }));
    return { status, frames: answer };
  }

  postFailed() {
    this.#mayRepeat = true;
  }

  #tell() {
    this.ackTold = Math.max(this.ackTold, this.consumed);
    for (const seq of this.#costs.keys())
      if (seq <= this.ackTold)
        this.#costs.delete(seq);
    return this.ackTold;
  }

  // ---- to the client ----

  send(type, payload) {
    this.out.push({ type, seq: ++this.last, payload });
    this.pump();
  }

  close(code, reason = "") {
    this.closeOut ??= { code, reason };
    this.pump();
  }

  get outBytes() {
    return this.out.reduce((sum, { payload }) => sum + cost(payload), 0);
  }

  // The target takes what it wants; an echo takes nothing while its own window is full.
  feed() {
    let took = false;
    while (this.#pending.length > 0 && this.target.ready()) {
      const { type, payload, seq } = this.#pending.shift();
      this.consumed = seq;
      took = true;
      this.target.data(type, payload);
    }
    this.target.drain?.();
    if (this.closeIn && this.#pending.length === 0)
      this.#closeCame();
    if (took && this.consumed > this.ackTold && this.carrier?.ready && this.carrier.kind !== "longpoll")
      this.carrier.send({ type: Type.ACK, seq: this.#tell() });
    this.pump();
  }

  #closeCame() {
    if (!this.closeOut)
      this.closeOut = { code: this.closeIn.code, reason: "" };
  }

  pump() {
    if (!this.carrier?.ready)
      return;
    let underWay = this.out.slice(0, this.sent - this.acked).reduce((sum, { payload }) => sum + cost(payload), 0);
    while (this.carrier && this.sent < this.last) {
      const message = this.out[this.sent - this.acked];
      if (underWay > 0 && underWay + cost(message.payload) > this.#model.options.window)
        break;
      underWay += cost(message.payload);
      this.sent++;
      this.carrier.send(message);
    }
    if (this.closeOut && this.sent === this.last && this.carrier && !this.carrier.closeSent) {
      this.carrier.closeSent = true;
      this.carrier.send({ type: Type.CLOSE, ...this.closeOut });
    }
    if (this.closeOut && this.closeIn)
      this.ended = true;
    this.carrier?.flush?.();
  }

  // What a poll is answered with: ACK first. Null while there is nothing.
  pollFrames(frames) {
    const all = [...frames];
    if (this.consumed > this.ackTold)
      all.unshift({ type: Type.ACK, seq: this.#tell() });
    return all;
  }
}

// Gives back what it gets. A closed client's bytes go nowhere.
export const echo = (session) => ({
  ready: () => session.outBytes < 4 * 1024 * 1024,
  data: (type, payload) => session.closeIn || session.send(type, Uint8Array.from(payload)),
});

// Takes nothing until it is told to, and keeps what it took.
export const sink = () => ({
  taking: true,
  got: [],
  ready() {
    return this.taking;
  },
  data(type, payload) {
    this.got.push(Buffer.from(payload));
  },
});
