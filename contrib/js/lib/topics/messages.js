// SPDX-License-Identifier: BSD-2-Clause
// What goes over a topic route, as JSON.

import { fromBase64, toBase64 } from "../base64.js";

// Throws on what is neither a message nor an event.
export function parseItem(text) {
  const item = JSON.parse(text);
  if (typeof item?.event !== "string" && typeof item?.topic !== "string")
    throw new Error("neither a message nor an event");
  return item;
}

// For the application.
export function messageOf({ topic, id = null, data = "", data64, retained = false }) {
  return { topic, id, data: data64 === undefined ? data : fromBase64(data64), retained };
}

// data: a string or bytes.
export function publication(topic, data, retain) {
  const payload = typeof data === "string" ? { data } : { data64: toBase64(data) };
  return { publish: topic, ...payload, ...(retain && { retain }) };
}
