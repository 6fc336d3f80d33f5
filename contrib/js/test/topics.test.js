// SPDX-License-Identifier: BSD-2-Clause
// Topics on each transport: what is subscribed, published, resumed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { collector, KINDS, subscribed, until, withTopics } from "./support/topic-helpers.js";

for (const kind of KINDS) {
  const only = { transports: [kind] };

  test(`${kind}: retained values, then what is published`, () => withTopics(async (model, open) => {
    const { topics, events } = open(only);
    const fn = collector();
    model.publish("s/old", "gone");
    model.publish("s/kept", "7", { retain: true });
    topics.subscribe("s/+", fn);
    await subscribed(model, "s/+");
    model.publish("s/a", "one");
    await until(() => fn.seen.length === 2);
    model.publish("other", "no");
    model.publish("s/a", { data64: "/wA=" });
    await until(() => fn.seen.length === 3);
    assert.deepEqual(fn.seen, ["(s/kept=7)", "s/a=one", "s/a=255,0"]);
    assert.deepEqual(events, ["open", `transport:${kind}`]);
    assert.equal(topics.transport, kind);
    await until(() => topics.cursor === model.cursor || kind !== "longpoll");
  }));

  test(`${kind}: text, bytes and retained values are published, and acknowledged`, () => withTopics(async (model, open) => {
    const { topics } = open(only);
    const messages = [];
    topics.subscribe("c/#", (message) => messages.push(message));
    const bytes = Uint8Array.of(0, 255);
    const sent = [topics.publish("c/a", "grüße"), topics.publish("c/b", bytes, { retain: true }), topics.publish("c/c", "")];
    bytes.fill(1);
    const answers = await Promise.all(sent);
    await until(() => messages.length === 3, "what one publishes oneself");
    assert.deepEqual(answers.map(({ id }) => id), messages.map(({ id }) => id));
    assert.deepEqual(messages.map(({ topic, data, retained }) => [topic, data, retained]),
      [["c/a", "grüße", false], ["c/b", Uint8Array.of(0, 255), false], ["c/c", "", false]]);
    assert.deepEqual([...model.retained.keys()], ["c/b"]);
    assert.deepEqual(model.taken, ["c/a", "c/b", "c/c"]);
  }));

  test(`${kind}: a lost carrier is resumed, with nothing lost and nothing repeated`, () => withTopics(async (model, open) => {
    const { topics, events } = open(only);
    const fn = collector();
    topics.subscribe("s/#", fn);
    await subscribed(model, "s/#");
    const expected = [];
    for (let i = 0; i < 4; i++) {
      model.publish("s/a", `${i}`);
      await until(() => fn.seen.length === expected.length + 1 && model.clients.size === 1);
      model.cut();
      model.publish("s/a", `away ${i}`);
      await until(() => events.filter((event) => event === "resumed").length === i + 1, "resumed");
      expected.push(`s/a=${i}`, `s/a=away ${i}`);
      await until(() => fn.seen.length >= expected.length);
    }
    assert.deepEqual(fn.seen, expected);
  }));

  test(`${kind}: a server that was restarted: reset, and the retained values again`, () => withTopics(async (model, open) => {
    const { topics, events } = open(only);
    const fn = collector();
    model.publish("s/k", "1", { retain: true });
    topics.subscribe("s/#", fn);
    await subscribed(model, "s/#");
    model.publish("s/a", "2");
    await until(() => fn.seen.length === 2);
    model.restart();
    model.cut();
    await until(() => events.includes("reset"), "reset");
    await until(() => fn.seen.length === 3);
    await subscribed(model, "s/#");
    model.publish("s/a", "3");
    await until(() => fn.seen.length === 4);
    assert.deepEqual(fn.seen, ["(s/k=1)", "s/a=2", "(s/k=1)", "s/a=3"]);
  }));

  test(`${kind}: who subscribes later gets retained values`, () => withTopics(async (model, open) => {
    const { topics, events } = open(only);
    const [first, second, third] = [collector(), collector(), collector()];
    topics.subscribe("s/#", first);
    await subscribed(model, "s/#");
    model.publish("c/a", "kept", { retain: true });
    topics.subscribe("c/+", second);
    topics.subscribe("c/a", third);
    await until(() => second.seen.length === 1 && third.seen.length === 1);
    await subscribed(model, "s/#", "c/+", "c/a");
    model.publish("c/a", "live");
    await until(() => third.seen.length === 2);
    // A poll does not tell where history ends: there, what came since the cursor takes the value's place.
    const got = [kind === "longpoll" ? "c/a=kept" : "(c/a=kept)", "c/a=live"];
    assert.deepEqual([first.seen, second.seen, third.seen], [[], got, got]);
    assert.ok(!events.includes("interrupted"));
  }));

  test(`${kind}: a second function of the same filter gets retained values, the first not again`, () => withTopics(async (model, open) => {
    const { topics } = open(only);
    const [first, second] = [collector(), collector()];
    model.publish("s/k", "1", { retain: true });
    topics.subscribe("s/+", first);
    await until(() => first.seen.length === 1);
    topics.subscribe("s/+", second);
    await until(() => second.seen.length === 1);
    assert.deepEqual([first.seen, second.seen], [["(s/k=1)"], ["(s/k=1)"]]);
  }));

  test(`${kind}: the last of a filter ends it, the last of all ends the connection`, () => withTopics(async (model, open) => {
    const { topics } = open(only);
    const fn = collector();
    const stops = ["a", "a", "b"].map((filter) => topics.subscribe(filter, filter === "b" ? collector() : fn));
    await subscribed(model, "a", "b");
    stops[0]();
    stops[2]();
    await subscribed(model, "a");
    model.publish("b", "no");
    model.publish("a", "yes");
    await until(() => fn.seen.length === 1);
    stops[1]();
    stops[1]();
    await until(() => model.clients.size === 0, "gone");
    assert.equal(topics.transport, "");
    model.publish("a", "nobody is there");
    topics.subscribe("a", fn);
    await subscribed(model, "a");
    assert.deepEqual(fn.seen, ["a=yes"]);
  }));

  test(`${kind}: what changes in a turn goes together`, () => withTopics(async (model, open) => {
    const { topics } = open(only);
    topics.subscribe("a", () => {});
    topics.subscribe("b", () => {});
    const stop = topics.subscribe("c", () => {});
    stop();
    await subscribed(model, "a", "b");
    const before = model.count(kind);
    topics.subscribe("d", () => {});
    topics.subscribe("e", () => {})();
    topics.subscribe("f", () => {});
    await subscribed(model, "a", "b", "d", "f");
    assert.deepEqual(model.requests[0].filters, ["a", "b"]);
    if (kind === "sse")
      assert.ok(model.count(kind) <= before + 2, "one for the filters, one for their retained values");
  }));

  test(`${kind}: what is not granted costs the others nothing`, () => withTopics(async (model, open) => {
    model.behaviour.denied = ["bad/1", "bad/2"];
    const { topics, events } = open(only);
    const fn = collector();
    topics.subscribe("a", fn);
    await subscribed(model, "a");
    for (const filter of ["b", "bad/1", "c", "bad/2"])
      topics.subscribe(filter, fn);
    await subscribed(model, "a", "b", "c");
    await until(() => events.filter((event) => event.startsWith("error:bad/")).length === 2);
    for (const topic of ["a", "b", "c"]) {
      model.publish(topic, "1");
      await until(() => fn.seen.at(-1) === `${topic}=1`);
    }
    assert.ok(!events.includes("close"));
  }));

  test(`${kind}: a beat moves the cursor, so that a quiet filter keeps its place`, { skip: kind === "longpoll" }, () => withTopics(async (model, open) => {
    const { topics, events } = open(only);
    topics.subscribe("quiet", () => {});
    await until(() => topics.transport === kind);
    model.kept = 2;
    for (let i = 0; i < 5; i++)
      model.publish("busy", `${i}`);
    model.beat();
    await until(() => topics.cursor === model.cursor, "moved");
    model.cut();
    await until(() => events.includes("resumed"));
    assert.ok(!events.includes("reset"));
  }));
}

test("events of the bus and of the queue are told", () => withTopics(async (model, open) => {
  const { topics, events } = open();
  topics.subscribe("a", () => {});
  await subscribed(model, "a");
  for (const item of [{ event: "dropped", count: 3 }, { event: "bus", state: "down" }, { event: "bus", state: "up" },
    { event: "reset" }, { event: "something new" }, { event: "error", reason: "well" }])
    model.event(item);
  await until(() => events.length === 7);
  assert.deepEqual(events.slice(2), ["dropped:3", "bus:down", "bus:up", "reset", "error:well"]);
}));

test("another may begin where one left off", () => withTopics(async (model, open) => {
  const first = open();
  first.topics.subscribe("a", () => {});
  await subscribed(model, "a");
  model.publish("a", "1");
  await until(() => first.topics.cursor === model.cursor);
  const since = first.topics.cursor;
  first.topics.close();
  model.publish("a", "2", { retain: true });
  const { topics } = open({ since });
  const fn = collector();
  topics.subscribe("a", fn);
  await until(() => fn.seen.length === 1);
  assert.deepEqual(fn.seen, ["a=2"]);
}));

test("close() tells the server and the application, and nothing works any more", () => withTopics(async (model, open) => {
  const { topics, events } = open();
  topics.subscribe("a", () => {});
  await subscribed(model, "a");
  model.behaviour.ack = false;
  const waiting = topics.publish("a", "x");
  await until(() => model.taken.length === 1);
  topics.close();
  topics.close();
  await assert.rejects(waiting, { name: "PublishError", uncertain: true });
  await until(() => model.clients.size === 0);
  await until(() => events.at(-1) === "close");
  assert.equal(model.left.code, 1000);
  assert.throws(() => topics.subscribe("b", () => {}), { name: "InvalidStateError" });
  await assert.rejects(topics.publish("a", "x"), { name: "PublishError", uncertain: false });
  assert.equal(events.filter((event) => event === "close").length, 1);
}));

test("wrong uses are refused at once", () => withTopics(async (model, open) => {
  const { topics } = open();
  assert.throws(() => topics.subscribe("a/#/b", () => {}), TypeError);
  assert.throws(() => topics.subscribe("a"), TypeError);
  await assert.rejects(topics.publish("a/+", ""), TypeError);
  await assert.rejects(topics.publish("a", { not: "bytes" }), TypeError);
  assert.equal(model.requests.length, 0);
}));
