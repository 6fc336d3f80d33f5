// SPDX-License-Identifier: BSD-2-Clause
// CulvertSocket: a session with the interface of WebSocket.

import { checkClose, parseAddress, parseProtocols } from "./address.js";
import { Carriage } from "./carriage.js";
import { allowedBy, bind, environment } from "./environment.js";
import { CloseEvent, CustomEvent, FailureEvent, MessageEvent } from "./events.js";
import { Type, utf8 } from "./frames.js";
import { defineHandlers } from "./handlers.js";
import { Opening } from "./opening.js";
import { Session } from "./session.js";
import { watchPage } from "./wake.js";

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

const HANDLERS = ["open", "message", "error", "close", "interrupted", "resumed", "transport"];

const hasBlob = typeof Blob === "function";
const isBlob = (data) => hasBlob && data instanceof Blob;

// The bytes of what send() takes, as they are now: the caller may reuse its buffer.
function copyOf(data) {
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return new Uint8Array(data).slice();
}

const isBuffer = (data) => ArrayBuffer.isView(data) || data instanceof ArrayBuffer ||
  Object.prototype.toString.call(data) === "[object ArrayBuffer]";

export class CulvertSocket extends EventTarget {
  #address;
  #env;
  #opening;
  #session = null;
  #carriage = null;
  #readyState = CONNECTING;
  #protocol = "";
  #binaryType = hasBlob ? "blob" : "arraybuffer";
  #paused = false;
  #converting = []; // from a Blob on: {type, payload or null, size}
  #late = 0; // bytes that were sent after close()
  #noCode = false;
  #stopWatching;

  constructor(url, protocols = [], options = {}) {
    super();
    this.#address = parseAddress(url);
    const offered = parseProtocols(protocols);
    this.#env = environment(this.#address, options);
    const { ladder, headStart, openTimeout } = this.#env;
    this.#opening = new Opening(this.#env, { protocols: offered, ladder, headStart, limit: openTimeout }, {
      won: (open, carrier) => this.#opened(open, carrier),
      failed: (message) => this.#closed(1006, "", false, message),
      websocketWorks: () => this.#carriage?.hurryUp(),
    });
    this.#stopWatching = watchPage(options.page ?? { window: globalThis, document: globalThis.document }, {
      wake: (how) => this.#carriage?.wake(how),
      leave: () => this.#carriage?.leave(),
    });
    this.#opening.start();
  }

  // ---- as WebSocket has it ----

  get url() {
    return this.#address.href;
  }

  get readyState() {
    return this.#readyState;
  }

  get protocol() {
    return this.#protocol;
  }

  get extensions() {
    return "";
  }

  // What was sent and is not acknowledged: unlike WebSocket's it goes down when the target took it.
  get bufferedAmount() {
    const converting = this.#converting.reduce((sum, { size }) => sum + size, 0);
    return (this.#session?.outbox.bytes ?? 0) + converting + this.#late;
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    if (type === "arraybuffer" || (type === "blob" && hasBlob))
      this.#binaryType = type;
  }

  send(data) {
    if (this.#readyState === CONNECTING)
      throw new DOMException("not open yet", "InvalidStateError");
    if (isBlob(data))
      this.#sendBlob(data);
    else if (isBuffer(data))
      this.#queue({ type: Type.BINARY, payload: copyOf(data) });
    else
      this.#queue({ type: Type.TEXT, payload: utf8(String(data)) });
  }

  close(code, reason = "") {
    checkClose(code, String(reason));
    if (this.#readyState >= CLOSING)
      return;
    const connecting = this.#readyState === CONNECTING;
    this.#readyState = CLOSING;
    this.#noCode = code === undefined;
    if (connecting) {
      this.#opening.cancel();
      this.#env.clock.setTimeout(() => this.#closed(1006, "", false, "closed before it was open"), 0);
    } else if (this.#converting.length > 0) {
      this.#converting.push({ size: 0, close: [code ?? 1000, String(reason)] });
    } else {
      this.#session.close(code ?? 1000, String(reason));
    }
  }

  // ---- on top of it ----

  // "websocket", "sse", "longpoll", or "" while there is no carrier.
  get transport() {
    return this.#readyState === CLOSED ? "" : this.#carriage?.transport ?? "";
  }

  // No messages until resume(). They are not acknowledged either, so that the window stops the server
  // and, through it, the target.
  pause() {
    this.#paused = true;
    this.#session?.pause();
  }

  resume() {
    this.#paused = false;
    this.#session?.resume();
  }

  // ---- sending ----

  // A Blob's bytes come later; what is sent after it waits behind it.
  #sendBlob(blob) {
    const entry = { type: Type.BINARY, payload: null, size: blob.size };
    this.#queue(entry);
    if (!this.#converting.includes(entry))
      return;
    blob.arrayBuffer().then((buffer) => {
      entry.payload = new Uint8Array(buffer);
      this.#converted();
    }, (error) => this.#session.fail(1011, String(error.message)));
  }

  #queue(entry) {
    entry.size ??= entry.payload.length;
    if (this.#readyState !== OPEN)
      this.#late += entry.size;
    else if (this.#converting.length > 0 || !entry.payload)
      this.#converting.push(entry);
    else
      this.#pass(entry);
  }

  #converted() {
    while (this.#converting.length > 0 && (this.#converting[0].payload || this.#converting[0].close)) {
      const entry = this.#converting.shift();
      if (entry.close)
        this.#session.close(...entry.close);
      else
        this.#pass(entry);
    }
  }

  #pass({ type, payload }) {
    if (this.#session.over)
      this.#late += payload.length;
    else if (!this.#session.send(type, payload))
      this.#session.fail(1009, "a message over what the server takes");
  }

  // ---- what happens ----

  #opened(open, carrier) {
    this.#session = new Session(this.#env, open, {
      message: (type, content) => this.#message(type, content),
      closed: (code, reason, clean) => this.#closed(code, reason, clean),
    });
    if (this.#paused)
      this.#session.pause();
    const env = bind(this.#env, this.#session);
    this.#carriage = new Carriage(env, this.#session, allowedBy(open, env.ladder), {
      transport: (transport, previous) => this.#tell("transport", { transport, previous }),
      interrupted: (reason) => this.#tell("interrupted", { reason }),
      resumed: (after) => this.#tell("resumed", { transport: this.transport, after }),
    });
    this.#protocol = open.protocol;
    this.#readyState = OPEN;
    this.dispatchEvent(new Event("open"));
    if (!this.#session.over)
      this.#carriage.begin(carrier);
    else
      carrier?.drop({ over: true });
  }

  #message(type, content) {
    const data = type === Type.TEXT ? content : this.#binary(content);
    this.dispatchEvent(new MessageEvent("message", { data, origin: this.#address.origin }));
  }

  #binary(bytes) {
    return this.#binaryType === "blob" ? new Blob([bytes]) : bytes.slice().buffer;
  }

  #tell(type, detail) {
    if (this.#readyState !== CLOSED)
      this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #closed(code, reason, wasClean, message = reason) {
    if (this.#readyState === CLOSED)
      return;
    this.#opening.cancel();
    this.#stopWatching();
    this.#readyState = CLOSED;
    if (!wasClean)
      this.dispatchEvent(new FailureEvent(message));
    const shown = wasClean && this.#noCode && code === 1000 ? 1005 : code;
    this.dispatchEvent(new CloseEvent("close", { code: shown, reason, wasClean }));
  }
}

// Constants are on the class and on each object, handlers on the prototype itself: noVNC looks for
// them there.
Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED }).forEach(([name, value]) => {
  const constant = { value, enumerable: true };
  Object.defineProperty(CulvertSocket, name, constant);
  Object.defineProperty(CulvertSocket.prototype, name, constant);
});

defineHandlers(CulvertSocket.prototype, HANDLERS);
