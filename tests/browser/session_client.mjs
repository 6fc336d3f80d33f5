// SPDX-License-Identifier: BSD-2-Clause
// The library in Node with npm's ws: node session_client.mjs URL TRANSPORT BYTES. Sends BYTES random bytes to
// an echo and waits for them, then closes with 4002; with 0 it says "go" and waits for the end. Prints
// what it saw as JSON.
import { createHash, randomBytes } from "node:crypto";
import WebSocket from "ws";
import { CulvertSocket } from "../../contrib/js/culvert-socket.js";

const [url, transport, bytes] = process.argv.slice(2);
const data = randomBytes(Number(bytes));
const seen = { opened: false, protocol: null, transports: [], interrupted: 0, late: 0, resumed: 0, bytes: 0, same: false, text: "", error: null };
const socket = new CulvertSocket(url, ["nothing", "chat"], { transports: [transport], WebSocket });
const digest = createHash("sha256");
socket.binaryType = "arraybuffer";

// As much at a time as a program would that looks at bufferedAmount.
function push(from) {
  while (from < data.length && socket.bufferedAmount < 1 << 20) {
    socket.send(data.subarray(from, from + 50000));
    from += 50000;
  }
  if (from < data.length)
    setTimeout(push, 5, from);
}

function finish() {
  seen.same = digest.digest("hex") === createHash("sha256").update(data).digest("hex");
  socket.close(4002, "done");
}

socket.onopen = () => {
  seen.opened = true;
  seen.protocol = socket.protocol;
  if (data.length === 0)
    socket.send("go");
  else
    push(0);
};
socket.onmessage = ({ data: piece }) => {
  seen.bytes += piece.byteLength;
  digest.update(new Uint8Array(piece));
  if (data.length === 0)
    seen.text += new TextDecoder().decode(piece);
  else if (seen.bytes === data.length)
    finish();
};
socket.ontransport = ({ detail }) => seen.transports.push(detail.transport);
socket.oninterrupted = () => {
  seen.interrupted++;
  if (seen.bytes === data.length)
    seen.late++; // all had arrived
};
socket.onresumed = () => { seen.resumed++; };
socket.onerror = ({ message }) => { seen.error = message; };
socket.onclose = ({ code, reason, wasClean }) => console.log(JSON.stringify({ ...seen, code, reason, clean: wasClean }));
