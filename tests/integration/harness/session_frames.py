# SPDX-License-Identifier: BSD-2-Clause
"""Frames of culvert.v1 as bytes: wrong ones can be made too, only correct ones are taken."""

import json
import re
import struct

OPEN, BINARY, TEXT, ACK, CLOSE, PING, PONG = range(1, 8)
NAMES = {1: "OPEN", 2: "BINARY", 3: "TEXT", 4: "ACK", 5: "CLOSE", 6: "PING", 7: "PONG"}

# What a message counts in the window beside its payload.
OVERHEAD = 32

SESSION_ID = re.compile(r"[A-Za-z0-9_-]{22,}")  # 128 random bits at least
NUMBERS = ("ack", "window", "resume", "heartbeat", "poll", "spread", "message_max")
TRANSPORTS = ("websocket", "sse", "longpoll")


class Short(Exception):
    """The bytes end before what they began."""


def varint(n, size=None):
    """RFC 9000 section 16. size: of bytes (1, 2, 4, 8); None for the shortest."""
    if size is None:
        size = next(s for s in (1, 2, 4, 8) if n < 1 << (8 * s - 2))
    return (n | (size.bit_length() - 1) << (8 * size - 2)).to_bytes(size, "big")


def take_varint(data, at=0):
    """(value, where it ends)"""
    if at >= len(data):
        raise Short
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        raise Short
    value = int.from_bytes(data[at : at + size], "big")
    return value & ((1 << (8 * size - 2)) - 1), at + size


class Frame:
    """seq: of a message or an ACK; code: of a CLOSE; payload: bytes, of OPEN the object."""

    def __init__(self, kind, payload=b"", seq=None, code=None):
        self.kind = kind
        self.payload = payload
        self.seq = seq
        self.code = code

    @property
    def is_message(self):
        return self.kind in (BINARY, TEXT)

    @property
    def cost(self):
        return len(self.payload) + OVERHEAD

    @property
    def reason(self):
        return self.payload.decode()

    def encode(self):
        if self.kind == OPEN:
            return bytes([OPEN]) + json.dumps(self.payload).encode()
        head = bytes([self.kind])
        if self.seq is not None:
            head += varint(self.seq)
        if self.code is not None:
            head += struct.pack(">H", self.code)
        return head + self.payload

    def __eq__(self, other):
        return (self.kind, self.payload, self.seq, self.code) == (other.kind, other.payload, other.seq, other.code)

    def __repr__(self):
        parts = [NAMES.get(self.kind, f"type {self.kind}")]
        parts += [str(one) for one in (self.seq, self.code) if one is not None]
        return f"<{' '.join(parts)} {self.payload if self.kind == OPEN else bytes(self.payload[:40])!r}>"


def binary(seq, payload):
    return Frame(BINARY, payload, seq=seq)


def text(seq, payload):
    return Frame(TEXT, payload.encode() if isinstance(payload, str) else payload, seq=seq)


def ack(seq):
    return Frame(ACK, seq=seq)


def close(code=1000, reason=b""):
    return Frame(CLOSE, reason, code=code)


def ping(payload=b""):
    return Frame(PING, payload)


def check_open(opened):
    """An OPEN object has every field, and no other."""
    assert set(opened) == {"session", "protocol", "transports", *NUMBERS}, opened
    assert SESSION_ID.fullmatch(opened["session"]), opened
    assert isinstance(opened["protocol"], str)
    for name in NUMBERS:
        assert type(opened[name]) is int and opened[name] >= 0, f"{name} is {opened[name]!r}"
    ways = opened["transports"]
    assert ways and len(set(ways)) == len(ways) and set(ways) <= set(TRANSPORTS), ways
    return opened


def decode(data):
    """One frame of the server's, which sends nothing that a client would have to ignore."""
    assert data, "an empty frame"
    kind = data[0]
    if kind == OPEN:
        return Frame(OPEN, check_open(json.loads(data[1:].decode())))
    if kind in (BINARY, TEXT, ACK):
        seq, at = take_varint(data, 1)
        frame = Frame(kind, bytes(data[at:]), seq=seq)
        assert kind == ACK or seq > 0, "a message number 0"
        assert kind != ACK or not frame.payload, "bytes after an ACK"
        if kind == TEXT:
            frame.payload.decode()
        return frame
    if kind == CLOSE:
        frame = Frame(CLOSE, bytes(data[3:]), code=struct.unpack(">H", data[1:3])[0])
        assert len(frame.reason.encode()) <= 123
        return frame
    assert kind in (PING, PONG), f"type {kind} from the server"
    assert len(data) <= 126
    return Frame(kind, bytes(data[1:]))


def prefixed(data):
    return varint(len(data)) + data


def pack(*frames):
    """A body: each frame, or bytes that pretend to be one, preceded by its length."""
    return b"".join(prefixed(f if isinstance(f, bytes) else f.encode()) for f in frames)


def unpack(body):
    """The frames of a whole body."""
    frames, at = [], 0
    while at < len(body):
        length, at = take_varint(body, at)
        assert at + length <= len(body), "a body that is cut short"
        frames.append(decode(body[at : at + length]))
        at += length
    return frames


def kinds(frames):
    return [frame.kind for frame in frames]
