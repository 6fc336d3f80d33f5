// SPDX-License-Identifier: BSD-2-Clause
// The frames of a session (culvert.v1), as bytes and as objects. No state but BodyReader's, no I/O.
//
//   on a WebSocket:   one frame in each binary message
//   in a body:        | length: varint | frame | length | frame | …
//
// A frame as an object: {type, seq, payload} for messages, {type, seq} for ACK, {type, code, reason}
// for CLOSE, {type, payload} for PING and PONG, {type, open} for OPEN.

export const Type = Object.freeze({
  OPEN: 1,
  BINARY: 2,
  TEXT: 3,
  ACK: 4,
  CLOSE: 5,
  PING: 6,
  PONG: 7,
});

export const SUBPROTOCOL = "culvert.v1";
export const MEDIA_TYPE = "application/vnd.culvert.v1";

const FIRST_IGNORED = 128; // types from here on are for later versions
const CONTROL_MAX = 125;
const REASON_MAX = 123;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// What the other side did against the protocol. code: what a CLOSE says about it.
export class ProtocolError extends Error {
  constructor(message, code = 1002) {
    super(message);
    this.name = "ProtocolError";
    this.code = code;
  }
}

export const utf8 = (text) => encoder.encode(text);

// Throws ProtocolError if it is not UTF-8.
export function text(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new ProtocolError("text that is not UTF-8", 1007);
  }
}

// ---- varint, RFC 9000 section 16 ----

export function varintLength(value) {
  if (value < 0x40)
    return 1;
  if (value < 0x4000)
    return 2;
  return value < 0x40000000 ? 4 : 8;
}

// Writes value at offset and returns the offset behind it.
export function writeVarint(bytes, offset, value) {
  const length = varintLength(value);
  let rest = value;
  for (let i = length - 1; i >= 0; i--) {
    bytes[offset + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes[offset] |= Math.log2(length) << 6;
  return offset + length;
}

// Returns {value, end}, or null if bytes end before the number does.
export function readVarint(bytes, offset = 0) {
  if (offset >= bytes.length)
    return null;
  const end = offset + (1 << (bytes[offset] >> 6));
  if (end > bytes.length)
    return null;
  let value = bytes[offset] & 0x3f;
  for (let i = offset + 1; i < end; i++)
    value = value * 256 + bytes[i];
  if (value > Number.MAX_SAFE_INTEGER)
    throw new ProtocolError("a number over 2^53");
  return { value, end };
}

// ---- frames ----

export function encode(frame) {
  switch (frame.type) {
    case Type.BINARY:
    case Type.TEXT:
      return numbered(frame.type, frame.seq, frame.payload);
    case Type.ACK:
      return numbered(Type.ACK, frame.seq, new Uint8Array(0));
    case Type.CLOSE:
      return encodeClose(frame);
    case Type.OPEN:
      return plain(Type.OPEN, utf8(JSON.stringify(frame.open)));
    default:
      return plain(frame.type, frame.payload);
  }
}

function numbered(type, seq, payload) {
  const bytes = new Uint8Array(1 + varintLength(seq) + payload.length);
  bytes[0] = type;
  bytes.set(payload, writeVarint(bytes, 1, seq));
  return bytes;
}

function plain(type, payload) {
  const bytes = new Uint8Array(1 + payload.length);
  bytes[0] = type;
  bytes.set(payload, 1);
  return bytes;
}

function encodeClose({ code, reason = "" }) {
  const tail = utf8(cutReason(reason));
  const bytes = new Uint8Array(3 + tail.length);
  bytes[0] = Type.CLOSE;
  bytes[1] = code >> 8;
  bytes[2] = code & 0xff;
  bytes.set(tail, 3);
  return bytes;
}

function cutReason(reason) {
  let cut = reason;
  while (utf8(cut).length > REASON_MAX)
    cut = [...cut].slice(0, -1).join("");
  return cut;
}

// Returns null for a frame of a type that is to be ignored. Throws ProtocolError. The payload is a
// view of bytes.
export function decode(bytes) {
  if (bytes.length === 0)
    throw new ProtocolError("an empty frame");
  const type = bytes[0];
  switch (type) {
    case Type.BINARY:
    case Type.TEXT:
    case Type.ACK:
      return decodeNumbered(type, bytes);
    case Type.CLOSE:
      return decodeClose(bytes);
    case Type.OPEN:
      return { type, open: parseOpen(text(bytes.subarray(1))) };
    case Type.PING:
    case Type.PONG:
      if (bytes.length > 1 + CONTROL_MAX)
        throw new ProtocolError("a PING or PONG that is too long");
      return { type, payload: bytes.subarray(1) };
  }
  if (type >= FIRST_IGNORED)
    return null;
  throw new ProtocolError(`a frame of the unknown type ${type}`);
}

function decodeNumbered(type, bytes) {
  const seq = readVarint(bytes, 1);
  if (!seq)
    throw new ProtocolError("a frame that ends in its number");
  if (type === Type.ACK)
    return { type, seq: seq.value };
  if (seq.value === 0)
    throw new ProtocolError("a message with the number 0");
  return { type, seq: seq.value, payload: bytes.subarray(seq.end) };
}

function decodeClose(bytes) {
  if (bytes.length < 3)
    throw new ProtocolError("a CLOSE without a code");
  return { type: Type.CLOSE, code: bytes[1] * 256 + bytes[2], reason: text(bytes.subarray(3)) };
}

// The OPEN object from its JSON, with every number that is used there.
export function parseOpen(json) {
  let open;
  try {
    open = JSON.parse(json);
  } catch {
    throw new ProtocolError("an OPEN that is not JSON");
  }
  if (typeof open?.session !== "string" || !/^[\w-]+$/.test(open.session))
    throw new ProtocolError("an OPEN without a session");
  for (const key of ["ack", "window", "resume"])
    if (!Number.isSafeInteger(open[key]) || open[key] < 0)
      throw new ProtocolError(`an OPEN without ${key}`);
  return { heartbeat: 25000, poll: 25000, spread: 5000, message_max: 0, protocol: "", ...open };
}

// ---- bodies ----

// How much of a body a frame takes.
export const sizeInBody = (frame) => varintLength(frame.length) + frame.length;

// Joins encoded frames to a body.
export function packBody(frames) {
  const body = new Uint8Array(frames.reduce((sum, frame) => sum + sizeInBody(frame), 0));
  let offset = 0;
  for (const frame of frames) {
    offset = writeVarint(body, offset, frame.length);
    body.set(frame, offset);
    offset += frame.length;
  }
  return body;
}

// Finds the frames of a body as it comes, so that a body which is cut still gives what was complete.
export class BodyReader {
  #kept = new Uint8Array(0);

  // Returns the decoded frames that bytes complete.
  take(bytes) {
    const frames = [];
    let data = bytes;
    if (this.#kept.length > 0) {
      data = new Uint8Array(this.#kept.length + bytes.length);
      data.set(this.#kept);
      data.set(bytes, this.#kept.length);
    }
    let offset = 0;
    for (let length = readVarint(data, 0); length; length = readVarint(data, offset)) {
      const end = length.end + length.value;
      if (end > data.length)
        break;
      const frame = decode(data.subarray(length.end, end));
      if (frame)
        frames.push(frame);
      offset = end;
    }
    this.#kept = data.slice(offset);
    return frames;
  }
}
