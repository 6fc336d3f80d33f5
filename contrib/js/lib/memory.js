// SPDX-License-Identifier: BSD-2-Clause
// What worked on the way to a route: the transport, and how long a carrier may be idle there. Kept
// per origin and path, in memory and in a storage like sessionStorage. Never the session's id: a
// duplicated tab copies the storage, and two tabs on one session would take it from each other.

const PREFIX = "culvert:";
const STALE = 24 * 3600 * 1000; // ms; networks change

const known = new Map();

// sessionStorage, or null: a page may be forbidden to look at it.
export function defaultStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}

export class Memory {
  #key;
  #storage;
  #shared;

  // shared: the Map to keep it in, for a memory of one's own.
  constructor(url, storage = defaultStorage(), shared = known) {
    this.#key = `${PREFIX}${url.origin}${url.pathname}`;
    this.#storage = storage;
    this.#shared = shared;
  }

  // {transport, idle}, each maybe undefined.
  get() {
    const entry = this.#shared.get(this.#key) ?? this.#stored();
    if (!entry || !(Date.now() - entry.at < STALE))
      return {};
    return { transport: entry.transport, idle: entry.idle };
  }

  // Changes what is given, keeps the rest.
  set(change) {
    const entry = { ...this.get(), ...change, at: Date.now() };
    this.#shared.set(this.#key, entry);
    try {
      this.#storage?.setItem(this.#key, JSON.stringify(entry));
    } catch {
      // Full or forbidden: memory has it.
    }
  }

  #stored() {
    try {
      return JSON.parse(this.#storage?.getItem(this.#key) ?? "null");
    } catch {
      return null;
    }
  }
}
