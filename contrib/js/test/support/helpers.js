// SPDX-License-Identifier: BSD-2-Clause
// What the tests share.

import assert from "node:assert/strict";
import { CulvertSocket } from "../../culvert-socket.js";
import { Memory } from "../../lib/memory.js";
import { Model } from "./model.js";
import { TestWebSocket } from "./websocket.js";

// Numbers in [0, 1) that are the same in every run (mulberry32).
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export async function until(condition, what = "condition", ms = 10000) {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end)
      assert.fail(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// Options that every test has: a WebSocket, and a memory of its own.
export function options(more = {}) {
  const shared = new Map();
  return { WebSocket: TestWebSocket, memory: new Memory(new URL("http://test/r"), null, shared), page: {}, ...more };
}

// A socket that keeps what happens to it.
export function connect(url, protocols, more) {
  const socket = new CulvertSocket(url, protocols, options(more));
  socket.binaryType = "arraybuffer";
  const seen = { events: [], messages: [], bytes: 0, close: null };
  for (const type of ["open", "error", "close", "interrupted", "resumed", "transport"])
    socket.addEventListener(type, (event) => seen.events.push(type === "transport" ? `transport:${event.detail.transport}` : type));
  socket.addEventListener("message", ({ data }) => {
    seen.messages.push(typeof data === "string" ? data : new Uint8Array(data));
    seen.bytes += data.byteLength ?? data.length;
  });
  socket.addEventListener("close", (event) => {
    assert.equal(seen.close, null, "close fires once");
    seen.close = event;
  });
  return { socket, seen };
}

export const opened = (socket) => until(() => socket.readyState === 1, "open");

// Runs body with a model, and fails if the client did anything against the protocol.
export async function withModel(modelOptions, body) {
  const model = await new Model(modelOptions).listen();
  const sockets = [];
  const open = (protocols, more) => {
    const pair = connect(model.url, protocols, more);
    sockets.push(pair.socket);
    return pair;
  };
  try {
    await body(model, open);
    assert.deepEqual(model.faults, []);
  } finally {
    for (const socket of sockets)
      socket.close();
    await until(() => sockets.every((socket) => socket.readyState === 3), "all closed", 3000).catch(() => {});
    await model.stop();
  }
}
