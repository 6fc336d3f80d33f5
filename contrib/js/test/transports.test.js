// SPDX-License-Identifier: BSD-2-Clause
// Which transport a session is on: found by measuring, remembered, changed in mid-session.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Memory } from "../lib/memory.js";
import { opened, until, withModel } from "./support/helpers.js";

const SETTLED = 5000; // ms, for the worst of proxies

async function settles(model, open, expected) {
  const began = performance.now();
  const { socket, seen } = open();
  await until(() => socket.transport === expected, expected, SETTLED);
  const took = performance.now() - began;
  socket.send("hello");
  await until(() => seen.messages.length === 1);
  assert.equal(model.sessions.size, 1, "one session");
  return { socket, seen, took };
}

test("WebSocket where it works, and no POST", () => withModel({}, async (model, open) => {
  await settles(model, open, "websocket");
  assert.deepEqual(model.requests.map(({ kind }) => kind), ["websocket"]);
}));

test("a refused WebSocket: SSE at once", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = "refuse";
  const { took } = await settles(model, open, "sse");
  assert.ok(took < 900, `${took} ms`);
}));

test("a WebSocket that hangs: SSE after its head start", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = "hang";
  const { took } = await settles(model, open, "sse");
  assert.ok(took > 900 && took < 4000, `${took} ms`);
}));

test("nor may WebSocket open and then say nothing", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = "silent";
  const { socket } = open();
  await until(() => socket.transport === "sse", "sse", SETTLED);
}));

for (const how of ["hold-headers", "hold-body", "refuse"])
  test(`a stream that meets "${how}": polls`, () => withModel({}, async (model, open) => {
    model.behaviour.websocket = "hang";
    model.behaviour.sse = how;
    await settles(model, open, "longpoll");
  }));

test("what is sent does not wait for the stream to be judged", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = "refuse";
  model.behaviour.sse = "hold-body";
  const { socket } = open();
  await opened(socket);
  socket.send("early");
  await until(() => model.session.received === 1, "received", 1000);
  assert.equal(socket.transport, "");
}));

test("a WebSocket that opens second loses its session, and then takes over the first", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = 1500;
  const { socket, seen } = open();
  await opened(socket);
  const { session } = model;
  await until(() => model.gone, "the second session ended");
  assert.equal(model.gone.endedBy, 1000);
  await until(() => socket.transport === "websocket", "moved up");
  assert.equal(model.sessions.size, 1);
  assert.equal(model.session, session);
  assert.ok(!seen.events.includes("interrupted"));
}));

test("a POST that opens second loses its session", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = 1300;
  model.behaviour.postDelay = 800;
  const { socket } = open();
  await until(() => socket.transport === "websocket", "websocket");
  await until(() => model.gone, "the second session ended");
  assert.equal(model.gone.endedBy, "DELETE");
  assert.equal(model.sessions.size, 1);
}));

test("what worked is remembered, in a storage too, and without the session", () => withModel({}, async (model, open) => {
  const stored = new Map();
  const storage = { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => stored.set(key, value) };
  const address = new URL(model.url.replace("ws", "http"));
  const remembering = () => ({ memory: new Memory(address, storage, new Map()) });
  model.behaviour.websocket = "refuse";
  model.behaviour.sse = "refuse";
  const first = open([], remembering());
  await until(() => first.socket.transport === "longpoll");
  assert.ok(![...stored.values()].join().includes(model.session.id));
  model.requests.length = 0;
  const second = open([], remembering());
  await until(() => second.socket.transport === "longpoll");
  assert.ok(!model.requests.some(({ kind }) => kind === "websocket" || kind === "sse"));
}));

test("a session moves up to WebSocket when that begins to work", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = "refuse";
  const { socket, seen } = open([], { climbInterval: 100 });
  await until(() => socket.transport === "sse");
  for (let i = 0; i < 20; i++)
    socket.send(`${i}`);
  await until(() => model.requests.filter(({ kind }) => kind === "websocket").length >= 3, "tries");
  model.behaviour.websocket = "ok";
  await until(() => socket.transport === "websocket", "moved up");
  socket.send("20");
  await until(() => seen.messages.length === 21);
  assert.deepEqual(seen.messages, Array.from({ length: 21 }, (_, i) => `${i}`));
  assert.deepEqual(seen.events, ["open", "transport:sse", "transport:websocket"]);
}));

for (const kind of ["sse", "longpoll"])
  test(`${kind}: a session moves up while messages keep coming`, () => withModel({}, async (model, open) => {
    model.behaviour.websocket = 300;
    const { socket, seen } = open([], {
      climbInterval: 300, memory: { get: () => ({ transport: kind }), set() {} },
    });
    await until(() => socket.transport === kind);
    let sent = 0;
    const timer = setInterval(() => model.session.send(3, Buffer.from(`${sent++}`)), 5);
    try {
      await until(() => socket.transport === "websocket", "moved up", 4000);
    } finally {
      clearInterval(timer);
    }
    await until(() => seen.messages.length === sent);
    assert.deepEqual(seen.messages, Array.from({ length: sent }, (_, i) => `${i}`));
    assert.deepEqual(seen.events, ["open", `transport:${kind}`, "transport:websocket"]);
    assert.equal(model.requests.filter((request) => request.kind === "websocket").length, 1, "at the first try");
  }));

test("a WebSocket that takes the session and says nothing gives it back", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = "refuse";
  const { socket, seen } = open([], { climbInterval: 500 });
  await until(() => socket.transport === "sse");
  model.behaviour.websocket = "silent";
  await until(() => seen.events.includes("interrupted"), "taken");
  await until(() => seen.events.includes("resumed"), "given back", 6000);
  assert.equal(socket.transport, "sse");
  socket.send("still here");
  await until(() => seen.messages.length === 1);
  assert.equal(seen.close, null);
}));

test("a transport that the route does not have is not tried", () => withModel({ transports: ["websocket", "longpoll"] }, async (model, open) => {
  model.behaviour.websocket = "refuse";
  await settles(model, open, "longpoll");
  assert.ok(!model.requests.some(({ kind }) => kind === "sse"));
}));

test("without a WebSocket there are still two transports", () => withModel({}, async (model, open) => {
  const { socket } = open([], { WebSocket: globalThis.WebSocket ?? undefined, transports: ["sse", "longpoll"] });
  await until(() => socket.transport === "sse");
}));
