// SPDX-License-Identifier: BSD-2-Clause
// The npm ws client: node ws_client.mjs URL BYTES. Sends BYTES random bytes to an echo, waits for
// them, then closes with 4002; prints what it saw as JSON.
import { randomBytes } from "node:crypto";
import WebSocket from "ws";

const [url, bytes] = process.argv.slice(2);
const data = randomBytes(Number(bytes));
const seen = { extensions: null, protocol: null, pong: false, same: false, code: null };
const ws = new WebSocket(url, ["nothing", "binary"]);
const got = [];
let length = 0;

ws.on("open", () => {
  seen.extensions = ws.extensions;
  seen.protocol = ws.protocol;
  ws.ping("are you there");
  ws.send(data);
});
ws.on("pong", (payload) => {
  seen.pong = payload.toString() === "are you there";
});
ws.on("message", (piece) => {
  got.push(piece);
  length += piece.length;
  if (length >= data.length) {
    seen.same = Buffer.concat(got).equals(data);
    ws.close(4002, "done");
  }
});
ws.on("error", (error) => {
  seen.error = error.message;
});
ws.on("close", (code) => {
  seen.code = code;
  console.log(JSON.stringify(seen));
});
