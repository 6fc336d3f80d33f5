// SPDX-License-Identifier: BSD-2-Clause
// A session: an ordered, two-way sequence of messages that survives the loss of what carries it. It
// knows numbers, windows, acknowledgements and how it ends; it does not know carriers.
//
//      application ──► outbox ──► nextFrame() ──► carrier or POST
//      application ◄── inbox  ◄── frame()     ◄── carrier or answer

import { encode, ProtocolError, text, Type } from "./frames.js";
import { Gap, Inbox } from "./inbox.js";
import { Outbox } from "./outbox.js";

const ACK_DELAY = 100; // ms an ACK may wait for company
const IMMEDIATE = new Set([1002, 1008, 4404]); // CLOSE codes that are not answered
const FAULTS = 5; // attaches in a row that bring a gap

export const GONE = 4404;
export const DETACHED = 4409;

export class Session {
  over = false;
  paused = false;
  outbox = new Outbox();
  inbox = new Inbox();

  #clock;
  #app;
  #carriage;
  #open;
  #ackTimer = null;
  #ackDue = false;
  #ackHeld = null; // timer; until then no ACK goes
  #closing = null; // {code, reason}: our CLOSE
  #closeSent = false;
  #closeTimeout;
  #closeTimer = null;
  #dispatching = false;
  #gaps = 0;

  // app: message(type, payload), closed(code, reason, wasClean). carriage: pump(), consumed(),
  // gap(error), stop(how).
  constructor({ clock, closeTimeout }, open, app) {
    this.#clock = clock;
    this.#closeTimeout = closeTimeout;
    this.#open = open;
    this.#app = app;
    this.outbox.window = this.inbox.window = open.window;
  }

  set carriage(carriage) {
    this.#carriage = carriage;
  }

  get id() {
    return this.#open.session;
  }

  get open() {
    return this.#open;
  }

  get closing() {
    return this.#closing !== null;
  }

  // ---- the application's side ----

  // payload is the session's from now on. Returns whether the server takes messages of that size.
  send(type, payload) {
    const { message_max: max } = this.#open;
    if (max > 0 && payload.length > max)
      return false;
    this.outbox.add(type, payload);
    this.#carriage.pump();
    return true;
  }

  // CLOSE goes behind all that was sent. What still comes is taken and dropped: the server waits
  // for its acknowledgement.
  close(code, reason) {
    if (this.over || this.#closing)
      return;
    this.#closing = { code, reason };
    this.#watchClosing();
    this.drain();
    this.#carriage.pump();
  }

  pause() {
    this.paused = true;
  }

  resume() {
    this.paused = false;
    this.drain();
  }

  // Hands to the application what it is ready for. It may pause or close in the middle of it.
  drain() {
    if (this.#dispatching)
      return;
    this.#dispatching = true;
    try {
      while (!this.over && !this.inbox.empty && (!this.paused || this.#closing))
        this.#dispatch();
    } catch (error) {
      this.fault(error);
    } finally {
      this.#dispatching = false;
    }
    if (this.over || !this.inbox.empty)
      return;
    if (this.inbox.close)
      this.#answerClose();
    else
      this.#carriage.consumed();
  }

  #dispatch() {
    const { type, payload } = this.inbox.peek();
    const content = type === Type.TEXT ? text(payload) : payload;
    this.inbox.consume();
    this.#ackSoon();
    if (!this.#closing)
      this.#app.message(type, content);
  }

  // ---- the carrier's side ----

  // A frame came. Throws nothing: faults end the session, a gap ends the carrier.
  frame(frame) {
    if (this.over)
      return;
    try {
      this.#take(frame);
    } catch (error) {
      this.fault(error);
    }
  }

  #take(frame) {
    switch (frame.type) {
      case Type.BINARY:
      case Type.TEXT:
        this.inbox.receive(frame);
        this.#gaps = 0;
        this.drain();
        break;
      case Type.ACK:
        this.outbox.acknowledge(frame.seq);
        this.#progress();
        break;
      case Type.CLOSE:
        this.inbox.close = { code: frame.code, reason: frame.reason };
        if (IMMEDIATE.has(frame.code))
          this.finish(frame.code, frame.reason, frame.code !== GONE);
        else
          this.drain();
        break;
      default:
        throw new ProtocolError("a frame in the wrong place");
    }
  }

  // The next frame to send, encoded, of at most room bytes; null if there is none. An ACK travels
  // with anything that goes.
  nextFrame(room = Infinity) {
    const message = this.over ? null : this.outbox.peek();
    const close = this.#closing && !this.#closeSent && this.outbox.allSent;
    const untold = this.inbox.consumed > this.inbox.told && !this.acksHeld;
    if (untold && (this.#ackDue || message || close))
      return this.#ack();
    if (message) {
      const frame = encode(message);
      if (frame.length > room && room < this.#open.window)
        return null;
      this.outbox.sentNext();
      return frame;
    }
    if (!close)
      return null;
    this.#closeSent = true;
    return encode({ type: Type.CLOSE, ...this.#closing });
  }

  #ack() {
    this.#clock.clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
    this.#ackDue = false;
    this.inbox.tell();
    return encode({ type: Type.ACK, seq: this.inbox.told });
  }

  // Before a POST: what undelivered() goes back to if the POST gets no 200.
  mark() {
    return { sent: this.outbox.sent, told: this.inbox.told, closeSent: this.#closeSent };
  }

  // A POST got its 200.
  delivered() {
    this.#progress(false);
  }

  undelivered({ sent, told = this.inbox.told, closeSent = this.#closeSent }) {
    this.outbox.rewind(sent);
    if (told < this.inbox.told) {
      this.inbox.told = told;
      this.#ackDue = true;
    }
    this.#closeSent = closeSent;
  }

  // The WebSocket that took frames is lost: what it had under way may be lost with it.
  carrierLost() {
    this.outbox.rewind();
    this.#closeSent = false;
  }

  // A carrier attached. ack: what it told the server that we consumed. open: OPEN, if it had one;
  // repeat: what the server has not consumed is sent again there.
  attached(ack, open, { repeat }) {
    this.inbox.tell(Math.max(ack, this.inbox.told));
    this.#ackDue = true;
    if (!open)
      return;
    try {
      this.outbox.acknowledge(open.ack);
    } catch (error) {
      this.fault(error);
      return;
    }
    if (repeat)
      this.carrierLost();
  }

  // An attach is on its way while the old carrier still delivers. An ACK that overtook it would make it
  // look as if bytes were missing, and it would be refused. Not for long: the window must open again.
  holdAcks(ms) {
    this.#clock.clearTimeout(this.#ackHeld);
    this.#ackHeld = this.#clock.setTimeout(() => this.releaseAcks(), ms);
  }

  releaseAcks() {
    this.#clock.clearTimeout(this.#ackHeld);
    this.#ackHeld = null;
    if (this.over)
      return;
    this.#carriage.pump();
    this.#carriage.consumed();
  }

  get acksHeld() {
    return this.#ackHeld !== null;
  }

  // The place of the next attach: what the application consumed. What only came is not in it, and
  // its repetition is dropped.
  get consumed() {
    return this.inbox.consumed;
  }

  // ---- endings ----

  fault(error) {
    if (error instanceof Gap && ++this.#gaps < FAULTS)
      this.#carriage.gap(error);
    else
      this.fail(error.code ?? 1002, error.message);
  }

  // Ends at once, by our decision; the server is told.
  fail(code, reason) {
    this.finish(code, reason, false, { tell: true });
  }

  gone() {
    this.finish(GONE, "the session is gone", false);
  }

  // The server's CLOSE: our last ACK, its code back, and that is all.
  #answerClose() {
    const { code, reason } = this.inbox.close;
    const answered = this.#closeSent;
    this.#closing ??= { code, reason: "" };
    this.outbox.clear();
    this.#ackDue = true;
    this.finish(code, reason, true, { answer: !answered || this.inbox.consumed > this.inbox.told });
  }

  // answer: the carriage sends what nextFrame() still gives. tell: it ends the session by itself.
  finish(code, reason, wasClean, how = {}) {
    if (this.over)
      return;
    this.over = true;
    this.releaseAcks();
    this.#clock.clearTimeout(this.#ackTimer);
    this.#clock.clearTimeout(this.#closeTimer);
    this.#carriage.stop({ ...how, code, reason, clean: wasClean });
    this.#app.closed(code, reason, wasClean);
  }

  // ---- timers ----

  #ackSoon(delay = ACK_DELAY) {
    const { inbox } = this;
    if (inbox.consumed === inbox.told)
      return;
    if (delay === 0 || inbox.untold >= inbox.window / 4) {
      this.#ackDue = true;
      this.#carriage.pump();
    } else {
      this.#ackTimer ??= this.#clock.setTimeout(() => {
        this.#ackTimer = null;
        this.#ackSoon(0);
      }, delay);
    }
  }

  #progress(pump = true) {
    if (this.#closing && !this.over)
      this.#watchClosing();
    if (pump)
      this.#carriage.pump();
  }

  // A server that neither takes the rest nor answers is not waited for longer than this.
  #watchClosing() {
    this.#clock.clearTimeout(this.#closeTimer);
    this.#closeTimer = this.#clock.setTimeout(() => this.finish(1006, "no answer to CLOSE", false, { tell: true }), this.#closeTimeout);
  }
}
