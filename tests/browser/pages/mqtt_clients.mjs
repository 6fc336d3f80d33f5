// SPDX-License-Identifier: BSD-2-Clause
// Clients of mqtt.js by name, for a page and for Node. All that goes in and comes out is JSON; payloads are
// base64. carrier: "plain" is mqtt.js as it comes, otherwise the transport of a session below it.

const PATIENCE = 20000; // ms

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function toBytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function toBase64(bytes) {
  let text = "";
  for (let from = 0; from < bytes.length; from += 8192)
    text += String.fromCharCode(...bytes.subarray(from, from + 8192));
  return btoa(text);
}

// WebSocket: where the platform has none.
export function clientsOf({ mqtt, CulvertSocket, WebSocket }) {
  const clients = {};
  const seen = {};

  // mqtt.js for Node takes no socket but that of ws, unless it is told to behave as in a browser.
  function onSession(name, carrier) {
    return {
      forceNativeWebSocket: true,
      createWebsocket: (url, protocols) => {
        const socket = new CulvertSocket(url, protocols, { transports: [carrier], WebSocket });
        socket.addEventListener("interrupted", () => { seen[name].interrupted++; });
        socket.addEventListener("open", () => seen[name].protocols.push(socket.protocol));
        return socket;
      },
    };
  }

  return {
    // Resolves when it is connected. options: those of mqtt.js. A lost connection stays lost.
    open(name, url, carrier, options) {
      const record = seen[name] = { connects: 0, closes: 0, interrupted: 0, protocols: [], errors: [], messages: [] };
      const more = carrier === "plain" ? {} : onSession(name, carrier);
      const client = clients[name] = mqtt.connect(url, { reconnectPeriod: 0, ...options, ...more });
      client.on("message", (topic, payload, { qos, retain, properties }) => {
        record.messages.push({ topic, payload: toBase64(payload), qos, retain, properties });
      });
      client.on("close", () => { record.closes++; });
      client.on("error", ({ message }) => record.errors.push(message));
      client.on("connect", () => { record.connects++; });
      const connected = new Promise((resolve, reject) => {
        client.once("connect", () => resolve(true));
        client.once("close", () => reject(new Error(`${name} is closed: ${record.errors}`)));
      });
      return within(connected, `${name} to connect`);
    },

    // Resolves with what was granted.
    async subscribe(name, topic, qos) {
      const granted = await within(clients[name].subscribeAsync(topic, { qos }), `SUBACK for ${topic}`);
      return granted.map((one) => one.qos);
    },

    // Resolves when the broker has it, with QoS 0 when it is sent.
    async publish(name, topic, payload, options) {
      await within(clients[name].publishAsync(topic, toBytes(payload), options), `${topic} to be published`);
      return true;
    },

    // Sends so many messages with QoS 0, so many ms apart, which begin with their numbers. Does not wait.
    pour(name, topic, count, length, apart) {
      let number = 0;
      const timer = setInterval(() => {
        clients[name].publish(topic, String(number++).padEnd(length, "."));
        if (number === count)
          clearInterval(timer);
      }, apart);
      return true;
    },

    count(name, topic) {
      return seen[name].messages.filter((message) => topic === null || message.topic === topic).length;
    },

    messages(name) {
      return seen[name].messages;
    },

    // What has happened to it, without the messages.
    seen(name) {
      return { ...seen[name], messages: undefined, connected: clients[name].connected };
    },

    async close(name) {
      await within(clients[name].endAsync(), `${name} to end`);
      return true;
    },
  };
}
