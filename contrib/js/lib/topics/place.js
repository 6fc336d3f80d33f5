// SPDX-License-Identifier: BSD-2-Clause
// Where in a bus's order of messages the application is: what to resume after, and what it has had.
// Cursors are opaque; that they are compared for being the same is all.

export class Place {
  cursor;

  // Ids that the cursor does not tell of: two connections brought the same messages for a while.
  #had = new Set();

  // cursor: to begin with, or undefined.
  constructor(cursor) {
    this.cursor = cursor;
  }

  // A message came. history: from before its connection was subscribed; only from then on does an id move
  // the cursor. doubled: another connection is coming that may bring it, too. Returns whether it is new.
  take(id, { history, doubled }) {
    const known = this.#had.has(id);
    if (doubled)
      this.#had.add(id);
    else if (!known && !history)
      this.#had.clear(); // both bring them in the same order: what comes now was not had
    if (!history)
      this.cursor = id;
    return !known;
  }

  move(cursor) {
    this.cursor = cursor ?? this.cursor;
  }

  forget() {
    this.cursor = undefined;
    this.#had.clear();
  }
}
