// SPDX-License-Identifier: BSD-2-Clause
// A session's way down on a stream of server-sent events, read by fetch. Frames up go by POST.

import { fromBase64 } from "../base64.js";
import { parseOpen, ProtocolError, Type, utf8 } from "../frames.js";
import { End, Failure } from "../http.js";
import { Stream } from "../stream.js";

// `id: SESSION.SEQ`
function seqOf(id) {
  const seq = Number(id.slice(id.lastIndexOf(".") + 1));
  if (!Number.isSafeInteger(seq) || seq < 1)
    throw new ProtocolError("an event without its number");
  return seq;
}

// Returns a frame, or null for an event that is none.
function frameOf({ event, data, id }) {
  switch (event) {
    case "binary":
      return { type: Type.BINARY, seq: seqOf(id), payload: fromBase64(data) };
    case "text":
      return { type: Type.TEXT, seq: seqOf(id), payload: utf8(JSON.parse(data)) };
    case "ack": {
      const value = JSON.parse(data);
      return { type: Type.ACK, seq: value.ack ?? value };
    }
    case "close":
      return { type: Type.CLOSE, reason: "", ...JSON.parse(data) };
    default:
      return null;
  }
}

export class EventStreamCarrier {
  kind = "sse";
  sends = false;
  n = 0; // of the latest attach
  delivered = false;

  #listener;
  #stream;
  #opened = false;

  // listener: as for WebSocketCarrier.
  constructor(env, listener) {
    this.#listener = listener;
    this.#stream = new Stream(env, { event: (event) => this.#event(event), ended: (failure) => this.#end(failure) });
  }

  start({ place: { id, ack, n, heartbeat } }) {
    this.#stream.start({ id, query: { ack, n, heartbeat } });
  }

  get idle() {
    return this.#stream.idle;
  }

  drop() {
    this.#listener = null;
    this.#stream.drop();
  }

  #event(event) {
    if (event.event === "detached") {
      this.#end(new Failure(End.DETACHED, "detached"));
    } else if (!this.#opened && event.event === "open") {
      this.#open(parseOpen(event.data));
    } else {
      this.delivered ||= this.#opened;
      const frame = frameOf(event);
      if (frame)
        this.#listener?.frame(this, frame);
    }
  }

  #open(open) {
    this.#opened = true;
    this.#stream.settle(open.heartbeat);
    this.#listener.opened(this, open);
  }

  #end(failure) {
    const listener = this.#listener;
    this.drop();
    listener?.ended(this, failure);
  }
}
