# SPDX-License-Identifier: BSD-2-Clause
"""A session over one WebSocket: how it opens, numbers, acknowledges, holds up, and what ends it."""

import os

import pytest

from harness import session_frames as frames
from harness.peers import Echo, Pourer, Recorder, Silent, SlowReader, Target
from harness.session import Session, WsCarrier, open_ws
from harness.session_conf import ECHO, to
from harness.session_frames import ACK, PING, TEXT, ack, binary, text, varint
from harness.wait import Stopwatch, wait_until
from harness.ws import BINARY, CONTINUATION, Refused
from harness.ws import PING as WS_PING


# ---- opening ----


def test_open_tells_what_a_client_has_to_know(culvert):
    c = culvert(f"{ECHO}buffer = 64k\nresume_window = 7s\nheartbeat = 20s\npoll_wait = 11s\nreconnect_spread = 3s\n"
                "message_max = 128k\ntransports = websocket, longpoll\n")
    opened = open_ws(c).opened
    assert {**opened, "session": ""} == {
        "session": "", "ack": 0, "window": 65536, "resume": 7000, "heartbeat": 20000, "poll": 11000, "spread": 3000,
        "message_max": 131072, "protocol": "", "transports": ["websocket", "longpoll"],
    }  # fmt: skip


def test_every_session_has_an_id_of_its_own_that_is_not_logged(culvert):
    c = culvert("[log]\nlevel = debug\n" + ECHO)
    sessions = [open_ws(c) for _ in range(20)]
    ids = {session.id for session in sessions}
    assert len(ids) == 20
    for session in sessions:
        session.carrier.wire.leave()
    c.wait_event("websocket", 20)
    assert not any(one in c.log_text() for one in ids)


@pytest.mark.parametrize(
    "offered, protocol",
    [
        (["culvert.v1"], ""),
        (["chat", "culvert.v1"], "chat"),
        (["culvert.v1", "mqtt", "chat"], "mqtt"),
        (["chat", "culvert.v1", "mqtt"], "chat"),
        (["other", "culvert.v1", "another"], ""),
        (["other", "culvert.v1", "mqtt"], "mqtt"),
    ],
)
def test_the_applications_subprotocol_is_in_open(culvert, offered, protocol):
    """The clients' first that the route lists; culvert.v1 is what is selected (WsCarrier asserts it)."""
    c = culvert(f"{ECHO}subprotocols = chat, mqtt\n")
    session = Session(c)
    session.carrier = WsCarrier(session, offered=offered).begin()
    assert session.opened["protocol"] == protocol
    session.send(b"hello")
    assert session.recv(5) == b"hello"


def test_where_a_subprotocol_is_required_culvert_v1_is_none(culvert):
    c = culvert(f"{ECHO}subprotocols = chat\nsubprotocols_required = yes\n")
    with pytest.raises(Refused) as refused:
        c.ws("/x", subprotocols=["culvert.v1"])
    assert refused.value.status == 400
    assert open_ws(c, protocols=["chat"]).opened["protocol"] == "chat"


def test_a_plain_client_beside_it_is_not_touched(culvert):
    c = culvert(f"{ECHO}subprotocols = chat\n")
    session = open_ws(c, protocols=["chat"])
    plain, bare = c.ws("/x", subprotocols=["chat"]), c.ws("/x")
    assert (plain.subprotocol, bare.subprotocol) == ("chat", None)
    session.send(b"of the session")
    for ws in (plain, bare):
        ws.send_binary(b"\x02\x01plain")
        assert ws.recv_data().payload == b"\x02\x01plain"
        ws.leave()
    assert session.recv(14) == b"of the session"


def test_without_a_resume_window_there_are_no_sessions(culvert):
    c = culvert(f"{ECHO}resume_window = 0\nsubprotocols = chat\n")
    for offered, chosen in ((["culvert.v1"], None), (["culvert.v1", "chat"], "chat")):
        ws = c.ws("/x", subprotocols=offered)
        assert ws.subprotocol == chosen
        ws.send_binary(b"as it comes")
        assert ws.recv_bytes(11) == b"as it comes"


# ---- messages ----


def test_messages_are_numbered_from_one(culvert, peer):
    target = peer(Target)
    c = culvert(to(target))
    session = open_ws(c)
    far = target.accept()
    for number, word in enumerate((b"one", b"two", b"three"), 1):
        far.send(word)
        frame = session.carrier.recv()
        assert (frame.kind, frame.seq, frame.payload) == (frames.BINARY, number, word)
    for word in (b"eins", b"zwei"):
        session.send(word)
        assert far.read(4) == word


def test_much_goes_through_an_echo(culvert, peer):
    c = culvert(to(peer(Echo), "buffer = 64k"))
    session = open_ws(c)
    data = os.urandom(1_000_000)
    for at in range(0, len(data), 10_000):
        session.send(data[at : at + 10_000])
    assert session.recv(len(data)) == data
    session.wait_acked()


def test_text_routes_send_text_and_keep_characters_whole(culvert, peer):
    target = peer(Target)
    c = culvert(to(target, "messages = text"))
    session = open_ws(c)
    far = target.accept()
    said = "\N{EURO SIGN}\r\n\N{GRINNING FACE}" * 50
    far.send(said.encode(), piece=1)
    got = ""
    while len(got) < len(said):
        frame = session.carrier.recv()
        assert frame.kind == TEXT
        got += frame.payload.decode()
    assert got == said


def test_clients_may_send_text_and_bytes_on_any_route(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target))
    session = open_ws(c)
    session.send("\N{EURO SIGN}")
    session.send(b"\xff\x00")
    target.wait_received("\N{EURO SIGN}".encode() + b"\xff\x00")


def test_lines_are_messages_of_their_own(culvert, peer):
    target = peer(Target)
    c = culvert(to(target, "framing = line\nmessages = text\nbuffer = 16k"))
    session = open_ws(c)
    session.framed = True
    far = target.accept()
    long = "l" * 10_000  # larger than a piece of a stream may be
    far.send(f"first\r\n\n{long}\n".encode())
    assert [session.recv_message() for _ in range(3)] == ["first", "", long]
    session.send("up")
    session.send("")
    assert far.read(4) == b"up\n\n"


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_numbers_may_take_more_bytes_than_they_need(culvert, peer, size):
    target = peer(Recorder)
    c = culvert(to(target))
    session = open_ws(c)
    session.message(b"x")
    session.carrier.send(bytes([frames.BINARY]) + varint(1, size) + b"x")
    target.wait_received(b"x")
    session.wait_acked()


def test_a_frame_may_come_in_fragments_with_a_ping_between(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target))
    session = open_ws(c)
    data, wire = session.message(b"fragmented").encode(), session.carrier.wire
    wire.send_frame(BINARY, data[:1], fin=False)
    wire.send_frame(WS_PING, b"between")
    wire.send_frame(CONTINUATION, data[1:5], fin=False)
    wire.send_frame(CONTINUATION, data[5:])
    assert wire.recv_pong() == b"between"
    target.wait_received(b"fragmented")


# ---- acknowledgement ----


def test_a_message_is_acknowledged_soon_after_the_target_took_it(culvert, peer):
    c = culvert(to(peer(Recorder)))
    session = open_ws(c)
    for _ in range(3):
        session.send(b"x")
        watch = Stopwatch()
        session.wait_acked()
        assert watch.seconds < 4 * 0.1


def test_much_is_acknowledged_without_waiting_for_a_timer(culvert, peer):
    """80 windows: by the 100 ms alone they would take 8 s."""
    c = culvert(to(peer(Recorder), "buffer = 16k"))
    session = open_ws(c)
    watch = Stopwatch()
    for _ in range(80 * 4):
        session.send(bytes(4000))
    session.wait_acked()
    assert watch.seconds < 4


def test_what_the_target_has_not_taken_is_not_acknowledged(culvert, peer):
    target = peer(SlowReader, receive_buffer=4096)
    c = culvert(to(target, "buffer = 64k"))
    session = open_ws(c)
    saturate(session)
    assert session.unacked
    target.go()
    session.wait_acked()
    wait_until(lambda: target.length == (session.next_seq - 1) * 8000, "all at the target")


def saturate(session):
    """Sends until the target's socket takes nothing more and the window is as good as full."""
    while session.next_seq < 4000:  # 32 MB: no socket holds as much
        while session.fits(8000):
            session.send(bytes(8000))
        if session.carrier.wire.quiet_for(0.5):
            return
        while session.carrier.ping():
            pass
    raise AssertionError("the target seems to take everything")


def test_repeated_messages_are_dropped(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target))
    session = open_ws(c)
    first, second, third = (session.message(word) for word in (b"one", b"two", b"three"))
    session.carrier.send(first, first, second, binary(1, b"changed"), first, second, third)
    session.wait_acked()
    session.carrier.send(binary(3, b"again"))
    assert session.carrier.ping() == []
    target.wait_received(b"onetwothree")


def test_a_lower_ack_than_an_earlier_one_is_ignored(culvert, peer):
    target = peer(Target)
    c = culvert(to(target))
    session = open_ws(c)
    far = target.accept()
    for word in (b"one", b"two"):
        far.send(word)
        session.recv(3)
    session.carrier.send(ack(2), ack(1), ack(0), ack(2))
    session.carrier.ping()
    session.tell(2)
    # 1 is not what the server believes now: an attach that takes it back is told so.
    lower = WsCarrier(session, {"session": session.id, "ack": 1, "n": 1})
    lower.ends(4409, frame=None)
    far.send(b"end")
    assert session.recv(3) == b"end"


def test_a_server_goes_on_after_an_ack_and_not_before(culvert, peer):
    total = 40_000_000
    target = peer(Pourer, total)
    c = culvert(to(target, "buffer = 64k"))
    session = open_ws(c)
    session.acks = False
    while session.carrier.ping() or not session.carrier.wire.quiet_for(0.2):
        pass
    assert sum(frame.cost for frame in session.unconfirmed.values()) > session.window // 2
    assert steady(lambda: target.poured) < total
    assert session.carrier.ping() == []
    session.carrier.acknowledge()
    assert session.carrier.recv().is_message


@pytest.mark.parametrize("lines", [[b"l" * (n * 7 % 50) for n in range(1000)], [b""] * 1000], ids=["small", "empty"])
def test_small_messages_fill_the_window_and_not_more(culvert, peer, lines):
    """Session asserts that it is not more, counting 32 bytes for each beside its own."""
    target = peer(Target)
    session = open_ws(culvert(to(target, "buffer = 16k\nframing = line")))
    session.acks = False
    far = target.accept()
    far.send(b"".join(line + b"\n" for line in lines))
    while session.carrier.ping() or not session.carrier.wire.quiet_for(0.2):
        pass
    held = sum(frame.cost for frame in session.unconfirmed.values())
    assert held + 50 + frames.OVERHEAD > session.window
    session.acks = True
    session.carrier.acknowledge()
    assert [session.recv_message() for _ in lines] == lines


def steady(read):
    """What read() gives, once it is the same for a while."""
    seen = []

    def same():
        seen.append(read())
        return len(seen) > 3 and len(set(seen[-3:])) == 1

    wait_until(same, "the target to be held up", step=0.1)
    return seen[-1]


def test_a_client_that_acknowledges_gets_all(culvert, peer):
    target = peer(Pourer, 3_000_001)
    c = culvert(to(target, "buffer = 16k"))
    data, code = open_ws(c).recv_to_close()
    assert code == 1000 and len(data) == 3_000_001
    assert data[:65536] == target.block


# ---- the client's window ----


def test_a_client_that_overruns_the_window_is_1008(culvert, peer, tmp_path):
    """To the last byte it may go, counting 32 for each, and one more may not."""
    target = peer(Silent, path=str(tmp_path / "target"))  # a full unix socket finds no more room, as TCP may
    c = culvert(to(target, "buffer = 64k"))
    session = open_ws(c)
    saturate(session)
    while session.fits(frames.OVERHEAD):
        session.send(b"")
    if session.fits(0):
        session.send(bytes(session.window - session.waiting() - frames.OVERHEAD))
    assert session.carrier.ping() == []
    assert session.waiting() == session.window
    session.carrier.send(session.message(b""))
    session.carrier.ends(1008)


def test_a_message_larger_than_the_window_may_go_alone(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target, "buffer = 16k\nmessage_max = 128k"))
    session = open_ws(c)
    data = os.urandom(131072)
    session.send(data)
    session.wait_acked()
    session.send(data)
    target.wait_received(data + data)


def test_a_message_over_message_max_is_1009(culvert, peer):
    c = culvert(to(peer(Recorder), "message_max = 128k"))
    session = open_ws(c)
    session.carrier.send(session.message(bytes(131073)))
    session.carrier.ends(1009, frame=None)


# ---- faults ----


@pytest.mark.parametrize(
    "wrong",
    [
        binary(2, b"gap"),
        text(2, "gap"),
        binary(0, b"zero"),
        text(0, "zero"),
        b"\x01{}",
        b"\x00",
        b"\x08",
        b"\x7f",
        b"",
        b"\x02",
        b"\x02\x40",
        b"\x03\xc0\x00",
        b"\x04",
        ack(1),
        b"\x05\x03",
        b"\x06" + bytes(126),
    ],
    ids=repr,
)
def test_a_wrong_frame_is_1002_and_ends_the_session(culvert, peer, wrong):
    target = peer(Recorder)
    c = culvert(to(target))
    session = open_ws(c)
    session.carrier.send(wrong)
    session.carrier.ends(1002)
    wait_until(lambda: target.ended, "the target to hear of it")
    assert bytes(target.received[0]) == b""


def test_what_came_before_a_wrong_frame_reaches_the_target(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target))
    session = open_ws(c)
    session.send(b"before")
    session.carrier.send(binary(3, b"gap"))
    session.carrier.ends(1002)
    target.wait_received(b"before")


def test_text_that_is_not_utf_8_is_an_error(culvert):
    c = culvert(ECHO)
    session = open_ws(c)
    session.carrier.send(session.message("x").encode()[:-1] + b"\xff")
    session.carrier.ends(1007, frame=None)


@pytest.mark.parametrize("kind", [128, 200, 255])
def test_types_of_the_future_are_ignored(culvert, kind):
    c = culvert(ECHO)
    session = open_ws(c)
    session.carrier.send(bytes([kind]), bytes([kind]) + os.urandom(3000))
    session.send(b"still here")
    assert session.recv(10) == b"still here"


def test_a_text_message_of_the_websocket_is_1003(culvert):
    c = culvert(ECHO)
    session = open_ws(c)
    session.carrier.wire.send_text("hello")
    session.carrier.ends(1003, frame=None)


# ---- signs of life ----


@pytest.mark.parametrize("payload", [b"", b"p", bytes(range(125))])
def test_a_ping_is_answered(culvert, payload):
    c = culvert(ECHO)
    assert open_ws(c).carrier.ping(payload) == []


def test_the_server_pings_who_is_silent_with_frames_of_the_session(culvert):
    c = culvert(f"{ECHO}heartbeat = 200ms\nheartbeat_timeout = 5s\n")
    session = open_ws(c)
    for _ in range(3):
        watch = Stopwatch()
        assert session.carrier.recv().kind == PING  # and recv() answers it
        assert watch.seconds < 4 * 0.2


def test_who_answers_no_ping_loses_the_carrier_and_keeps_the_session(culvert, peer):
    target = peer(Target)
    c = culvert(to(target, "heartbeat = 200ms\nheartbeat_timeout = 200ms"))
    session = open_ws(c)
    far = target.accept()
    session.carrier.wire.wait_closed()
    far.send(b"late")
    session.attach_ws()
    assert session.recv(4) == b"late"


@pytest.mark.parametrize("asked", [1000, 10])
def test_a_client_may_ask_for_a_shorter_heartbeat_down_to_a_second(culvert, asked):
    c = culvert(f"{ECHO}heartbeat = 20s\n")
    session = open_ws(c)
    session.attach_ws(heartbeat=asked)
    watch = Stopwatch()
    assert session.carrier.recv().kind == PING
    assert 0.5 < watch.seconds < 4
    assert ACK not in frames.kinds(session.carrier.ping())
