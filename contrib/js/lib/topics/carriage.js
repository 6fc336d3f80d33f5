// SPDX-License-Identifier: BSD-2-Clause
// Keeps subscriptions on a carrier: connects when there are any, resumes at the cursor when a carrier is
// lost, tries other transports when one fails, moves up to WebSocket when that begins to work.
//
//   no subscription ──► trial of one transport ──► subscribed: carrier ──► lost ──► waiting ──► trials
//                          │ failed, or WebSocket is slow: the next
//                          └ what it brings is kept until it is subscribed, and then taken whole
//
// So a trial that dies half way leaves nothing behind that the next one would repeat.

import { Climb } from "../climb.js";
import { End, Failure } from "../http.js";
import { Ladder } from "../ladder.js";
import { TopicPoll } from "./carriers/longpoll.js";
import { TopicStream } from "./carriers/sse.js";
import { TopicSocket } from "./carriers/websocket.js";
import { Priming } from "./priming.js";

const CARRIERS = { websocket: TopicSocket, sse: TopicStream, longpoll: TopicPoll };
const PATIENCE = 4000; // ms until a WebSocket's first message

export class TopicCarriage {
  #env;
  #subscriptions;
  #place;
  #app;
  #ladder;
  #climb;
  #priming;
  #carrier = null;
  #attachedAt = 0;
  #delivered = false; // the carrier brought something
  #trials = new Map(); // carrier: {filters, resumes, backlog, deadline}
  #filters = new Set(); // that the carrier has
  #suspects = new Set(); // filters that were refused in company: each is asked for alone
  #untried = []; // transports of this round
  #since = 0; // when the carrier was lost
  #interrupted = false; // the application was told
  #proven = false; // the server answered by HTTP, and nothing failed since
  #timer = null; // until the next round
  #headStart = null;
  #over = false;

  // app: item(item, {history}), settled() after what came first, opened(), transport(kind, previous), interrupted(reason), resumed(ms),
  // refused(filter, reason), failed(code, reason) for good; sender(carrier): what takes what is
  // published, null for none; busy(): whether it has something there.
  constructor(env, { subscriptions, place, app }) {
    this.#env = env;
    this.#subscriptions = subscriptions;
    this.#place = place;
    this.#app = app;
    this.#ladder = new Ladder(env.ladder);
    const { transport } = env.memory.get();
    this.#ladder.last = this.#ladder.has(transport) ? transport : env.ladder[0];
    this.#climb = new Climb(env, { wanted: () => this.#mayClimb(), begin: () => this.#tryClimb() });
    this.#priming = new Priming(env, {
      retained: (item) => app.item(item, { history: true }),
      primed: (filters) => {
        this.#grant(filters);
        this.reconcile();
      },
      refused: (filters, reason) => this.#refuse(filters, reason),
    });
  }

  get transport() {
    return this.#carrier?.kind ?? "";
  }

  // Brings the connection in line with the subscriptions.
  reconcile() {
    if (this.#over)
      return;
    const wanted = this.#subscriptions.filters;
    if (wanted.length === 0)
      this.#rest();
    else if (this.#carrier?.sends)
      this.#update(wanted);
    else if (this.#carrier)
      this.#request(this.#wish());
    else if (this.#trials.size === 0 && this.#timer === null)
      this.#begin();
  }

  // Something says that the network is there. changed: it may be another one.
  wake({ changed = false } = {}) {
    if (this.#over)
      return;
    if (this.#timer !== null) {
      this.#wait(this.#env.schedule.earliest());
    } else if (this.#carrier?.sends) {
      if (changed || this.#carrier.idle > this.#env.heartbeat)
        this.#carrier.probe();
    } else if (this.#carrier && changed && this.#trials.size === 0) {
      // There is no way to ask a stream whether it lives; another one is as cheap.
      this.#carrier.drop();
      this.#lose(new Failure(End.LOST, "the network changed"), 0);
    }
  }

  stop() {
    this.#over = true;
    this.#let();
  }

  // ---- what carriers tell ----

  item(carrier, item) {
    const trial = this.#trials.get(carrier);
    if (trial) {
      trial.backlog.push(item);
      this.#watch(carrier, trial);
    } else if (carrier === this.#carrier) {
      this.#delivered = true;
      this.#deliver(item, { history: false });
    }
  }

  cursor(carrier, since) {
    if (carrier !== this.#carrier)
      return;
    this.#delivered = true;
    this.#place.move(since);
  }

  settled(carrier, since) {
    const trial = this.#end(carrier);
    if (!trial)
      return;
    if (this.#carrier && !this.#better(carrier, this.#carrier)) {
      carrier.drop();
      return;
    }
    for (const other of [...this.#trials.keys()])
      if (!this.#better(other, carrier))
        this.#dropTrial(other);
    this.#take(carrier, trial, since);
  }

  primed(carrier, filters, since) {
    if (carrier !== this.#carrier)
      return;
    this.#place.move(since);
    this.#grant(filters);
    this.reconcile();
  }

  refused(carrier, filters, reason) {
    if (carrier === this.#carrier)
      this.#refuse(filters, reason);
  }

  ended(carrier, failure) {
    const trial = this.#end(carrier);
    if (trial)
      this.#trialFailed(carrier, trial, failure);
    else if (carrier === this.#carrier)
      this.#carrierEnded(failure);
  }

  // ---- on a carrier ----

  #take(carrier, trial, since) {
    const { clock, memory } = this.#env;
    const previous = this.#attachedAt > 0 ? this.#ladder.last : "";
    const gone = this.#interrupted ? clock.now() - this.#since : null;
    clock.clearTimeout(this.#headStart);
    clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#carrier?.drop();
    this.#priming.drop();
    this.#subscriptions.forget();
    this.#carrier = carrier;
    this.#filters = trial.filters;
    this.#attachedAt = clock.now();
    this.#delivered = false;
    this.#interrupted = false;
    this.#proven = true;
    this.#ladder.last = carrier.kind;
    if (this.#ladder.kinds.length > 1)
      memory.set({ transport: carrier.kind });
    this.#announce(carrier, { previous, gone });
    for (const item of trial.backlog)
      this.#deliver(item, { history: true });
    this.#app.settled();
    this.#place.move(since);
    if (!trial.resumes || trial.backlog.some(({ event }) => event === "reset"))
      this.#grant([...trial.filters], { all: true });
    this.#climb.plan();
    this.reconcile();
    if (carrier === this.#carrier)
      this.#app.sender(carrier);
  }

  #announce(carrier, { previous, gone }) {
    if (previous === "")
      this.#app.opened();
    if (previous !== carrier.kind)
      this.#app.transport(carrier.kind, previous);
    if (gone !== null)
      this.#app.resumed(gone);
  }

  #deliver(item, { history }) {
    const doubled = this.#trials.size > 0;
    if (item.event === undefined && !item.retained && item.id !== undefined && !this.#place.take(item.id, { history, doubled }))
      return;
    this.#app.item(item, { history });
  }

  // Subscriptions change in messages.
  #update(wanted) {
    const carrier = this.#carrier;
    const removed = [...this.#filters].filter((filter) => !wanted.includes(filter));
    const { unprimed } = this.#subscriptions;
    const alone = unprimed.filter((filter) => this.#suspects.has(filter)).slice(0, 1);
    this.#filters = new Set(wanted);
    carrier.remove(removed);
    if (unprimed.length > 0 && carrier.mayAdd)
      this.#subscriptions.ask(carrier.add(alone.length > 0 ? alone : unprimed));
  }

  // Subscriptions change with the request.
  #request(wanted) {
    const same = wanted.length === this.#filters.size && wanted.every((filter) => this.#filters.has(filter));
    if (!same) {
      this.#reopen();
      return;
    }
    const unprimed = this.#subscriptions.unprimed.filter((filter) => this.#filters.has(filter));
    if (unprimed.length === 0 || this.#priming.busy)
      return;
    this.#subscriptions.ask(unprimed);
    this.#priming.start(this.#carrier.kind, unprimed);
  }

  #reopen() {
    const { kind } = this.#carrier;
    this.#app.sender(null);
    this.#carrier.drop();
    this.#carrier = null;
    this.#since = this.#env.clock.now();
    this.#untried = this.#ladder.order().filter((other) => other !== kind);
    this.#attach(kind);
  }

  // Nobody wants anything: no connection is needed, once what was published on it is acknowledged.
  #rest() {
    if (this.#carrier?.sends && this.#app.busy()) {
      this.#update([]);
      return;
    }
    this.#let();
    // A cursor to begin with is kept for the first who subscribes.
    if (this.#attachedAt > 0)
      this.#place.forget();
    this.#app.sender("http");
  }

  #let() {
    const { clock } = this.#env;
    for (const timer of [this.#timer, this.#headStart])
      clock.clearTimeout(timer);
    this.#timer = null;
    this.#interrupted = false;
    this.#climb.stop();
    this.#priming.drop();
    for (const carrier of [...this.#trials.keys()])
      this.#dropTrial(carrier);
    this.#carrier?.drop({ over: true });
    this.#carrier = null;
  }

  // What to ask for in a request: of the suspects one at a time.
  #wish() {
    const { filters } = this.#subscriptions;
    const suspect = filters.find((filter) => this.#suspects.has(filter));
    return filters.filter((filter) => filter === suspect || !this.#suspects.has(filter));
  }

  #grant(filters, how) {
    this.#subscriptions.prime(filters, how);
    filters.forEach((filter) => this.#suspects.delete(filter));
  }

  // They were refused, one of them or all.
  #refuse(filters, reason) {
    if (filters.length > 1) {
      this.#subscriptions.forget();
      filters.forEach((filter) => this.#suspects.add(filter));
    } else if (this.#subscriptions.refuse(filters[0])) {
      this.#suspects.delete(filters[0]);
      this.#app.refused(filters[0], reason);
    }
    this.reconcile();
  }

  #carrierEnded(failure) {
    const { schedule } = this.#env;
    const carrier = this.#carrier;
    if (this.#fatal(failure, this.#filters))
      return;
    if (this.#delivered)
      schedule.carried();
    if (!this.#delivered || failure.kind === End.UNREACHABLE)
      schedule.failed({ lost: failure.kind === End.UNREACHABLE, retryAfter: failure.retryAfter });
    if (this.#delivered && carrier.sends)
      this.#climb.succeeded();
    this.#lose(failure);
  }

  #lose(failure, delay) {
    const { clock, schedule } = this.#env;
    this.#carrier = null;
    this.#proven = false;
    this.#since = clock.now();
    this.#climb.stop();
    this.#priming.drop();
    this.#app.sender(null);
    // What is being taken over is not interrupted, unless that fails.
    if (this.#trials.size > 0)
      return;
    this.#wait(delay ?? schedule.delay());
    this.#tellInterrupted(failure);
  }

  #tellInterrupted(failure) {
    if (this.#interrupted || this.#attachedAt === 0)
      return;
    this.#interrupted = true;
    this.#app.interrupted(failure.message);
  }

  // ---- looking for a carrier ----

  #begin() {
    this.#app.sender(null);
    this.#round();
  }

  #wait(ms) {
    const { clock } = this.#env;
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => {
      this.#timer = null;
      this.#round();
    }, ms);
  }

  #round() {
    this.#untried = this.#ladder.order();
    this.#next();
  }

  #next() {
    const wait = this.#env.schedule.earliest();
    if (wait > 0 && this.#trials.size === 0)
      this.#wait(wait);
    if (wait > 0 || this.#untried.length === 0)
      return;
    this.#env.schedule.attaching();
    this.#attach(this.#untried.shift());
  }

  #attach(kind) {
    const { clock, headStart } = this.#env;
    const filters = this.#wish();
    const since = this.#subscriptions.granted.length > 0 ? this.#place.cursor : undefined;
    const carrier = new CARRIERS[kind](this.#env, this);
    const trial = { filters: new Set(filters), resumes: since !== undefined, backlog: [], deadline: null };
    this.#trials.set(carrier, trial);
    this.#watch(carrier, trial);
    carrier.start({ filters, since, patience: PATIENCE, proven: this.#proven });
    // WebSocket is the better one, so only it is overtaken for being slow.
    clock.clearTimeout(this.#headStart);
    if (carrier.sends && !this.#carrier)
      this.#headStart = clock.setTimeout(() => this.#carrier || this.#next(), headStart);
  }

  // A trial that goes on must get on. A poll may be held, and watches that itself.
  #watch(carrier, trial) {
    const { clock, openTimeout } = this.#env;
    clock.clearTimeout(trial.deadline);
    if (carrier.kind !== "longpoll")
      trial.deadline = clock.setTimeout(() => {
        carrier.drop();
        this.ended(carrier, new Failure(End.LOST, "not subscribed in time"));
      }, openTimeout);
  }

  // It is no trial any more. Returns what it was, if it was one.
  #end(carrier) {
    const trial = this.#trials.get(carrier);
    this.#trials.delete(carrier);
    this.#env.clock.clearTimeout(trial?.deadline);
    return trial;
  }

  #dropTrial(carrier) {
    this.#end(carrier);
    carrier.drop();
  }

  #better(one, other) {
    const { kinds } = this.#ladder;
    return kinds.indexOf(one.kind) < kinds.indexOf(other.kind);
  }

  #trialFailed(carrier, { filters }, failure) {
    const { schedule } = this.#env;
    if (this.#carrier) {
      this.#climb.failed();
      return;
    }
    if (this.#fatal(failure, filters))
      return;
    if (failure.kind === End.UNUSABLE)
      this.#ladder.spoil(carrier.kind);
    else
      this.#proven = false;
    const reached = failure.kind !== End.LIMITED && failure.kind !== End.UNREACHABLE;
    if (reached && this.#untried.length > 0) {
      this.#next();
      return;
    }
    if (this.#trials.size > 0)
      return;
    // A WebSocket does not tell why it failed; where it is all that there is, the worst is assumed.
    const lost = failure.kind === End.UNREACHABLE || carrier.sends;
    schedule.failed({ lost, retryAfter: failure.retryAfter });
    this.#wait(schedule.delay());
    this.#tellInterrupted(failure);
  }

  // Whether the failure is dealt with: the end, or without what the server does not grant.
  #fatal({ kind, status, message }, filters) {
    if (kind === End.GONE) {
      this.#app.failed(4404, message);
    } else if (kind === End.DENIED) {
      // Where there is but one filter, it may as well be the credentials.
      const { filters: wanted, granted } = this.#subscriptions;
      const doubtful = [...filters].filter((filter) => !granted.includes(filter));
      if ((status === 403 || status === 400) && wanted.length > 1 && doubtful.length > 0) {
        this.#carrier = null;
        this.#refuse(doubtful, message);
        return true;
      }
      if (!this.#env.http.renews)
        this.#app.failed(1008, message);
    }
    return this.#over;
  }

  // ---- moving up ----

  #mayClimb() {
    return !this.#over && this.#carrier !== null && !this.#carrier.sends && this.#ladder.has("websocket");
  }

  #tryClimb() {
    if (!this.#carrier || this.#trials.size > 0 || this.#env.schedule.earliest() > 0)
      return false;
    // If the carrier is lost with the trial, the way back is at hand.
    this.#untried = this.#ladder.order(this.#ladder.kinds.filter((kind) => kind !== "websocket"));
    this.#env.schedule.attaching();
    this.#attach("websocket");
    return true;
  }
}
