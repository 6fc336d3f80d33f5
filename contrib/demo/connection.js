// SPDX-License-Identifier: BSD-2-Clause
// One connection, a WebSocket or a session that looks like one, with its figures. On a route that echoes, what comes back is matched
// with what was sent by counting bytes: a byte stream keeps no message boundaries.

export class Connection {
  // make: returns the socket.
  constructor(make, echoes, events) {
    this.echoes = echoes;
    this.events = events;
    this.sentBytes = 0;
    this.sentFrames = 0;
    this.receivedBytes = 0;
    this.receivedFrames = 0;
    this.awaited = []; // {end, at, length, quiet}: echoes on their way, in order
    this.firstAwaited = 0;
    this.socket = make();
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => events.open(this.socket.protocol, this.socket.extensions);
    this.socket.onclose = (event) => events.close(event);
    this.socket.onmessage = (event) => this.received(event.data);
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  get waiting() {
    return this.socket.bufferedAmount;
  }

  // A string goes as a text frame, bytes as a binary one. quiet: a probe or a burst, not for the log.
  send(data, quiet = false) {
    const length = typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
    this.socket.send(data);
    this.sentBytes += length;
    this.sentFrames++;
    if (this.echoes && length > 0)
      this.awaited.push({ end: this.sentBytes, at: performance.now(), quiet });
    if (!quiet)
      this.events.frame("out", data, length);
  }

  received(data) {
    const length = typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
    let quiet = this.awaited.length > this.firstAwaited && this.awaited[this.firstAwaited].quiet;
    this.receivedBytes += length;
    this.receivedFrames++;
    while (this.firstAwaited < this.awaited.length && this.awaited[this.firstAwaited].end <= this.receivedBytes) {
      const echo = this.awaited[this.firstAwaited++];
      quiet &&= echo.quiet;
      this.events.roundTrip(performance.now() - echo.at);
    }
    if (this.firstAwaited > 4096) {
      this.awaited.splice(0, this.firstAwaited);
      this.firstAwaited = 0;
    }
    if (!quiet)
      this.events.frame("in", data, length);
  }

  close(code, reason) {
    this.socket.close(code, reason);
  }
}
