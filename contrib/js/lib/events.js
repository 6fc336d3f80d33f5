// SPDX-License-Identifier: BSD-2-Clause
// Event classes that a platform may lack: Node 18 and 20 have no CloseEvent. Same fields, same names.

class OwnMessageEvent extends Event {
  constructor(type, { data = null, origin = "", ...init } = {}) {
    super(type, init);
    this.data = data;
    this.origin = origin;
  }
}

class OwnCloseEvent extends Event {
  constructor(type, { code = 0, reason = "", wasClean = false, ...init } = {}) {
    super(type, init);
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}

class OwnCustomEvent extends Event {
  constructor(type, { detail = null, ...init } = {}) {
    super(type, init);
    this.detail = detail;
  }
}

// The platform's class, if what it makes can be dispatched.
const usable = (own, name) => (globalThis[name]?.prototype instanceof Event ? globalThis[name] : own);

export const MessageEvent = usable(OwnMessageEvent, "MessageEvent");
export const CloseEvent = usable(OwnCloseEvent, "CloseEvent");
export const CustomEvent = usable(OwnCustomEvent, "CustomEvent");

// An `error` event says what happened, which WebSocket's does not.
export class FailureEvent extends Event {
  constructor(message) {
    super("error");
    this.message = message;
  }
}
