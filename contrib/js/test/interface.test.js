// SPDX-License-Identifier: BSD-2-Clause
// What code written for WebSocket may count on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CulvertSocket } from "../culvert-socket.js";
import { connect, opened, options, until, withModel } from "./support/helpers.js";
import { sink } from "./support/model-session.js";

const nowhere = "ws://127.0.0.1:1/r";
const make = (url, protocols) => new CulvertSocket(url, protocols, options());

function throwsNamed(body, name) {
  assert.throws(body, (error) => error instanceof DOMException && error.name === name);
}

test("constants are on the class and on each object", () => {
  const socket = make(nowhere);
  for (const holder of [CulvertSocket, socket])
    assert.deepEqual([holder.CONNECTING, holder.OPEN, holder.CLOSING, holder.CLOSED], [0, 1, 2, 3]);
  assert.ok(socket instanceof EventTarget);
  assert.equal(socket.readyState, CulvertSocket.CONNECTING);
  assert.deepEqual([socket.protocol, socket.extensions, socket.bufferedAmount], ["", "", 0]);
  socket.close();
});

test("addresses as the constructor of WebSocket takes them", () => {
  const urls = { "http://h/a?b=1": "ws://h/a?b=1", "https://h": "wss://h/", "ws://h:80/": "ws://h/", "wss://h/x y": "wss://h/x%20y" };
  for (const [given, url] of Object.entries(urls)) {
    const socket = new CulvertSocket(given, [], options({ WebSocket: class {
      close() {}
    }, transports: ["websocket"] }));
    assert.equal(socket.url, url);
    socket.close();
  }
  for (const wrong of ["/relative", "ftp://h/", "ws://h/#part", "http://h/#", "ws://"])
    throwsNamed(() => make(wrong), "SyntaxError");
});

test("a relative address is relative to the page", () => {
  globalThis.location = { href: "https://example.org/app/index.html" };
  try {
    const socket = new CulvertSocket("../vnc?token=1", [], options({ WebSocket: class {
      close() {}
    }, transports: ["websocket"] }));
    assert.equal(socket.url, "wss://example.org/vnc?token=1");
    socket.close();
  } finally {
    delete globalThis.location;
  }
});

test("subprotocols that are wrong", () => {
  for (const wrong of ["a b", "", ["a", "a"], ["a", "A"], ["a,b"]])
    throwsNamed(() => make(nowhere, wrong), "SyntaxError");
});

test("a platform without any transport is told so", () => {
  assert.throws(() => new CulvertSocket(nowhere, [], options({ transports: ["pigeon"] })), TypeError);
});

test("arguments of close()", () => {
  const socket = make(nowhere);
  for (const code of [0, 999, 1001, 1005, 2999, 5000])
    throwsNamed(() => socket.close(code), "InvalidAccessError");
  throwsNamed(() => socket.close(1000, "é".repeat(62)), "SyntaxError");
  throwsNamed(() => socket.send("early"), "InvalidStateError");
  socket.close();
});

test("nobody there: error, then close with 1006, each once", async () => {
  const { socket, seen } = connect(nowhere);
  await until(() => seen.close);
  assert.deepEqual(seen.events, ["error", "close"]);
  assert.deepEqual([seen.close.code, seen.close.wasClean, socket.readyState], [1006, false, 3]);
});

test("a target that cannot be reached: the same, and error says why", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = "refuse";
  model.behaviour.post = 502;
  const { socket, seen } = open();
  let message;
  socket.onerror = (event) => ({ message } = event);
  await until(() => seen.close);
  assert.deepEqual(seen.events, ["error", "close"]);
  assert.equal(message, "502 refused");
}));

test("closed before it is open: never open, and no session is left", () => withModel({}, async (model, open) => {
  model.behaviour.websocket = "refuse";
  model.behaviour.postDelay = 200;
  const { socket, seen } = open();
  await until(() => model.requests.length === 2, "the POST");
  socket.close();
  assert.equal(socket.readyState, CulvertSocket.CLOSING);
  await until(() => seen.close);
  assert.deepEqual(seen.events, ["error", "close"]);
  await until(() => model.gone, "DELETE");
  assert.equal(model.sessions.size, 0);
}));

test("handlers: on… and addEventListener, in the order of registration", () => withModel({}, async (model, open) => {
  const { socket } = open();
  const calls = [];
  socket.onmessage = () => calls.push("replaced");
  socket.addEventListener("message", () => calls.push("second"));
  const first = function ({ data, origin, type }) {
    assert.equal(this, socket);
    calls.push(type, data, origin);
  };
  socket.onmessage = first;
  assert.equal(socket.onmessage, first);
  socket.onopen = "not a function";
  assert.equal(socket.onopen, null);
  await opened(socket);
  socket.send("x");
  await until(() => calls.length === 4);
  assert.deepEqual(calls, ["message", "x", new URL(model.url).origin, "second"]);
}));

test("send() takes what WebSocket takes, and copies it", () => withModel({}, async (model, open) => {
  const { socket, seen } = open();
  await opened(socket);
  const bytes = Uint8Array.of(9, 1, 2, 9);
  socket.send(bytes.subarray(1, 3));
  socket.send(bytes.buffer);
  socket.send(new DataView(bytes.buffer, 3));
  socket.send(new Blob([Uint8Array.of(7), "8"]));
  socket.send(42);
  bytes.fill(0);
  await until(() => seen.messages.length === 5);
  assert.deepEqual(seen.messages, [Uint8Array.of(1, 2), Uint8Array.of(9, 1, 2, 9), Uint8Array.of(9), Uint8Array.of(7, 56), "42"]);
}));

test("binaryType: blob at first, arraybuffer if asked, nothing else", () => withModel({}, async (model, open) => {
  const { socket } = open();
  assert.equal(make(nowhere).binaryType, "blob");
  const got = [];
  socket.onmessage = ({ data }) => got.push(data);
  socket.binaryType = "blob";
  socket.binaryType = "string";
  await opened(socket);
  socket.send(Uint8Array.of(1));
  await until(() => got.length === 1);
  assert.ok(got[0] instanceof Blob);
  assert.deepEqual(new Uint8Array(await got[0].arrayBuffer()), Uint8Array.of(1));
  socket.binaryType = "arraybuffer";
  socket.send(Uint8Array.of(2));
  await until(() => got.length === 2);
  assert.ok(got[1] instanceof ArrayBuffer);
  assert.equal(got[1].byteLength, 1);
}));

test("bufferedAmount: until the target took it, and after close() too", () => withModel({ target: sink }, async (model, open) => {
  const { socket } = open();
  await opened(socket);
  model.session.target.taking = false;
  socket.send("1234");
  socket.send(new Blob(["56"]));
  assert.equal(socket.bufferedAmount, 6);
  await until(() => model.session.received === 2, "received");
  assert.equal(socket.bufferedAmount, 6);
  model.session.target.taking = true;
  model.session.feed();
  await until(() => socket.bufferedAmount === 0, "taken");
  socket.close();
  socket.send("78");
  assert.equal(socket.bufferedAmount, 2);
}));

test("close() without a code: 1005, as WebSocket has it", () => withModel({}, async (model, open) => {
  const { socket, seen } = open();
  await opened(socket);
  socket.send(new Blob(["before"]));
  socket.close();
  socket.close(4000);
  await until(() => seen.close);
  assert.deepEqual([seen.close.code, seen.close.wasClean], [1005, true]);
  assert.equal(model.gone.received, 1);
}));

test("no message after close()", () => withModel({}, async (model, open) => {
  const { socket, seen } = open();
  await opened(socket);
  const { session } = model;
  session.send(3, Buffer.from("first"));
  socket.addEventListener("message", () => socket.close(1000));
  for (let i = 0; i < 50; i++)
    session.send(2, new Uint8Array(3000));
  await until(() => seen.close);
  assert.deepEqual(seen.messages, ["first"]);
  assert.equal(seen.close.code, 1000);
}));

test("pause() in a handler holds the rest back", () => withModel({}, async (model, open) => {
  const { socket, seen } = open();
  await opened(socket);
  socket.addEventListener("message", () => socket.pause());
  for (let i = 0; i < 3; i++)
    model.session.send(3, Buffer.from(`${i}`));
  await until(() => seen.messages.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(seen.messages.length, 1);
  assert.equal(model.session.acked, 1);
  socket.resume();
  assert.equal(seen.messages.length, 2);
  socket.resume();
  assert.deepEqual(seen.messages, ["0", "1", "2"]);
}));

test("noVNC's channel: what it looks for is on the object's own prototype", () => {
  const socket = make(nowhere);
  const own = [...Object.keys(socket), ...Object.getOwnPropertyNames(Object.getPrototypeOf(socket))];
  for (const name of ["send", "close", "binaryType", "onerror", "onmessage", "onopen", "protocol", "readyState"])
    assert.ok(own.includes(name), name);
  socket.close();
});
