// SPDX-License-Identifier: BSD-2-Clause
// What the tests of topics share.

import assert from "node:assert/strict";
import { CulvertTopics } from "../../culvert-topics.js";
import { options, until } from "./helpers.js";
import { TopicModel } from "./topic-model.js";

export { until };
export const KINDS = ["websocket", "sse", "longpoll"];

const EVENTS = ["open", "close", "error", "interrupted", "resumed", "reset", "dropped", "bus", "transport"];

function describe(event) {
  switch (event.type) {
    case "transport":
      return `transport:${event.detail.transport}`;
    case "bus":
      return `bus:${event.detail.state}`;
    case "dropped":
      return `dropped:${event.detail.count}`;
    case "error":
      return `error:${event.message}`;
    default:
      return event.type;
  }
}

// A client that keeps what happens to it.
export function connect(url, more) {
  const topics = new CulvertTopics(url, options(more));
  const events = [];
  for (const type of EVENTS)
    topics.addEventListener(type, (event) => events.push(describe(event)));
  return { topics, events };
}

// A function to subscribe with, that keeps what it got: "topic=data", with (…) around retained values.
export function collector() {
  const seen = [];
  const collect = ({ topic, data, retained }) => seen.push(retained ? `(${topic}=${data})` : `${topic}=${data}`);
  return Object.assign(collect, { seen });
}

const sorted = (filters) => [...filters].sort().join();

// Until the server has these filters, and no others, on one client.
export const subscribed = (model, ...filters) => until(() => model.clients.size === 1 &&
  sorted([...model.clients][0].filters) === sorted(filters), `subscribed to ${filters}`);

// Runs body with a model, and fails if the client did anything against the protocol.
export async function withTopics(body) {
  const model = await new TopicModel().listen();
  const clients = [];
  const open = (more) => {
    const pair = connect(model.url, more);
    clients.push(pair.topics);
    return pair;
  };
  try {
    await body(model, open);
    assert.deepEqual(model.faults, []);
  } finally {
    for (const topics of clients)
      topics.close();
    await model.stop();
  }
}
