# SPDX-License-Identifier: BSD-2-Clause
"""What a session's client, or its target, does to make culvert lose bytes, memory or its footing."""

import select
import struct

import pytest

from harness import session_frames as frames
from harness.http import read_answer, request
from harness.peers import Target
from harness.session import open_post, open_sse, open_ws
from harness.session_conf import ECHO, to
from harness.session_http import STREAM, V1, post_head
from harness.wait import Stopwatch, wait_until
from harness.ws import BINARY, frame, upgrade_request


def test_what_no_socket_took_is_not_acknowledged(culvert, peer):
    """The target breaks off while bytes wait for it: they are lost, and the client is not told otherwise."""
    target = peer(Target, receive_buffer=4096)
    session = open_post(culvert(to(target, "buffer = 64k")))
    far = target.accept()
    while session.acked == session.next_seq - 1:  # until something waits
        session.post(session.message(bytes(4000)))
    taken = session.acked
    far.reset()
    wait_until(lambda: [one for one in session.ask_poll(wait=1000).frames if one.kind == frames.CLOSE], "the CLOSE")
    assert [one.seq for one in session.ask_post().frames if one.kind == frames.ACK] == [taken]


@pytest.mark.parametrize("kind", ["ws", "sse", "poll"])
def test_an_attach_that_ends_the_session_ends_it_once(culvert, kind):
    """Its ACK makes room for what the target has waiting, and that is no text."""
    c = culvert(f"{ECHO}messages = text\nbuffer = 4k\n")
    session = open_post(c)
    session.acks = False
    for payload in (b"a" * 900, b"a" * 900, b"a" * 900, b"b" * 200, b"c" * 2000, b"\xff" * 100):
        session.ask_post(frames.binary(session.next_seq, payload))
        session.next_seq += 1
    got = [one.seq for one in session.ask_poll(ack=0).frames if one.is_message]
    query = {"session": session.id, "ack": got[-1]}
    wire = c.wire()
    if kind == "ws":
        wire.send(upgrade_request(session.url(**query), subprotocols=["culvert.v1"]))
        wire.read_until(struct.pack(">H", 1007))
    elif kind == "sse":
        wire.send(request("GET", session.url(**query), headers=[("Accept", STREAM)]))
        wire.read_until(b"1007")
    else:  # it is answered with what went before
        wire.send(request("GET", session.url(**query), headers=[("Accept", V1)]))
        assert read_answer(wire).status == 200
    assert session.ask_post().frames[-1].code == 1007
    wait_until(lambda: c.http().ask(path="/none").status == 404, "culvert to be well")


def test_pings_of_a_client_that_does_not_read_cost_nothing(culvert):
    c = culvert(ECHO)
    wire = c.wire(receive_buffer=4096)
    wire.send(upgrade_request("/x", subprotocols=["culvert.v1"]))
    wire.read_until(b"transports")
    pings = frame(BINARY, bytes([frames.PING]) + bytes(125)) * 1000
    for _ in range(100):  # twelve megabytes of PONGs
        wire.send(pings)
    c.wait_quiet()
    assert c.stats().blocks <= 16


def test_many_posts_at_once_are_few(culvert):
    session = open_post(culvert(ECHO))
    message = frames.pack(session.message(bytes(100_000)))
    wires = [session.connect() for _ in range(20)]
    for wire in wires:
        wire.send(post_head(session, ("Content-Length", str(len(message)))) + message[:50_000])
    sockets = {wire.sock: wire for wire in wires}
    wait_until(lambda: len(select.select(sockets, [], [], 0)[0]) == 4, "the most silent to be answered")
    for sock in select.select(sockets, [], [], 0)[0]:
        assert read_answer(sockets.pop(sock)).status == 409
    _, wire = sockets.popitem()
    wire.send(message[50_000:])
    assert read_answer(wire).status == 200
    session.attach_sse()
    assert session.recv(100_000) == bytes(100_000)


def test_who_is_detached_and_does_not_read_keeps_nothing(culvert, peer):
    target = peer(Target)
    c = culvert(to(target, "framing = length32\nmessage_max = 16m\nresume_window = 20s"))
    session = open_post(c)
    target.accept().send(struct.pack(">I", 12 << 20) + bytes(12 << 20))
    for _ in range(8):
        wire = c.keep(c.wire(receive_buffer=4096))
        wire.send(upgrade_request(session.url(session=session.id), subprotocols=["culvert.v1"]))
        wire.read_until(b"transports")
    # One of them is carrying it; of the others nothing is left.
    assert c.stats().blocks <= (12 << 20) // 16384 + 16


@pytest.mark.parametrize("holds", [False, True])
def test_who_is_idle_is_idle_with_a_message_unacknowledged_too(culvert, peer, holds):
    target = peer(Target)
    session = open_sse(culvert(to(target, "idle_timeout = 1s")))
    session.acks = False
    far = target.accept()
    if holds:
        far.send(b"hello")
        assert session.recv(5) == b"hello"
    watch = Stopwatch()
    while session.carrier.closed is None:
        session.carrier.pump()
    assert session.closed.code == 1008 and watch.seconds < 4


def test_a_session_that_is_named_by_its_header_is_no_plain_websocket(culvert):
    c = culvert(ECHO)
    session = open_ws(c)
    wire = c.wire()
    wire.send(upgrade_request("/x", headers=[("Culvert-Session", session.id)]))
    assert read_answer(wire).status == 400


def test_ended_sessions_are_told_of_while_culvert_leaves(culvert):
    c = culvert(ECHO.replace("100ms", "10s"))
    session, other = open_post(c), open_ws(c)
    session.delete()
    wires = [session.connect() for _ in range(2)]
    c.signal(15)
    other.recv_to_close()
    assert session.ask_post(wire=wires[0]).frames[-1].kind == frames.CLOSE
    assert session.ask("DELETE", wires[1]).status == 204
