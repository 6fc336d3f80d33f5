# SPDX-License-Identifier: BSD-2-Clause
"""
A client of culvert.v1 that accepts nothing but what PROTOCOL.md allows, and whose carriers can be cut at
any byte. open_ws(), open_post(), open_sse() and
open_bare() begin a session.

    Session ── carrier: WsCarrier | SseCarrier | PollCarrier     what comes down, each frame by take()
          └─── up: a connection for POST and DELETE              unless the carrier is a WebSocket
"""

import json
import time
from urllib.parse import quote

from . import session_frames as frames
from .http import read_answer, request
from .session_cut import RESET, CutHttp, CutWs
from .session_frames import ACK, BINARY, CLOSE, OPEN, PING, PONG, TEXT
from .session_http import V1, PollCarrier, SseCarrier
from .wait import DEADLINE
from .ws import BINARY as WS_BINARY
from .ws import CLOSE as WS_CLOSE
from .ws import PING as WS_PING
from .ws import PONG as WS_PONG
from .ws import close_frame, parse_close

SUBPROTOCOL = "culvert.v1"
USUAL = object()  # ack: all that has come; n: one more than before


class Session:
    """
    What the client knows. The application takes each message as it comes, into data; while acks is true
    it is acknowledged before a quarter of the window waits for that.
    """

    def __init__(self, culvert, path="/x", tls=None, host="localhost", headers=(), protocols=()):
        self.culvert, self.path, self.tls, self.host = culvert, path, tls, host
        self.headers, self.protocols = list(headers), list(protocols)
        self.id = self.opened = None
        self.n = 0
        self.carrier = self.up = None
        self.wires = []  # every connection that was made for it
        self.acks = True
        self.framed = False  # messages are the target's own, not pieces of a stream of bytes
        # up
        self.next_seq, self.acked, self.covered = 1, 0, 0
        self.unacked = {}  # by seq, in order
        # down
        self.received = self.told = 0
        self.unconfirmed = {}  # by seq: what has come and was not acknowledged
        self.data = bytearray()
        self.messages = []
        self.closed = None  # the CLOSE of the server
        self.heard = time.monotonic()

    # ---- up ----

    @property
    def window(self):
        return self.opened["window"]

    def waiting(self):
        return sum(frame.cost for frame in self.unacked.values())

    def fits(self, length):
        return not self.unacked or self.waiting() + length + frames.OVERHEAD <= self.window

    def message(self, payload, kind=BINARY):
        """The next one, numbered and kept."""
        if isinstance(payload, str):
            payload, kind = payload.encode(), TEXT
        frame = frames.Frame(kind, bytes(payload), seq=self.next_seq)
        self.unacked[self.next_seq] = frame
        self.next_seq += 1
        return frame

    def send(self, payload):
        """As soon as the window has room for it."""
        while not self.fits(len(payload)):
            self.carrier.pump()
        self.carrier.send(self.message(payload))

    def repeat(self):
        """What an attach asks for: everything after the last ACK, in order."""
        if self.unacked:
            self.carrier.send(*self.unacked.values())

    def wait_acked(self):
        while self.unacked:
            self.carrier.pump()

    # ---- down ----

    def nothing_new(self):
        """Signs of life keep a carrier up, not a test that waits for something else."""
        assert time.monotonic() - self.heard < DEADLINE, f"nothing but signs of life for {DEADLINE} s"

    def take(self, frame, carrier):
        self.heard = time.monotonic()
        if frame.is_message:
            self._take_message(frame, carrier)
        elif frame.kind == ACK:
            self.take_ack(frame.seq, carrier)
        elif frame.kind == CLOSE:
            assert carrier.closed is None, "CLOSE twice on a carrier"
            carrier.closed = self.closed = frame

    def take_open(self, opened, carrier):
        self.heard = time.monotonic()
        if self.opened is None:
            self.opened, self.id = opened, opened["session"]
            assert opened["ack"] == 0
        # What has been consumed may have changed since, and the heartbeat belongs to the carrier.
        own = {"ack": 0, "heartbeat": 0}
        assert {**opened, **own} == {**self.opened, **own}
        self.take_ack(opened["ack"], carrier)
        self.covered = opened["ack"]

    def take_ack(self, seq, carrier):
        assert seq < self.next_seq, f"ACK {seq}, and only {self.next_seq - 1} were sent"
        assert seq >= carrier.floor, f"ACK {seq} after {carrier.floor}"
        carrier.floor = seq
        self.acked = max(self.acked, seq)
        self.covered = max(self.covered, seq)
        for one in [one for one in self.unacked if one <= seq]:
            del self.unacked[one]

    def _take_message(self, frame, carrier):
        assert carrier.closed is None, "a message after the CLOSE"
        if carrier.next is not None:
            assert frame.seq == carrier.next, f"message {frame.seq}, wanted {carrier.next}"
        assert frame.seq <= self.received + 1, f"message {frame.seq} after {self.received}"
        carrier.next = frame.seq + 1
        if frame.seq <= self.received:
            known = self.unconfirmed.get(frame.seq, frame)
            assert frame == known, f"{frame} was {known} before"
            return
        held = sum(one.cost for one in self.unconfirmed.values())
        assert not held or held + frame.cost <= self.window, f"{frame} on top of {held} unacknowledged bytes"
        assert self.framed or len(frame.payload) <= min(32768, self.window // 4), f"{frame} is too large a piece"
        self.received = frame.seq
        self.unconfirmed[frame.seq] = frame
        self.data += frame.payload
        self.messages.append(frame.payload.decode() if frame.kind == TEXT else frame.payload)
        if self.acks and held + frame.cost > self.window // 4:
            carrier.acknowledge()

    def tell(self, seq):
        """The server is told this ACK now, whether or not it arrives."""
        self.told = max(self.told, seq)
        for one in [one for one in self.unconfirmed if one <= self.told]:
            del self.unconfirmed[one]

    def recv(self, n):
        """Exactly n bytes, from as many messages as it takes."""
        while len(self.data) < n:
            self.carrier.pump()
        return self.taken(n)

    def taken(self, n):
        data = bytes(self.data[:n])
        del self.data[:n]
        return data

    def recv_message(self):
        while not self.messages:
            self.carrier.pump()
        return self.messages.pop(0)

    def recv_to_close(self):
        """All payload bytes up to the server's CLOSE, and its code."""
        while self.carrier.closed is None:
            self.carrier.pump()
        return self.taken(len(self.data)), self.closed.code

    def answer_close(self):
        """The last ACK and the CLOSE that ends it on both sides."""
        self.tell(self.received)
        self.carrier.send(frames.ack(self.received), frames.close(self.closed.code))

    # ---- carriers ----

    def url(self, **query):
        """query: None leaves a key out."""
        parts = [f"{key}={quote(str(value), safe='')}" for key, value in query.items() if value is not None]
        return self.path + ("?" if "?" not in self.path else "&") * bool(parts) + "&".join(parts)

    def attach_query(self, ack, n):
        """Of an attach that is really sent: it tells the server what has come."""
        if ack is USUAL:
            ack = self.received
        if n is USUAL:
            n = self.n = self.n + 1
        if ack is not None:
            self.tell(ack)
        return {"session": self.id, "ack": ack, "n": n}

    def attach_ws(self, ack=USUAL, n=USUAL, **options):
        """Returns when the OPEN has come."""
        self.carrier = WsCarrier(self, self.attach_query(ack, n), **options).begin()
        return self.carrier

    def attach_sse(self, ack=USUAL, n=USUAL, **options):
        self.carrier = SseCarrier(self, self.attach_query(ack, n), **options).begin()
        return self.carrier

    def attach_poll(self, **options):
        """From now on pump() polls; each poll is an attach."""
        self.carrier = PollCarrier(self, **options)
        return self.carrier

    def cut(self, how=RESET):
        """Both connections are lost."""
        for wire in (self.carrier and self.carrier.wire, self.up):
            if wire:
                wire.cut(how)
        self.up = None

    def connect(self, kind=CutHttp):
        self.wires.append(self.culvert.keep(kind.open(self.culvert.address, tls=self.tls)))
        return self.wires[-1]

    def up_wire(self):
        """The connection for POST and DELETE, a new one if there is none."""
        if self.up is None or self.up.sock.fileno() < 0:
            self.up = self.connect()
        return self.up

    # ---- requests ----

    def ask(self, method, wire=None, query=USUAL, headers=(), body=b"", version="1.1"):
        """A request for this session; the answer as it is, frames in .frames."""
        wire = wire or self.up_wire()
        query = {"session": self.id} if query is USUAL else query
        path = self.url(**query)
        wire.send(request(method, path, self.host, [*self.headers, *headers], body, version))
        return answer_of(wire, method)

    def ask_poll(self, ack=USUAL, n=USUAL, wire=None, headers=(), version="1.1", **query):
        """One long poll on a connection of its own; nothing of the answer is taken."""
        query = {**self.attach_query(ack, n), **query}
        return self.ask("GET", wire or self.connect(), query, [("Accept", V1), *headers], version=version)

    def ask_post(self, *content, headers=(), **options):
        """content: frames, or bytes that pretend to be one."""
        headers = [("Content-Type", V1), *headers]
        return self.ask("POST", headers=headers, body=frames.pack(*content), **options)

    def post(self, *content):
        """Frames up, beginning with the first message that no 200 covered; the answer is taken."""
        fresh = {frame.seq for frame in content if frame.is_message}
        repeated = [frame for seq, frame in self.unacked.items() if seq > self.covered and seq not in fresh]
        last = self.next_seq - 1
        step = Step(self)
        answer = self.ask_post(*repeated, *content)
        assert answer.status == 200, answer
        allowed = [ACK, *(PONG for frame in content if frame.kind == PING)]
        got = frames.kinds(answer.frames)
        assert got in (allowed, [*allowed, CLOSE]), answer.frames
        for frame in answer.frames:
            self.take(frame, step)
        self.covered = max(self.covered, last)
        return answer.frames

    def delete(self, **options):
        return self.ask("DELETE", **options)


class Step:
    """A request and its answer, which tells no lower ACK than was known before it."""

    def __init__(self, session):
        self.floor, self.next, self.closed = session.acked, None, None


def answer_of(wire, method="GET"):
    """The next answer, with the frames of its body; the connection is closed if it says so."""
    answer = read_answer(wire, method)
    answer.frames = frames.unpack(answer.body) if answer["content-type"] == V1 else []
    if answer["connection"] == "close":
        wire.close()
    return answer


class WsCarrier(Step):
    """A WebSocket with culvert.v1; begin() ends when its OPEN has come."""

    name = "websocket"

    def __init__(self, session, query=None, offered=None, headers=(), cut=None, **more):
        super().__init__(session)
        self.session = session
        query = {**(query or {}), **more}
        self.wire = session.connect(CutWs)
        if cut:
            self.wire.cut_after(**cut)
        ack = query.get("ack", 0)
        self.next = None if ack is None else ack + 1
        self.ponged = []
        offered = offered or [*session.protocols, SUBPROTOCOL]
        self.wire.upgrade(session.url(**query), session.host, offered, [*session.headers, *headers])
        assert self.wire.subprotocol == SUBPROTOCOL, self.wire.subprotocol

    def begin(self):
        first = self.recv_raw()
        assert first is not None, f"closed with {self.code}, wanted OPEN"
        assert first.kind == OPEN, first
        self.session.take_open(first.payload, self)
        return self

    def recv_raw(self):
        """The next frame; None at a WebSocket Close, whose code is in code."""
        while True:
            got = self.wire.recv_frame()
            if got.opcode == WS_PING:
                self.wire.send_frame(WS_PONG, got.payload)
            elif got.opcode == WS_CLOSE:
                self.code = parse_close(got.payload)[0]
                return None
            elif got.opcode != WS_PONG:
                assert got.fin and got.opcode == WS_BINARY, got
                return frames.decode(got.payload)

    def recv(self):
        """The next frame, taken. A PING is answered."""
        frame = self.recv_raw()
        assert frame is not None, f"closed with {self.code}, wanted a frame"
        assert frame.kind != OPEN, "OPEN twice"
        if frame.kind == PING:
            self.session.nothing_new()
            self.send(frames.Frame(PONG, frame.payload))
        elif frame.kind == PONG:
            self.ponged.append(frame.payload)
        else:
            self.session.take(frame, self)
        return frame

    pump = recv

    def send(self, *content):
        """Each as one WebSocket message; bytes pretend to be a frame."""
        for one in content:
            self.wire.send_frame(WS_BINARY, one if isinstance(one, bytes) else one.encode())

    def acknowledge(self, seq=None):
        seq = self.session.received if seq is None else seq
        self.session.tell(seq)
        self.send(frames.ack(seq))

    def ping(self, payload=b"are you there"):
        """Returns what came before the PONG: the server has nothing more to say for now."""
        self.send(frames.ping(payload))
        before = []
        while (frame := self.recv()).kind != PONG:
            before.append(frame)
        assert frame.payload == payload
        return before

    def ends(self, *codes, frame=True):
        """
        A CLOSE, and a WebSocket Close with the same code, one of these. frame: False if there must be no
        CLOSE, None if there need not be one.
        """
        closed = None
        while (got := self.recv_raw()) is not None:
            assert got.kind in (ACK, PONG, CLOSE), f"{got} before the end"
            closed = got if got.kind == CLOSE else closed
        assert self.code in codes, f"closed with {self.code}"
        assert closed.code == self.code if closed else not frame
        assert frame is not False or closed is None
        self.wire.send_quietly(close_frame(self.code))
        self.wire.wait_closed()
        return closed


def open_ws(culvert, path="/x", **options):
    session = Session(culvert, path, **options)
    session.carrier = WsCarrier(session).begin()
    return session


def open_post(culvert, path="/x", protocols=None, **options):
    """Its carrier polls until the test attaches another."""
    session = Session(culvert, path, **options)
    body = b"" if protocols is None else json.dumps({"protocols": protocols}).encode()
    headers = [("Content-Type", "application/json")] if body else []
    answer = session.ask("POST", query={}, headers=headers, body=body)
    assert answer.status == 201, answer
    assert answer["content-type"] == "application/json"
    session.take_open(frames.check_open(json.loads(answer.body)), Step(session))
    session.attach_poll()
    return session


def open_sse(culvert, path="/x", **options):
    """By POST and an attach with ack=, as a session client does it."""
    session = open_post(culvert, path, **options)
    session.attach_sse()
    return session


def open_bare(culvert, path="/x", **options):
    """By GET alone, as an EventSource does it, which never acknowledges."""
    session = Session(culvert, path, **options)
    session.acks = False
    session.carrier = SseCarrier(session).begin()
    return session
