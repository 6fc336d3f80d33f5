// SPDX-License-Identifier: BSD-2-Clause
// Who wants what, and who gets a message.
//
// A subscription is primed once the retained values of its filter came. Until then it is not one for
// the past: history that a resumed connection brings is for those who were there.

import { matcher } from "./filters.js";

// As EventTarget does it: what a listener throws is no business of who called it.
function report(error) {
  if (typeof globalThis.reportError === "function")
    globalThis.reportError(error);
  else
    queueMicrotask(() => {
      throw error;
    });
}

export class Subscriptions {
  #filters = new Map(); // filter: {matches, members: Set of {fn, primed, asked, seen}}

  // primed: it resumes at a cursor, and needs no retained values. Returns a function that ends it.
  add(filter, fn, { primed = false } = {}) {
    let entry = this.#filters.get(filter);
    if (!entry)
      this.#filters.set(filter, entry = { matches: matcher(filter), members: new Set() });
    // seen: topics that it got something of before it was primed; retained values of these are old.
    const member = { fn, primed, asked: false, seen: new Set() };
    entry.members.add(member);
    return () => {
      entry.members.delete(member);
      if (entry.members.size === 0 && this.#filters.get(filter) === entry)
        this.#filters.delete(filter);
    };
  }

  get filters() {
    return [...this.#filters.keys()];
  }

  // Those of which some member is primed: the server has granted them.
  get granted() {
    return this.#select(({ primed }) => primed);
  }

  // Those whose retained values are wanted and not asked for.
  get unprimed() {
    return this.#select(({ primed, asked }) => !primed && !asked);
  }

  #select(wanted) {
    return this.filters.filter((filter) => [...this.#filters.get(filter).members].some(wanted));
  }

  // Their retained values are on the way, to those who are here now.
  ask(filters) {
    this.#each(filters, (member) => {
      member.asked = !member.primed;
    });
  }

  // What was asked for will not come.
  forget() {
    this.#each(this.filters, (member) => {
      member.asked = false;
    });
  }

  // Their retained values came: to those who asked, or to all.
  prime(filters, { all = false } = {}) {
    this.#each(filters, (member) => {
      if (!all && !member.asked)
        return;
      member.primed = true;
      member.asked = false;
      member.seen.clear();
    });
  }

  #each(filters, change) {
    for (const filter of filters)
      this.#filters.get(filter)?.members.forEach(change);
  }

  // The server does not grant it.
  refuse(filter) {
    this.#filters.get(filter)?.members.clear();
    return this.#filters.delete(filter);
  }

  clear() {
    for (const filter of this.filters)
      this.refuse(filter);
  }

  // history: from before this connection was subscribed.
  live(message, { history = false } = {}) {
    this.#dispatch(message, (member) => {
      if (member.primed)
        return true;
      if (!history)
        member.seen.add(message.topic);
      return !history;
    });
  }

  // all: also to those who got retained values before.
  retained(message, { all = false } = {}) {
    this.#dispatch(message, (member) => {
      if (member.primed)
        return all;
      const fresh = !member.seen.has(message.topic);
      member.seen.add(message.topic);
      return fresh;
    });
  }

  // A function that has several filters gets it once.
  #dispatch(message, wants) {
    const levels = message.topic.split("/");
    const called = new Set();
    for (const { matches, members } of [...this.#filters.values()]) {
      if (!matches(levels))
        continue;
      for (const member of [...members]) {
        if (!wants(member) || !members.has(member) || called.has(member.fn))
          continue;
        called.add(member.fn);
        try {
          member.fn(message);
        } catch (error) {
          report(error);
        }
      }
    }
  }
}
