// SPDX-License-Identifier: BSD-2-Clause
// Which transport topics are on: found by measuring, remembered, changed without a gap.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Memory } from "../lib/memory.js";
import { collector, subscribed, until, withTopics } from "./support/topic-helpers.js";

async function settles(model, open, expected, more) {
  const began = performance.now();
  const { topics, events } = open(more);
  const fn = collector();
  topics.subscribe("a", fn);
  await until(() => topics.transport === expected, expected, 8000);
  const took = performance.now() - began;
  model.publish("a", "hello");
  await until(() => fn.seen.length === 1);
  return { topics, events, fn, took };
}

test("WebSocket where it works, and nothing else", () => withTopics(async (model, open) => {
  await settles(model, open, "websocket");
  assert.deepEqual(model.requests.map(({ kind }) => kind), ["websocket"]);
}));

test("without a subscription there is no connection", () => withTopics(async (model, open) => {
  const { topics, events } = open();
  await topics.publish("a", "x");
  assert.deepEqual(model.requests.map(({ kind }) => kind), ["POST"]);
  assert.deepEqual(events, []);
}));

test("a refused WebSocket: SSE at once", () => withTopics(async (model, open) => {
  model.behaviour.websocket = "refuse";
  const { took } = await settles(model, open, "sse");
  assert.ok(took < 900, `${took} ms`);
}));

for (const how of ["hang", "silent"])
  test(`a WebSocket that meets "${how}": SSE after its head start`, () => withTopics(async (model, open) => {
    model.behaviour.websocket = how;
    const { took } = await settles(model, open, "sse");
    assert.ok(took > 900 && took < 4000, `${took} ms`);
  }));

for (const how of ["hold-headers", "hold-body", "refuse"])
  test(`a stream that meets "${how}": polls`, () => withTopics(async (model, open) => {
    model.behaviour.websocket = "refuse";
    model.behaviour.sse = how;
    await settles(model, open, "longpoll");
  }));

test("what worked is remembered", () => withTopics(async (model, open) => {
  const stored = new Map();
  const storage = { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => stored.set(key, value) };
  const remembering = () => ({ memory: new Memory(new URL(model.url), storage, new Map()) });
  model.behaviour.websocket = "refuse";
  model.behaviour.sse = "refuse";
  const first = await settles(model, open, "longpoll", remembering());
  first.topics.close();
  model.requests.length = 0;
  await settles(model, open, "longpoll", remembering());
  assert.ok(!model.requests.some(({ kind }) => kind === "websocket" || kind === "sse"));
}));

for (const kind of ["sse", "longpoll"])
  test(`${kind}: moved up to WebSocket while messages keep coming, none lost and none twice`, () => withTopics(async (model, open) => {
    const { topics, events } = open({ climbInterval: 200, memory: { get: () => ({ transport: kind }), set() {} } });
    const fn = collector();
    topics.subscribe("a", fn);
    model.behaviour.websocket = "refuse";
    await until(() => topics.transport === kind, kind);
    let sent = 0;
    const timer = setInterval(() => model.publish("a", `${sent++}`), 2);
    try {
      await until(() => model.count("websocket") >= 2, "tries");
      model.behaviour.websocket = 150;
      await until(() => topics.transport === "websocket", "moved up");
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      clearInterval(timer);
    }
    await until(() => fn.seen.length >= sent);
    assert.deepEqual(fn.seen, Array.from({ length: sent }, (_, i) => `a=${i}`));
    assert.deepEqual(events, ["open", `transport:${kind}`, "transport:websocket"]);
  }));

test("a WebSocket that opens late takes over from the stream that overtook it", () => withTopics(async (model, open) => {
  model.behaviour.websocket = 1500;
  const { topics, events } = open();
  const fn = collector();
  model.publish("a", "kept", { retain: true });
  topics.subscribe("a", fn);
  await until(() => topics.transport === "sse");
  model.publish("a", "1");
  await until(() => topics.transport === "websocket");
  model.publish("a", "2");
  await until(() => fn.seen.length === 3);
  assert.deepEqual(fn.seen, ["(a=kept)", "a=1", "a=2"]);
  assert.equal(model.count("websocket"), 1);
  assert.ok(!events.includes("interrupted"));
}));

test("history that is cut half way is not repeated", () => withTopics(async (model, open) => {
  const { topics, events } = open({ transports: ["websocket"] });
  const fn = collector();
  topics.subscribe("a", fn);
  await subscribed(model, "a");
  model.publish("a", "1");
  await until(() => fn.seen.length === 1);
  model.behaviour.unsubscribed = true;
  model.cut();
  model.publish("a", "2");
  model.publish("a", "3");
  await until(() => model.count("websocket") === 2 && model.clients.size === 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  model.behaviour.unsubscribed = false;
  model.cut();
  await until(() => events.includes("resumed"), "resumed", 15000);
  assert.deepEqual(fn.seen, ["a=1", "a=2", "a=3"]);
  assert.equal(model.requests[1].since, model.requests[2].since);
}));

test("a poll that is held does not keep from publishing", () => withTopics(async (model, open) => {
  const { topics, events } = open({ transports: ["longpoll"] });
  topics.subscribe("a", () => {});
  await until(() => topics.transport === "longpoll" && model.clients.size === 1);
  model.cut();
  await until(() => events.includes("interrupted"));
  await topics.publish("b", "x");
  assert.ok(events.includes("resumed"));
  assert.ok(model.count("OPTIONS") >= 1);
}));

test("nothing for too long is a loss", () => withTopics(async (model, open) => {
  const { topics, events } = open({ transports: ["websocket"], heartbeat: 200, heartbeatTimeout: 400 });
  topics.subscribe("a", () => {});
  await subscribed(model, "a");
  const beats = setInterval(() => model.beat(), 100);
  await new Promise((resolve) => setTimeout(resolve, 500));
  clearInterval(beats);
  assert.ok(!events.includes("interrupted"));
  await until(() => events.includes("resumed"), "another carrier");
}));

test("a changed network: a WebSocket that answers is kept, a stream is replaced", () => withTopics(async (model, open) => {
  const window = new EventTarget();
  for (const kind of ["websocket", "sse"]) {
    const { topics, events } = open({ transports: [kind], page: { window } });
    topics.subscribe("a", () => {});
    await until(() => topics.transport === kind);
    const before = model.count(kind);
    window.dispatchEvent(new Event("online"));
    await until(() => kind === "websocket" || model.count(kind) > before, "another request");
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(model.count(kind) - before, kind === "sse" ? 1 : 0);
    topics.close();
    await until(() => model.clients.size === 0 && events.at(-1) === "close");
  }
}));

test("credentials that are refused end it, a route that is not there too", () => withTopics(async (model, open) => {
  for (const [status, code] of [[401, 1008], [403, 1008], [404, 4404], [410, 4404]]) {
    model.behaviour.websocket = "refuse";
    model.behaviour.get = status;
    const { topics, events } = open();
    let closed = null;
    topics.onclose = (event) => (closed = event);
    topics.subscribe("a", () => {});
    await until(() => closed, `closed after ${status}`);
    assert.deepEqual([closed.code, closed.wasClean], [code, false]);
    assert.deepEqual(events, [`error:${status} refused`, "close"]);
  }
}));

test("credentials that can be made anew are", () => withTopics(async (model, open) => {
  let token = 0;
  const { topics, events } = open({ transports: ["sse"], headers: async () => ({ Authorization: `Bearer ${++token}` }) });
  model.behaviour.get = 401;
  topics.subscribe("a", () => {});
  await until(() => model.count("sse") === 2, "another try", 5000);
  model.behaviour.get = "ok";
  await until(() => events.includes("open"), "open", 8000);
  assert.ok(model.requests.at(-1).headers.authorization.startsWith("Bearer "));
}));

test("a filter that nobody granted yet is refused beside others", () => withTopics(async (model, open) => {
  model.behaviour.denied = ["bad"];
  const { topics, events } = open({ transports: ["sse"] });
  for (const filter of ["bad", "a", "b"])
    topics.subscribe(filter, () => {});
  await subscribed(model, "a", "b");
  assert.ok(events.includes("error:bad: 403 not for you"));
}));
