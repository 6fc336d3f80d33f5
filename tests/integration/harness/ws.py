# SPDX-License-Identifier: BSD-2-Clause
"""A WebSocket client that makes each frame by hand, so that wrong ones can be sent too, and that
accepts nothing but correct ones."""

import base64
import hashlib
import os
import struct

from .http import read_answer, request
from .wire import Wire

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

# A fixed key makes a conversation the same bytes each time.
KEY = base64.b64encode(b"sixteen bytes...").decode()


def accept_of(key):
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode()


def upgrade_headers(subprotocols=(), key=KEY, headers=()):
    result = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
    ]
    if subprotocols:
        result.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    return result + list(headers)


def upgrade_request(path="/", host="localhost", subprotocols=(), headers=()):
    return request("GET", path, host, upgrade_headers(subprotocols, headers=headers))


def mask(payload, key):
    if not any(key):
        return bytes(payload)
    n = len(payload)
    pad = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(n, "big")


def header(opcode, length, fin=True, rsv=0, masked=True, size=None):
    """size: bytes of extended length (0, 2, 8); None for the shortest."""
    if size is None:
        size = 0 if length < 126 else 2 if length < 65536 else 8
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if masked else 0
    if size == 0:
        return bytes([first, bit | length])
    if size == 2:
        return bytes([first, bit | 126]) + struct.pack(">H", length)
    return bytes([first, bit | 127]) + struct.pack(">Q", length)


def frame(opcode, payload=b"", fin=True, rsv=0, key=b"\x37\xfa\x21\x3d", size=None):
    """key None: not masked, which clients must not send."""
    if isinstance(payload, str):
        payload = payload.encode()
    head = header(opcode, len(payload), fin, rsv, key is not None, size)
    if key is None:
        return head + bytes(payload)
    return head + key + mask(payload, key)


def close_frame(code=1000, reason=b""):
    if code is None:
        return frame(CLOSE)
    if isinstance(reason, str):
        reason = reason.encode()
    return frame(CLOSE, struct.pack(">H", code) + reason)


class Frame:
    def __init__(self, fin, opcode, payload):
        self.fin = fin
        self.opcode = opcode
        self.payload = payload

    def __repr__(self):
        return f"<frame fin={self.fin} opcode={self.opcode} {len(self.payload)} {self.payload[:60]!r}>"


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(repr(answer))
        self.answer = answer
        self.status = answer.status


class WsClient(Wire):
    """subprotocol: what the server chose, or None."""

    def upgrade(self, path="/", host="localhost", subprotocols=(), headers=(), piece=None):
        self.send(upgrade_request(path, host, subprotocols, headers), piece)
        return self.upgraded()

    def upgraded(self):
        """Reads the answer; Refused tells any but a correct 101."""
        answer = read_answer(self)
        if answer.status != 101:
            raise Refused(answer)
        assert answer["upgrade"].lower() == "websocket"
        assert answer["connection"].lower() == "upgrade"
        assert answer["sec-websocket-accept"] == accept_of(KEY)
        assert answer["sec-websocket-extensions"] is None
        self.answer = answer
        self.subprotocol = answer["sec-websocket-protocol"]
        return self

    # ---- sending ----

    def send_frame(self, opcode, payload=b"", piece=None, **options):
        self.send(frame(opcode, payload, **options), piece)

    def send_text(self, text):
        self.send_frame(TEXT, text)

    def send_binary(self, data):
        self.send_frame(BINARY, data, key=os.urandom(4))

    def send_close(self, code=1000, reason=b""):
        self.send(close_frame(code, reason))

    # ---- receiving ----

    def recv_frame(self):
        """The next frame, whatever it is."""
        first, second = self.read(2)
        assert not first & 0x70, "RSV bit set"
        assert not second & 0x80, "a server's frame is masked"
        opcode, length = first & 0x0F, second & 0x7F
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), opcode
        if length == 126:
            (length,) = struct.unpack(">H", self.read(2))
            assert length >= 126, "not the shortest length"
        elif length == 127:
            (length,) = struct.unpack(">Q", self.read(8))
            assert 65536 <= length < 1 << 63, "not the shortest length"
        if opcode >= CLOSE:
            assert first & 0x80 and length <= 125, "control frame too long or fragmented"
        return Frame(bool(first & 0x80), opcode, self.read(length))

    def recv_data(self):
        """The next data frame; pings are answered, pongs dropped, a Close is a failure."""
        while True:
            got = self.recv_frame()
            if got.opcode == PING:
                self.send_frame(PONG, got.payload)
            elif got.opcode == CLOSE:
                raise AssertionError(f"closed with {parse_close(got.payload)}, wanted data")
            elif got.opcode != PONG:
                return got

    def recv_bytes(self, n):
        """Exactly n payload bytes, from as many data frames as it takes."""
        data = bytearray()
        while len(data) < n:
            data += self.recv_data().payload
        assert len(data) == n, f"{len(data)} bytes, wanted {n}: {bytes(data[-60:])!r}"
        return bytes(data)

    def recv_pong(self):
        got = self.recv_frame()
        assert got.opcode == PONG, got
        return got.payload

    def recv_to_close(self):
        """All payload bytes up to the Close: (bytes, code, reason)."""
        data = bytearray()
        while True:
            got = self.recv_frame()
            if got.opcode == CLOSE:
                return (bytes(data), *parse_close(got.payload))
            if got.opcode in (TEXT, BINARY, CONTINUATION):
                data += got.payload

    def recv_close(self):
        """The next frame but for pings is a Close: its code."""
        data, code, _ = self.recv_to_close()
        assert data == b"", f"data before the Close: {data[:60]!r}"
        return code

    def expect_close(self, code):
        """culvert closes with this code, and the connection ends."""
        got = self.recv_close()
        assert got == code, f"closed with {got}, wanted {code}"
        self.send_quietly(close_frame(code))
        self.wait_closed()

    def send_quietly(self, data):
        """For what may come after the peer has gone."""
        try:
            self.send(data)
        except OSError:
            pass

    def leave(self, code=1000):
        """A Close of ours, and its answer."""
        self.send_close(code)
        assert self.recv_to_close()[1] == code
        self.wait_closed()


def parse_close(payload):
    """(code, reason); code None for an empty Close."""
    if not payload:
        return None, ""
    assert len(payload) >= 2
    return struct.unpack(">H", payload[:2])[0], payload[2:].decode()
