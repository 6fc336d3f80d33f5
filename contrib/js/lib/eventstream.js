// SPDX-License-Identifier: BSD-2-Clause
// Reads text/event-stream as it comes (HTML standard, section 9.2.6). EventSource itself is of no use
// here: it takes no headers, does not tell why it failed, and reconnects on its own.

export class EventStreamParser {
  #onevent;
  #decoder = new TextDecoder(); // drops the byte order mark
  #rest = ""; // of a line that is not complete
  #afterCR = false;
  #event = "";
  #data = null;
  #id = "";
  #hasId = false; // in this block

  // onevent({event, data, id}) for every event that has data, and with empty data for an id alone:
  // where a stream is, without an event for EventSource.
  constructor(onevent) {
    this.#onevent = onevent;
  }

  take(bytes) {
    let chunk = this.#decoder.decode(bytes, { stream: true });
    if (chunk === "")
      return;
    if (this.#afterCR && chunk[0] === "\n")
      chunk = chunk.slice(1);
    this.#afterCR = chunk === "" ? false : chunk.at(-1) === "\r";
    const lines = chunk.split(/\r\n|\r|\n/);
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop();
    for (const line of lines)
      this.#line(line);
  }

  #line(line) {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value[0] === " ")
      value = value.slice(1);
    if (field === "data")
      this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
    else if (field === "event")
      this.#event = value;
    else if (field === "id" && !value.includes("\0"))
      [this.#id, this.#hasId] = [value, true];
  }

  #dispatch() {
    const { event, id, told } = { event: this.#event || "message", id: this.#id, told: this.#data !== null || this.#hasId };
    const data = this.#data ?? "";
    this.#data = null;
    this.#hasId = false;
    this.#event = "";
    if (told)
      this.#onevent({ event, data, id });
  }
}
