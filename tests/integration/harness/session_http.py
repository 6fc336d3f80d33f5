# SPDX-License-Identifier: BSD-2-Clause
"""The carriers over HTTP: an event stream read strictly, and long polls."""

import base64
import json

from . import session_frames as frames
from .http import read_head, request
from .session_frames import ACK, BINARY, CLOSE, OPEN, PING, TEXT

V1 = "application/vnd.culvert.v1"
STREAM = "text/event-stream"
KINDS = {"open": OPEN, "binary": BINARY, "text": TEXT, "ack": ACK, "ping": PING, "close": CLOSE}
FIELDS = ("event", "data", "id", "retry")


class Event:
    """name, data, id: as they came, or None; a block of retry alone has no name."""

    def __init__(self, block):
        self.event = self.data = self.id = self.retry = None
        for line in block.split("\n"):
            name, colon, value = line.partition(": ")
            assert colon and name in FIELDS, f"line {line!r} in an event"
            assert getattr(self, name) is None, f"{name} twice in {block!r}"
            setattr(self, name, value)
        assert (self.event is None) == (self.data is None), block
        assert "\r" not in block and "\0" not in block

    def __repr__(self):
        return f"<event {self.event} id={self.id} retry={self.retry} {(self.data or '')[:60]!r}>"

    @property
    def seq(self):
        return int(self.id.rsplit(".", 1)[1])

    def frame(self, session):
        """As the frame that it stands for, its id checked."""
        kind = KINDS[self.event]
        if kind in (BINARY, TEXT):
            assert self.id == f"{session}.{self.seq}" and self.seq > 0, self
            payload = base64.b64decode(self.data, validate=True) if kind == BINARY else json.loads(self.data).encode()
            return frames.Frame(kind, payload, seq=self.seq)
        if kind == OPEN:
            assert self.id is not None
            return frames.Frame(OPEN, frames.check_open(json.loads(self.data)))
        assert self.id is None, self
        if kind == PING:
            assert self.data == "{}", self
            return frames.ping()
        if kind == ACK:
            assert self.data.isdigit(), self
            return frames.ack(int(self.data))
        said = json.loads(self.data)
        assert set(said) == {"code", "reason"}, said
        return frames.close(said["code"], said["reason"].encode())


class Body:
    """The body of an answer as it comes: chunked, or to the connection's end."""

    def __init__(self, wire, answer):
        self.wire = wire
        self.chunked = answer["transfer-encoding"] == "chunked"
        self.buffer = bytearray()
        self.ended = False

    def more(self):
        """Some more bytes into the buffer; False at the end."""
        if self.ended:
            return False
        if not self.chunked:
            if not self.wire.buffer and not self.wire._receive():
                self.ended = True
                return False
            self.buffer += self.wire.read(len(self.wire.buffer))
            return True
        size = int(self.wire.read_until(b"\r\n"), 16)
        self.buffer += self.wire.read(size)
        assert self.wire.read(2) == b"\r\n"
        self.ended = size == 0
        return not self.ended

    def read_block(self):
        """Up to an empty line; None at the end, which comes between blocks only."""
        while b"\n\n" not in self.buffer:
            if not self.more():
                assert not self.buffer, f"ended in the middle of {bytes(self.buffer)!r}"
                return None
        end = self.buffer.index(b"\n\n")
        block = bytes(self.buffer[:end]).decode()
        del self.buffer[: end + 2]
        return block


class EventStream:
    """An answer of text/event-stream; answer has another status if it was refused."""

    def __init__(self, wire, path, host="localhost", headers=(), version="1.1"):
        self.wire = wire
        wire.send(request("GET", path, host, [("Accept", STREAM), *headers], version=version))
        self.answer = read_head(wire)
        if self.answer.status != 200:
            length = self.answer["content-length"]
            self.answer.body = wire.read(int(length)) if length else b""
            return
        assert self.answer["content-type"] == STREAM
        assert self.answer["cache-control"] == "no-store, no-transform"
        assert self.answer["x-accel-buffering"] == "no"
        self.body = Body(wire, self.answer)
        assert self.body.chunked == (version == "1.1")

    def next(self):
        """The next event; None when the answer has ended."""
        block = self.body.read_block()
        return None if block is None else Event(block)


class SseCarrier:
    """begin() ends when the open event has come. last_id: what a bare EventSource remembers."""

    name = "sse"

    def __init__(self, session, /, query=None, headers=(), version="1.1", cut=None, **more):
        self.session = session
        self.floor, self.closed = session.acked, None
        query = dict(query or {})
        self.ack = query.get("ack", 0 if not query else None)
        for name, value in headers:
            if name == "Last-Event-ID":
                self.ack = int(value.rsplit(".", 1)[1])
                session.tell(self.ack)
        self.next = None if self.ack is None else self.ack + 1
        self.wire = session.connect()
        if cut:
            self.wire.cut_after(**cut)
        self.last_id = self.retry = None
        self.detached = self.ended = False
        path = session.url(**query, **more)
        self.stream = EventStream(self.wire, path, session.host, [*session.headers, *headers], version)
        self.answer = self.stream.answer
        self.status = self.answer.status

    def begin(self):
        assert self.status == 200, self.answer
        frame = self.recv()
        assert frame.kind == OPEN, frame
        return self

    def recv_event(self):
        """The next event but for retry alone; None at the end."""
        while (event := self.stream.next()) is not None:
            if event.retry is not None:
                self._take_retry(event.retry)
            if event.id is not None:
                self.last_id = event.id
            if event.event is not None:
                return event
        self.ended = True
        return None

    def _take_retry(self, value):
        # The first line of all, and the farewell to a bare session.
        assert value == ("1000" if self.retry is None else "200"), value
        self.retry = value

    def recv(self):
        """The next frame, taken; None at the end of the answer or when detached."""
        event = self.recv_event()
        assert self.retry is not None, "no retry at the beginning"
        if event is None:
            return None
        assert self.retry == "1000", "an event after the farewell"
        assert not self.detached, "an event after detached"
        if event.event == "detached":
            self.detached = True
            return None
        frame = event.frame(self.session.id)
        if frame.kind == OPEN:
            assert self.last_id.rsplit(".", 1) == [frame.payload["session"], str(self.ack or 0)] or self.ack is None
            self.session.take_open(frame.payload, self)
        elif frame.kind == PING:
            self.session.nothing_new()
        else:
            self.session.take(frame, self)
        return frame

    def pump(self):
        frame = self.recv()
        assert frame is not None, f"the stream has ended{', detached' if self.detached else ''}"
        return frame

    def events(self):
        """All frames to the end of the answer."""
        got = []
        while (frame := self.recv()) is not None:
            got.append(frame)
        if self.detached:
            assert self.stream.next() is None, "something after detached"
            self.ended = True
        return got

    def send(self, *content):
        self.session.post(*content)

    def acknowledge(self, seq=None):
        seq = self.session.received if seq is None else seq
        self.session.tell(seq)
        self.session.post(frames.ack(seq))


class PollCarrier:
    """Each pump() is a poll, on one connection as long as it lasts. cut: for the next connection."""

    name = "longpoll"

    def __init__(self, session, cut=None, wait=None):
        self.session = session
        self.floor, self.closed, self.next = session.acked, None, None
        self.wire = None
        self.budget, self.wait = cut, wait

    def pump(self):
        """The frames of one poll, taken; none after a 204."""
        session = self.session
        if self.wire is None or self.wire.sock.fileno() < 0:
            self.wire = session.connect()
            if self.budget:
                self.wire.cut_after(**self.budget)
        self.floor, self.closed = session.acked, None
        answer = session.ask_poll(wire=self.wire, wait=self.wait)
        assert answer.status in (200, 204), answer
        assert answer["cache-control"] == "no-store, no-transform"
        assert (answer.status == 200) == bool(answer.frames), answer
        self.next = session.told + 1
        if not answer.frames:
            session.nothing_new()
        check_order(answer.frames)
        payload = [frame for frame in answer.frames if frame.is_message]
        assert len(payload) <= 1 or sum(len(frame.payload) for frame in payload) <= session.window
        for frame in answer.frames:
            session.take(frame, self)
        return answer.frames

    def send(self, *content):
        self.session.post(*content)

    def acknowledge(self, seq=None):
        """The next poll tells it."""


def check_order(got):
    """An ACK first, if there is one; then messages; then a CLOSE."""
    names = ["m" if frame.is_message else frame.kind for frame in got]
    rest = names[1:] if names[:1] == [ACK] else names
    rest = rest[:-1] if rest[-1:] == [CLOSE] else rest
    assert set(rest) <= {"m"}, got


def begin_poll(session, **query):
    """A poll that waits at the server, on a connection of its own."""
    wire = session.connect()
    wire.send(request("GET", session.url(session=session.id, **query), headers=[("Accept", V1)]))
    # What is asked later is answered later, by one worker.
    assert session.culvert.http().ask(path="/none").status == 404
    return wire


def post_head(session, *headers):
    return request("POST", session.url(session=session.id), headers=[("Content-Type", V1), *headers])
