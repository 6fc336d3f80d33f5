// SPDX-License-Identifier: BSD-2-Clause
// A session on a WebSocket: the only carrier that takes frames up, too.

import { decode, encode, Type, SUBPROTOCOL } from "../frames.js";
import { End, Failure, withQuery } from "../http.js";
import { Silence } from "../silence.js";

const CLOSE_OVER = 1000; // ends the session
const CLOSE_AWAY = 4000; // any code but 1000, 1001 and none: the session waits for an attach
const CLOSE_DETACHED = 4409;
const CLOSE_GONE = 4404;
const PROBE_TIME = 5000;
const ERROR_GRACE = 50;

export class WebSocketCarrier {
  kind = "websocket";
  sends = true;
  n = 0; // of the attach
  delivered = false; // more than OPEN came

  #env;
  #listener;
  #socket = null;
  #opened = false;
  #patience = null;
  #silence = null;

  // listener: opened(carrier, open), frame(carrier, frame), ended(carrier, failure); none of them
  // after drop(), and ended at most once.
  constructor(env, listener) {
    this.#env = env;
    this.#listener = listener;
  }

  set listener(listener) {
    this.#listener = listener;
  }

  // Opens a session with the application's subprotocols, or attaches to one: place is {id, ack, n,
  // heartbeat}. patience: ms until OPEN. Throws nothing.
  start({ place = null, protocols = [], patience }) {
    const { clock, url, WebSocket } = this.#env;
    const query = place ? { session: place.id, ack: place.ack, n: place.n, heartbeat: place.heartbeat } : {};
    this.#patience = clock.setTimeout(() => this.#end(End.LOST, "no OPEN in time"), patience);
    try {
      this.#socket = new WebSocket(withQuery(url, query), [SUBPROTOCOL, ...protocols]);
    } catch (error) {
      this.#patience = clock.setTimeout(() => this.#end(End.UNUSABLE, error.message), 0);
      return;
    }
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }) => this.#message(data);
    this.#socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    // `close` follows and tells more, but not in every Node.
    this.#socket.onerror = () => clock.setTimeout(() => this.#end(End.LOST, "the WebSocket failed"), ERROR_GRACE);
  }

  // ms since something came.
  get idle() {
    return this.#silence?.idle ?? 0;
  }

  send(bytes) {
    if (this.#socket.readyState === 1)
      this.#socket.send(bytes);
  }

  // Asks for a sign of life: the network may have changed under us.
  probe() {
    this.send(encode({ type: Type.PING, payload: new Uint8Array(0) }));
    this.#silence?.expectWithin(PROBE_TIME);
  }

  // Lets go of the carrier. over: the session ends with it.
  drop({ over = false } = {}) {
    this.#listener = null;
    this.#env.clock.clearTimeout(this.#patience);
    this.#silence?.stop();
    const socket = this.#socket;
    this.#socket = null;
    if (!socket)
      return;
    socket.onmessage = socket.onclose = null;
    socket.close(over ? CLOSE_OVER : CLOSE_AWAY);
  }

  #message(data) {
    this.#silence?.touch();
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
    const { clock, silenceLimit } = this.#env;
    this.#opened = true;
    clock.clearTimeout(this.#patience);
    this.#silence = new Silence(clock, silenceLimit(open.heartbeat), () => this.#end(End.LOST, "nothing came for too long"));
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
