// SPDX-License-Identifier: BSD-2-Clause
// A session's way down in answers to polls: what is left when a proxy holds streams back. Frames up
// go by POST. Each poll acknowledges what the one before brought, so there is none while the
// application has not taken all of it: the server would send the rest again at once.

import { BodyReader, MEDIA_TYPE } from "../frames.js";
import { End, Failure } from "../http.js";

const PAUSE = 500; // ms after an answer that came at once with nothing

export class LongPollCarrier {
  kind = "longpoll";
  sends = false;
  n = 0; // of the latest attach
  delivered = false;

  #env;
  #listener;
  #place;
  #wait;
  #abort = null;
  #running = false;
  #opened = false;
  #timer = null;
  #began = 0;

  // listener: as for WebSocketCarrier; opened without an OPEN object, as polls carry none. It also
  // has next(), the {ack, n} of another poll, or null while the application has not taken all; and
  // hold(), which keeps the session from being forgotten meanwhile.
  constructor(env, listener) {
    this.#env = env;
    this.#listener = listener;
  }

  // proven: the server answered a moment ago; else it opens with the first answer, or with prove().
  // wait: ms that a poll may be held.
  start({ place, wait, proven }) {
    this.#place = place;
    this.#wait = wait;
    if (proven)
      this.#env.clock.setTimeout(() => this.prove(), 0);
    this.#poll({ ack: place.ack, n: place.n, wait });
  }

  // Another request was answered: the way works.
  prove() {
    this.#open();
  }

  get idle() {
    return this.#env.clock.now() - this.#began;
  }

  // The application took something: there may be room for another poll.
  consumed() {
    if (this.#running || !this.#listener)
      return;
    const place = this.#listener.next(this);
    this.#env.clock.clearTimeout(this.#timer);
    if (place)
      this.#poll({ ...place, wait: this.#wait });
    else
      this.#hold();
  }

  drop() {
    this.#listener = null;
    this.#env.clock.clearTimeout(this.#timer);
    this.#abort?.abort();
  }

  #hold() {
    this.#timer = this.#env.clock.setTimeout(() => {
      this.#listener.hold(this);
      this.#hold();
    }, this.#env.holdEvery());
  }

  async #poll({ ack, n, wait }) {
    const { clock, http, silenceLimit } = this.#env;
    this.#running = true;
    this.#began = clock.now();
    this.#abort = new AbortController();
    const abort = this.#abort;
    const timer = clock.setTimeout(() => abort.abort(), silenceLimit(wait));
    let came;
    try {
      const response = await http.request("GET", {
        expect: [200, 204], id: this.#place.id, accept: MEDIA_TYPE, query: { ack, n, wait }, signal: abort.signal,
      });
      came = await this.#read(response);
    } catch (error) {
      this.#end(error instanceof Failure ? error : new Failure(End.LOST, error.message));
      return;
    } finally {
      clock.clearTimeout(timer);
    }
    this.#answered(came);
  }

  // Returns whether there was anything in the answer.
  async #read(response) {
    this.#open();
    if (response.status === 204)
      return false;
    const body = new BodyReader();
    if (!response.body?.getReader) {
      this.#frames(body.take(new Uint8Array(await response.arrayBuffer())));
      return true;
    }
    const reader = response.body.getReader();
    while (this.#listener) {
      const { done, value } = await reader.read();
      if (done)
        break;
      this.#frames(body.take(value));
    }
    return true;
  }

  #frames(frames) {
    for (const frame of frames) {
      this.delivered = true;
      this.#listener?.frame(this, frame);
    }
  }

  // 204 at once, again and again, is a server or a cache at fault; it is not to be asked in a loop.
  #answered(came) {
    this.delivered = true;
    this.#running = false;
    if (came || this.idle >= PAUSE)
      this.consumed();
    else if (this.#listener)
      this.#timer = this.#env.clock.setTimeout(() => this.consumed(), PAUSE);
  }

  #open() {
    if (this.#opened)
      return;
    this.#opened = true;
    this.#listener?.opened(this, null);
  }

  #end(failure) {
    const listener = this.#listener;
    this.drop();
    listener?.ended(this, failure);
  }
}
