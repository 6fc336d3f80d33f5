// SPDX-License-Identifier: BSD-2-Clause
// What is published: waits while there is no connection, within bounds, and never goes twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { subscribed, until, withTopics } from "./support/topic-helpers.js";

const settled = (promise) => promise.then(({ id }) => id ?? "null", (error) => error);

// On a WebSocket, cut, and not to come back until it is "ok" again.
async function away(model, open, more) {
  const pair = open({ transports: ["websocket"], ...more });
  pair.topics.subscribe("a", () => {});
  await until(() => pair.events.includes("open"));
  model.behaviour.websocket = "refuse";
  model.cut();
  await until(() => pair.events.includes("interrupted"));
  return pair;
}

test("while away it waits, and then goes in order", () => withTopics(async (model, open) => {
  const { topics } = await away(model, open);
  const ids = ["1", "2", "3"].map((data) => settled(topics.publish("a", data)));
  model.behaviour.websocket = "ok";
  assert.deepEqual(await Promise.all(ids), ["e1-1", "e1-2", "e1-3"]);
  assert.deepEqual(model.history.map(({ data }) => data), ["1", "2", "3"]);
}));

test("it does not wait for ever", () => withTopics(async (model, open) => {
  const { topics } = await away(model, open, { publishTimeout: 100 });
  const error = await settled(topics.publish("a", "x"));
  assert.deepEqual([error.name, error.message, error.uncertain], ["PublishError", "no connection in time", false]);
  model.behaviour.websocket = "ok";
  await until(() => topics.transport === "websocket", "back", 15000);
  assert.deepEqual(model.taken, []);
}));

test("nor does too much of it", () => withTopics(async (model, open) => {
  const { topics } = await away(model, open, { publishQueue: { count: 2, bytes: 1000 } });
  const first = settled(topics.publish("a", "x".repeat(900)));
  const large = await settled(topics.publish("a", new Uint8Array(200)));
  const second = settled(topics.publish("a", "2"));
  const third = await settled(topics.publish("a", "3"));
  assert.deepEqual([large.message, third.message], Array(2).fill("too much waits to be published"));
  model.behaviour.websocket = "ok";
  assert.deepEqual(await Promise.all([first, second]), ["e1-1", "e1-2"]);
  assert.equal(await settled(topics.publish("a", "4")), "e1-3");
}));

test("what a lost WebSocket had under way is not known, and not sent again", () => withTopics(async (model, open) => {
  const { topics, events } = open({ transports: ["websocket"] });
  topics.subscribe("a", () => {});
  await subscribed(model, "a");
  model.behaviour.ack = false;
  const answer = settled(topics.publish("a", "x"));
  await until(() => model.taken.length === 1);
  model.cut();
  assert.equal((await answer).uncertain, true);
  await until(() => events.includes("resumed"));
  assert.equal(model.taken.length, 1);
}));

test("nor what is not acknowledged in time", () => withTopics(async (model, open) => {
  const { topics } = open({ transports: ["websocket"], publishTimeout: 100 });
  topics.subscribe("a", () => {});
  await subscribed(model, "a");
  model.behaviour.ack = false;
  const error = await settled(topics.publish("a", "x"));
  assert.deepEqual([error.message, error.uncertain], ["not acknowledged in time", true]);
  model.behaviour.post = "hang";
  const post = open({ transports: ["sse"], publishTimeout: 100 });
  assert.equal((await settled(post.topics.publish("a", "x"))).uncertain, true);
}));

test("a refusal is told, with what is known of it", () => withTopics(async (model, open) => {
  const { topics } = open({ transports: ["websocket"] });
  topics.subscribe("a", () => {});
  await subscribed(model, "a");
  const refused = await settled(topics.publish("no/x", ""));
  assert.deepEqual([refused.message, refused.uncertain], ["not there", false]);
  const post = open({ transports: ["sse"] });
  for (const [status, uncertain] of [[403, false], [413, false], [503, true]]) {
    model.behaviour.post = status;
    const error = await settled(post.topics.publish("a", ""));
    assert.deepEqual([error.message, error.status, error.uncertain], [`${status} refused`, status, uncertain]);
  }
}));

test("a limit of the rate is waited for", () => withTopics(async (model, open) => {
  const { topics } = open({ transports: ["sse"] });
  model.behaviour.post = 429;
  model.behaviour.headers = { "Retry-After": "1" };
  const began = performance.now();
  const answers = [settled(topics.publish("a", "1")), settled(topics.publish("a", "2"))];
  await until(() => model.taken.length === 1);
  model.behaviour.post = "ok";
  assert.deepEqual(await Promise.all(answers), ["e1-1", "e1-2"]);
  assert.ok(performance.now() - began > 900);
  assert.equal(model.taken.length, 3);
}));

test("the connection stays until all is acknowledged", () => withTopics(async (model, open) => {
  const { topics } = open({ transports: ["websocket"] });
  const stop = topics.subscribe("a", () => {});
  await subscribed(model, "a");
  const answer = settled(topics.publish("a", "last"));
  stop();
  assert.equal(await answer, "e1-1");
  await until(() => model.clients.size === 0, "gone");
}));

test("order is kept when a WebSocket takes over", () => withTopics(async (model, open) => {
  model.behaviour.websocket = 1300;
  const { topics } = open();
  topics.subscribe("a", () => {});
  const answers = [];
  for (let i = 0; i < 300; i++) {
    answers.push(topics.publish("a", `${i}`));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(answers);
  assert.equal(topics.transport, "websocket");
  assert.deepEqual(model.history.map(({ data }) => data), Array.from({ length: 300 }, (_, i) => `${i}`));
}));
