// SPDX-License-Identifier: BSD-2-Clause
// Requests to one route, and what their failures mean for a session.

import { MEDIA_TYPE, parseOpen } from "./frames.js";

const ERROR_TEXT_MAX = 200;
const ERROR_TEXT_TIME = 2000;

// Why a carrier ended or a request failed.
export const End = Object.freeze({
  LOST: "lost", // cut, silent or at fault
  UNREACHABLE: "unreachable", // no answer from the server at all
  UNUSABLE: "unusable", // this transport does not work on this way
  LIMITED: "limited", // asked to come later
  DETACHED: "detached", // someone else attached
  GONE: "gone", // the session is not known
  DENIED: "denied", // neither now nor later
  GAP: "gap", // 409 to a POST
});

export class Failure extends Error {
  constructor(kind, message, { status = 0, retryAfter = 0, body = null } = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.retryAfter = retryAfter;
    this.body = body;
  }
}

// The time in Retry-After: seconds or a date. Returns ms.
export function retryAfter(value, now = Date.now()) {
  if (!value)
    return 0;
  const ms = /^\s*\d+\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return ms > 0 ? ms : 0;
}

// The query behind the application's own. URLSearchParams would write the whole query anew, and
// change what the application put there. A list is its key once for each value.
export function withQuery(url, values) {
  const added = Object.entries(values)
    .flatMap(([key, value]) => [value].flat().map((one) => [key, one]))
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  if (added.length === 0)
    return url.href;
  return `${url.href}${url.search ? "&" : "?"}${added.join("&")}`;
}

// An error's body for people: JSON's `error`, or the first line.
function sentence(text) {
  try {
    return String(JSON.parse(text).error ?? "");
  } catch {
    return text.split(/[\r\n]/)[0];
  }
}

function kindOf(status) {
  switch (status) {
    case 401:
    case 403:
    case 400:
    case 415:
      return End.DENIED;
    case 404:
    case 410:
      return End.GONE;
    case 405:
    case 406:
    case 426:
      return End.UNUSABLE;
    case 409:
      return End.DETACHED;
    case 429:
      return End.LIMITED;
    default:
      return status >= 500 ? End.UNREACHABLE : End.LOST;
  }
}

export class Http {
  #fetch;
  #headers;
  #credentials;
  #clock;

  // headers: an object, or a function that returns one or a promise of one.
  constructor(url, { fetch, headers, credentials, clock }) {
    this.url = new URL(url.href.replace(/^ws/, "http"));
    this.#fetch = fetch;
    this.#headers = headers;
    this.#credentials = credentials;
    this.#clock = clock;
  }

  // Whether a refusal may be mended by headers that are made anew.
  get renews() {
    return typeof this.#headers === "function";
  }

  // Returns the Response once its status is one of those expected; else throws Failure. Its body may
  // still be to come. timeout: ms until the status. signal: aborts it all. The id goes into a header:
  // queries land in other people's logs.
  async request(method, { expect, query = {}, id, accept, type, body, timeout, signal, keepalive } = {}) {
    const abort = new AbortController();
    const cancel = () => abort.abort();
    const timer = timeout && this.#clock.setTimeout(cancel, timeout);
    signal?.addEventListener("abort", cancel);
    if (signal?.aborted)
      cancel();
    let response;
    try {
      const headers = { ...(this.renews ? await this.#headers() : this.#headers) };
      Object.assign(headers, id && { "Culvert-Session": id }, accept && { Accept: accept }, type && { "Content-Type": type });
      response = await this.#fetch(withQuery(this.url, query), {
        method, headers, body, keepalive, signal: abort.signal, cache: "no-store", redirect: "error",
        ...(this.#credentials && { credentials: this.#credentials }),
      });
    } catch (error) {
      const kind = abort.signal.aborted ? End.LOST : End.UNREACHABLE;
      throw new Failure(kind, error?.cause?.message ?? String(error?.message ?? error));
    } finally {
      this.#clock.clearTimeout(timer);
    }
    if (expect.includes(response.status))
      return response;
    throw await this.#refusal(response, cancel);
  }

  // Opens a session. Returns the OPEN object.
  async open(protocols, { timeout, signal }) {
    const response = await this.request("POST", {
      expect: [201], accept: "application/json", type: "application/json",
      body: JSON.stringify({ protocols }), timeout, signal,
    });
    return parseOpen(await response.text());
  }

  // Ends a session that nobody needs. Nothing depends on its success: the server ends it in time.
  remove(id, { keepalive = false } = {}) {
    return this.request("DELETE", { expect: [200, 204, 404, 410], id, accept: MEDIA_TYPE, timeout: 5000, keepalive }).catch(() => {});
  }

  async #refusal(response, cancel) {
    const { status } = response;
    const kind = kindOf(status);
    const wait = retryAfter(response.headers.get("Retry-After"));
    let message = "";
    let body = null;
    const timer = this.#clock.setTimeout(cancel, ERROR_TEXT_TIME);
    try {
      body = new Uint8Array(await response.arrayBuffer());
      message = sentence(new TextDecoder().decode(body.subarray(0, ERROR_TEXT_MAX)));
    } catch {
      // The status says enough.
    } finally {
      this.#clock.clearTimeout(timer);
    }
    return new Failure(kind, `${status} ${message}`.trim(), { status, retryAfter: wait, body });
  }
}
