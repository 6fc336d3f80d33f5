# SPDX-License-Identifier: BSD-2-Clause
"""Sessions by POST and long polls: opening, data both ways, bodies of every shape."""

import json
import os

import pytest

from harness import session_frames as frames
from harness.http import request
from harness.peers import Echo, Pourer, Recorder, Silent, Target, refusing_port
from harness.session import answer_of, open_post
from harness.session_conf import ECHO, to
from harness.session_frames import ACK, PONG, ack, binary, kinds, ping, varint
from harness.session_http import V1, begin_poll, post_head
from harness.wait import Stopwatch

JSON = [("Content-Type", "application/json")]


@pytest.fixture
def joined(culvert, peer):
    """(session, the target's end)"""

    def make(more="", **options):
        target = peer(Target)
        session = open_post(culvert(to(target, more)), **options)
        return session, target.accept()

    return make


def chunked(body, size):
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


# ---- opening ----


def test_a_post_opens_a_session_and_tells_what_a_client_has_to_know(culvert):
    c = culvert(f"{ECHO}buffer = 64k\nresume_window = 7s\nheartbeat = 20s\npoll_wait = 11s\nreconnect_spread = 3s\n"
                "message_max = 128k\ntransports = sse, longpoll\nsubprotocols = chat, mqtt\n")
    session = open_post(c, protocols=["other", "mqtt", "chat"])
    assert {**session.opened, "session": ""} == {
        "session": "", "ack": 0, "window": 65536, "resume": 7000, "heartbeat": 20000, "poll": 11000, "spread": 3000,
        "message_max": 131072, "protocol": "mqtt", "transports": ["sse", "longpoll"],
    }  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"{}", b'{"protocols":[]}', b' { "protocols" : [ "none" ] , "new": 1 } '])
def test_a_post_may_say_little(culvert, body):
    c = culvert(ECHO)
    answer = c.http().ask("POST", "/x", headers=JSON if body else [], body=body)
    assert answer.status == 201 and json.loads(answer.body)["protocol"] == ""
    assert answer["cache-control"] == "no-store, no-transform" and answer["x-accel-buffering"] == "no"


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b'{"protocols":"mqtt"}', b'{"protocols":[1]}', b'{"protocols":{}}',
                                  b"\xff", b"{}{}", b'{"protocols":["\xff"]}'])
def test_a_body_that_is_not_what_opens_is_400(culvert, peer, body):
    target = peer(Target)
    c = culvert(to(target))
    answer = c.http().ask("POST", "/x", headers=JSON, body=body)
    assert answer.status == 400
    assert target.nobody_came()


def test_a_body_that_opens_is_short_and_json(culvert):
    c = culvert(ECHO)
    long = b'{"protocols":["' + b"x" * 2_000_000 + b'"]}'
    wire = c.http()
    wire.send(request("POST", "/x", headers=[*JSON, ("Content-Length", str(len(long)))]))
    assert answer_of(wire).status == 413
    assert c.http().ask("POST", "/x", headers=[("Content-Type", "text/plain")], body=b"{}").status == 415
    assert c.http().ask("POST", "/x", headers=[("Content-Type", "application/json; charset=utf-8")],
                        body=b"{}").status == 201


def test_a_target_that_fails_is_502(culvert):
    held, port = refusing_port()
    with held:
        c = culvert(f"[route /x]\ntarget = tcp://127.0.0.1:{port}\n")
        assert c.http().ask("POST", "/x").status == 502


def test_s13_a_session_that_nobody_takes_up_ends_after_ten_seconds(culvert, peer):
    target = peer(Target)
    c = culvert(to(target))
    watch = Stopwatch()
    session = open_post(c)
    far = target.accept()
    far.wait_closed()
    assert 8 < watch.seconds < 40
    assert session.ask_poll().status in (200, 410)


# ---- polls ----


def test_a_poll_brings_what_waits_and_what_comes(joined):
    session, far = joined()
    far.send(b"waits")
    assert session.recv(5) == b"waits"
    wire = begin_poll(session, ack=1, n=8)
    far.send(b"comes")
    answer = answer_of(wire)
    assert (answer.status, answer["content-type"]) == (200, V1)
    assert answer.frames == [binary(2, b"comes")]


def test_a_poll_without_anything_to_say_is_204_after_poll_wait(joined):
    session, _ = joined("poll_wait = 500ms")
    watch = Stopwatch()
    answer = session.ask_poll()
    assert (answer.status, answer.body) == (204, b"")
    assert 0.4 < watch.seconds < 4 * 0.5


@pytest.mark.parametrize("wait, more", [(1000, "poll_wait = 25s"), (10, "poll_wait = 25s"), (60000, "poll_wait = 1s")])
def test_a_poll_may_ask_for_a_shorter_wait_down_to_a_second(joined, wait, more):
    session, _ = joined(more)
    watch = Stopwatch()
    assert session.ask_poll(wait=wait).status == 204
    assert 0.8 < watch.seconds < 4


def test_a_poll_brings_many_messages_and_repeats_what_was_not_acknowledged(joined):
    session, far = joined("framing = line")
    session.framed = True
    far.send(b"".join(b"%d\n" % i for i in range(100)))
    assert [session.recv_message() for _ in range(100)] == [b"%d" % i for i in range(100)]
    answer = session.ask_poll(ack=session.told)
    assert [frame.seq for frame in answer.frames] == list(range(session.told + 1, 101))
    some = session.told + 10
    assert session.ask_poll(ack=some).frames[0].seq == some + 1


def test_polls_bring_all_and_never_more_than_a_window(culvert, peer):
    target = peer(Pourer, 1_000_001)
    session = open_post(culvert(to(target, "buffer = 16k")))
    data, code = session.recv_to_close()
    assert (len(data), code) == (1_000_001, 1000) and data[:65536] == target.block


def test_a_message_larger_than_the_window_comes_alone(joined):
    session, far = joined("framing = line\nbuffer = 16k")
    session.framed = True
    far.send(b"short\n" + b"l" * 100_000 + b"\nshort\n")
    assert [len(session.recv_message()) for _ in range(3)] == [5, 100_000, 5]


def test_text_routes_poll_text(joined):
    session, far = joined("messages = text")
    far.send("\N{EURO SIGN}".encode())
    assert session.recv_message() == "\N{EURO SIGN}"


def test_without_ack_a_poll_begins_after_what_was_heard_last(joined):
    session, far = joined("framing = line")
    far.send(b"one\ntwo\nthree\n")
    while session.received < 3:
        session.carrier.pump()
    assert session.ask_poll(ack=2).frames[0].seq == 3
    assert session.ask_poll(ack=None).frames[0].seq == 3


def test_a_poll_tells_an_ack_that_the_client_has_not_heard(culvert, peer):
    session = open_post(culvert(to(peer(Recorder), "poll_wait = 5s")))
    session.send(b"hello")
    if session.unacked:
        assert kinds(session.carrier.pump()) == [ACK]
    assert not session.unacked


# ---- POST ----


@pytest.mark.parametrize("piece", [None, 1, 7])
@pytest.mark.parametrize("size", [None, 1, 2, 5, 1000])
def test_a_body_may_come_in_any_pieces(culvert, peer, size, piece):
    """size: of chunks; None by Content-Length."""
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    body = frames.pack(*(session.message(word) for word in (b"one", b"", b"x" * 100, "\N{EURO SIGN}")))
    wire = session.up_wire()
    if size is None:
        wire.send(post_head(session, ("Content-Length", str(len(body)))) + body, piece)
    else:
        wire.send(post_head(session, ("Transfer-Encoding", "chunked")) + chunked(body, size), piece)
    answer = answer_of(wire)
    assert answer.status == 200 and kinds(answer.frames) == [ACK]
    target.wait_received(b"one" + b"x" * 100 + "\N{EURO SIGN}".encode())


def test_lengths_may_take_more_bytes_than_they_need(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    frame = session.message(b"hi").encode()
    body = varint(len(frame), size=8) + frame
    answer = session.ask("POST", headers=[("Content-Type", V1)], body=body)
    assert answer.status == 200
    target.wait_received(b"hi")


def test_an_empty_body_is_answered_with_what_is_consumed(culvert, peer):
    session = open_post(culvert(to(peer(Recorder))))
    session.send(b"hello")
    session.wait_acked()
    for body in ({}, {"headers": [("Content-Length", "0")]}):
        answer = session.ask_post(**body)
        assert answer.status == 200 and answer.frames == [ack(1)]


def test_s13_a_repeated_post_changes_nothing(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    content = [session.message(word) for word in (b"one", b"two")]
    for _ in range(3):
        assert session.ask_post(*content).status == 200
    session.ask_post(*content, session.message(b"three"))
    target.wait_received(b"onetwothree")


def test_a_gap_is_409_and_what_came_before_it_is_taken(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    answer = session.ask_post(binary(1, b"one"), binary(2, b"two"), binary(4, b"four"), binary(3, b"lost"))
    assert answer.status == 409 and kinds(answer.frames) == [ACK] and answer.frames[0].seq <= 2
    target.wait_received(b"onetwo")
    assert session.ask_post(binary(3, b"three"), binary(4, b"four")).status == 200
    target.wait_received(b"onetwothreefour")


@pytest.mark.parametrize("wrong", [binary(0, b"zero"), b"\x01{}", b"\x00", b"\x08", b"\x7f", b"", b"\x02", b"\x02\x40",
                                   b"\x04", ack(9), b"\x05\x03", b"\x06" + bytes(126), b"\x03\x02\xff"], ids=repr)
def test_a_wrong_frame_is_400_and_the_session_lives(culvert, peer, wrong):
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    one = session.message(b"one")
    assert session.ask_post(one, wrong).status == 400
    assert session.ask_post(one, session.message(b"two")).status == 200
    target.wait_received(b"onetwo")


def test_a_wrong_frame_is_told_in_one_line_or_as_json(culvert):
    session = open_post(culvert(ECHO))
    answer = session.ask_post(b"\x08")
    assert answer.body.count(b"\n") == 1 and answer.body.endswith(b"\n")
    answer = session.ask_post(b"\x08", headers=[("Accept", "application/json")])
    assert json.loads(answer.body)["status"] == 400
    assert session.id.encode() not in answer.body


def test_types_of_the_future_are_ignored(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    answer = session.ask_post(b"\x80", session.message(b"hello"), b"\xff" + bytes(2000))
    assert answer.status == 200
    target.wait_received(b"hello")


def test_a_ping_is_answered_in_the_answer(culvert):
    session = open_post(culvert(ECHO))
    answer = session.ask_post(ping(b"a"))
    assert kinds(answer.frames) == [ACK, PONG] and answer.frames[1].payload == b"a"


def test_a_body_that_is_cut_gives_what_was_complete(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    content = [session.message(word) for word in (b"one", b"two", b"three")]
    body = frames.pack(*content)
    for how in ("fin", "close", "reset"):
        wire = session.connect()
        wire.send(post_head(session, ("Content-Length", str(len(body)))) + body[:-2])
        target.wait_received(b"onetwo")
        {"fin": wire.finish, "close": wire.close, "reset": wire.reset}[how]()
    assert session.ask_post(*content).status == 200
    target.wait_received(b"onetwothree")


def test_messages_are_taken_before_the_body_has_ended(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    wire = session.connect()
    wire.send(post_head(session, ("Transfer-Encoding", "chunked")))
    for word in (b"one", b"two"):
        body = frames.pack(session.message(word))
        wire.send(b"%x\r\n%s\r\n" % (len(body), body))
        target.wait_received(b"one" if word == b"one" else b"onetwo")
    wire.send(b"0\r\n\r\n")
    assert answer_of(wire).status == 200


@pytest.mark.parametrize("encoding", ["length", "chunked"])
def test_s13_a_body_that_is_too_long_is_413_while_it_is_read(culvert, encoding):
    """Over window + 64 KiB, of frames that have no other fault."""
    session = open_post(culvert(f"{ECHO}buffer = 16k\nmessage_max = 16k\n"))
    wire = session.connect()
    filler = frames.pack(b"\x80" + bytes(1000))
    if encoding == "length":
        wire.send(post_head(session, ("Content-Length", str(16384 + 65536 + 1))) + filler)
    else:
        wire.send(post_head(session, ("Transfer-Encoding", "chunked")))
        for _ in range(90):  # and no end of it
            wire.send(b"%x\r\n%s\r\n" % (len(filler), filler))
    assert answer_of(wire).status == 413
    assert session.ask_post(filler[2:]).status == 200


def test_a_message_over_message_max_is_413_before_it_is_there(culvert, peer):
    session = open_post(culvert(to(peer(Recorder), "buffer = 256k\nmessage_max = 64k")))
    wire = session.connect()
    large = session.message(bytes(131072)).encode()
    wire.send(post_head(session, ("Content-Length", str(len(large) + 4))) + varint(len(large)) + large[:10])
    assert answer_of(wire).status == 413
    assert session.ask_post(binary(1, bytes(65537))).status == 413
    assert session.ask_post(binary(1, bytes(65536))).status == 200


def test_a_post_that_overruns_the_window_is_413_and_the_session_lives(culvert, peer):
    target = peer(Silent, receive_buffer=4096)
    session = open_post(culvert(to(target, "buffer = 16k\npoll_wait = 500ms")))
    idle = False
    while not idle and session.next_seq < 8000:  # 32 MB: no socket holds as much
        while session.fits(4000):
            session.send(bytes(4000))
        idle = session.carrier.pump() == []
    assert session.unacked
    over = [session.message(bytes(4000)) for _ in range(4)]
    assert session.ask_post(*over).status == 413
    assert session.ask_post().status == 200


def test_much_goes_through_an_echo(culvert, peer):
    session = open_post(culvert(to(peer(Echo), "buffer = 64k")))
    data = os.urandom(500_000)
    for at in range(0, len(data), 10_000):
        session.send(data[at : at + 10_000])
    assert session.recv(len(data)) == data
    session.wait_acked()
