# SPDX-License-Identifier: BSD-2-Clause
"""The session client of these tests, held against scripted servers: it must notice what is wrong."""

import json
import socket

import pytest

from harness import session_frames as frames
from harness.session import Session, Step, WsCarrier
from harness.session_cut import FIN, RESET, Cut, CutHttp
from harness.session_frames import ACK, BINARY, CLOSE, PONG, Frame, Short, ack, binary, close, text
from harness.session_http import Event, EventStream, check_order
from harness.wire import Wire

OPENED = {
    "session": "abcdefghijklmnopqrstuvwx", "ack": 0, "window": 4096, "resume": 30000, "heartbeat": 25000,
    "poll": 25000, "spread": 5000, "message_max": 1 << 20, "protocol": "", "transports": ["websocket", "sse"],
}  # fmt: skip


# ---- frames ----


@pytest.mark.parametrize(
    "value, coded",
    [
        (151288809941952652, "c2197c5eff14e88c"),
        (494878333, "9d7f3e7d"),
        (15293, "7bbd"),
        (37, "25"),
        (0, "00"),
        ((1 << 62) - 1, "ffffffffffffffff"),
    ],
)
def test_varints_are_those_of_rfc_9000(value, coded):
    assert frames.varint(value).hex() == coded
    assert frames.take_varint(b"x" + bytes.fromhex(coded) + b"y", 1) == (value, 1 + len(coded) // 2)
    with pytest.raises(Short):
        frames.take_varint(bytes.fromhex(coded)[:-1])


def test_varints_can_be_longer_than_they_need():
    assert frames.varint(37, size=2).hex() == "4025"
    assert [frames.take_varint(frames.varint(37, size=n)) for n in (1, 2, 4, 8)] == [(37, n) for n in (1, 2, 4, 8)]


def test_frames_and_bodies_go_there_and_back():
    all_kinds = [
        binary(1, b"\0\xff"), text(16384, "\N{EURO SIGN}\r\n"), ack(0), close(1000), close(4404, "gone".encode()),
        frames.ping(b"p" * 125), Frame(PONG), Frame(frames.OPEN, OPENED),
    ]  # fmt: skip
    assert frames.unpack(frames.pack(*all_kinds)) == all_kinds


@pytest.mark.parametrize(
    "data", [b"", b"\x08", b"\x80", b"\x02\x00x", b"\x04\x01x", b"\x03\x01\xff", b"\x06" + b"p" * 126,
             b"\x05\x03\xe8" + b"r" * 124, b"\x01{}"]
)  # fmt: skip
def test_frames_that_a_server_must_not_send_are_noticed(data):
    with pytest.raises((AssertionError, UnicodeDecodeError)):
        frames.decode(data)


@pytest.mark.parametrize("missing", OPENED)
def test_an_open_without_one_of_its_fields_is_noticed(missing):
    with pytest.raises(AssertionError):
        frames.check_open({name: value for name, value in OPENED.items() if name != missing})


def test_the_order_in_a_poll_is_noticed():
    check_order([ack(1), binary(1, b""), text(2, ""), close()])
    check_order([close()])
    for wrong in ([binary(1, b""), ack(1)], [close(), binary(1, b"")], [ack(1), ack(2)], [frames.ping()]):
        with pytest.raises(AssertionError):
            check_order(wrong)


# ---- what a session allows ----


def opened(**changes):
    session = Session(None)
    session.acks = False
    session.take_open({**OPENED, **changes}, Step(session))
    return session


def carrier(session, after=0):
    step = Step(session)
    step.next = after + 1
    return step


def test_messages_come_without_gaps_and_without_repetition():
    session = opened()
    one = carrier(session)
    session.take(binary(1, b"a"), one)
    session.take(binary(2, b"b"), one)
    for wrong in (2, 4):
        with pytest.raises(AssertionError):
            session.take(binary(wrong, b"c"), one)
    assert session.data == b"ab" and session.received == 2


def test_after_an_attach_the_same_comes_again_and_is_not_taken_twice():
    session = opened()
    for seq in (1, 2):
        session.take(binary(seq, b"%d" % seq), carrier(session, seq - 1))
    session.tell(1)
    other = carrier(session, 1)
    session.take(binary(2, b"2"), other)
    session.take(binary(3, b"3"), other)
    assert session.data == b"123"
    with pytest.raises(AssertionError):
        session.take(binary(2, b"changed"), carrier(session, 1))


def test_a_server_that_overruns_the_window_is_noticed():
    session = opened(window=4096)
    session.framed = True
    one = carrier(session)
    session.take(binary(1, bytes(4000)), one)
    session.take(binary(2, bytes(32)), one)  # 4096 with what each message counts beside its payload
    with pytest.raises(AssertionError):
        session.take(binary(3, b""), one)
    session.tell(2)
    session.take(binary(3, bytes(5000)), carrier(session, 2))  # larger than the window, but alone


def test_a_server_that_cuts_a_stream_into_larger_messages_than_it_may_is_noticed():
    session = opened(window=4096)
    session.take(binary(1, bytes(1024)), carrier(session))
    with pytest.raises(AssertionError):
        session.take(binary(2, bytes(1025)), carrier(session, 1))


def test_an_ack_above_what_was_sent_or_below_an_earlier_one_is_noticed():
    session = opened()
    for _ in range(3):
        session.message(b"x")
    one = carrier(session)
    session.take(ack(2), one)
    assert list(session.unacked) == [3] and session.acked == 2
    for wrong in (1, 4):
        with pytest.raises(AssertionError):
            session.take(ack(wrong), one)


def test_nothing_but_acks_follows_a_close():
    session = opened()
    one = carrier(session)
    session.take(close(1000), one)
    session.take(ack(0), one)
    for wrong in (binary(1, b""), close(1000)):
        with pytest.raises(AssertionError):
            session.take(wrong, one)


def test_the_window_of_the_client_is_counted_in_the_same_way():
    session = opened(window=4096)
    session.message(bytes(4000))
    assert session.fits(32) and not session.fits(33)
    assert opened(window=4096).fits(100_000)  # alone


# ---- events and connections ----


def test_events_stand_for_frames():
    session = OPENED["session"]
    assert Event(f"id: {session}.7\nevent: binary\ndata: aGk=").frame(session) == binary(7, b"hi")
    assert Event(f'id: {session}.8\nevent: text\ndata: "a\\r\\nb"').frame(session) == text(8, "a\r\nb")
    assert Event("event: ack\ndata: 5").frame(session) == ack(5)
    assert Event('event: close\ndata: {"code":1000,"reason":"bye"}').frame(session) == close(1000, b"bye")
    assert Event("retry: 1000").retry == "1000"


@pytest.mark.parametrize(
    "block", ["event: binary\ndata: aGk=", "id: other.1\nevent: binary\ndata: aGk=", "event: binary\nid: {}.1\ndata: a",
              ": comment", "event:ack\ndata:1", "event: ping\ndata: {{}}\nid: {}.1", "event: ack\ndata: 1\ndata: 2"]
)  # fmt: skip
def test_events_that_are_not_exact_are_noticed(block):
    with pytest.raises((AssertionError, ValueError, AttributeError)):
        Event(block.format(OPENED["session"])).frame(OPENED["session"])


def pair():
    """(a client's end that can be cut, the other end)"""
    one, other = socket.socketpair()
    one.settimeout(5)
    other.settimeout(5)
    return CutHttp(one), Wire(other)


@pytest.mark.parametrize("piece", [1, 2, 1000])
def test_an_event_stream_is_read_whatever_its_chunks(piece):
    body = b'retry: 1000\n\nevent: close\ndata: {"code":1000,"reason":""}\n\n'
    head = ("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
            "Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n\r\n").encode()  # fmt: skip
    pieces = [body[i : i + piece] for i in range(0, len(body), piece)]
    client, server = pair()
    server.send(head + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n")
    stream = EventStream(client, "/x")
    assert stream.next().retry == "1000"
    assert json.loads(stream.next().data)["code"] == 1000
    assert stream.next() is None


@pytest.mark.parametrize("how", [RESET, FIN])
def test_a_connection_is_cut_at_the_byte(how):
    client, server = pair()
    client.cut_after(up=10, how=how)
    client.send(b"12345")
    with pytest.raises(Cut):
        client.send(b"67890+more")
    assert server.read_to_end() == b"1234567890"
    client, server = pair()
    client.cut_after(down=3, how=how)
    server.send(b"abcdef")
    assert client.read(3) == b"abc"
    with pytest.raises(Cut):
        client.read(1)


def test_a_websocket_reads_its_open_first():
    class Scripted(WsCarrier):
        def __init__(self, session, *content):
            Step.__init__(self, session)
            self.session, self.next, self.content = session, 1, list(content)

        def recv_raw(self):
            return self.content.pop(0)

    session = Session(None)
    Scripted(session, Frame(frames.OPEN, OPENED)).begin()
    assert session.id == OPENED["session"]
    with pytest.raises(AssertionError):
        Scripted(Session(None), binary(1, b"")).begin()
    with pytest.raises(AssertionError):
        Scripted(session, Frame(frames.OPEN, {**OPENED, "window": 8192})).begin()


def test_bodies_are_what_the_protocol_says():
    assert frames.pack(binary(1, b"hi"), ack(3)).hex() == "04" + "020168" + "69" + "02" + "0403"
    assert frames.kinds(frames.unpack(bytes.fromhex("0402016869020403"))) == [BINARY, ACK]
    assert frames.pack(b"\x05\x03\xe8") == bytes([3, CLOSE]) + b"\x03\xe8"
