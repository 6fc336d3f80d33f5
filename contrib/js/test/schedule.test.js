// SPDX-License-Identifier: BSD-2-Clause
// When clients come back: one of them, and ten thousand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Schedule } from "../culvert-socket.js";
import { seeded } from "./support/helpers.js";

const CLIENTS = 10000;
const WINDOW = 250; // ms over which a rate is counted

function longest(schedule) {
  return Math.round(schedule.delay());
}

function scheduleAtMost({ resume = 120000, spread = 5000 } = {}) {
  const schedule = new Schedule({ random: () => 1, now: () => 0 });
  schedule.configure({ resume, spread });
  return schedule;
}

test("first 500 ms at most, then doubled up to min(30 s, resume/4)", () => {
  const schedule = scheduleAtMost();
  const delays = [];
  schedule.carried();
  for (let i = 0; i < 9; i++) {
    delays.push(longest(schedule));
    schedule.failed();
  }
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  const short = scheduleAtMost({ resume: 10000 });
  for (let i = 0; i < 9; i++)
    short.failed();
  assert.equal(longest(short), 2500);
  schedule.carried();
  assert.equal(longest(schedule), 500);
});

test("full jitter: from 0 on", () => {
  const schedule = new Schedule({ random: () => 0, now: () => 0 });
  schedule.failed({ lost: true });
  assert.equal(schedule.delay(), 0);
});

test("a lost server: over the spread", () => {
  const schedule = scheduleAtMost({ resume: 30000 });
  schedule.failed({ lost: true });
  assert.equal(longest(schedule), 5000);
  schedule.failed({ lost: true });
  assert.equal(longest(schedule), 7500);
});

test("Retry-After is waited for, by one that is woken too", () => {
  const schedule = scheduleAtMost();
  schedule.failed({ retryAfter: 9000 });
  assert.equal(schedule.earliest(), 9000);
  assert.equal(longest(schedule), 9000);
});

test("at most 10 attaches in 10 s", () => {
  let now = 0;
  const schedule = new Schedule({ random: () => 0, now: () => now });
  for (let i = 0; i < 10; i++) {
    assert.equal(schedule.delay(), 0);
    schedule.attaching();
    now += 100;
  }
  assert.equal(schedule.delay(), 9000);
});

// A client's attempts at a server that is away until back: it is cut at 0 like all, tries once soon,
// finds nobody, and goes on until it is let in. Returns the times at which the living server sees it.
function attempts(random, { spread, resume, back }) {
  let now = 0;
  const schedule = new Schedule({ random, now: () => now });
  schedule.configure({ spread, resume });
  schedule.carried();
  for (;;) {
    now += schedule.delay();
    schedule.attaching();
    if (now >= back)
      return now;
    schedule.failed({ lost: true });
  }
}

for (const back of [500, 1000, 3000, 6000, 20000])
  for (const spread of [2000, 5000])
    test(`S20: 10,000 clients, server away for ${back} ms, spread ${spread} ms: at most twice the even rate`, () => {
      const random = seeded(back + spread);
      const histogram = new Map();
      for (let i = 0; i < CLIENTS; i++) {
        const at = Math.floor(attempts(random, { spread, resume: 30000, back }) / WINDOW);
        histogram.set(at, (histogram.get(at) ?? 0) + 1);
      }
      const peak = Math.max(...histogram.values()) / WINDOW;
      const even = CLIENTS / spread;
      assert.ok(peak <= 2 * even, `${Math.round(peak * 1000)}/s, evenly ${even * 1000}/s`);
    });
