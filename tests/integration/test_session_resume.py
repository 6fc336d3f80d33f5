# SPDX-License-Identifier: BSD-2-Clause
"""Sessions that lose their WebSocket: what an attach continues, and what it may not."""

import os
import signal

import pytest

from harness import session_frames as frames
from harness.peers import Echo, Recorder, Target
from harness.session import Session, WsCarrier, open_ws
from harness.session_conf import ECHO, to
from harness.session_cut import FIN, RESET, SILENCE
from harness.session_frames import ACK, CLOSE, close
from harness.wait import Stopwatch, wait_until
from harness.ws import Refused, close_frame

UNKNOWN = "A" * 24


def attached(session, /, **query):
    """A WebSocket with these values, whatever becomes of it; the session is not changed."""
    return WsCarrier(session, {"session": session.id, "ack": session.received, **query})


@pytest.fixture
def joined(culvert, peer):
    """(session, the target's end) of a session that has talked both ways."""

    def make(more=""):
        target = peer(Target)
        session = open_ws(culvert(to(target, more)))
        far = target.accept()
        far.send(b"down")
        session.send(b"up")
        assert (session.recv(4), far.read(2)) == (b"down", b"up")
        return session, far

    return make


# ---- it goes on ----


@pytest.mark.parametrize("how", [RESET, FIN, SILENCE])
def test_a_session_goes_on_where_it_was(joined, how):
    session, far = joined()
    session.cut(how)
    far.send(b"while away")
    session.message(b"also")
    session.attach_ws()
    session.repeat()
    assert session.recv(10) == b"while away"
    assert far.read(4) == b"also"
    far.send(b"after")
    assert session.recv(5) == b"after"
    session.wait_acked()


def test_the_target_notices_nothing(joined):
    session, far = joined()
    for i in range(20):
        session.cut()
        session.attach_ws()
        session.repeat()
        session.send(b"%02d" % i)
        assert far.read(2) == b"%02d" % i
    assert far.is_open()


def test_what_is_unacknowledged_comes_again_and_what_is_acknowledged_does_not(joined):
    session, far = joined()
    for word in (b"two", b"three", b"four"):
        far.send(word)
        session.recv(len(word))
    session.carrier.acknowledge(2)
    session.carrier.ping()
    session.cut()
    session.attach_ws(ack=2)
    again = [session.carrier.recv() for _ in range(2)]
    assert [(frame.seq, frame.payload) for frame in again] == [(3, b"three"), (4, b"four")]
    session.cut()
    session.attach_ws(ack=3)
    assert session.carrier.recv().seq == 4
    assert session.carrier.ping() == []


def test_without_ack_the_server_begins_after_what_it_heard_last(joined):
    session, far = joined()
    far.send(b"two")
    session.recv(3)
    session.carrier.acknowledge(1)
    session.carrier.ping()
    session.attach_ws(ack=None)
    assert session.carrier.recv().seq == 2
    assert session.carrier.ping() == []


def test_open_tells_what_the_target_has_taken(joined):
    """The client repeats what comes after it, and the target gets all once."""
    session, far = joined()
    session.wait_acked()
    session.message(b"three")
    session.cut()
    session.attach_ws()
    assert session.acked == 1 and list(session.unacked) == [2]
    session.repeat()
    session.repeat()
    assert far.read(5) == b"three"
    session.wait_acked()
    session.send(b"end")
    assert far.read(3) == b"end"


def test_a_message_that_was_cut_counts_only_when_it_is_whole(joined):
    session, far = joined()
    frame = session.message(b"x" * 1000)
    session.carrier.wire.cut_after(up=500, how=FIN)
    with pytest.raises(Exception):
        session.carrier.send(frame)
    session.attach_ws()
    assert session.unacked
    session.repeat()
    assert far.read(1000) == b"x" * 1000
    session.send(b"end")
    assert far.read(3) == b"end"


def test_much_that_waits_for_who_is_away_is_bounded_by_the_window(culvert, peer):
    """The target is held up at the window and goes on when the client is back."""
    target = peer(Echo)
    c = culvert(to(target, "buffer = 16k"))
    session = open_ws(c)
    session.acks = False
    data = os.urandom(15_000)
    session.send(data)
    session.wait_acked()
    session.cut()
    session.attach_ws()
    session.acks = True
    session.send(data)
    assert session.recv(30_000) == data + data


# ---- taking over ----


def test_the_newer_websocket_takes_over_and_the_older_is_told(joined):
    session, far = joined()
    older = session.carrier
    session.attach_ws()
    older.ends(4409, frame=False)
    far.send(b"to the newer")
    assert session.recv(12) == b"to the newer"
    session.send(b"from it")
    assert far.read(7) == b"from it"


def test_what_the_older_had_not_been_read_is_final_before_open(joined):
    """Both sent the same messages; the target gets each once."""
    session, far = joined()
    older = session.carrier
    older.send(*(session.message(b"%04d" % i) for i in range(500)))
    session.attach_ws()
    session.repeat()
    assert far.read(2000) == b"".join(b"%04d" % i for i in range(500))
    session.wait_acked()
    session.send(b"end")
    assert far.read(3) == b"end"


@pytest.mark.parametrize("n, wins", [(4, False), (0, False), (5, True), (6, True), (None, True)])
def test_an_attach_counts_only_if_it_is_not_older(joined, n, wins):
    session, far = joined()
    older = session.attach_ws(n=5)
    newer = attached(session, n=n)
    if wins:
        session.carrier = newer.begin()
        older.ends(4409, frame=False)
    else:
        newer.ends(4409, frame=None)
        assert older.ping() == []
    far.send(b"here")
    assert session.recv(4) == b"here"


def test_an_attach_below_what_was_acknowledged_changes_nothing(joined):
    session, far = joined()
    session.carrier.acknowledge()
    session.carrier.ping()
    attached(session, ack=0, n=9).ends(4409, frame=None)
    assert session.carrier.ping() == []
    # Its n did not count either.
    session.attach_ws(n=1)
    far.send(b"on")
    assert session.recv(2) == b"on"


def test_an_attach_that_acknowledges_what_was_never_sent_is_refused(joined):
    session, far = joined()
    try:
        attached(session, ack=2, n=1).ends(1002)
    except Refused as refused:
        assert refused.status == 400


# ---- gone ----


def test_an_unknown_session_is_4404(culvert):
    c = culvert(ECHO)
    session = open_ws(c)
    for one in (UNKNOWN, session.id[:-1] + ("A" if session.id[-1] != "A" else "B"), "short"):
        attached(session, session=one).ends(4404)
    assert session.carrier.ping() == []


def test_a_session_of_another_route_is_unknown(culvert):
    c = culvert(ECHO + "[route /y]\ntarget = echo:\n")
    session, other = open_ws(c, "/x"), Session(c, "/y")
    WsCarrier(other, {"session": session.id, "ack": 0, "n": 1}).ends(4404)
    assert session.carrier.ping() == []


@pytest.mark.parametrize("offered", [(), ("chat",), ("culvert.v2", "chat")])
def test_an_attach_without_culvert_v1_is_400(culvert, offered):
    c = culvert(f"{ECHO}subprotocols = chat\n")
    session = open_ws(c)
    with pytest.raises(Refused) as refused:
        c.ws(f"/x?session={session.id}&ack=0&n=1", subprotocols=offered)
    assert refused.value.status == 400
    assert session.carrier.ping() == []


@pytest.mark.parametrize("query", ["session={0}&session={0}", "session={0}&ack=0&ack=0", "session={0}&n=1&n=1",
                                   "session={0}&ack=x", "session={0}&n=-1", "session={0}&ack="])
def test_an_attach_that_says_nonsense_is_400(culvert, query):
    c = culvert(ECHO)
    session = open_ws(c)
    with pytest.raises(Refused) as refused:
        c.ws(f"/x?{query.format(session.id)}", subprotocols=["culvert.v1"])
    assert refused.value.status == 400
    assert session.carrier.ping() == []


def test_a_page_of_another_origin_cannot_attach(culvert):
    pages = ["https://a.example", "https://b.example"]
    c = culvert(f"{ECHO}origins = {', '.join(pages)}\n")
    session = open_ws(c, headers=[("Origin", pages[0])])
    for other in (pages[1], "https://c.example"):
        with pytest.raises(Refused) as refused:
            c.ws(session.url(session=session.id, ack=0, n=1), subprotocols=["culvert.v1"], headers=[("Origin", other)])
        assert refused.value.status == 403
    assert session.carrier.ping() == []
    session.attach_ws()
    session.headers = []
    session.attach_ws()  # who names none may, where the route lets it


def test_the_target_is_closed_when_nobody_came_back(joined):
    session, far = joined("resume_window = 300ms")
    watch = Stopwatch()
    session.cut()
    far.wait_closed()
    assert 0.2 < watch.seconds < 4 * 0.3
    gone(session)


def gone(session):
    """An attach finds no session: it is unknown, or its end is what is still known."""
    carrier = attached(session, n=session.n + 1)
    frame = carrier.recv_raw()
    while frame is not None and frame.kind == ACK:
        frame = carrier.recv_raw()
    assert frame is not None and frame.kind == CLOSE, frame
    carrier.wire.close()
    return frame.code


def test_who_is_attached_is_not_waited_for(joined):
    session, far = joined("resume_window = 200ms")
    assert session.carrier.wire.quiet_for(0.8) or session.carrier.ping() is not None
    session.attach_ws()
    far.send(b"on")
    assert session.recv(2) == b"on"


# ---- the target ends ----


def test_the_targets_end_is_told_until_it_is_answered(joined):
    session, far = joined()
    far.send(b"last words")
    far.finish()
    for _ in range(3):
        session.recv_to_close()
        assert session.closed.code == 1000
        session.cut()
        session.attach_ws()
    data, code = session.recv_to_close()
    session.answer_close()
    session.carrier.ends(1000, frame=False)
    far.wait_closed()
    gone(session)


def test_what_was_not_taken_comes_again_with_the_end(joined):
    session, far = joined()
    session.acks = False
    far.send(b"last words")
    far.finish()
    assert session.recv_to_close() == (b"last words", 1000)
    before = session.received
    session.attach_ws(ack=1)
    got = []
    while session.carrier.closed is None:
        got.append(session.carrier.recv())
    assert b"".join(frame.payload for frame in got if frame.is_message) == b"last words"
    assert session.received == before


def test_a_target_that_ends_while_nobody_is_there_is_not_forgotten(joined):
    session, far = joined()
    session.cut()
    far.send(b"last words")
    far.finish()
    session.attach_ws()
    assert session.recv_to_close() == (b"last words", 1000)
    session.answer_close()
    session.carrier.ends(1000, frame=False)


def test_a_target_that_resets_is_1014_after_what_was_read(joined):
    session, far = joined()
    far.send(b"last words")
    assert session.recv(10) == b"last words"
    far.reset()
    assert session.recv_to_close() == (b"", 1014)


def test_what_the_client_says_after_the_targets_end_is_still_written(joined):
    session, far = joined()
    far.finish()
    session.recv_to_close()
    session.send(b"afterwards")
    assert far.read(10) == b"afterwards"
    session.answer_close()
    assert far.read_to_end() == b""


# ---- the client ends ----


@pytest.mark.parametrize("code", [1000, 1001, None])
def test_a_websocket_close_ends_the_session_after_all_that_was_sent(joined, code):
    session, far = joined()
    data = os.urandom(100_000)
    for at in range(0, len(data), 10_000):
        session.send(data[at : at + 10_000])
    session.carrier.wire.send(close_frame(code))
    assert far.read_to_end() == data
    far.close()
    session.carrier.wire.recv_to_close()
    session.carrier.wire.close()
    gone(session)


@pytest.mark.parametrize("code", [1002, 1008, 1011, 3000, 4000, 4409])
def test_any_other_close_is_a_loss(joined, code):
    session, far = joined()
    session.carrier.wire.send(close_frame(code))
    assert session.carrier.wire.recv_to_close()[1] == code
    session.carrier.wire.wait_closed()
    far.send(b"and on")
    session.attach_ws()
    assert session.recv(6) == b"and on"


@pytest.mark.parametrize("code, reason", [(1000, b""), (1001, b"away"), (4000, "\N{EURO SIGN}".encode())])
def test_a_close_frame_ends_the_session_after_all_that_was_sent(joined, code, reason):
    session, far = joined()
    for _ in range(10):
        session.send(b"x" * 5000)
    session.carrier.send(close(code, reason))
    assert far.read_to_end() == b"x" * 50_000
    far.close()
    session.recv_to_close()
    assert session.closed.code == code and not session.unacked  # the last ACK comes before it
    session.carrier.ends(code, 1000, frame=False)
    gone(session)


def test_a_close_that_was_lost_is_sent_again(joined):
    session, far = joined()
    session.message(b"last words")
    session.cut()
    session.attach_ws()
    session.repeat()
    session.carrier.send(close(1000))
    assert far.read_to_end() == b"last words"
    session.cut()
    far.close()
    if gone(session) != 4404:
        assert gone(session) == 1000


# ---- when culvert stops, and when it is told of another configuration ----


def test_a_draining_server_says_1001_and_when_to_come_back(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target, "close_timeout = 500ms", "[server]\ndrain_timeout = 3s\n"))
    session = open_ws(c)
    session.send(b"to the end")
    c.signal(signal.SIGTERM)
    session.recv_to_close()
    assert session.closed.code == 1001 and '"retry"' in session.closed.reason
    target.wait_received(b"to the end")
    target.wait_ended("eof")
    session.carrier.wire.close()
    assert c.wait_exit() == 0


def test_a_session_keeps_what_it_began_with_over_a_reload(culvert, peer):
    c = culvert(ECHO + "buffer = 64k\n")
    session = open_ws(c)
    with open(c.conf_path) as file:
        text = file.read()
    with open(c.conf_path, "w") as file:
        file.write(text.replace("buffer = 64k", "buffer = 16k"))
    c.signal(signal.SIGHUP)
    c.wait_log("main reloaded")
    wait_until(lambda: open_ws(c).window == 16384, "the new configuration")
    session.cut()
    session.attach_ws()  # take_open() asserts that OPEN is the same
    session.send(b"on")
    assert session.recv(2) == b"on"


def test_an_attach_to_a_route_that_is_gone_finds_nothing(culvert, peer):
    c = culvert(ECHO + "[route /y]\ntarget = echo:\n")
    session = open_ws(c)
    with open(c.conf_path) as file:
        text = file.read()
    with open(c.conf_path, "w") as file:
        file.write(text.replace("[route /x]", "[route /z]"))
    c.signal(signal.SIGHUP)
    wait_until(lambda: c.http().ask(path="/x").status == 404, "the new configuration")
    assert session.carrier.ping() == []
    with pytest.raises(Refused) as refused:
        c.ws(session.url(session=session.id, ack=0, n=1), subprotocols=["culvert.v1"])
    assert refused.value.status == 410
    assert c.http().ask(path="/x").status == 404


def test_limits_count_sessions_and_never_refuse_an_attach(culvert):
    c = culvert(f"{ECHO}connections_max = 1\nresume_window = 20s\n")
    session = open_ws(c)
    session.cut()
    with pytest.raises(Refused) as refused:
        c.ws("/x", subprotocols=["culvert.v1"])
    assert refused.value.status == 503
    for _ in range(3):
        session.attach_ws()
    session.send(b"on")
    assert session.recv(2) == b"on"
    session.carrier.send(close(1000))
    session.recv_to_close()
    session.carrier.wire.close()
    wait_until(lambda: refused_with(c) is None, "the place to be free")


def refused_with(culvert):
    try:
        open_ws(culvert).carrier.wire.leave()
        return None
    except Refused as refused:
        return refused.status


def test_frames_of_the_client_are_no_messages_of_the_target(joined):
    """What looks like a frame inside of a message is the application's."""
    session, far = joined()
    inner = close(1000).encode() + frames.pack(frames.ack(9))
    session.send(inner)
    assert far.read(len(inner)) == inner
    far.send(inner)
    assert session.recv(len(inner)) == inner
