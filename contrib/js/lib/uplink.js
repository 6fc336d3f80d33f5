// SPDX-License-Identifier: BSD-2-Clause
// Frames up by POST, for the carriers that only lead down: one POST under way at a time, with
// everything that waits. A POST that got no 200 is sent again with all that it had, its ACK too.

import { BodyReader, MEDIA_TYPE, packBody, sizeInBody, Type } from "./frames.js";
import { End, Failure } from "./http.js";
import { Schedule } from "./schedule.js";

const BODY_EXTRA = 64 * 1024; // what a body may hold beside the window
const SLOWEST = 8; // bytes per ms that an upload is given time for
const ATTEMPTS = 5; // in a row, before the carrier is given up with it

export class Uplink {
  #env;
  #session;
  #owner;
  #schedule;
  #enabled = false;
  #last = false; // what is left goes, and then nothing
  #abort = null; // of the POST under way
  #mark = null; // where the session was before it
  #timer = null;
  #failures = 0;
  #gaps = 0;
  #touch = false;

  // session: nextFrame(room), mark(), delivered(), undelivered(mark), frame(frame), and its endings.
  // owner: reached() for each 200, broken(failure) when POSTs do not get through.
  constructor(env, session, owner) {
    this.#env = env;
    this.#session = session;
    this.#owner = owner;
    this.#schedule = new Schedule({ random: env.random, now: env.clock.now, limit: { count: Infinity, per: 0 } });
  }

  enable() {
    this.#enabled = true;
    this.pump();
  }

  // No POSTs from now on. What one under way had is not known to have arrived.
  disable() {
    this.#enabled = false;
    this.#env.clock.clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#abort)
      return;
    this.#abort.abort();
    this.#abort = null;
    this.#session.undelivered(this.#mark);
  }

  // The session is over; what it still has to say is tried a few times.
  last() {
    this.#last = true;
    this.enable();
  }

  // Sends what waits, unless a POST is under way: what it brings back pumps again.
  pump() {
    if (!this.#enabled || this.#abort || this.#timer !== null)
      return;
    this.#mark = this.#session.mark();
    const frames = this.#batch();
    if (frames.length > 0 || this.#touch)
      this.#post(frames);
  }

  // Shows the server that the session lives, by a POST with nothing in it if need be.
  touch() {
    this.#touch = true;
    this.pump();
  }

  #batch() {
    const frames = [];
    let room = this.#env.window() + BODY_EXTRA;
    for (let frame = this.#session.nextFrame(room); frame; frame = this.#session.nextFrame(room)) {
      frames.push(frame);
      room -= sizeInBody(frame);
    }
    return frames;
  }

  async #post(frames) {
    const { clock, http, id, heartbeatTimeout, pollWait } = this.#env;
    const abort = new AbortController();
    const body = packBody(frames);
    const timer = clock.setTimeout(() => abort.abort(), pollWait() + heartbeatTimeout + body.length / SLOWEST);
    this.#abort = abort;
    this.#touch = false;
    let answer;
    try {
      const response = await http.request("POST", {
        expect: [200], id: id(), accept: MEDIA_TYPE, type: MEDIA_TYPE, body, signal: abort.signal,
      });
      answer = new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      answer = error instanceof Failure ? error : new Failure(End.LOST, error.message);
    } finally {
      clock.clearTimeout(timer);
    }
    if (this.#abort !== abort)
      return;
    this.#abort = null;
    if (answer instanceof Failure)
      this.#failed(answer);
    else
      this.#succeeded(answer);
  }

  #succeeded(answer) {
    this.#failures = this.#gaps = 0;
    this.#schedule.carried();
    this.#session.delivered();
    this.#owner.reached();
    this.#frames(answer);
    this.pump();
  }

  #frames(bytes) {
    try {
      for (const frame of new BodyReader().take(bytes))
        if (frame.type === Type.ACK || frame.type === Type.CLOSE)
          this.#session.frame(frame);
    } catch (error) {
      this.#session.fault(error);
    }
  }

  #failed(failure) {
    this.#session.undelivered(this.#mark);
    if (this.#last)
      this.#lastFailed(failure);
    else if (failure.status === 413)
      this.#session.fail(1009, failure.message);
    else if (failure.kind === End.DETACHED && ++this.#gaps < ATTEMPTS)
      this.#gap(failure);
    else if (failure.kind === End.GONE)
      this.#session.gone();
    else if (failure.kind === End.DENIED && !(this.#env.http.renews && failure.status !== 400))
      this.#session.fail(failure.status === 400 ? 1002 : 1008, failure.message);
    else if (++this.#failures >= ATTEMPTS)
      this.#owner.broken(failure);
    else
      this.#later(failure);
  }

  #lastFailed(failure) {
    const mayWork = failure.kind === End.LOST || failure.kind === End.UNREACHABLE;
    if (mayWork && ++this.#failures < ATTEMPTS)
      this.#later(failure);
    else
      this.disable();
  }

  // 409: the server misses something before what this POST began with; its ACK says from where.
  #gap(failure) {
    this.#session.undelivered({ sent: 0 });
    this.#frames(failure.body ?? new Uint8Array(0));
    this.#later(failure);
  }

  #later(failure) {
    this.#schedule.failed({ retryAfter: failure.retryAfter });
    this.#timer = this.#env.clock.setTimeout(() => {
      this.#timer = null;
      this.pump();
    }, this.#schedule.delay());
  }
}
