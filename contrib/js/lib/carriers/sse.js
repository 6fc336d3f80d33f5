// SPDX-License-Identifier: BSD-2-Clause
// A session's way down on a stream of server-sent events, read by fetch. Frames up go by POST.

import { parseOpen, ProtocolError, Type, utf8 } from "../frames.js";
import { EventStreamParser } from "../eventstream.js";
import { End, Failure } from "../http.js";
import { Silence } from "../silence.js";

const OPEN_TIME = 3000; // ms; a stream whose headers or `open` take longer is held back by a proxy

const fromBase64 = Uint8Array.fromBase64 ?? ((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));

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

  #env;
  #listener;
  #abort = new AbortController();
  #opened = false;
  #patience = null;
  #silence = null;

  // listener: as for WebSocketCarrier.
  constructor(env, listener) {
    this.#env = env;
    this.#listener = listener;
  }

  start({ place }) {
    this.#patience = this.#env.clock.setTimeout(() => this.#end(End.UNUSABLE, "no headers in time"), OPEN_TIME);
    this.#run(place).catch((error) => {
      if (error instanceof Failure)
        this.#fail(error);
      else
        this.#end(End.LOST, error.message);
    });
  }

  get idle() {
    return this.#silence?.idle ?? 0;
  }

  drop() {
    this.#listener = null;
    this.#env.clock.clearTimeout(this.#patience);
    this.#silence?.stop();
    this.#abort.abort();
  }

  async #run({ id, ack, n, heartbeat }) {
    const { clock, http } = this.#env;
    const response = await http.request("GET", {
      expect: [200], id, accept: "text/event-stream", query: { ack, n, heartbeat }, signal: this.#abort.signal,
    });
    if (!response.body?.getReader)
      throw new Failure(End.UNUSABLE, "fetch does not stream here");
    clock.clearTimeout(this.#patience);
    if (!this.#listener)
      return;
    this.#patience = clock.setTimeout(() => this.#end(End.UNUSABLE, "no open event in time"), OPEN_TIME);
    const parser = new EventStreamParser((event) => this.#event(event));
    const reader = response.body.getReader();
    while (this.#listener) {
      const { done, value } = await reader.read();
      if (done)
        break;
      this.#silence?.touch();
      parser.take(value);
    }
    this.#end(End.LOST, "the stream ended");
  }

  #event(event) {
    if (!this.#listener)
      return;
    if (event.event === "detached") {
      this.#end(End.DETACHED, "detached");
    } else if (!this.#opened && event.event === "open") {
      this.#open(parseOpen(event.data));
    } else {
      this.delivered ||= this.#opened;
      const frame = frameOf(event);
      if (frame)
        this.#listener.frame(this, frame);
    }
  }

  #open(open) {
    const { clock, silenceLimit } = this.#env;
    this.#opened = true;
    clock.clearTimeout(this.#patience);
    this.#silence = new Silence(clock, silenceLimit(open.heartbeat), () => this.#end(End.LOST, "nothing came for too long"));
    this.#listener.opened(this, open);
  }

  #end(kind, message) {
    this.#fail(new Failure(kind, message));
  }

  #fail(failure) {
    const listener = this.#listener;
    this.drop();
    listener?.ended(this, failure);
  }
}
