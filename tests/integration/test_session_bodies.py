# SPDX-License-Identifier: BSD-2-Clause
"""Bodies that come slowly, and what their frames set going while the rest of them is still to be read."""

import random

import pytest

from harness import session_frames as frames
from harness.http import read_answer
from harness.peers import Recorder
from harness.session import answer_of, open_post
from harness.session_conf import ECHO, to
from harness.session_http import post_head


def half_sent(session):
    """A POST of one message, of which a part is still to come: that part."""
    wire = session.connect()
    body = frames.pack(session.message(b"hello"))
    wire.send(post_head(session, ("Content-Length", str(len(body)))) + body[:4])
    return wire, body[4:]


def test_a_body_that_stops_is_408_and_the_session_lives(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target, "message_timeout = 300ms")))
    wire, _ = half_sent(session)
    answer = read_answer(wire)
    assert answer.status == 408 and answer["connection"] == "close"
    session.post()
    target.wait_received(b"hello")


def test_a_body_may_take_any_time_where_messages_may(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target, "message_timeout = 0")))
    wire, rest = half_sent(session)
    for _ in range(3):  # meanwhile others are served
        assert session.culvert.http().ask("OPTIONS", "/x").status == 204
    assert wire.is_open()
    wire.send(rest)
    assert answer_of(wire).status == 200
    target.wait_received(b"hello")


def test_an_ack_that_makes_room_leaves_the_rest_of_its_body_alone(culvert):
    """What the echo had waiting goes out in the middle of the body."""
    chance = random.Random(1)
    session = open_post(culvert(ECHO + "buffer = 64k\n"))
    session.acks = False  # so that the way back fills up, and then the echo itself
    session.attach_sse()
    pieces = [chance.randbytes(3000) for _ in range(60)]
    for piece in pieces[:30]:
        if session.fits(len(piece)):
            session.post(session.message(piece))
    first = session.next_seq - 1
    while len(session.data) < 48_000:
        session.carrier.pump()
    more = []
    while session.fits(3000 * (len(more) + 1)) and len(more) < 10:
        more.append(pieces[first + len(more)])
    session.acks = True
    session.tell(session.received)
    session.post(frames.ack(session.received), *[session.message(piece) for piece in more])
    sent = b"".join(pieces[: first + len(more)])
    assert session.recv(len(sent)) == sent
