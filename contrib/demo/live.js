// SPDX-License-Identifier: BSD-2-Clause
// What pages share: a sensor's values and a chat, by topics. All of it stays hidden where culvert has no
// route for them.
import { CulvertTopics } from "./js/culvert-topics.js";
import { Chart } from "./chart.js";
import * as format from "./format.js";
import { Sensor } from "./sensor.js";
import { Taps } from "./taps.js";
import { NAMES } from "./timeline.js";

const $ = (id) => document.getElementById(id);

const SENSOR = "sensors/temperature";
const LINES = 200; // of the chat that are kept

const taps = new Taps();
const topics = new CulvertTopics("/live", { WebSocket: taps.WebSocket, fetch: taps.fetch });
const chart = new Chart($("chart"), {
  line: $("chart-line"), area: $("chart-area"), least: $("chart-least"), most: $("chart-most"), now: $("chart-now"),
});
const sensor = new Sensor((value) => topics.publish(SENSOR, value, { retain: true }));
let lost = 0;

// ---- the connection ----

function showState(text) {
  $("live-state").textContent = `${text}, lost ${lost === 1 ? "once" : `${lost} times`}`;
  $("live-cut").disabled = topics.transport === "";
}

topics.onopen = () => {
  $("live").hidden = false;
  sensor.start();
};
topics.ontransport = ({ detail }) => showState(`carried by ${NAMES[detail.transport]}`);
topics.onresumed = ({ detail }) => showState(`carried by ${NAMES[detail.transport]}`);
topics.oninterrupted = () => {
  lost++;
  showState("no carrier");
};
topics.onreset = () => note("culvert was started anew: something may be missing here");
topics.ondropped = ({ detail }) => note(`${format.count(detail.count, "message")} came too fast for this page`);
topics.onclose = () => {
  sensor.stop();
  showState("closed");
};

$("live-cut").addEventListener("click", () => taps.cut());

// ---- the sensor ----

topics.subscribe(SENSOR, ({ data }) => {
  if (data === "" || !Number.isFinite(Number(data)))
    return;
  chart.add(Number(data));
  sensor.came(data);
});

// ---- the chat ----

function addLine(...parts) {
  const line = document.createElement("li");
  line.append(...parts);
  $("chat-lines").append(line);
  while ($("chat-lines").children.length > LINES)
    $("chat-lines").firstElementChild.remove();
  $("chat-empty").hidden = true;
  $("chat-log").scrollTop = $("chat-log").scrollHeight;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

const note = (text) => addLine(element("em", text));

// Who speaks is the level of the topic.
topics.subscribe("chat/+", ({ topic, data }) => {
  if (typeof data === "string")
    addLine(element("time", format.clock().slice(0, 8)), " ", element("strong", topic.slice("chat/".length)), " ", data);
});

$("chat-name").value = `guest-${100 + Math.floor(Math.random() * 900)}`;

$("chat-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("chat-text").value;
  if (text === "")
    return;
  $("chat-text").value = "";
  $("chat-error").textContent = "";
  try {
    await topics.publish(`chat/${$("chat-name").value}`, text);
  } catch (error) {
    $("chat-error").textContent = error.uncertain ? "It is not known whether this was sent." : `Not sent: ${error.message}`;
    $("chat-text").value ||= text;
  }
});
