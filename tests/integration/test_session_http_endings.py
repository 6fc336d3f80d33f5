# SPDX-License-Identifier: BSD-2-Clause
"""Sessions by POST and long polls: who takes over, what breaks off, and how they end."""

import os

import pytest

from harness import session_frames as frames
from harness.peers import Recorder, Target
from harness.session import Session, answer_of, open_post
from harness.session_conf import ECHO, to
from harness.session_cut import FIN, Cut
from harness.session_frames import ACK, CLOSE, ack, binary, close, kinds
from harness.session_http import V1, EventStream, begin_poll, post_head


@pytest.fixture
def joined(culvert, peer):
    """(session, the target's end)"""

    def make(more="", **options):
        target = peer(Target)
        session = open_post(culvert(to(target, more)), **options)
        return session, target.accept()

    return make


# ---- one session, several transports ----


def test_a_session_may_change_its_transport_at_any_time(joined):
    session, far = joined()
    ways = [session.attach_ws, session.attach_poll, session.attach_sse, session.attach_poll, session.attach_ws,
            session.attach_sse, session.attach_sse, session.attach_ws]
    for number, attach in enumerate(ways):
        far.send(b"down %d" % number)
        session.message(b"up %d" % number)
        attach()
        session.repeat()
        assert session.recv(6) == b"down %d" % number
        assert far.read(4) == b"up %d" % number
        session.wait_acked()


def test_acks_agree_wherever_they_are_told(culvert, peer):
    session = open_post(culvert(to(peer(Recorder))))
    for _ in range(5):
        session.send(b"x")
    session.wait_acked()
    assert session.ask_post().frames == [ack(5)]
    assert session.attach_ws() and session.acked == 5
    assert session.attach_sse() and session.acked == 5
    session.post()
    assert session.acked == 5


# ---- the end ----


def test_delete_ends_the_session_after_all_that_was_received(joined):
    session, far = joined()
    data = os.urandom(100_000)
    for at in range(0, len(data), 10_000):
        session.send(data[at : at + 10_000])
    answer = session.delete()
    assert (answer.status, answer.body) == (204, b"")
    assert far.read_to_end() == data


@pytest.mark.parametrize("how", ["delete", "close"])
def test_after_the_end_it_is_known_for_a_while(joined, how):
    session, far = joined()
    session.send(b"hello")
    session.wait_acked()
    if how == "delete":
        code = 1000
        assert session.delete().status == 204
    else:
        code = 1001
        answer = session.ask_post(close(code))
        assert answer.status == 200 and kinds(answer.frames)[0] == ACK
    assert far.read_to_end() == b"hello"
    far.close()
    for _ in range(2):
        answer = session.ask_post(binary(2, b"too late"))
        assert answer.status == 200 and answer.frames == [ack(1), close(code, answer.frames[-1].payload)]
        answer = session.ask_poll()
        assert answer.status == 200 and answer.frames[-1].code == code and set(kinds(answer.frames)) <= {ACK, CLOSE}
        assert session.delete().status == 204


def test_a_close_from_the_client_is_answered_after_its_last_ack(joined):
    session, far = joined()
    session.send(b"last words")
    session.post(close(1000, b"bye"))
    assert far.read_to_end() == b"last words"
    far.close()
    while session.closed is None:
        session.carrier.pump()
    assert session.closed.code == 1000 and not session.unacked


def test_the_targets_end_comes_with_every_poll_until_it_is_answered(joined):
    session, far = joined()
    far.send(b"last words")
    far.finish()
    assert session.recv_to_close() == (b"last words", 1000)
    for _ in range(2):
        assert session.ask_poll(ack=session.received).frames[-1].code == 1000
        assert session.ask_post().status == 200
    session.answer_close()
    far.wait_closed()
    assert session.ask_poll().frames[-1].code == 1000  # it is remembered


def test_what_was_never_polled_comes_with_the_end(joined):
    session, far = joined()
    far.send(b"last words")
    far.finish()
    first = session.recv_to_close()
    assert first == (b"last words", 1000)
    again = session.ask_poll(ack=0)
    if session.told == 0:
        assert b"".join(frame.payload for frame in again.frames if frame.is_message) == b"last words"
        assert again.frames[-1].code == 1000


@pytest.mark.parametrize("what", ["post", "poll", "sse", "delete"])
@pytest.mark.parametrize("one", ["A" * 24, "B" * 22, "a"])
def test_an_unknown_session_is_410(culvert, what, one):
    session = Session(culvert(ECHO))
    session.id = one
    assert status_of(session, what) == 410


def status_of(session, what, **options):
    if what == "post":
        return session.ask_post(**options).status
    if what == "delete":
        return session.delete(**options).status
    if what == "poll":
        return session.ask_poll(**options).status
    path = session.url(session=session.id, ack=0, n=1)
    return EventStream(session.connect(), path, headers=options.get("headers", ())).answer.status


def test_a_session_of_another_route_is_410(culvert):
    session = open_post(culvert(ECHO + "[route /y]\ntarget = echo:\n"))
    session.path = "/y"
    assert [status_of(session, what) for what in ("post", "poll", "sse", "delete")] == [410] * 4
    session.path = "/x"
    assert session.ask_post().status == 200


# ---- taking over ----


def test_s13_of_two_polls_the_older_is_told_that_it_is_detached(joined):
    session, far = joined()
    older = begin_poll(session, ack=0, n=1)
    newer = begin_poll(session, ack=0, n=2)
    answer = answer_of(older)
    assert (answer.status, answer.body) == (409, b"detached\n")
    far.send(b"hello")
    assert answer_of(newer).frames == [binary(1, b"hello")]


@pytest.mark.parametrize("n, wins", [(4, False), (0, False), (5, True), (6, True), (None, True)])
def test_a_poll_counts_only_if_it_is_not_older(joined, n, wins):
    session, far = joined("poll_wait = 5s")
    first = begin_poll(session, ack=0, n=5)
    second = begin_poll(session, ack=0, **({} if n is None else {"n": n}))
    loser, winner = (first, second) if wins else (second, first)
    assert answer_of(loser).status == 409
    far.send(b"hello")
    assert answer_of(winner).frames == [binary(1, b"hello")]


def test_an_ack_below_an_earlier_one_is_409_and_changes_nothing(joined):
    session, far = joined("framing = line")
    far.send(b"one\ntwo\n")
    while session.received < 2:
        session.carrier.pump()
    wire = begin_poll(session, ack=2, n=10)
    for what in ("poll", "sse"):
        if what == "poll":
            assert session.ask_poll(ack=1, n=20).status == 409
        else:
            path = session.url(session=session.id, ack=1, n=20)
            assert EventStream(session.connect(), path).answer.status == 409
    far.send(b"three\n")
    assert answer_of(wire).frames == [binary(3, b"three")]


def test_an_ack_above_what_was_sent_is_400(joined):
    session, far = joined()
    assert session.ask("GET", session.connect(), {"session": session.id, "ack": 1, "n": 1},
                       [("Accept", V1)]).status == 400
    far.send(b"hello")
    assert session.recv(5) == b"hello"


def test_an_attach_in_the_middle_of_a_post_loses_and_repeats_nothing(joined):
    session, far = joined()
    content = [session.message(word) for word in (b"one", b"two", b"three")]
    body = frames.pack(*content)
    wire = session.connect()
    wire.send(post_head(session, ("Content-Length", str(len(body)))) + body[:-2])
    assert far.read(6) == b"onetwo"
    session.attach_ws()
    session.repeat()
    try:
        wire.send(body[-2:])
        assert answer_of(wire).status in (200, 409)
    except (OSError, EOFError):
        pass  # its rest was not wanted any more
    assert far.read(5) == b"three"
    session.send(b"end")
    assert far.read(3) == b"end"
    session.wait_acked()


def test_posts_that_broke_off_are_repeated_and_arrive_once(culvert, peer):
    """Cut at every byte of a request, and at every byte of its answer."""
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    session.send(b"begin")
    sent, cuts = b"begin", 0
    for number, at in enumerate(range(0, 360, 2)):
        session.cut()
        session.up = session.connect().cut_after(**{("up", "down")[number % 2]: at}, how=FIN)
        word = b"%03d" % at
        sent += word
        try:
            session.post(session.message(word))
        except Cut:
            cuts += 1
    session.cut()
    session.post()
    target.wait_received(sent)
    assert cuts > 50
