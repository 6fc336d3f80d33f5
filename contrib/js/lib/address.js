// SPDX-License-Identifier: BSD-2-Clause
// The arguments of `new WebSocket()` and `close()`, checked and refused as the standard has it
// (WebSockets, sections 3.1 and 3.2).

import { utf8 } from "./frames.js";

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const REASON_MAX = 123;

const syntaxError = (message) => new DOMException(message, "SyntaxError");

function parse(url, base) {
  try {
    return new URL(url, base);
  } catch {
    throw syntaxError(`not a URL: ${url}`);
  }
}

// Returns a ws: or wss: URL. base: what a relative one is relative to.
export function parseAddress(url, base = globalThis.document?.baseURI ?? globalThis.location?.href) {
  const address = parse(String(url), base);
  if (address.protocol === "http:" || address.protocol === "https:")
    address.protocol = address.protocol.replace("http", "ws");
  if (address.protocol !== "ws:" && address.protocol !== "wss:")
    throw syntaxError(`not an address of a WebSocket: ${address.protocol}`);
  if (address.hash || address.href.endsWith("#"))
    throw syntaxError("the address has a fragment");
  return address;
}

export function parseProtocols(protocols) {
  const list = typeof protocols === "string" ? [protocols] : [...protocols].map(String);
  for (const name of list)
    if (!TOKEN.test(name))
      throw syntaxError(`not a subprotocol: ${name}`);
  if (new Set(list.map((name) => name.toLowerCase())).size !== list.length)
    throw syntaxError("a subprotocol is there twice");
  return list;
}

export function checkClose(code, reason) {
  if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999))
    throw new DOMException(`not a code to close with: ${code}`, "InvalidAccessError");
  if (utf8(reason).length > REASON_MAX)
    throw syntaxError(`a reason of more than ${REASON_MAX} bytes`);
}
