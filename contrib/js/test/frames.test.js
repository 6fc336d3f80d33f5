// SPDX-License-Identifier: BSD-2-Clause
// Frames and event streams as bytes, whole and cut anywhere.

import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStreamParser } from "../lib/eventstream.js";
import { BodyReader, decode, encode, packBody, parseOpen, ProtocolError, readVarint, Type, varintLength, writeVarint } from "../lib/frames.js";
import { retryAfter, withQuery } from "../lib/http.js";

const hex = (text) => new Uint8Array(Buffer.from(text, "hex"));

test("varints: the examples of RFC 9000, appendix A.1", () => {
  assert.equal(readVarint(hex("9d7f3e7d")).value, 494878333);
  assert.equal(readVarint(hex("7bbd")).value, 15293);
  assert.equal(readVarint(hex("25")).value, 37);
  assert.equal(readVarint(hex("4025")).value, 37);
  assert.throws(() => readVarint(hex("c2197c5eff14e88c")), ProtocolError); // over 2^53
});

test("varints: what is written is read, at every border", () => {
  for (const value of [0, 63, 64, 16383, 16384, 2 ** 30 - 1, 2 ** 30, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
    const bytes = new Uint8Array(varintLength(value));
    assert.equal(writeVarint(bytes, 0, value), bytes.length);
    assert.deepEqual(readVarint(bytes), { value, end: bytes.length });
    assert.equal(readVarint(bytes.subarray(0, bytes.length - 1)), null);
  }
});

test("frames come back as they were", () => {
  const frames = [
    { type: Type.BINARY, seq: 70, payload: Uint8Array.of(1, 2) },
    { type: Type.TEXT, seq: 1, payload: new Uint8Array(0) },
    { type: Type.ACK, seq: 16384 },
    { type: Type.CLOSE, code: 4001, reason: "é" },
    { type: Type.PING, payload: Uint8Array.of(5) },
  ];
  for (const frame of frames)
    assert.deepEqual(decode(encode(frame)), frame);
});

test("a reason is cut at a code point", () => {
  const { reason } = decode(encode({ type: Type.CLOSE, code: 1000, reason: "\u{1f600}".repeat(40) }));
  assert.equal(reason, "\u{1f600}".repeat(30));
});

test("frames that are wrong", () => {
  for (const wrong of ["", "00", "08", "0200", "02", "0440", "0503", "05", "7f", "0503e8ff"])
    assert.throws(() => decode(hex(wrong)), ProtocolError, wrong);
  assert.equal(decode(hex("80ffff")), null);
  assert.equal(decode(hex("ff")), null);
});

test("an OPEN that is wrong", () => {
  for (const wrong of ["{", "null", "{}", '{"session":"a b","ack":0,"window":1,"resume":1}', '{"session":"a","ack":-1,"window":1,"resume":1}'])
    assert.throws(() => parseOpen(wrong), ProtocolError, wrong);
  assert.equal(parseOpen('{"session":"a","ack":0,"window":1,"resume":1}').spread, 5000);
});

test("a body gives every frame that is complete, wherever it is cut", () => {
  const frames = [{ type: Type.ACK, seq: 3 }, { type: Type.BINARY, seq: 1, payload: new Uint8Array(100).fill(7) }, { type: Type.CLOSE, code: 1000, reason: "" }];
  const body = packBody(frames.map(encode));
  const ends = [3, 3 + 2 + 102, body.length];
  for (let cut = 0; cut <= body.length; cut++) {
    const reader = new BodyReader();
    const got = [...reader.take(body.subarray(0, cut))];
    assert.deepEqual(got, frames.slice(0, ends.filter((end) => end <= cut).length));
    got.push(...reader.take(body.subarray(cut)));
    assert.deepEqual(got, frames);
  }
});

const STREAM = "\ufeffretry: 1000\r\n: comment\r\n\r\nevent: open\rid: S.0\rdata: {\"a\":1}\r\revent: text\nid:S.1\ndata: \"é\u{1f600}\"\n\n" +
  "data: one\ndata:  two\n\nevent: nothing\n\nid: S.2\ndata\n\nevent: cut\ndata: lost";
const EVENTS = [
  { event: "open", data: '{"a":1}', id: "S.0" },
  { event: "text", data: '"é\u{1f600}"', id: "S.1" },
  { event: "message", data: "one\n two", id: "S.1" },
  { event: "message", data: "", id: "S.2" },
];

test("event streams: every line ending, cut anywhere", () => {
  const bytes = new TextEncoder().encode(STREAM);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const got = [];
    const parser = new EventStreamParser((event) => got.push(event));
    parser.take(bytes.subarray(0, cut));
    parser.take(bytes.subarray(cut));
    assert.deepEqual(got, EVENTS, `cut at ${cut}`);
  }
  const got = [];
  const parser = new EventStreamParser((event) => got.push(event));
  for (const byte of bytes)
    parser.take(Uint8Array.of(byte));
  assert.deepEqual(got, EVENTS);
});

test("a query is added and the application's own is left alone", () => {
  assert.equal(withQuery(new URL("http://h/r"), { n: 1, ack: undefined }), "http://h/r?n=1");
  assert.equal(withQuery(new URL("http://h/r?topic=a%2Fb+c"), { n: 1 }), "http://h/r?topic=a%2Fb+c&n=1");
});

test("Retry-After: seconds, a date, or nothing of use", () => {
  assert.equal(retryAfter("3"), 3000);
  assert.equal(retryAfter("Thu, 01 Jan 1970 00:00:10 GMT", 4000), 6000);
  assert.equal(retryAfter("Thu, 01 Jan 1970 00:00:10 GMT", 14000), 0);
  assert.equal(retryAfter("soon"), 0);
  assert.equal(retryAfter(null), 0);
});
