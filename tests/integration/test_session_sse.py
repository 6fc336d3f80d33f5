# SPDX-License-Identifier: BSD-2-Clause
"""Sessions over an event stream: as a bare EventSource or curl reads it, and with POST."""

import json
import random
import re
import subprocess

import pytest

from harness import session_frames as frames
from harness.child import spawn
from harness.http import read_head, request
from harness.peers import Pourer, Recorder, Serving, Target
from harness.session import Session, answer_of, open_bare, open_post, open_sse, open_ws
from harness.session_conf import ECHO, to
from harness.session_frames import ACK, OPEN, PING, TEXT
from harness.session_http import STREAM, Event, EventStream, SseCarrier, begin_poll
from harness.wait import Stopwatch


@pytest.fixture
def bare(culvert, peer):
    """(session, the target's end) of a client that only ever reads."""

    def make(more="", **options):
        target = peer(Target)
        session = open_bare(culvert(to(target, more)), **options)
        session.framed = "framing" in more
        return session, target.accept()

    return make


def comes_back(session, last_id=None, /, **more):
    """As an EventSource does: the same address, and the id that it saw last."""
    headers = [("Last-Event-ID", last_id or session.carrier.last_id)]
    return SseCarrier(session, headers=headers, **more)


# ---- the stream ----


def test_a_bare_get_opens_a_session_and_streams_it(culvert, peer):
    target = peer(Target)
    c = culvert(to(target))
    stream = EventStream(c.http(), "/x")
    first, opened = stream.next(), None
    assert first.retry == "1000"
    opened = first if first.event else stream.next()
    said = frames.check_open(json.loads(opened.data))
    assert opened.event == "open" and opened.id == f"{said['session']}.0"
    far = target.accept()
    for number, word in enumerate((b"\x00\xff", b"two"), 1):
        far.send(word)
        event = stream.next()
        assert (event.event, event.id) == ("binary", f"{said['session']}.{number}")
        assert event.frame(said["session"]).payload == word


def test_text_is_a_json_string_so_that_every_character_survives(bare):
    session, far = bare("messages = text")
    said = 'line\r\nwith "quotes"\n\n\\ \t \x00\x1f \u2028 \N{EURO SIGN}\N{GRINNING FACE}\r'
    far.send(said.encode())
    event = session.carrier.recv_event()
    frame = event.frame(session.id)
    assert frame.kind == TEXT and frame.payload.decode() == said
    assert json.loads(event.data) == said


def test_lines_are_events_of_their_own(bare):
    session, far = bare("framing = line\nmessages = text")
    far.send(b"one\n\ntwo\r\n")
    assert [session.recv_message() for _ in range(3)] == ["one", "", "two"]


def test_with_http_1_0_the_stream_ends_with_the_connection(culvert, peer):
    target = peer(Target)
    session = Session(culvert(to(target)))
    session.acks = False
    session.carrier = SseCarrier(session, version="1.0").begin()
    far = target.accept()
    far.send(b"last words")
    far.finish()
    assert session.recv_to_close() == (b"last words", 1000)
    assert session.carrier.events() == []
    assert session.carrier.answer["connection"] == "close"


def test_the_protocol_of_a_bare_get_is_none(culvert):
    assert open_bare(culvert(f"{ECHO}subprotocols = chat\n")).opened["protocol"] == ""


def test_a_session_that_was_opened_elsewhere_is_streamed(culvert, peer):
    target = peer(Target)
    session = open_post(culvert(to(target)))
    far = target.accept()
    far.send(b"waits")
    session.attach_sse()
    assert session.recv(5) == b"waits"
    session.send(b"up")
    assert far.read(2) == b"up"
    far.send(b"comes")
    assert session.recv(5) == b"comes"


# ---- reconnecting ----


def test_the_last_event_id_is_enough_to_go_on(bare):
    session, far = bare()
    far.send(b"one")
    assert session.recv(3) == b"one"
    session.carrier.wire.cut()
    far.send(b"two")
    session.carrier = comes_back(session).begin()
    assert session.recv(3) == b"two"
    assert session.carrier.last_id == f"{session.id}.2"


def test_the_last_event_id_wins_over_the_query_and_acknowledges(bare):
    session, far = bare("framing = line")
    far.send(b"one\ntwo\nthree\n")
    while session.received < 3:
        session.carrier.pump()
    session.carrier = comes_back(session, f"{session.id}.2", ack=0).begin()
    assert session.carrier.recv().seq == 3
    # What it named is acknowledged: nobody gets it again.
    path = session.url(session=session.id, ack=1, n=5)
    assert EventStream(session.connect(), path).answer.status == 409
    other = open_ws(session.culvert)
    session.carrier = comes_back(session, f"{session.id}.2", session=other.id).begin()
    assert session.carrier.recv().seq == 3


def test_a_reconnect_after_open_alone_gets_everything(bare):
    session, far = bare()
    assert session.carrier.last_id == f"{session.id}.0"
    session.carrier.wire.cut()
    far.send(b"first")
    session.carrier = comes_back(session).begin()
    assert session.recv(5) == b"first"


@pytest.mark.parametrize("last_id", ["A" * 24 + ".3", "garbage", "." * 5])
def test_an_unknown_last_event_id_stops_an_event_source(culvert, last_id):
    c = culvert(ECHO)
    answer = EventStream(c.http(), "/x", headers=[("Last-Event-ID", last_id)]).answer
    assert answer.status == 410


def test_a_bare_session_gets_a_window_at_a_time_and_loses_nothing(culvert, peer):
    target = peer(Pourer, 300_001)
    session = open_bare(culvert(to(target, "buffer = 16k")))
    rounds = 0
    while True:
        session.carrier.events()
        if session.closed:
            break
        assert session.carrier.retry == "200" and session.unconfirmed
        rounds += 1
        session.carrier = comes_back(session).begin()
    assert session.data == (target.block * 5)[:300_001]
    assert rounds >= 300_001 // 16384
    assert comes_back(session).status == 204


def test_a_bare_session_that_has_little_to_say_is_not_sent_away(bare):
    session, far = bare("buffer = 16k")
    far.send(bytes(8000))
    session.recv(8000)
    assert session.carrier.wire.quiet_for(0.3)


def test_who_acknowledges_is_not_sent_away(culvert, peer):
    target = peer(Pourer, 1_000_000)
    session = open_sse(culvert(to(target, "buffer = 16k")))
    data, code = session.recv_to_close()
    assert (len(data), code) == (1_000_000, 1000)
    assert session.carrier.retry == "1000"


@pytest.mark.parametrize("how", ["posted", "acknowledged"])
def test_who_is_no_bare_reader_is_held_up_and_not_sent_away(culvert, peer, how):
    target = peer(Target)
    c = culvert(to(target, "buffer = 16k"))
    session = open_bare(c) if how == "posted" else open_sse(c)
    session.acks = False
    far = target.accept()
    if how == "posted":
        session.post()
    far.send(bytes(100_000))
    while not session.carrier.wire.quiet_for(0.3):
        session.carrier.pump()
    assert sum(frame.cost for frame in session.unconfirmed.values()) > session.window // 2
    session.carrier.acknowledge()
    assert session.carrier.pump().is_message


# ---- with POST ----


def test_a_post_is_acknowledged_by_an_event(culvert, peer):
    target = peer(Recorder)
    session = open_sse(culvert(to(target)))
    for word in (b"one", b"two"):
        session.send(word)
        watch = Stopwatch()
        while session.unacked:
            assert session.carrier.recv().kind == ACK
        assert watch.seconds < 4 * 0.1
    target.wait_received(b"onetwo")


def test_much_goes_both_ways(culvert):
    session = open_sse(culvert(f"{ECHO}buffer = 64k\n"))
    data = random.Random(1).randbytes(500_000)
    for at in range(0, len(data), 10_000):
        session.send(data[at : at + 10_000])
    assert session.recv(len(data)) == data
    session.wait_acked()


# ---- signs of life ----


@pytest.mark.parametrize("asked", [1000, 10])
def test_a_client_may_ask_for_a_shorter_heartbeat_down_to_a_second(culvert, asked):
    session = open_sse(culvert(f"{ECHO}heartbeat = 20s\n"))
    session.attach_sse(heartbeat=asked)
    watch = Stopwatch()
    assert session.carrier.recv().kind == PING
    assert 0.5 < watch.seconds < 4


def test_who_is_silent_is_pinged(culvert):
    session = open_sse(culvert(f"{ECHO}heartbeat = 200ms\n"))
    for _ in range(3):
        assert session.carrier.recv().kind == PING


# ---- taking over ----


@pytest.mark.parametrize("by", ["sse", "ws", "poll"])
def test_the_older_stream_is_told_that_it_is_detached(culvert, peer, by):
    target = peer(Target)
    session = open_sse(culvert(to(target)))
    far, older = target.accept(), session.carrier
    if by == "poll":
        wire = begin_poll(session, ack=0, n=1)
    else:
        getattr(session, f"attach_{by}")()
    assert older.events() == [] and older.detached and older.ended
    far.send(b"to the newer")
    if by == "poll":
        assert answer_of(wire).frames[-1].payload == b"to the newer"
    else:
        assert session.recv(12) == b"to the newer"


def test_an_older_attach_is_409(culvert):
    session = open_sse(culvert(ECHO))
    session.attach_sse(n=5)
    assert EventStream(session.connect(), session.url(session=session.id, ack=0, n=4)).answer.status == 409
    session.send(b"still here")
    assert session.recv(10) == b"still here"


def test_a_client_that_leaves_is_lost_and_may_come_back(bare):
    session, far = bare()
    session.carrier.wire.finish()
    session.carrier.wire.wait_closed()
    far.send(b"meanwhile")
    session.carrier = comes_back(session).begin()
    assert session.recv(9) == b"meanwhile"


# ---- the end ----


def test_the_end_is_told_and_then_there_is_nothing_more(bare):
    session, far = bare("framing = line")
    far.send(b"one\ntwo\nthree\n")
    far.finish()
    assert session.recv_to_close() == (b"onetwothree", 1000)
    assert session.carrier.events() == []  # the answer ends
    for earlier in (1, 2):
        again = comes_back(session, f"{session.id}.{earlier}").begin()
        assert [frame.seq for frame in again.events() if frame.is_message] == list(range(earlier + 1, 4))
        assert again.closed.code == 1000
    for _ in range(2):
        again = comes_back(session, f"{session.id}.3")
        assert again.status == 204


def test_an_end_without_a_word_is_known_by_the_id_of_open(bare):
    session, far = bare()
    far.finish()
    assert session.recv_to_close() == (b"", 1000)
    assert comes_back(session).status == 204


def test_a_close_that_was_answered_ends_the_stream(culvert, peer):
    target = peer(Target)
    session = open_sse(culvert(to(target)))
    far = target.accept()
    far.send(b"last words")
    far.finish()
    assert session.recv_to_close() == (b"last words", 1000)
    session.answer_close()
    far.wait_closed()
    assert [frame for frame in session.carrier.events() if frame.kind not in (ACK, OPEN)] == []


# ---- curl ----


class LogSource(Serving):
    """Writes lines and ends."""

    count = 6000

    def text(self):
        return b"".join(b"%06d what happened then\n" % i for i in range(self.count))

    def serve(self, sock, received):
        sock.sendall(self.text())
        sock.shutdown(1)
        while sock.recv(4096):
            pass


class Curl:
    """Follows a stream with curl -N; each run begins with what the one before has seen last."""

    def __init__(self, culvert, path):
        self.url = culvert.url(path, "http")
        self.last_id = self.closed = None
        self.data = b""
        self.runs = self.kills = 0

    def run(self, most=None):
        """most: bytes of output until it is killed. Returns the status."""
        command = ["curl", "-sN", "--max-time", "30", "-H", f"Accept: {STREAM}"]
        command += ["-w", "\n\nstatus %{http_code}", self.url]
        if self.last_id:
            command[1:1] = ["-H", f"Last-Event-ID: {self.last_id}"]
        process = spawn(command, stdout=subprocess.PIPE)
        output = process.stdout.read() if most is None else process.stdout.read(most)
        self.runs += 1
        if most is not None:
            self.kills += process.poll() is None
            process.kill()
        process.stdout.close()
        assert process.wait() != 28, "curl waited in vain for the end of its answer"
        *blocks, rest = output.decode().split("\n\n")
        for block in filter(None, blocks):
            self.take(Event(block))
        status = re.fullmatch(r"\n?status (\d+)", rest)
        return int(status[1]) if status else None

    def take(self, event):
        self.last_id = event.id or self.last_id
        if event.event == "binary":
            self.data += event.frame(self.last_id.rsplit(".", 1)[0]).payload
        elif event.event == "close":
            self.closed = json.loads(event.data)


def test_curl_follows_a_log_over_reconnects_and_misses_nothing(culvert, peer):
    """Some runs end by themselves, a window each; some are killed in the middle of an event."""
    target = peer(LogSource)
    curl = Curl(culvert(to(target, "buffer = 16k")), "/x")
    chance = random.Random(4)
    curl.run()
    while curl.closed is None:
        curl.run(chance.choice([None, chance.randrange(300, 12_000)]))
        assert curl.runs < 100
    assert curl.data == target.text()
    assert curl.closed["code"] == 1000
    assert curl.runs >= 10 and curl.kills >= 1
    assert curl.run() == 204


def test_a_reader_that_is_slow_holds_the_target_up(culvert, peer):
    """Its bytes wait at the target, and the session goes on when it reads."""
    target = peer(Pourer, 8_000_000)
    session = open_sse(culvert(to(target, "buffer = 64k")))
    assert session.carrier.pump().is_message
    assert target.poured < 8_000_000
    data, code = session.recv_to_close()
    assert code == 1000 and len(data) == 8_000_000


def test_what_is_asked_behind_a_stream_is_not_answered(culvert):
    """The stream has no end, so its connection has no place for another answer."""
    c = culvert(ECHO)
    wire = c.http()
    wire.send(request("GET", "/x", headers=[("Accept", STREAM)]) + request("GET", "/none"))
    assert read_head(wire).status == 200
    got = wire.read_until(b"event: open") + wire.read_until(b"\n\n")
    assert b"404" not in got
    assert wire.is_open()
