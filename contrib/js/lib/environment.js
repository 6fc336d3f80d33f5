// SPDX-License-Identifier: BSD-2-Clause
// What the platform and the options give: the one place that looks at globalThis for them.

import { Http } from "./http.js";
import { IdleLimit } from "./idle.js";
import { defaultStorage, Memory } from "./memory.js";
import { Schedule } from "./schedule.js";

const TRANSPORTS = ["websocket", "sse", "longpoll"];

const DEFAULTS = {
  heartbeatTimeout: 10000,
  openTimeout: 20000,
  headStart: 1000,
  closeTimeout: 30000,
  climbInterval: 10000,
  attachLimit: { count: 10, per: 10000 },
};

export const systemClock = {
  now: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

// The transports to try, in order. Throws what a wrong use of the options deserves.
export function ladderOf(options, { WebSocket, fetch }) {
  const wanted = options.transports ?? TRANSPORTS;
  for (const kind of wanted)
    if (!TRANSPORTS.includes(kind))
      throw new TypeError(`unknown transport: ${kind}`);
  const ladder = wanted.filter((kind) => (kind === "websocket" ? WebSocket : fetch));
  if (ladder.length === 0)
    throw new TypeError("no transport: this platform lacks them, pass `WebSocket` or `fetch` in the options");
  return ladder;
}

// Reads the options. Fields of a session are filled in by bind() once there is one.
export function environment(url, options) {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const settings = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS))
    settings[key] = options[key] ?? settings[key];
  const WebSocket = options.WebSocket ?? globalThis.WebSocket;
  const fetch = options.fetch ?? globalThis.fetch?.bind(globalThis);
  const http = new Http(url, { fetch, headers: options.headers, credentials: options.credentials, clock });
  const memory = options.memory ?? new Memory(http.url, options.storage === undefined ? defaultStorage() : options.storage);
  const idle = new IdleLimit(memory, settings.heartbeatTimeout);
  return {
    ...settings, url, clock, random, WebSocket, http, memory, idle,
    ladder: ladderOf(options, { WebSocket, fetch }),
    schedule: new Schedule({ random, now: clock.now, limit: settings.attachLimit }),
    silenceLimit: (interval) => idle.silence(interval),
  };
}

// What carriers ask about a session.
export function bind(env, session) {
  const { open } = session;
  env.schedule.configure(open);
  return Object.assign(env, {
    id: () => open.session,
    window: () => open.window,
    pollWait: () => open.poll,
    holdEvery: () => open.resume / 3,
  });
}

// The transports that the route has, too. A list that names none of ours says nothing.
export function allowedBy(open, ladder) {
  const allowed = ladder.filter((kind) => open.transports?.includes(kind));
  return allowed.length > 0 ? allowed : ladder;
}
