// SPDX-License-Identifier: BSD-2-Clause
// Topics in Node with npm's ws: node topic_client.mjs URL TRANSPORT DIRECT COUNT. Subscribes at URL, posts COUNT
// numbers to DIRECT, which is the same route by a better way, publishes one itself and is done when it has
// them all. Prints what it saw as JSON.
import WebSocket from "ws";
import { CulvertTopics } from "../../contrib/js/culvert-topics.js";

const PACE = 10; // ms
const [url, transport, direct, count] = process.argv.slice(2);
const seen = { transports: [], interrupted: 0, resumed: 0, reset: 0, retained: [], live: [], own: null, closed: null };
const topics = new CulvertTopics(url, { transports: [transport], WebSocket });

for (const type of ["interrupted", "resumed", "reset"])
  topics.addEventListener(type, () => seen[type]++);
topics.ontransport = ({ detail }) => seen.transports.push(detail.transport);
topics.onclose = ({ code }) => {
  seen.closed = code;
  console.log(JSON.stringify(seen));
};

const post = async (topic, body) => {
  const answer = await fetch(`${direct}?topic=${encodeURIComponent(topic)}`, { method: "POST", body });
  if (answer.status !== 200)
    throw new Error(`POST: ${answer.status}`);
};

const until = async (condition) => {
  while (!condition())
    await new Promise((resolve) => setTimeout(resolve, 10));
};

await topics.publish("sensors/kept", "kept", { retain: true });
topics.subscribe("sensors/+", ({ topic, data, retained }) => {
  if (retained)
    seen.retained.push(`${topic}=${data}`);
  else if (topic === "sensors/own")
    seen.own = data;
  else
    seen.live.push(Number(data));
});
await until(() => topics.transport !== "");
for (let i = 0; i < Number(count); i++) {
  await post("sensors/n", `${i}`);
  await new Promise((resolve) => setTimeout(resolve, PACE));
}
await until(() => seen.live.length >= Number(count));
await until(() => topics.transport !== "");
for (let attempt = 0; seen.own === null && attempt < 10; attempt++)
  await topics.publish("sensors/own", "own").then(() => until(() => seen.own), () => {});
topics.close();
