// SPDX-License-Identifier: BSD-2-Clause
// Keeps a session on a carrier: attaches again when one is lost, tries other transports when one
// fails, moves up to WebSocket when that begins to work, gives up when the session must be forgotten.
//
//                      ┌───────────── lost ─────────────┐
//                      ▼                                │
//      waiting ──► trial of one transport ──► carrier ──┤
//         ▲            │ failed: the next               │
//         └── all ─────┘                   trial of WebSocket, now and then;
//                                          it takes over when it opens
//
// The server keeps to the attach with the highest n. So a carrier may be told `detached` because of
// our own later attach; only the latest one means that somebody else has the session.

import { Climb } from "./climb.js";
import { encode, Type } from "./frames.js";
import { EventStreamCarrier } from "./carriers/sse.js";
import { LongPollCarrier } from "./carriers/longpoll.js";
import { WebSocketCarrier } from "./carriers/websocket.js";
import { End, Failure } from "./http.js";
import { Ladder } from "./ladder.js";
import { DETACHED } from "./session.js";
import { Uplink } from "./uplink.js";

const CARRIERS = { websocket: WebSocketCarrier, sse: EventStreamCarrier, longpoll: LongPollCarrier };
const PATIENCE = 4000; // ms until a WebSocket's OPEN
const ACK_HOLD = 1000; // ms that ACKs wait for a WebSocket that is to take over

export class Carriage {
  #env;
  #session;
  #app;
  #ladder;
  #uplink;
  #carrier = null; // what the session is on
  #attachedAt = 0;
  #trial = null; // what it may be on next
  #trialAck = 0;
  #untried = []; // transports of this round
  #n = 0;
  #since = 0; // when the carrier was lost
  #interrupted = false; // the application was told
  #proven = true; // the server answered by HTTP, and nothing failed since
  #timer = null; // until the next round
  #giveUp = null;
  #climb;
  #over = false;

  // env: what carriers and schedule need (environment.js). ladder: transports in the order of
  // preference. app: transport(kind, previous), interrupted(reason), resumed(ms).
  constructor(env, session, ladder, app) {
    this.#env = env;
    this.#session = session;
    this.#ladder = new Ladder(ladder);
    this.#app = app;
    this.#uplink = new Uplink(env, session, { reached: () => this.#trial?.prove?.(), broken: (failure) => this.#broken(failure) });
    this.#climb = new Climb(env, { wanted: () => this.#mayClimb(), begin: () => this.#tryClimb() });
    session.carriage = this;
  }

  get transport() {
    return this.#carrier?.kind ?? "";
  }

  // carrier: the WebSocket that opened the session, or null if a POST did.
  begin(carrier) {
    this.#since = this.#env.clock.now();
    if (carrier) {
      carrier.listener = this;
      this.#take(carrier);
      return;
    }
    const { transport } = this.#env.memory.get();
    const ways = this.#ladder.kinds.filter((kind) => kind !== "websocket");
    this.#ladder.last = ways.includes(transport) ? transport : ways[0];
    this.#watchForgetting();
    this.#uplink.enable();
    this.#round(ways);
  }

  // WebSocket works here, as has been seen elsewhere.
  hurryUp() {
    this.#climb.plan(0);
  }

  // ---- what the session asks for ----

  pump() {
    if (this.#over)
      return;
    if (this.#carrier?.sends)
      this.#flush();
    else
      this.#uplink.pump();
  }

  consumed() {
    this.#carrier?.consumed?.();
  }

  gap(error) {
    const carrier = this.#carrier;
    carrier?.drop();
    if (carrier)
      this.ended(carrier, new Failure(End.LOST, error.message));
  }

  // answer: what the session still has to say is sent. tell: the server is told that it ends.
  stop({ answer = false, tell = false, clean = false, code, reason }) {
    this.#over = true;
    for (const timer of [this.#timer, this.#giveUp])
      this.#env.clock.clearTimeout(timer);
    this.#climb.stop();
    this.#trial?.drop();
    const carrier = this.#carrier;
    if (carrier?.sends) {
      if (answer)
        this.#flush();
      if (tell)
        carrier.send(encode({ type: Type.CLOSE, code, reason }));
      carrier.drop({ over: clean || tell });
      return;
    }
    carrier?.drop();
    if (answer) {
      this.#uplink.last();
      return;
    }
    this.#uplink.disable();
    if (tell)
      this.#env.http.remove(this.#session.id);
  }

  // The page goes away. A WebSocket is closed by the browser, with 1001; HTTP has nothing like it.
  leave() {
    if (!this.#over && !this.#carrier?.sends)
      this.#env.http.remove(this.#session.id, { keepalive: true });
  }

  // Something says that the network is there. changed: it may be another one.
  wake({ changed = false } = {}) {
    if (this.#over)
      return;
    if (this.#timer !== null) {
      this.#wait(this.#env.schedule.earliest());
    } else if (this.#carrier?.sends) {
      if (changed || this.#carrier.idle > this.#interval())
        this.#carrier.probe();
    } else if (this.#carrier && changed && !this.#trial) {
      // There is no way to ask a stream whether it lives; another attach is as cheap.
      this.#carrier.drop();
      this.#lose(new Failure(End.LOST, "the network changed"), 0);
    }
  }

  // ---- what carriers tell ----

  opened(carrier, open) {
    if (carrier !== this.#trial)
      return;
    this.#trial = null;
    this.#carrier?.drop();
    this.#take(carrier, open);
  }

  frame(carrier, frame) {
    const ending = frame.type === Type.CLOSE || frame.type === Type.ACK;
    if (carrier === this.#carrier || (carrier === this.#trial && ending))
      this.#session.frame(frame);
  }

  ended(carrier, failure) {
    if (carrier === this.#trial) {
      this.#trial = null;
      this.#session.releaseAcks();
      this.#trialFailed(carrier, failure);
    } else if (carrier === this.#carrier) {
      this.#carrierEnded(carrier, failure);
    }
  }

  // The next poll's place: null while the application has not taken all, or an attach is on its way
  // that the poll would overtake.
  next(carrier) {
    if (!this.#session.inbox.empty || this.#session.acksHeld)
      return null;
    if (!this.#trial || this.#trial === carrier)
      carrier.n = ++this.#n;
    this.#session.inbox.tell();
    return { ack: this.#session.consumed, n: carrier.n };
  }

  hold() {
    this.#uplink.touch();
  }

  // ---- on a carrier ----

  #take(carrier, open = null) {
    const { clock, memory } = this.#env;
    const previous = this.#ladder.last;
    const first = this.#attachedAt === 0;
    const interrupted = this.#interrupted;
    const gone = clock.now() - this.#since;
    clock.clearTimeout(this.#giveUp);
    this.#interrupted = false;
    this.#carrier = carrier;
    this.#attachedAt = clock.now();
    this.#ladder.last = carrier.kind;
    if (this.#ladder.kinds.length > 1)
      memory.set({ transport: carrier.kind });
    if (carrier.sends)
      this.#uplink.disable();
    this.#session.attached(this.#trialAck, open, { repeat: carrier.sends });
    if (this.#over)
      return;
    if (!carrier.sends)
      this.#uplink.enable();
    if (first || previous !== carrier.kind)
      this.#app.transport(carrier.kind, first ? "" : previous);
    if (interrupted)
      this.#app.resumed(gone);
    this.#climb.plan();
    this.#session.releaseAcks();
  }

  #flush() {
    for (let frame = this.#session.nextFrame(); frame; frame = this.#session.nextFrame())
      this.#carrier.send(frame);
  }

  #interval() {
    const { heartbeat, poll } = this.#session.open;
    return this.#env.idle.of(this.#carrier?.kind === "longpoll" ? poll : heartbeat);
  }

  #carrierEnded(carrier, failure) {
    const { heartbeat, poll } = this.#session.open;
    if (this.#fatal(carrier, failure))
      return;
    if (failure.kind === End.LOST || failure.kind === End.UNREACHABLE)
      this.#env.idle.died({
        idle: carrier.idle, age: this.#env.clock.now() - this.#attachedAt,
        interval: carrier.kind === "longpoll" ? poll : heartbeat,
      });
    if (carrier.delivered)
      this.#env.schedule.carried();
    else
      this.#env.schedule.failed();
    if (carrier.delivered && carrier.sends)
      this.#climb.succeeded();
    this.#lose(failure);
  }

  #lose(failure, delay) {
    const { clock, schedule } = this.#env;
    const { sends } = this.#carrier;
    this.#carrier = null;
    this.#proven = false;
    this.#since = clock.now();
    this.#climb.stop();
    if (sends)
      this.#session.carrierLost();
    else
      this.#uplink.disable();
    this.#watchForgetting();
    // What is being taken over is not interrupted, unless that fails.
    if (this.#trial)
      return;
    this.#wait(delay ?? schedule.delay());
    this.#tellInterrupted(failure);
  }

  #tellInterrupted(failure) {
    if (this.#interrupted)
      return;
    this.#interrupted = true;
    this.#app.interrupted(failure.message);
  }

  // POSTs do not get through, whatever the way down does.
  #broken(failure) {
    const carrier = this.#carrier ?? this.#trial;
    if (!carrier || this.#over)
      return;
    carrier.drop();
    this.#env.schedule.failed();
    if (this.#carrier)
      this.#lose(failure);
    else
      this.ended(carrier, failure);
  }

  // ---- looking for a carrier ----

  #wait(ms) {
    const { clock } = this.#env;
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => {
      this.#timer = null;
      this.#round();
    }, ms);
  }

  #round(among) {
    this.#untried = this.#ladder.order(among);
    this.#next();
  }

  #next() {
    const wait = this.#env.schedule.earliest();
    if (wait > 0)
      this.#wait(wait);
    else
      this.#attach(this.#untried.shift());
  }

  #attach(kind) {
    const { idle, schedule } = this.#env;
    const place = { id: this.#session.id, ack: this.#session.consumed, n: ++this.#n, heartbeat: idle.value };
    schedule.attaching();
    this.#trialAck = place.ack;
    this.#trial = new CARRIERS[kind](this.#env, this);
    this.#trial.n = place.n;
    this.#trial.start({
      place, patience: PATIENCE, wait: idle.of(this.#session.open.poll), proven: this.#proven,
    });
    // A poll may be held for long with nothing; an answer to a POST shows sooner that the way works.
    if (kind === "longpoll" && !this.#proven) {
      this.#uplink.enable();
      this.#uplink.touch();
    }
  }

  #trialFailed(trial, failure) {
    const { schedule } = this.#env;
    if (this.#carrier) {
      this.#climb.failed();
      return;
    }
    if (this.#fatal(trial, failure))
      return;
    if (this.#attachedAt > 0)
      this.#tellInterrupted(failure);
    if (this.#over)
      return;
    if (failure.kind === End.UNUSABLE) {
      this.#ladder.spoil(trial.kind);
    } else {
      this.#proven = false;
      this.#uplink.disable();
    }
    const reached = failure.kind !== End.LIMITED && failure.kind !== End.UNREACHABLE;
    if (reached && this.#untried.length > 0) {
      this.#next();
      return;
    }
    // A WebSocket does not tell why it failed; where it is all that there is, the worst is assumed.
    const lost = failure.kind === End.UNREACHABLE || trial.sends;
    schedule.failed({ lost, retryAfter: failure.retryAfter });
    this.#wait(schedule.delay());
  }

  // Ends the session if nothing can mend this.
  #fatal(carrier, failure) {
    if (failure.kind === End.GONE)
      this.#session.gone();
    else if (failure.kind === End.DETACHED && carrier.n === this.#n)
      this.#session.finish(DETACHED, "the session was taken over elsewhere", false);
    else if (failure.kind === End.DENIED && !this.#env.http.renews)
      this.#session.fail(1008, failure.message);
    return this.#session.over;
  }

  #watchForgetting() {
    const { clock } = this.#env;
    clock.clearTimeout(this.#giveUp);
    this.#giveUp = clock.setTimeout(() => {
      this.#session.finish(1006, "no carrier for as long as a session waits", false);
    }, this.#session.open.resume);
  }

  // ---- moving up ----

  #mayClimb() {
    return !this.#over && !this.#carrier?.sends && this.#ladder.has("websocket");
  }

  #tryClimb() {
    if (!this.#carrier || this.#trial || this.#env.schedule.earliest() > 0)
      return false;
    // If the carrier is lost with the trial, the way back is at hand.
    this.#untried = this.#ladder.order(this.#ladder.kinds.filter((kind) => kind !== "websocket"));
    this.#session.holdAcks(ACK_HOLD);
    this.#attach("websocket");
    return true;
  }
}
