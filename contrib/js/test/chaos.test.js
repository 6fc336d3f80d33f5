// SPDX-License-Identifier: BSD-2-Clause
// Several MiB each way while a proxy cuts every connection at a random byte: what comes back is what
// was sent, byte for byte. CHAOS_SEED changes what is random.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { connect, opened, seeded, until } from "./support/helpers.js";
import { Cutter } from "./support/cutter.js";
import { Model } from "./support/model.js";

const SEED = Number(process.env.CHAOS_SEED ?? 20251);
const BYTES = 3 << 20;
const AHEAD = 512 * 1024; // bytes that may wait in bufferedAmount

// Sends BYTES in messages of random size, digests both ways.
async function pour(socket, seen, random) {
  const up = createHash("sha256");
  let sent = 0;
  while (sent < BYTES && !seen.close) {
    const message = new Uint8Array(Math.ceil(random() ** 3 * 60000)).map(() => random() * 256);
    socket.send(message);
    up.update(message);
    sent += message.length;
    await until(() => socket.bufferedAmount < AHEAD || seen.close, "taken", 30000);
  }
  // close() drops what comes after it, so the echo is waited for before.
  await until(() => seen.bytes === sent || seen.close, "echoed", 60000);
  socket.close(1000);
  return up.digest("hex");
}

// What the echo got is checked at the model, which no proxy is in front of.
function digesting(digest) {
  return (session) => ({
    ready: () => session.outBytes < 1024 * 1024,
    data: (type, payload) => {
      digest.update(payload);
      session.send(type, Uint8Array.from(payload));
    },
  });
}

const kinds = {
  websocket: ["websocket"],
  sse: ["sse"],
  longpoll: ["longpoll"],
  mixed: ["websocket", "sse", "longpoll"],
};

for (const [name, transports] of Object.entries(kinds)) {
  test(`${name}: no byte lost, none repeated`, { timeout: 120000 }, async () => {
    const random = seeded(SEED);
    const atTarget = createHash("sha256");
    const model = await new Model({ cuts: true, target: digesting(atTarget) }).listen();
    const cutter = await new Cutter(model.port, { random, longest: 400000, split: true }).listen();
    // Mixed: WebSocket works now and then, so that the session moves down and up.
    const flip = name === "mixed" && setInterval(() => {
      model.behaviour.websocket = random() < 0.5 ? "ok" : "refuse";
    }, 300);
    const { socket, seen } = connect(cutter.url, [], {
      transports, random: () => random() * 0.2, attachLimit: { count: 1000, per: 1000 }, climbInterval: 400,
    });
    try {
      await opened(socket);
      const { session } = model;
      const down = createHash("sha256");
      socket.addEventListener("message", ({ data }) => down.update(new Uint8Array(data)));
      const digest = await pour(socket, seen, random);
      await until(() => seen.close, "closed", 60000);
      assert.equal(atTarget.digest("hex"), digest);
      assert.equal(down.digest("hex"), digest);
      assert.equal(seen.close.wasClean, true);
      assert.ok(cutter.cuts > 5, `${cutter.cuts} cuts`);
      assert.deepEqual(model.faults, []);
      if (name === "mixed")
        assert.ok(new Set(session.attaches.map(({ kind }) => kind)).size > 1, "it changed transports");
    } finally {
      clearInterval(flip);
      socket.close();
      await cutter.stop();
      await model.stop();
    }
  });
}
