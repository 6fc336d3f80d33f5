// SPDX-License-Identifier: BSD-2-Clause
// CulvertTopics: publish and subscribe on a topic route.

import { parseAddress } from "../address.js";
import { environment } from "../environment.js";
import { CloseEvent, CustomEvent, FailureEvent } from "../events.js";
import { defineHandlers } from "../handlers.js";
import { watchPage } from "../wake.js";
import { TopicCarriage } from "./carriage.js";
import { checkFilter, checkTopic } from "./filters.js";
import { messageOf } from "./messages.js";
import { Place } from "./place.js";
import { Publisher, PublishError } from "./publisher.js";
import { Subscriptions } from "./subscriptions.js";

const HANDLERS = ["open", "error", "close", "interrupted", "resumed", "transport", "reset", "dropped", "bus"];

const DEFAULTS = {
  heartbeat: 25000,
  pollWait: 25000,
  publishTimeout: 10000,
  publishQueue: { count: 1000, bytes: 4 << 20 },
  reconnectSpread: 5000,
};
const FORGETS = 120000; // ms; nothing ends with time here, so that waits may grow to their longest

// What publish() takes, as it is now: the caller may reuse its buffer.
function copyOf(data) {
  if (typeof data === "string")
    return data;
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  if (Object.prototype.toString.call(data) === "[object ArrayBuffer]")
    return new Uint8Array(data).slice();
  throw new TypeError("data is neither a string nor bytes");
}

export class CulvertTopics extends EventTarget {
  #address;
  #subscriptions = new Subscriptions();
  #place;
  #carriage;
  #publisher;
  #begun = false;
  #changing = false; // at the end of this turn
  #resetting = false;
  #closed = false;
  #stopWatching;

  constructor(url, options = {}) {
    super();
    this.#address = parseAddress(url);
    const env = this.#environment(options);
    this.#place = new Place(options.since);
    this.#publisher = new Publisher(env, {
      timeout: env.publishTimeout, limit: env.publishQueue, idle: () => this.#changed(),
    });
    this.#carriage = new TopicCarriage(env, { subscriptions: this.#subscriptions, place: this.#place, app: this.#app() });
    this.#stopWatching = watchPage(options.page ?? { window: globalThis, document: globalThis.document }, {
      wake: (how) => this.#carriage.wake(how),
      leave: () => {},
    });
  }

  get url() {
    return this.#address.href;
  }

  // "websocket", "sse", "longpoll", or "" while there is no carrier.
  get transport() {
    return this.#carriage.transport;
  }

  // Where to resume: for `since` of another CulvertTopics. undefined before the first subscription.
  get cursor() {
    return this.#place.cursor;
  }

  // fn gets {topic, id, data, retained} of every message whose topic matches the filter. Returns a
  // function that ends it.
  subscribe(filter, fn) {
    checkFilter(filter);
    if (typeof fn !== "function")
      throw new TypeError("no function to call");
    if (this.#closed)
      throw new DOMException("closed", "InvalidStateError");
    // Who begins with a cursor gets what came after it, instead of retained values.
    const primed = !this.#begun && this.#place.cursor !== undefined;
    const remove = this.#subscriptions.add(filter, fn, { primed });
    this.#changed();
    return () => {
      remove();
      this.#changed();
    };
  }

  // Returns a promise of {id}, which may be null, once the bus has it. Rejects with TypeError or PublishError.
  async publish(topic, data, { retain = false } = {}) {
    checkTopic(topic);
    const payload = copyOf(data);
    if (this.#closed)
      throw new PublishError("closed");
    const published = this.#publisher.add(topic, payload, Boolean(retain));
    this.#changed();
    return published;
  }

  close() {
    this.#close({ code: 1000, reason: "", wasClean: true });
  }

  #environment(options) {
    const env = environment(this.#address, options);
    for (const key of Object.keys(DEFAULTS))
      env[key] = options[key] ?? DEFAULTS[key];
    // A topic route has no way to be asked for a shorter heartbeat, so that none is worked out.
    env.silenceLimit = (interval) => (interval || Infinity) + env.heartbeatTimeout;
    env.schedule.configure({ resume: FORGETS, spread: env.reconnectSpread });
    return env;
  }

  // All that happens in a turn goes to the server together.
  #changed() {
    if (this.#changing || this.#closed)
      return;
    this.#changing = true;
    queueMicrotask(() => {
      this.#changing = false;
      this.#begun ||= this.#subscriptions.filters.length > 0;
      if (this.#closed)
        return;
      this.#carriage.reconcile();
      this.#publisher.pump();
    });
  }

  // What the carriage calls.
  #app() {
    return {
      item: (item, how) => this.#item(item, how),
      settled: () => {
        this.#resetting = false;
      },
      opened: () => this.dispatchEvent(new Event("open")),
      transport: (transport, previous) => this.#tell("transport", { transport, previous }),
      interrupted: (reason) => this.#tell("interrupted", { reason }),
      resumed: (after) => this.#tell("resumed", { transport: this.transport, after }),
      refused: (filter, reason) => this.dispatchEvent(new FailureEvent(`${filter}: ${reason}`)),
      failed: (code, reason) => this.#close({ code, reason, wasClean: false }),
      sender: (carrier) => this.#publisher.use(carrier),
      busy: () => this.#publisher.busy,
    };
  }

  #item(item, { history }) {
    switch (item.event) {
      case undefined:
        this.#message(item, history);
        break;
      case "reset":
        this.#resetting = true;
        this.#tell("reset", {});
        break;
      case "dropped":
        this.#tell("dropped", { count: item.count });
        break;
      case "bus":
        this.#tell("bus", { state: item.state });
        break;
      case "error":
        this.dispatchEvent(new FailureEvent(String(item.reason)));
        break;
      default:
    }
  }

  #message(item, history) {
    let message;
    try {
      message = messageOf(item);
    } catch (error) {
      this.dispatchEvent(new FailureEvent(`${item.topic}: ${error.message}`));
      return;
    }
    if (message.retained) {
      this.#subscriptions.retained(message, { all: this.#resetting });
      return;
    }
    this.#resetting &&= history;
    this.#subscriptions.live(message, { history });
  }

  #tell(type, detail) {
    if (!this.#closed)
      this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #close({ code, reason, wasClean }) {
    if (this.#closed)
      return;
    this.#closed = true;
    this.#stopWatching();
    this.#carriage.stop();
    this.#subscriptions.clear();
    this.#publisher.close("closed");
    queueMicrotask(() => {
      if (!wasClean)
        this.dispatchEvent(new FailureEvent(reason));
      this.dispatchEvent(new CloseEvent("close", { code, reason, wasClean }));
    });
  }
}

defineHandlers(CulvertTopics.prototype, HANDLERS);
