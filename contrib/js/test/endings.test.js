// SPDX-License-Identifier: BSD-2-Clause
// How sessions end, and how they do not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Cutter } from "./support/cutter.js";
import { connect, opened, until, withModel } from "./support/helpers.js";
import { Model } from "./support/model.js";

const KINDS = ["websocket", "sse", "longpoll"];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function on(kind, open, more = {}) {
  const pair = open([], { transports: [kind], ...more });
  await until(() => pair.socket.transport === kind, kind);
  return pair;
}

for (const kind of KINDS) {
  test(`${kind}: a session that another client took closes with 4409 and stays away`, () => withModel({}, async (model, open) => {
    const { seen } = await on(kind, open);
    const { session } = model;
    await until(() => session.carrier, "a carrier");
    session.n += 100;
    session.carrier.detach();
    session.carrier = null;
    await until(() => seen.close);
    assert.deepEqual([seen.close.code, seen.close.wasClean], [4409, false]);
    const asked = model.requests.length;
    await pause(700);
    assert.equal(model.requests.length, asked);
  }));

  test(`${kind}: silence for longer than the heartbeat is a loss`, () => withModel({ heartbeat: 300, poll: 300 }, async (model, open) => {
    const { socket, seen } = await on(kind, open, { heartbeatTimeout: 200 });
    await pause(800);
    assert.ok(!seen.events.includes("interrupted"), "the heartbeat is enough");
    await until(() => model.session.carrier, "a carrier");
    const { carrier } = model.session;
    carrier.gone();
    carrier.send = carrier.flush = () => {};
    await until(() => seen.events.includes("interrupted"), "noticed", 1500);
    await until(() => seen.events.includes("resumed"), "resumed");
    socket.send("there");
    await until(() => seen.messages.length === 1);
  }));

  test(`${kind}: a heartbeat is halved until carriers live behind a proxy with a short timeout`, async () => {
    const model = await new Model({ heartbeat: 4000, poll: 4000 }).listen();
    const cutter = await new Cutter(model.port, { idle: 1500 }).listen();
    const { socket, seen } = connect(cutter.url, [], { transports: [kind] });
    try {
      await until(() => seen.events.filter((event) => event === "interrupted").length === 3, "three ends", 15000);
      await until(() => seen.events.at(-1) === "resumed", "resumed");
      await pause(3000);
      assert.equal(seen.events.filter((event) => event === "interrupted").length, 3);
      const { heartbeat, wait } = model.session.attaches.at(-1);
      assert.equal(Number(kind === "longpoll" ? wait : heartbeat), 1000);
      assert.deepEqual(model.faults, []);
    } finally {
      socket.close();
      await cutter.stop();
      await model.stop();
    }
  });

  test(`${kind}: without a carrier for as long as a session waits, 1006`, () => withModel({ resume: 800 }, async (model, open) => {
    const { seen } = await on(kind, open);
    model.behaviour.websocket = "refuse";
    model.behaviour.refuse = 503;
    model.cut();
    await until(() => seen.close, "given up", 3000);
    assert.deepEqual([seen.close.code, seen.close.wasClean], [1006, false]);
    assert.deepEqual(seen.events.slice(-2), ["error", "close"]);
  }));

  test(`${kind}: a drained server says when to come back, and the session is over`, () => withModel({}, async (model, open) => {
    const { seen } = await on(kind, open);
    model.session.close(1001, '{"retry":1234}');
    await until(() => seen.close);
    assert.deepEqual([seen.close.code, seen.close.wasClean], [1001, true]);
    assert.equal(JSON.parse(seen.close.reason).retry, 1234);
  }));

  test(`${kind}: what waits in a pause is repeated after a loss, and dropped`, () => withModel({ cuts: true }, async (model, open) => {
    const { socket, seen } = await on(kind, open);
    socket.pause();
    for (let i = 0; i < 3; i++)
      model.session.send(3, Buffer.from(`${i}`));
    await pause(100);
    for (let i = 0; i < 2; i++) {
      model.cut();
      socket.send("still there");
      await until(() => model.session.received === i + 1, "attached again");
      await pause(50);
    }
    socket.resume();
    await until(() => seen.messages.length === 5);
    assert.deepEqual(seen.messages, ["0", "1", "2", "still there", "still there"]);
    assert.equal(seen.close, null);
  }));

  test(`${kind}: a gap is mended by another attach`, () => withModel({}, async (model, open) => {
    const { seen } = await on(kind, open);
    const { session } = model;
    session.send(3, Buffer.from("one"));
    await until(() => seen.messages.length === 1);
    await until(() => session.carrier?.ready, "a carrier");
    const { carrier } = session;
    const { send } = carrier;
    carrier.send = (frame) => frame.seq === 2 || send(frame);
    session.send(3, Buffer.from("two"));
    session.send(3, Buffer.from("three"));
    await until(() => seen.messages.length === 3, "mended", 3000);
    assert.deepEqual(seen.messages, ["one", "two", "three"]);
  }));
}

test("a refused attach waits as long as Retry-After asks", () => withModel({}, async (model, open) => {
  const { seen } = await on("sse", open);
  model.behaviour.refuse = 429;
  model.behaviour.headers = { "Retry-After": "1" };
  model.cut();
  await until(() => seen.events.includes("interrupted"));
  const streams = () => model.requests.filter(({ kind }) => kind === "sse");
  await until(() => streams().length === 2, "refused");
  model.behaviour.refuse = 0;
  await until(() => seen.events.includes("resumed"));
  const [, refused, taken] = streams();
  assert.ok(taken.at - refused.at >= 990, `${taken.at - refused.at} ms`);
}));

test("a session whose credentials are refused closes with 1008", () => withModel({}, async (model, open) => {
  const { seen } = await on("sse", open);
  model.behaviour.refuse = 403;
  model.cut();
  await until(() => seen.close);
  assert.equal(seen.close.code, 1008);
}));

test("a message over what the server takes closes with 1009", () => withModel({ message_max: 1000 }, async (model, open) => {
  const { socket, seen } = await on("websocket", open);
  socket.send(new Uint8Array(1001));
  await until(() => seen.close);
  assert.equal(seen.close.code, 1009);
}));

test("a message larger than the window goes when nothing else is under way", () => withModel({ window: 16384 }, async (model, open) => {
  const { socket, seen } = await on("websocket", open);
  socket.send(new Uint8Array(100));
  socket.send(new Uint8Array(50000));
  socket.send(new Uint8Array(100));
  await until(() => seen.bytes === 50200);
}));

test("a server that sends more than the window is told 1008", () => withModel({ window: 16384 }, async (model, open) => {
  const { socket, seen } = await on("websocket", open);
  socket.pause();
  for (let seq = 1; seq <= 20; seq++)
    model.session.carrier.send({ type: 2, seq, payload: new Uint8Array(1000) });
  await until(() => seen.close);
  assert.equal(seen.close.code, 1008);
}));

test("close() while the carrier is lost still delivers", () => withModel({}, async (model, open) => {
  const { socket, seen } = await on("websocket", open);
  const { session } = model;
  model.cut();
  await until(() => seen.events.includes("interrupted"));
  socket.send("last");
  socket.close();
  await until(() => seen.close);
  assert.equal(session.received, 1);
  assert.deepEqual([seen.close.code, seen.close.wasClean], [1005, true]);
}));

test("the network coming back wakes a client that waits", () => withModel({ spread: 60000 }, async (model, open) => {
  const window = new EventTarget();
  const { seen } = await on("websocket", open, { page: { window }, random: () => 0.9 });
  model.behaviour.websocket = "refuse";
  model.cut();
  await until(() => model.requests.length === 2, "an attempt that fails");
  model.behaviour.websocket = "ok";
  await pause(300);
  assert.ok(!seen.events.includes("resumed"), "it waits");
  window.dispatchEvent(new Event("online"));
  await until(() => seen.events.includes("resumed"), "woken", 1000);
}));

test("a page that goes away ends its session", () => withModel({}, async (model, open) => {
  const window = new EventTarget();
  await on("sse", open, { page: { window } });
  window.dispatchEvent(new Event("pagehide"));
  await until(() => model.gone, "DELETE");
  assert.equal(model.gone.endedBy, "DELETE");
}));

test("at most so many attaches in so much time", () => withModel({}, async (model, open) => {
  await on("websocket", open, { random: () => 0.01, attachLimit: { count: 5, per: 2000 } });
  const end = performance.now() + 2500;
  while (performance.now() < end) {
    model.cut();
    await pause(20);
  }
  const times = model.requests.slice(1).map(({ at }) => at);
  assert.ok(times.length >= 6, `${times.length} attaches`);
  for (let i = 5; i < times.length; i++)
    assert.ok(times[i] - times[i - 5] > 1950, `${times[i] - times[i - 5]} ms for 6 attaches`);
}));
