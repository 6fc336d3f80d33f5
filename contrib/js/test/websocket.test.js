// SPDX-License-Identifier: BSD-2-Clause
// A session on WebSocket alone: messages, numbers, loss, endings.

import assert from "node:assert/strict";
import { test } from "node:test";
import { opened, until, withModel } from "./support/helpers.js";

const only = { transports: ["websocket"] };

test("what is sent comes back, text as text and bytes as bytes", () => withModel({ protocol: "chat" }, async (model, open) => {
  const { socket, seen } = open(["chat"], only);
  await opened(socket);
  socket.send("hello");
  socket.send(Uint8Array.of(1, 2, 3));
  await until(() => seen.messages.length === 2);
  assert.deepEqual(seen.messages, ["hello", Uint8Array.of(1, 2, 3)]);
  assert.equal(socket.protocol, "chat");
  assert.equal(socket.transport, "websocket");
  assert.deepEqual(seen.events, ["open", "transport:websocket"]);
  await until(() => socket.bufferedAmount === 0, "acknowledged");
}));

test("a lost carrier is replaced, nothing is lost and nothing comes twice", () => withModel({}, async (model, open) => {
  const { socket, seen } = open([], only);
  await opened(socket);
  for (let i = 0; i < 5; i++) {
    socket.send(`${i}`);
    await until(() => seen.messages.length > i);
    model.cut();
    socket.send(`cut ${i}`);
    await until(() => seen.events.at(-1) === "resumed", "resumed");
    await until(() => seen.messages.at(-1) === `cut ${i}`);
    seen.messages.pop();
  }
  assert.equal(seen.messages.length, 5);
  assert.equal(model.sessions.size, 1);
}));

test("close() sends everything first, and the code comes back", () => withModel({}, async (model, open) => {
  const { socket, seen } = open([], only);
  await opened(socket);
  const { session } = model;
  for (let i = 0; i < 100; i++)
    socket.send(new Uint8Array(5000));
  socket.close(3001, "done");
  await until(() => seen.close);
  assert.equal(session.received, 100);
  assert.equal(seen.close.code, 3001);
  assert.equal(seen.close.wasClean, true);
}));

test("the server's CLOSE comes after its data and is answered", () => withModel({}, async (model, open) => {
  const { socket, seen } = open([], only);
  await opened(socket);
  const { session } = model;
  session.send(2, Buffer.from("last words"));
  session.close(1000, "bye");
  await until(() => seen.close);
  assert.equal(seen.messages.length, 1);
  assert.deepEqual([seen.close.code, seen.close.reason, seen.close.wasClean], [1000, "bye", true]);
  await until(() => session.closeIn, "the answer");
  assert.equal(session.closeIn.code, 1000);
  assert.equal(session.acked, 1);
}));
