# SPDX-License-Identifier: BSD-2-Clause
"""Heartbeat, idle and write timeouts. (Others stand with what they time: connect and close in
test_endings, message in test_frames, header in test_handshake.)"""

import time

from harness.peers import Pourer, Silent, Target
from harness.wait import Stopwatch
from harness.ws import BINARY, CLOSE, PING, PONG, frame, header, parse_close


def to(target, more=""):
    return f"[route /x]\ntarget = {target.url}\n{more}\n"


# ---- heartbeat ----


def test_heartbeat_pings_a_silent_client(culvert):
    c = culvert("[route /x]\ntarget = echo:\nheartbeat = 500ms\n")
    ws = c.ws("/x")
    watch = Stopwatch()
    for _ in range(3):
        ping = ws.recv_frame()
        assert ping.opcode == PING
        ws.send_frame(PONG, ping.payload)
    assert 1.3 <= watch.seconds < 6


def test_heartbeat_pongs_keep_a_connection(culvert):
    c = culvert("[route /x]\ntarget = echo:\nheartbeat = 300ms\nheartbeat_timeout = 600ms\n")
    ws = c.ws("/x")
    watch = Stopwatch()
    while watch.seconds < 3:
        ping = ws.recv_frame()
        assert ping.opcode == PING
        ws.send_frame(PONG, ping.payload)
    ws.send_text("still here")
    assert ws.recv_bytes(10) == b"still here"


def test_heartbeat_takes_any_byte_for_a_sign_of_life(culvert):
    """Not a single pong, but half frames now and then."""
    c = culvert("[route /x]\ntarget = echo:\nheartbeat = 400ms\nheartbeat_timeout = 800ms\n")
    ws = c.ws("/x")
    one = frame(BINARY, b"x" * 100)
    for i in range(len(one)):
        if i % 10 == 0:
            time.sleep(0.25)
        ws.send(one[i : i + 1])
    got = bytearray()
    while len(got) < 100:
        answer = ws.recv_frame()
        if answer.opcode == BINARY:
            got += answer.payload
        else:
            assert answer.opcode == PING


def test_heartbeat_0_never_pings(culvert):
    c = culvert("[route /never]\ntarget = echo:\nheartbeat = 0\n[route /soon]\ntarget = echo:\nheartbeat = 200ms\n")
    never, soon = c.ws("/never"), c.ws("/soon")
    for _ in range(3):
        ping = soon.recv_frame()
        soon.send_frame(PONG, ping.payload)
    never.send_text("nothing before this")
    assert never.recv_frame().payload == b"nothing before this"


def test_heartbeat_is_25_seconds_if_nothing_is_said(culvert):
    c = culvert("[route /x]\ntarget = echo:\n[route /soon]\ntarget = echo:\nheartbeat = 1s\n")
    ws, soon = c.ws("/x"), c.ws("/soon")
    soon.recv_frame()
    ws.send_text("no ping yet")
    assert ws.recv_frame().payload == b"no ping yet"


def test_heartbeat_stands_still_while_the_client_is_not_read(culvert, peer):
    """A client whose data a slow target holds up cannot be heard: that is not its fault."""
    target = peer(Target, receive_buffer=4096)
    c = culvert(to(target, "heartbeat = 300ms\nheartbeat_timeout = 300ms\nbuffer = 16k\nwrite_timeout = 60s"))
    ws = c.ws("/x")
    conn = target.accept()
    ws.send(header(BINARY, 1 << 40) + bytes(4))  # no mask to speak of: zeros stay zeros
    total = ws.fill()
    time.sleep(2)  # many times the heartbeat's
    assert ws.is_open()
    assert conn.read(total) == bytes(total)
    assert c.events("websocket") == []


# ---- idle ----


def test_idle_timeout_closes_with_1008(culvert):
    c = culvert("[route /x]\ntarget = echo:\nidle_timeout = 1s\n")
    ws = c.ws("/x")
    watch = Stopwatch()
    assert ws.recv_close() == 1008
    assert 0.8 <= watch.seconds < 5
    ws.send_close(1008)
    ws.wait_closed()
    event = c.wait_event("websocket")
    assert event["code"] == "1008" and event["ended_by"] == "culvert" and "idle" in event["reason"]


def test_idle_timeout_counts_data_and_not_pings(culvert):
    c = culvert("[route /x]\ntarget = echo:\nidle_timeout = 1s\nheartbeat = 200ms\n")
    ws = c.ws("/x")
    watch = Stopwatch()
    while (got := ws.recv_frame()).opcode in (PING, PONG):
        if got.opcode == PING:
            ws.send(frame(PONG, got.payload) + frame(PING))
    assert got.opcode == CLOSE and parse_close(got.payload)[0] == 1008
    assert 0.8 <= watch.seconds < 5


def test_idle_timeout_is_put_off_by_data_from_either_side(culvert, peer):
    target = peer(Target)
    c = culvert(to(target, "idle_timeout = 1s"))
    ws = c.ws("/x")
    conn = target.accept()
    for i in range(10):
        time.sleep(0.3)
        if i % 2:
            conn.send(b"t")
            assert ws.recv_bytes(1) == b"t"
        else:
            ws.send_text("c")
            assert conn.read(1) == b"c"
    watch = Stopwatch()
    assert ws.recv_close() == 1008
    assert watch.seconds >= 0.7


# ---- write ----


def test_write_timeout_ends_a_client_that_takes_nothing(culvert, peer):
    target = peer(Pourer)
    c = culvert(to(target, "write_timeout = 1s\nheartbeat = 0\nclose_timeout = 1s"))
    ws = c.ws("/x", receive_buffer=4096)
    watch = Stopwatch()
    event = c.wait_event("websocket")
    assert watch.seconds >= 0.8
    assert event["code"] == "1013" and event["ended_by"] == "culvert"
    target.wait_ended("reset")
    ws.wait_closed()


def test_write_timeout_ends_a_target_that_takes_nothing(culvert, peer):
    target = peer(Silent, receive_buffer=4096)
    c = culvert(to(target, "write_timeout = 1s\nbuffer = 16k\nclose_timeout = 1s"))
    ws = c.ws("/x")
    watch = Stopwatch()
    try:
        for _ in range(1000):
            ws.send(frame(BINARY, bytes(65536)))
    except OSError:
        pass  # it was ended while we sent
    event = c.wait_event("websocket")
    assert watch.seconds >= 0.8
    assert event["code"] in ("1013", "1014")


def test_write_timeout_leaves_a_slow_client_alone(culvert, peer):
    """It takes a little now and then: nothing is stuck for long."""
    target = peer(Pourer, 20_000_000)
    c = culvert(to(target, "write_timeout = 1s"))
    ws = c.ws("/x", receive_buffer=65536)
    watch = Stopwatch()
    got = 0
    while watch.seconds < 3:
        time.sleep(0.1)
        got += len(ws.recv_data().payload)
    rest, code, _ = ws.recv_to_close()
    assert code == 1000 and got + len(rest) == 20_000_000


def test_pongs_that_a_client_does_not_take_have_their_deadline(culvert, tmp_path):
    """Nothing else is to be sent to it, and on a unix socket the kernel does not notice."""
    address = str(tmp_path / "front")
    c = culvert(
        f"[server]\nlisten = unix:{address}\n"
        "[route /x]\ntarget = echo:\nheartbeat = 0\nidle_timeout = 0\nwrite_timeout = 500ms\n"
    )
    ws = c.ws("/x", address=address)
    ws.send(frame(PING, bytes(125)) * 20_000)
    event = c.wait_event("websocket")
    assert (event["code"], event["ended_by"]) == ("1013", "culvert")
