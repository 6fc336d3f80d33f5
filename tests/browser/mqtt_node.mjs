// SPDX-License-Identifier: BSD-2-Clause
// mqtt.js in Node, on a leash: calls of pages/mqtt_clients.mjs come as lines of JSON on standard input,
// answers go to standard output. A process has plain clients, or some on sessions: mqtt.js decides that once.
import { createInterface } from "node:readline";
import mqtt from "mqtt";
import WebSocket from "ws";
import { CulvertSocket } from "../../contrib/js/culvert-socket.js";
import { clientsOf } from "./pages/mqtt_clients.mjs";

const clients = clientsOf({ mqtt, CulvertSocket, WebSocket });
for await (const line of createInterface({ input: process.stdin })) {
  const { call, args } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ result: await clients[call](...args) }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.message ?? error) }));
  }
}
process.exit();
