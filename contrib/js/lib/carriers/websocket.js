// SPDX-License-Identifier: BSD-2-Clause
// A session on a WebSocket: the only carrier that takes frames up, too.

import { decode, encode, Type, SUBPROTOCOL } from "../frames.js";
import { End, Failure } from "../http.js";
import { Wire } from "../wire.js";

const CLOSE_OVER = 1000; // ends the session
const CLOSE_DETACHED = 4409;
const CLOSE_GONE = 4404;

export class WebSocketCarrier {
  kind = "websocket";
  sends = true;
  n = 0; // of the attach
  delivered = false; // more than OPEN came

  #listener;
  #wire;
  #opened = false;

  // listener: opened(carrier, open), frame(carrier, frame), ended(carrier, failure); none of them
  // after drop(), and ended at most once.
  constructor(env, listener) {
    this.#listener = listener;
    this.#wire = new Wire(env, {
      message: (data) => this.#message(data),
      closed: (code, reason) => this.#closed(code, reason),
      failed: (kind, message) => this.#end(kind, message),
    });
  }

  set listener(listener) {
    this.#listener = listener;
  }

  // Opens a session with the application's subprotocols, or attaches to one: place is {id, ack, n,
  // heartbeat}. patience: ms until OPEN. Throws nothing.
  start({ place = null, protocols = [], patience }) {
    const query = place ? { session: place.id, ack: place.ack, n: place.n, heartbeat: place.heartbeat } : {};
    this.#wire.open({ query, protocols: [SUBPROTOCOL, ...protocols], patience });
  }

  // ms since something came.
  get idle() {
    return this.#wire.idle;
  }

  send(bytes) {
    this.#wire.send(bytes);
  }

  // Asks for a sign of life: the network may have changed under us.
  probe() {
    this.send(encode({ type: Type.PING, payload: new Uint8Array(0) }));
    this.#wire.expectAnswer();
  }

  // Lets go of the carrier. over: the session ends with it.
  drop({ over = false } = {}) {
    this.#listener = null;
    this.#wire.drop(over ? CLOSE_OVER : undefined);
  }

  #message(data) {
    let frame;
    try {
      if (typeof data === "string")
        throw new Error("a text message on a session");
      frame = decode(new Uint8Array(data));
    } catch (error) {
      this.#end(End.LOST, error.message);
      return;
    }
    if (!frame)
      return;
    if (frame.type !== Type.OPEN)
      this.#frame(frame);
    else if (this.#opened)
      this.#end(End.LOST, "a second OPEN");
    else
      this.#open(frame.open);
  }

  #open(open) {
    this.#opened = true;
    this.#wire.settle(open.heartbeat);
    this.#listener?.opened(this, open);
  }

  #frame(frame) {
    this.delivered ||= this.#opened;
    if (frame.type === Type.PING)
      this.send(encode({ type: Type.PONG, payload: frame.payload }));
    else if (frame.type !== Type.PONG)
      this.#listener?.frame(this, frame);
  }

  #closed(code, reason) {
    if (code === CLOSE_DETACHED)
      this.#end(End.DETACHED, reason);
    else if (code === CLOSE_GONE)
      this.#end(End.GONE, reason);
    else
      this.#end(End.LOST, `WebSocket closed with ${code} ${reason}`.trim());
  }

  #end(kind, message) {
    const listener = this.#listener;
    this.drop();
    listener?.ended(this, new Failure(kind, message));
  }
}
