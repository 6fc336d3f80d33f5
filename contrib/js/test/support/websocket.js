// SPDX-License-Identifier: BSD-2-Clause
// As much WebSocket as the tests need: both ends of RFC 6455, binary and text, no fragments sent.

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const accept = (key) => createHash("sha1").update(key + GUID).digest("base64");

// One end of an upgraded connection. handlers: message(data, isText), close(code, reason).
export class Peer {
  constructor(stream, { masks, head, message, close }) {
    Object.assign(this, { stream, masks, message, close });
    this.rest = Buffer.from(head ?? []);
    this.closed = false;
    stream.on("data", (data) => this.#data(data));
    stream.on("error", () => {});
    stream.on("close", () => this.#end(1006, ""));
    // What came with the handshake is told when the owner has this Peer.
    queueMicrotask(() => this.#data(Buffer.alloc(0)));
  }

  send(data) {
    this.#write(typeof data === "string" ? 1 : 2, Buffer.from(data));
  }

  end(code = 1005, reason = "") {
    const tail = Buffer.alloc(code === 1005 ? 0 : 2 + Buffer.byteLength(reason));
    if (code !== 1005) {
      tail.writeUInt16BE(code);
      tail.write(reason, 2);
    }
    this.#write(8, tail);
  }

  #write(opcode, payload) {
    if (this.stream.destroyed || this.stream.writableEnded)
      return;
    const mask = this.masks ? randomBytes(4) : null;
    const length = payload.length < 126 ? 0 : payload.length < 65536 ? 2 : 8;
    const header = Buffer.alloc(2 + length);
    header[0] = 0x80 | opcode;
    header[1] = (mask ? 0x80 : 0) | (length === 0 ? payload.length : length === 2 ? 126 : 127);
    if (length === 2)
      header.writeUInt16BE(payload.length, 2);
    if (length === 8)
      header.writeBigUInt64BE(BigInt(payload.length), 2);
    this.stream.write(Buffer.concat(mask ? [header, mask, xor(payload, mask)] : [header, payload]));
  }

  #data(data) {
    this.rest = Buffer.concat([this.rest, data]);
    for (let frame = this.#frame(); frame && !this.closed; frame = this.#frame())
      this.#take(frame);
  }

  #frame() {
    const { rest } = this;
    if (rest.length < 2)
      return null;
    const short = rest[1] & 0x7f;
    const header = 2 + (short < 126 ? 0 : short === 126 ? 2 : 8);
    const masked = rest[1] & 0x80 ? 4 : 0;
    if (rest.length < header + masked)
      return null;
    const length = short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
    const end = header + masked + length;
    if (rest.length < end)
      return null;
    const payload = rest.subarray(header + masked, end);
    this.rest = rest.subarray(end);
    return { opcode: rest[0] & 0x0f, payload: masked ? xor(payload, rest.subarray(header, header + 4)) : payload };
  }

  #take({ opcode, payload }) {
    if (opcode === 1 || opcode === 2) {
      this.message(opcode === 1 ? payload.toString() : payload, opcode === 1);
    } else if (opcode === 8) {
      const code = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
      this.end(code);
      this.stream.end();
      this.#end(code, payload.subarray(2).toString());
    }
  }

  #end(code, reason) {
    if (this.closed)
      return;
    this.closed = true;
    this.close(code, reason);
  }
}

function xor(payload, mask) {
  const out = Buffer.allocUnsafe(payload.length);
  for (let i = 0; i < payload.length; i++)
    out[i] = payload[i] ^ mask[i & 3];
  return out;
}

// Answers an upgrade. Returns the Peer.
export function acceptUpgrade(request, stream, head, { protocol, message, close }) {
  const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept(request.headers["sec-websocket-key"])}`];
  if (protocol)
    lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
  stream.write(`${lines.join("\r\n")}\r\n\r\n`);
  stream.setNoDelay();
  return new Peer(stream, { masks: false, head, message, close });
}

// A client like the platform's, for a Node that has none.
export class TestWebSocket {
  static created = 0;
  readyState = 0;
  protocol = "";

  constructor(url, protocols = []) {
    TestWebSocket.created++;
    const request = http.request(url.replace(/^ws/, "http"), {
      agent: false,
      headers: {
        Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
        ...(protocols.length > 0 && { "Sec-WebSocket-Protocol": protocols.join(", ") }),
      },
    });
    this.request = request;
    request.on("upgrade", (response, stream, head) => this.#open(response, stream, head));
    request.on("response", (response) => {
      response.destroy();
      this.#closed(1006, "");
    });
    request.on("error", () => this.#closed(1006, ""));
    request.end();
  }

  send(data) {
    this.peer.send(data);
  }

  close(code, reason) {
    this.readyState = 2;
    if (!this.peer) {
      this.request.destroy();
      return;
    }
    this.peer.end(code, reason);
    this.peer.stream.end();
  }

  #open(response, stream, head) {
    stream.setNoDelay();
    this.protocol = response.headers["sec-websocket-protocol"] ?? "";
    this.readyState = 1;
    this.peer = new Peer(stream, {
      masks: true,
      head,
      message: (data, isText) => this.onmessage?.({ data: isText ? data : new Uint8Array(data).buffer }),
      close: (code, reason) => this.#closed(code, reason),
    });
  }

  #closed(code, reason) {
    if (this.readyState === 3)
      return;
    this.readyState = 3;
    this.onerror?.({});
    this.onclose?.({ code, reason });
  }
}
