// SPDX-License-Identifier: BSD-2-Clause
// Filters, and who gets a message.

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkFilter, checkTopic, matcher } from "../lib/topics/filters.js";
import { Place } from "../lib/topics/place.js";
import { Subscriptions } from "../lib/topics/subscriptions.js";

const matches = (filter, topic) => matcher(filter)(topic.split("/"));

test("filters match as MQTT has it", () => {
  for (const [filter, topic] of [
    ["a/b", "a/b"], ["a/+", "a/b"], ["a/+", "a/"], ["+/+", "/b"], ["/+", "/b"], ["+", "a"], ["#", "a/b/c"], ["#", "/"],
    ["a/#", "a"], ["a/#", "a/b/c"], ["a/+/#", "a/b"], ["+/#", "a"], ["$x/#", "$x/y"], ["$x/+", "$x/y"], ["a/$b", "a/$b"], ["a/+", "a/$b"],
  ])
    assert.ok(matches(filter, topic), `${filter} has ${topic}`);
  for (const [filter, topic] of [
    ["a/b", "a/c"], ["a/+", "a"], ["a/+", "a/b/c"], ["+", "/a"], ["+", "a/"], ["a/#", "ab"], ["a/+/#", "a"], ["a", "A"],
    ["#", "$x"], ["#", "$x/y"], ["+/y", "$x/y"], ["+", "$x"], ["a//b", "a/b"],
  ])
    assert.ok(!matches(filter, topic), `${filter} has not ${topic}`);
});

test("what is neither a filter nor a topic is refused", () => {
  for (const filter of ["a", "/", "+", "#", "a/+/b", "a/#", "+/#", " ", "$x/#"])
    checkFilter(filter);
  for (const filter of ["", "a#", "#/a", "a/#/b", "a+", "+a", "a\0", null, undefined, 7, "x".repeat(65536)])
    assert.throws(() => checkFilter(filter), TypeError, String(filter).slice(0, 20));
  for (const topic of ["", "a/+", "#", "a\0", undefined, "x".repeat(65536)])
    assert.throws(() => checkTopic(topic), TypeError, String(topic).slice(0, 20));
  checkTopic("a/b");
});

function listening(...filters) {
  const subscriptions = new Subscriptions();
  const got = [];
  const fn = ({ topic }) => got.push(topic);
  for (const filter of filters)
    subscriptions.add(filter, fn, { primed: true });
  return { subscriptions, got, fn };
}

test("a function that has several filters gets a message once", () => {
  const { subscriptions, got } = listening("a/#", "a/+", "a/b");
  subscriptions.live({ topic: "a/b" });
  assert.deepEqual(got, ["a/b"]);
});

test("a function that throws is no business of the others", () => {
  const { subscriptions, fn, got } = listening();
  const seen = [];
  const { reportError } = globalThis;
  globalThis.reportError = (error) => seen.push(error.message);
  subscriptions.add("a", () => {
    throw new Error("mine");
  }, { primed: true });
  subscriptions.add("a", fn, { primed: true });
  subscriptions.live({ topic: "a" });
  globalThis.reportError = reportError;
  assert.deepEqual([got, seen], [["a"], ["mine"]]);
});

test("who is unsubscribed in the middle of a message does not get it", () => {
  const subscriptions = new Subscriptions();
  const got = [];
  let stop;
  subscriptions.add("a", () => stop(), { primed: true });
  stop = subscriptions.add("a", () => got.push("second"), { primed: true });
  subscriptions.live({ topic: "a" });
  assert.deepEqual(got, []);
  assert.deepEqual(subscriptions.filters, ["a"]);
});

test("retained values are for those who are new, and not older than what they have", () => {
  const { subscriptions, got } = listening("a/#");
  const late = [];
  subscriptions.add("a/+", ({ topic, data }) => late.push(`${topic}=${data}`));
  subscriptions.ask(["a/+"]);
  subscriptions.live({ topic: "a/old", data: "history" }, { history: true });
  subscriptions.live({ topic: "a/b", data: "new" });
  subscriptions.retained({ topic: "a/b", data: "old" });
  subscriptions.retained({ topic: "a/c", data: "kept" });
  assert.deepEqual(got, ["a/old", "a/b"]);
  assert.deepEqual(late, ["a/b=new", "a/c=kept"]);
  subscriptions.prime(["a/+"]);
  subscriptions.retained({ topic: "a/d", data: "not asked for" });
  assert.equal(late.length, 2);
  subscriptions.retained({ topic: "a/d", data: "after a reset" }, { all: true });
  assert.deepEqual([late.length, got.length], [3, 3]);
});

test("what two connections bring is taken once", () => {
  const place = new Place();
  const live = (id, doubled = false) => place.take(id, { history: false, doubled });
  const past = (id) => place.take(id, { history: true, doubled: false });
  assert.deepEqual(["1", "2", "3"].map((id) => live(id, true)), [true, true, true]);
  assert.equal(place.cursor, "3");
  assert.deepEqual([past("1"), past("2")], [false, false]);
  place.move("2");
  assert.deepEqual([live("3"), live("4")], [false, true]);
  assert.equal(place.cursor, "4");
  assert.equal(live("1"), true, "they are forgotten once a new one came");
});
