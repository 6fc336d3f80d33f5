// SPDX-License-Identifier: BSD-2-Clause
// Sessions without WebSocket: a stream or polls down, POST up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sink } from "./support/model-session.js";
import { opened, until, withModel } from "./support/helpers.js";

for (const kind of ["sse", "longpoll"]) {
  const only = { transports: [kind] };

  test(`${kind}: what is sent comes back`, () => withModel({}, async (model, open) => {
    const { socket, seen } = open(["chat"], only);
    await opened(socket);
    assert.deepEqual(model.session.protocols, ["chat"]);
    socket.send("line\r\nbreak \u{1f600}");
    socket.send(Uint8Array.of(0, 255, 10));
    await until(() => seen.messages.length === 2);
    assert.deepEqual(seen.messages, ["line\r\nbreak \u{1f600}", Uint8Array.of(0, 255, 10)]);
    assert.equal(socket.transport, kind);
    await until(() => socket.bufferedAmount === 0, "acknowledged");
  }));

  test(`${kind}: what waits goes in one POST`, () => withModel({}, async (model, open) => {
    const { socket, seen } = open([], only);
    await opened(socket);
    for (let i = 0; i < 200; i++)
      socket.send(`${i}`);
    await until(() => seen.messages.length === 200);
    assert.ok(model.session.posts < 20, `${model.session.posts} POSTs`);
    assert.deepEqual(seen.messages, Array.from({ length: 200 }, (_, i) => `${i}`));
  }));

  test(`${kind}: a lost carrier is replaced`, () => withModel({ cuts: true }, async (model, open) => {
    const { socket, seen } = open([], only);
    await opened(socket);
    for (let i = 0; i < 3; i++) {
      socket.send(`${i}`);
      await until(() => seen.messages.length === 2 * i + 1);
      model.cut();
      socket.send(`cut ${i}`);
      await until(() => seen.messages.length === 2 * i + 2);
    }
    assert.deepEqual(seen.messages, ["0", "cut 0", "1", "cut 1", "2", "cut 2"]);
    assert.equal(model.sessions.size, 1);
  }));

  test(`${kind}: close() sends everything first, and the code comes back`, () => withModel({}, async (model, open) => {
    const { socket, seen } = open([], only);
    await opened(socket);
    const { session } = model;
    for (let i = 0; i < 50; i++)
      socket.send(new Uint8Array(5000));
    socket.close(3001, "done");
    await until(() => seen.close);
    assert.equal(session.received, 50);
    assert.deepEqual([seen.close.code, seen.close.wasClean], [3001, true]);
  }));

  test(`${kind}: the server's CLOSE comes after its data and is answered`, () => withModel({}, async (model, open) => {
    const { socket, seen } = open([], only);
    await opened(socket);
    const { session } = model;
    session.send(2, Buffer.from("last words"));
    session.close(4000, "bye");
    await until(() => seen.close);
    assert.equal(seen.messages.length, 1);
    assert.deepEqual([seen.close.code, seen.close.reason, seen.close.wasClean], [4000, "bye", true]);
    await until(() => session.closeIn, "the answer");
    assert.deepEqual([session.closeIn.code, session.acked], [4000, 1]);
  }));

  test(`${kind}: a slow target stops the client at the window`, () => withModel({ target: sink }, async (model, open) => {
    const { socket } = open([], only);
    await opened(socket);
    const { session } = model;
    session.target.taking = false;
    for (let i = 0; i < 100; i++)
      socket.send(new Uint8Array(4000));
    await until(() => session.received >= 16, "the window is full");
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(session.received, 16);
    assert.equal(socket.bufferedAmount, 400000);
    session.target.taking = true;
    session.feed();
    await until(() => socket.bufferedAmount === 0, "all taken");
    assert.equal(session.received, 100);
  }));

  test(`${kind}: paused, nothing is dispatched nor acknowledged, and the window stops the server`, () => withModel({ resume: 600 }, async (model, open) => {
    const { socket, seen } = open([], only);
    await opened(socket);
    const { session } = model;
    socket.pause();
    for (let i = 0; i < 100; i++)
      session.send(2, new Uint8Array(4000));
    // Longer than a session waits: it must be kept alive meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.deepEqual([seen.messages.length, session.acked], [0, 0]);
    assert.equal(socket.transport, kind);
    if (kind === "longpoll")
      assert.ok(session.posts >= 3, `kept alive by ${session.posts} POSTs`);
    socket.resume();
    await until(() => seen.messages.length === 100);
    await until(() => session.acked === 100, "acknowledged");
  }));

  test(`${kind}: POSTs that fail are repeated`, () => withModel({}, async (model, open) => {
    const { socket, seen } = open([], only);
    await opened(socket);
    model.behaviour.post = 503;
    socket.send("one");
    socket.send("two");
    await until(() => model.requests.filter(({ kind: of }) => of === "POST").length >= 3, "a failed POST");
    model.behaviour.post = "ok";
    await until(() => seen.messages.length === 2);
    assert.deepEqual(seen.messages, ["one", "two"]);
  }));

  test(`${kind}: a session that is not known any more closes with 4404`, () => withModel({}, async (model, open) => {
    const { socket, seen } = open([], only);
    await opened(socket);
    model.forget();
    model.cut();
    await until(() => seen.close);
    assert.deepEqual([seen.close.code, seen.close.wasClean], [4404, false]);
  }));
}
