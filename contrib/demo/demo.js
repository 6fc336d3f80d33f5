// SPDX-License-Identifier: BSD-2-Clause
import { CulvertSocket } from "./js/culvert-socket.js";
import { closeCode } from "./close-codes.js";
import { Connection } from "./connection.js";
import * as format from "./format.js";
import { Taps } from "./taps.js";
import { NAMES, Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

const ROWS = 500; // of the log that are kept
const SHOWN = 400; // bytes of a frame
const TRIPS = 120; // round trips in the drawing
const PROBE = 500; // milliseconds between two probes
const AHEAD = 4 << 20; // bytes of a burst that may wait in the browser

const routes = {
  "/echo": { target: "echo", kind: "inside culvert", echoes: true, newline: false, example: "Hello through the pipe" },
  "/calc": { target: "GNU bc", kind: "a TCP service", echoes: false, newline: true, example: "2^64" },
  "": { target: "target", kind: "as configured", echoes: false, newline: false, example: null },
};

const timeline = new Timeline($("timeline"), $("carriers-summary"));
let connection = null;
let taps = null; // of a session
let trips = [];
let burst = null;

// ---- state ----

function setState(state, text) {
  $("state").dataset.state = state;
  $("state").textContent = text;
  const open = state === "open";
  const busy = open || state === "connecting";
  $("connect").disabled = busy || state === "closing";
  $("routes").disabled = $("transport").disabled = busy || state === "closing";
  $("cut").disabled = !open || taps === null;
  $("close").disabled = !busy;
  $("send").disabled = !open;
  $("burst").disabled = !open || burst !== null;
}

function showTraffic() {
  const c = connection;
  $("sent").textContent = format.size(c?.sentBytes ?? 0);
  $("received").textContent = format.size(c?.receivedBytes ?? 0);
  $("sent-frames").textContent = format.count(c?.sentFrames ?? 0, "frame");
  $("received-frames").textContent = format.count(c?.receivedFrames ?? 0, "frame");
}

function showRoute() {
  const route = routes[chosen("route")];
  $("other-field").hidden = chosen("route") !== "";
  $("target").textContent = route.target;
  $("target-kind").textContent = route.kind;
  $("newline").checked = route.newline;
  $("probe").disabled = !route.echoes;
  $("trip-hint").textContent = route.echoes ? "" : "Measured on /echo, where what was sent comes back.";
  const message = $("message");
  if (route.example && Object.values(routes).some((r) => r.example === message.value))
    message.value = route.example;
}

// ---- log ----

let rows = []; // waiting for the next picture

function log(direction, kind, length, content) {
  rows.push({ at: format.clock(), direction, kind, length, content });
  if (rows.length > ROWS)
    rows.shift();
  if (rows.length === 1)
    requestAnimationFrame(drawLog);
}

function cell(text, name) {
  const td = document.createElement("td");
  td.textContent = text;
  if (name)
    td.className = name;
  return td;
}

function drawLog() {
  const arrows = { out: "→", in: "←", note: "·" };
  const spoken = { out: "sent", in: "received", note: "" };
  const body = $("log");
  for (const row of rows) {
    const tr = document.createElement("tr");
    const arrow = cell(arrows[row.direction]);
    arrow.title = spoken[row.direction];
    tr.className = row.direction;
    tr.append(cell(row.at, "time"), arrow, cell(row.kind, "kind"),
      cell(row.length === null ? "" : format.size(row.length), "num"), cell(row.content));
    body.append(tr);
  }
  rows = [];
  while (body.rows.length > ROWS)
    body.rows[0].remove();
  $("log-empty").hidden = body.rows.length > 0;
  if ($("follow").checked)
    $("log-body").scrollTop = $("log-body").scrollHeight;
}

function logFrame(direction, data, length) {
  const text = typeof data === "string";
  const bytes = text ? new TextEncoder().encode(data) : new Uint8Array(data.buffer ?? data);
  log(direction, text ? "text" : "binary", length, format.readable(bytes, SHOWN));
}

// ---- round trips ----

function showTrip(time) {
  trips.push(time);
  if (trips.length > TRIPS)
    trips.shift();
  const sorted = [...trips].sort((a, b) => a - b);
  const most = sorted[sorted.length - 1];
  $("rtt").textContent = format.milliseconds(time);
  $("rtt-min").textContent = format.milliseconds(sorted[0]);
  $("rtt-median").textContent = format.milliseconds(sorted[sorted.length >> 1]);
  $("rtt-max").textContent = format.milliseconds(most);
  // A single late one shall not flatten the rest: it is cut off at the upper edge.
  const scale = Math.min(most, sorted[sorted.length >> 1] * 4) || 1;
  const left = TRIPS - trips.length;
  const points = trips.map((value, i) =>
    `${((left + i) * 240 / (TRIPS - 1)).toFixed(1)},${(46 - Math.min(value / scale, 1) * 42).toFixed(1)}`);
  $("spark-line").setAttribute("points", points.join(" "));
  $("spark-area").setAttribute("d", points.length < 2 ? "" :
    `M${points[0].split(",")[0]},48 L${points.join(" L")} L240,48 Z`);
}

function clearTrips() {
  trips = [];
  for (const id of ["rtt", "rtt-min", "rtt-median", "rtt-max"])
    $(id).textContent = "–";
  $("spark-line").setAttribute("points", "");
  $("spark-area").setAttribute("d", "");
}

setInterval(() => {
  if (connection?.open && connection.echoes && $("probe").checked && !burst)
    connection.send(new TextEncoder().encode("probe"), true);
}, PROBE);

// ---- connecting ----

function address() {
  const path = chosen("route") || $("other").value.trim();
  if (/^wss?:\/\//.test(path))
    return path;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}${path.startsWith("/") ? "" : "/"}${path}`;
}

// A session, on the transports that are allowed it, with what the page shows of its carriers.
function openSession(url, protocols, only) {
  taps = new Taps();
  const socket = new CulvertSocket(url, protocols, {
    WebSocket: taps.WebSocket, fetch: taps.fetch, ...(only ? { transports: [only] } : {}),
  });
  socket.addEventListener("transport", ({ detail }) => {
    $("carrier").textContent = NAMES[detail.transport];
    timeline.carry(detail.transport);
    log("note", "carrier", null, NAMES[detail.transport]);
  });
  socket.addEventListener("interrupted", ({ detail }) => {
    timeline.lose();
    log("note", "lost", null, detail.reason);
  });
  socket.addEventListener("resumed", ({ detail }) => {
    timeline.carry(detail.transport);
    log("note", "resumed", null, `by ${NAMES[detail.transport]}, after ${format.milliseconds(detail.after)} ms`);
  });
  return socket;
}

function openPlain(url, protocols) {
  taps = null;
  const socket = new WebSocket(url, protocols);
  socket.addEventListener("open", () => timeline.carry("plain"));
  return socket;
}

const events = {
  open(protocol) {
    setState("open", protocol ? `connected, ${protocol}` : "connected");
    log("note", "open", null, protocol ? `subprotocol ${protocol}` : "no subprotocol");
    $("message").focus({ preventScroll: true });
  },
  frame(direction, data, length) {
    logFrame(direction, data, length);
  },
  roundTrip(time) {
    if (!burst)
      showTrip(time);
  },
  close(event) {
    const { name, meaning } = closeCode(event.code);
    const good = event.wasClean && (event.code === 1000 || event.code === 1005 || event.code >= 3000);
    $("ending").hidden = false;
    $("ending").classList.toggle("failed", !good);
    $("end-code").textContent = event.code;
    $("end-name").textContent = name;
    $("end-clean").textContent = event.wasClean ? "wasClean: true" : "wasClean: false";
    $("end-meaning").textContent = meaning;
    $("end-reason").textContent = event.reason ? `Reason: ${event.reason}` : "";
    log("note", "close", null, `${event.code} ${name}${event.reason ? `, ${event.reason}` : ""}`);
    endBurst("The connection ended during the burst.");
    timeline.end();
    setState(good ? "closed" : "failed", good ? "closed" : `closed, ${event.code}`);
  },
};

$("connection").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("connect").disabled)
    return;
  const url = address();
  const protocols = $("protocols").value.split(",").map((p) => p.trim()).filter(Boolean);
  const transport = $("transport").value;
  $("ending").hidden = true;
  $("carrier").textContent = transport === "plain" ? NAMES.plain : NAMES[transport || "websocket"];
  clearTrips();
  timeline.begin();
  try {
    connection = new Connection(
      () => transport === "plain" ? openPlain(url, protocols) : openSession(url, protocols, transport),
      routes[chosen("route")].echoes, events);
    setState("connecting", "connecting");
    log("note", "connect", null, url);
  } catch (error) {
    log("note", "error", null, error.message);
    setState("failed", "not connected");
  }
});

$("cut").addEventListener("click", () => taps.cut());

$("closing").addEventListener("submit", (event) => {
  event.preventDefault();
  const code = Number($("close-code").value);
  try {
    connection.close(code, $("close-reason").value);
    setState("closing", "closing");
  } catch (error) {
    log("note", "error", null, error.message);
  }
});

// ---- sending ----

function sendMessage() {
  const error = $("message-error");
  const end = $("newline").checked ? "\n" : "";
  error.textContent = "";
  if (!connection?.open)
    return;
  try {
    if (chosen("kind") === "text") {
      connection.send($("message").value + end);
    } else {
      const bytes = format.parseHex($("message").value);
      connection.send(end ? Uint8Array.from([...bytes, 10]) : bytes);
    }
  } catch (problem) {
    error.textContent = problem.message;
  }
}

$("sending").addEventListener("submit", (event) => {
  event.preventDefault();
  sendMessage();
});

$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    sendMessage();
  }
});

// ---- bursts ----

function endBurst(result) {
  if (!burst)
    return;
  burst = null;
  $("burst").disabled = !connection?.open;
  $("burst-progress").hidden = true;
  $("burst-result").textContent = result;
  $("burst-result").classList.add("done");
}

function finishBurst() {
  const seconds = (performance.now() - burst.from) / 1000;
  const rate = format.count(Math.round(burst.count / seconds), "message");
  const volume = format.size(burst.count * burst.size / seconds);
  const way = connection.echoes ? "there and back" : "sent";
  log("note", "burst", burst.count * burst.size, `${format.count(burst.count, "message")} ${way} in ${seconds.toFixed(3)} s`);
  endBurst(`${rate} and ${volume} a second, ${way} in ${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(0)} s`);
}

function driveBurst() {
  if (!burst || !connection.open)
    return;
  while (burst.sent < burst.count && connection.waiting < AHEAD) {
    connection.send(burst.payload, true);
    burst.sent++;
  }
  const total = burst.count * burst.size;
  const done = connection.echoes ? connection.receivedBytes - burst.received : burst.sent * burst.size - connection.waiting;
  $("burst-progress").value = Math.max(0, done / total);
  if (burst.sent === burst.count && done >= total)
    finishBurst();
  else
    setTimeout(driveBurst, 0);
}

$("bursting").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!connection?.open || burst)
    return;
  const count = Number($("burst-count").value);
  const size = Number($("burst-size").value);
  const payload = new Uint8Array(size).fill(0x20);
  payload[size - 1] = 10; // a blank line, to services that read lines
  // What is still on its way back comes before the burst's first byte.
  const late = connection.echoes ? connection.sentBytes - connection.receivedBytes : 0;
  burst = { count, size, payload, sent: 0, from: performance.now(), received: connection.receivedBytes + late };
  $("burst").disabled = true;
  $("burst-progress").hidden = false;
  $("burst-result").textContent = "";
  $("burst-result").classList.remove("done");
  driveBurst();
});

// ---- the rest ----

for (const input of document.querySelectorAll('input[name="route"]'))
  input.addEventListener("change", showRoute);
$("clear").addEventListener("click", () => {
  $("log").replaceChildren();
  $("log-empty").hidden = false;
});
setInterval(showTraffic, 200);
setState("closed", "not connected");
showRoute();
