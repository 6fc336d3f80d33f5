# SPDX-License-Identifier: BSD-2-Clause
"""How connections end: who hears of it, with which code, and that nothing sent before is lost."""

import fcntl
import hashlib
import os
import signal
import socket
import termios
import time

import pytest

from harness.peers import (
    Blackhole,
    Echo,
    HalfCloser,
    Pourer,
    Recorder,
    Resetter,
    Silent,
    SlowReader,
    Target,
    TlsTarget,
    refusing_port,
)
from harness.wait import DEADLINE, Stopwatch, wait_until
from harness.wire import connect
from harness.ws import BINARY, TEXT, Refused, close_frame, frame, header, upgrade_request


def to(target, more=""):
    return f"[route /x]\ntarget = {target.url}\n{more}\n"


# More than the kernel keeps for a connection, so that the rest waits in culvert, which may keep it.
MUCH = 12_000_000
ROOMY = "buffer = 64m\n"


def wait_kept(culvert):
    """Until culvert has read all that was sent to it, and some of it waits for the other side."""
    culvert.wait_quiet()
    assert culvert.stats().blocks > 0


def refusal(culvert, path="/x"):
    with pytest.raises(Refused) as refused:
        culvert.ws(path)
    return refused.value.status


# ---- the target cannot be had ----


def test_a_target_that_refuses_is_502(culvert):
    held, port = refusing_port()
    with held:
        c = culvert(f"[route /x]\ntarget = tcp://127.0.0.1:{port}\n")
        assert refusal(c) == 502
        event = c.wait_event("request")
        assert event["status"] == "502" and event["route"] == "/x"


def test_a_target_that_cannot_be_reached_is_502(culvert):
    # The kernel refuses to connect to the broadcast address: network is unreachable.
    c = culvert("[route /x]\ntarget = tcp://255.255.255.255:9\n")
    assert refusal(c) == 502


def test_a_name_that_does_not_exist_is_502(culvert):
    c = culvert("[route /x]\ntarget = tcp://does-not-exist.invalid:9\nconnect_timeout = 20s\n")
    assert refusal(c) in (502, 504)  # 504 where no name server answers


def test_a_unix_socket_that_is_not_there_is_502(culvert, tmp_path):
    c = culvert(f"[route /x]\ntarget = unix:{tmp_path}/nobody.sock\n")
    assert refusal(c) == 502


def test_a_target_that_does_not_answer_within_connect_timeout_is_504(culvert, peer):
    target = peer(Blackhole)
    c = culvert(to(target, "connect_timeout = 1s"))
    watch = Stopwatch()
    assert refusal(c) == 504
    assert 0.8 <= watch.seconds < 5


def test_connect_timeout_covers_the_tls_handshake_too(culvert, peer, certs):
    target = peer(TlsTarget, certs.server_context())
    c = culvert(to(target, "connect_timeout = 1s"))
    watch = Stopwatch()
    assert refusal(c) == 504
    assert 0.8 <= watch.seconds < 5
    target.accept_raw().wait_closed()


def test_a_refused_websocket_may_be_followed_by_another_try(culvert):
    """A load balancer keeps its connection and asks again."""
    held, port = refusing_port()
    c = culvert(f"[route /x]\ntarget = tcp://127.0.0.1:{port}\n")
    assert refusal(c) == 502
    held.listen()
    with held:
        assert c.ws("/x")


# ---- the target ends ----


def test_a_target_that_finishes_ends_the_websocket_with_1000(culvert, peer):
    target = peer(HalfCloser, b"last words")
    c = culvert(to(target))
    ws = c.ws("/x")
    data, code, _ = ws.recv_to_close()
    assert (data, code) == (b"last words", 1000)
    ws.send_close(1000)
    ws.wait_closed()
    event = c.wait_event("websocket")
    assert event["ended_by"] == "target" and event["code"] == "1000" and event["out"] == "10"


def test_all_bytes_come_before_the_close_1000(culvert, peer):
    target = peer(Pourer, 5_000_001)
    c = culvert(to(target))
    ws = c.ws("/x", receive_buffer=16384)
    data, code, _ = ws.recv_to_close()
    assert code == 1000
    assert len(data) == 5_000_001
    assert hashlib.sha256(data).hexdigest() == target.digest()


def test_what_the_client_sent_before_the_targets_fin_still_reaches_it(culvert, peer):
    """The target stops sending, and only then begins to read what piled up."""
    target = peer(Target, receive_buffer=65536)
    c = culvert(to(target, ROOMY))
    ws = c.ws("/x")
    conn = target.accept()
    data = os.urandom(MUCH)
    ws.send_binary(data)
    wait_kept(c)
    conn.finish()
    assert ws.recv_close() == 1000
    ws.send_close(1000)
    assert conn.read_to_end() == data


def test_a_reset_by_the_target_is_1014_after_what_it_sent(culvert, peer):
    target = peer(Resetter, b"last words", wait_for=2)
    c = culvert(to(target))
    ws = c.ws("/x")
    assert ws.recv_bytes(10) == b"last words"
    ws.send_text("go")
    assert ws.recv_close() == 1014
    ws.send_close(1014)
    ws.wait_closed()
    event = c.wait_event("websocket")
    assert event["ended_by"] == "target" and event["code"] == "1014" and event["reason"]


def test_bytes_that_were_read_before_a_reset_are_delivered(culvert, peer):
    """The client is slow, so that they wait in culvert when the reset comes."""
    target = peer(Target)
    c = culvert(to(target, ROOMY))
    ws = c.ws("/x", receive_buffer=65536)
    conn = target.accept()
    data = os.urandom(MUCH)
    conn.send(data)
    wait_kept(c)
    conn.reset()
    got, code, _ = ws.recv_to_close()
    assert code == 1014
    assert got == data


def test_a_reset_is_1014_even_if_sending_hears_of_it_first(culvert, peer):
    """The target resets while bytes of the client wait for it: write() fails before read() does."""
    target = peer(Target, receive_buffer=4096)
    c = culvert(to(target))
    ws = c.ws("/x")
    conn = target.accept()
    ws.send(header(BINARY, 1 << 40) + bytes(4))
    ws.fill()
    conn.reset()
    assert ws.recv_close() == 1014
    event = c.wait_event("websocket")
    assert event["ended_by"] == "target" and event["code"] == "1014"


def test_a_reset_while_the_client_is_stalled_is_1014_after_what_was_read(culvert, peer):
    target = peer(Target)
    c = culvert(to(target, "buffer = 16k"))
    ws = c.ws("/x", receive_buffer=4096)
    conn = target.accept()
    block = bytes(range(256)) * 256
    sent = conn.fill(block)
    conn.reset()
    data, code, _ = ws.recv_to_close()
    assert code == 1014
    assert 16384 <= len(data) <= sent
    assert data == (block * (len(data) // len(block) + 1))[: len(data)]


def test_a_target_by_unix_socket_that_finishes_or_breaks_off(culvert, peer, tmp_path):
    target = peer(Target, str(tmp_path / "target.sock"))
    c = culvert(to(target))
    for unread, code in ((False, 1000), (True, 1014)):
        ws = c.ws("/x")
        conn = target.accept()
        ws.send_text("question")
        assert conn.read(1) == b"q"
        if unread:
            conn.sock.settimeout(5)
            ws.send_text("never read")
            wait_until(lambda: unread_bytes(conn) >= 10, "the bytes that will not be read")
        conn.send(b"answer")
        conn.close()  # with bytes unread, a unix socket tells its peer of a reset
        data, got, _ = ws.recv_to_close()
        assert got == code
        if not unread:
            assert data == b"answer"
        ws.close()


def unread_bytes(wire):
    return int.from_bytes(fcntl.ioctl(wire.sock.fileno(), termios.FIONREAD, bytes(4)), "little")


# ---- the client breaks a rule ----


def test_the_close_reaches_a_client_that_is_still_sending(culvert, peer):
    """culvert reads on for a while: to close at once would be a reset, which destroys the Close."""
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    ws.send(frame(BINARY, b"good") + frame(3, b"bad") + frame(BINARY, bytes(300_000)))
    c.wait_quiet()
    assert ws.recv_close() == 1002
    target.wait_ended("eof")
    assert bytes(target.received[0]) == b"good"


# ---- the client ends ----


def test_a_close_is_answered_at_once_and_the_target_gets_all_before_its_eof(culvert, peer):
    target = peer(SlowReader, receive_buffer=65536)
    c = culvert(to(target, ROOMY))
    ws = c.ws("/x")
    data = os.urandom(MUCH)
    ws.send(frame(BINARY, data) + close_frame(1000))
    assert ws.recv_close() == 1000  # although the target has read nothing yet
    wait_kept(c)
    target.go()
    target.wait_ended("eof")
    assert target.digest.hexdigest() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("how", ["fin", "close"])
def test_a_client_that_goes_without_a_close_leaves_its_bytes_and_an_eof(culvert, peer, how):
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    ws.send_text("goodbye")
    if how == "fin":
        ws.finish()
        assert ws.read_to_end() == b""  # no Close in answer to none
    else:
        ws.close()
    target.wait_ended("eof")
    assert bytes(target.received[0]) == b"goodbye"
    event = c.wait_event("websocket")
    assert event["ended_by"] == "client" and event["code"] == "1006"


def test_a_client_that_resets_leaves_an_eof(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    ws.send_text("goodbye")
    target.wait_received(b"goodbye")
    ws.reset()
    target.wait_ended("eof")
    event = c.wait_event("websocket")
    assert event["ended_by"] == "client" and event["code"] == "1006"


def test_a_target_may_still_answer_after_the_clients_close(culvert, peer):
    """Its bytes are dropped, but it is not reset while it sends them."""
    target = peer(Target)
    c = culvert(to(target))
    ws = c.ws("/x")
    conn = target.accept()
    ws.send_text("goodbye")
    ws.send_close(1000)
    assert ws.recv_close() == 1000
    assert conn.read_to_end() == b"goodbye"
    conn.send(os.urandom(3_000_000))
    conn.finish()
    wait_until(lambda: c.events("websocket"), "the end of the connection")
    assert conn.is_open() is False


@pytest.mark.parametrize("how", ["close", "fin", "reset"])
def test_a_target_that_was_held_up_may_end_in_order_when_its_client_has_gone(culvert, peer, how):
    target = peer(Pourer, 40_000_000)
    c = culvert(to(target, "close_timeout = 60s\nheartbeat = 0"))
    ws = c.ws("/x", receive_buffer=4096)
    wait_until(lambda: target.poured > 0, "the target to pour")
    c.wait_quiet()
    assert target.poured < target.total
    if how == "close":
        ws.send_close(1000)
    elif how == "fin":
        ws.finish()
    else:
        ws.reset()
    target.wait_ended("eof")
    assert target.poured == target.total


@pytest.mark.parametrize("kind", [Silent, Pourer])
def test_a_target_that_goes_on_after_the_clients_close_is_cut_off_after_close_timeout(culvert, peer, kind):
    target = peer(kind)
    c = culvert(to(target, "close_timeout = 1s"))
    before = c.fds()
    ws = c.ws("/x")
    assert c.fds() > before
    watch = Stopwatch()
    ws.send_close(1000)
    ws.recv_to_close()
    wait_until(lambda: c.fds() == before, "descriptors to return")
    assert 0.8 <= watch.seconds < 6


# ---- S15: zombies ----


@pytest.mark.parametrize("manner", ["silent", "chatting", "answering but staying"])
def test_s15_a_client_that_never_ends_is_gone_after_close_timeout(culvert, peer, manner):
    target = peer(HalfCloser, b"bye")
    c = culvert(to(target, "close_timeout = 1s"))
    before = c.fds()
    ws = c.ws("/x")
    data, code, _ = ws.recv_to_close()
    assert (data, code) == (b"bye", 1000)
    watch = Stopwatch()
    if manner == "answering but staying":
        ws.send_close(1000)
        assert ws.read_to_end() == b""
    while manner == "chatting" and c.fds() != before and watch.seconds < DEADLINE:
        ws.send_quietly(frame(TEXT, b"are you still there?"))
        time.sleep(0.05)
    wait_until(lambda: c.fds() == before, "descriptors to return")
    assert watch.seconds < 6
    if manner == "silent":
        assert watch.seconds >= 0.7


def test_s15_a_close_that_had_to_wait_for_the_client_has_its_deadline_too(culvert, peer):
    """The Close stands behind bytes that the client takes late; it takes it, and says nothing."""
    target = peer(Target)
    c = culvert(to(target, ROOMY + "close_timeout = 1s"))
    before = c.fds()
    ws = c.ws("/x", receive_buffer=65536)
    conn = target.accept()
    conn.send(bytes(MUCH))
    conn.finish()
    wait_kept(c)
    data, code, _ = ws.recv_to_close()
    assert len(data) == MUCH and code == 1000
    wait_until(lambda: c.fds() == before, "descriptors to return", timeout=10)


def test_s15_a_client_that_reads_nothing_cannot_hold_a_finished_connection(culvert, peer):
    """The Close itself cannot be sent: the socket is full."""
    target = peer(Pourer, 30_000_000)
    c = culvert(to(target, "close_timeout = 1s\nwrite_timeout = 1s"))
    before = c.fds()
    ws = c.ws("/x", receive_buffer=4096)
    assert c.fds() > before
    wait_until(lambda: c.fds() == before, "descriptors to return")
    assert ws.sock.fileno() >= 0


def test_s15_a_black_holed_client_is_gone_after_heartbeat_and_its_timeout(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target, "heartbeat = 1s\nheartbeat_timeout = 1s\nclose_timeout = 1s"))
    before = c.fds()
    ws = c.ws("/x")
    watch = Stopwatch()
    target.wait_ended("eof")
    assert 1.7 <= watch.seconds < 8
    wait_until(lambda: c.fds() == before, "descriptors to return")
    event = c.wait_event("websocket")
    assert event["ended_by"] == "client" and event["code"] == "1006"
    assert "heartbeat" in event["reason"]
    assert ws.recv_frame().opcode == 9


def test_s15_descriptors_return_after_every_kind_of_ending(culvert, peer):
    targets = [peer(Echo), peer(HalfCloser, b"x"), peer(Resetter), peer(Pourer, 100_000), peer(Silent)]
    held, port = refusing_port()
    text = "".join(f"[route /{i}]\ntarget = {t.url}\nclose_timeout = 500ms\n" for i, t in enumerate(targets))
    c = culvert(text + f"[route /refused]\ntarget = tcp://127.0.0.1:{port}\n")
    before = c.fds()
    for ending in ("leave", "close", "reset", "finish", "stay"):
        for i in range(len(targets)):
            wire = c.wire()
            wire.send(upgrade_request(f"/{i}"))
            wire.read_until(b"\r\n\r\n")
            if ending == "leave":
                wire.send_quietly(close_frame(1000))
                wire.wait_closed()
            elif ending == "finish":
                wire.sock.shutdown(socket.SHUT_WR)
            elif ending != "stay":
                getattr(wire, ending)()
        assert refusal(c, "/refused") == 502
    c.close_clients()
    wait_until(lambda: c.fds() == before, "descriptors to return")
    held.close()


# ---- TERM ----


@pytest.mark.tsan
@pytest.mark.parametrize("workers", [1, 4])
def test_term_tells_clients_1001_and_ends_with_0(culvert, peer, workers):
    target = peer(Recorder)
    c = culvert(f"[server]\nworkers = {workers}\ndrain_timeout = 2s\n" + to(target, "close_timeout = 60s"))
    clients = [c.ws("/x") for _ in range(8)]
    for ws in clients:
        ws.send_text("before")
    wait_until(lambda: sum(map(len, target.received)) == 48, "the bytes at the target")
    c.signal(signal.SIGTERM)
    for ws in clients:
        ws.expect_close(1001)
    assert c.wait_exit() == 0
    assert refuses(c.address)
    target.wait_ended("eof", 8)
    events = c.events("websocket")
    assert [(e["ended_by"], e["code"]) for e in events] == [("culvert", "1001")] * 8


def refuses(address):
    try:
        connect(address).close()
        return False
    except ConnectionRefusedError:
        return True


def test_term_without_clients_ends_at_once(culvert):
    c = culvert("[route /x]\ntarget = echo:\nclose_timeout = 60s\n")
    c.http().ask(path="/x")  # a connection that is kept is no reason to stay
    watch = Stopwatch()
    c.signal(signal.SIGTERM)
    assert c.wait_exit() == 0
    assert watch.seconds < 3


def test_int_is_the_same_as_term(culvert):
    c = culvert("[route /x]\ntarget = echo:\n")
    ws = c.ws("/x")
    c.signal(signal.SIGINT)
    ws.expect_close(1001)
    assert c.wait_exit() == 0


def test_term_does_not_wait_longer_than_close_timeout(culvert, peer):
    target = peer(Silent)
    c = culvert(to(target, "close_timeout = 1s"))
    ws = c.ws("/x")
    watch = Stopwatch()
    c.signal(signal.SIGTERM)
    assert ws.recv_close() == 1001  # and no answer
    assert c.wait_exit() == 0
    assert 0.7 <= watch.seconds < 8


@pytest.mark.tsan
@pytest.mark.parametrize("workers", [1, 4])
def test_a_second_term_ends_at_once(culvert, peer, workers):
    target = peer(Silent)
    c = culvert(f"[server]\nworkers = {workers}\ndrain_timeout = 600s\n" + to(target))
    ws = c.ws("/x")
    c.signal(signal.SIGTERM)
    assert ws.recv_close() == 1001
    assert c.process.poll() is None
    c.signal(signal.SIGTERM)
    assert c.wait_exit(10) == 0


@pytest.mark.tsan
def test_a_second_term_before_the_workers_have_heard_of_the_first(culvert, peer):
    """Both signals are there when it wakes up: what is told to workers may find them ended."""
    target = peer(Recorder)
    for _ in range(5):
        c = culvert("[server]\nworkers = 4\n" + to(target))
        for _ in range(12):
            c.ws("/x").send_text("some")
        with c.frozen():
            c.signal(signal.SIGTERM)
            c.signal(signal.SIGINT)
        assert c.wait_exit() == 0


def test_term_delivers_what_came_from_the_target_before(culvert, peer):
    target = peer(Target)
    c = culvert(to(target, ROOMY))
    ws = c.ws("/x", receive_buffer=65536)
    conn = target.accept()
    data = os.urandom(MUCH)
    conn.send(data)
    wait_kept(c)
    c.signal(signal.SIGTERM)
    got, code, _ = ws.recv_to_close()
    assert code == 1001
    assert got == data


def test_term_lets_a_request_that_waits_for_its_target_end(culvert, peer):
    target = peer(Blackhole)
    c = culvert(to(target, "connect_timeout = 600s\nclose_timeout = 1s"))
    wire = c.wire()
    wire.send(upgrade_request("/x"))
    c.wait_quiet()
    c.signal(signal.SIGTERM)
    assert c.wait_exit() == 0


# ---- after the Closes ----


@pytest.mark.parametrize("first", ["client", "target"])
def test_a_client_that_has_said_everything_is_not_waited_for(culvert, peer, first):
    """RFC 6455 section 7.1.1: it is the server that closes. Its descriptor is free at once, though the
    client keeps its own and close_timeout is long."""
    target = peer(Target)
    c = culvert(to(target, "close_timeout = 10m"))
    before = c.fds()
    ws = c.ws("/x")
    conn = target.accept()
    if first == "client":
        ws.send_close(1000)
        assert ws.recv_close() == 1000
        assert conn.read_to_end() == b""
        conn.close()
    else:
        conn.close()
        assert ws.recv_close() == 1000
        ws.send_close(1000)
    ws.wait_closed()
    wait_until(lambda: c.fds() == before, "no descriptor is held")


def test_bytes_behind_a_close_are_taken_rather_than_answered_with_a_reset(culvert):
    """They break a rule; but a reset could cost the client our Close. More are there than one read takes."""
    c = culvert("[route /x]\ntarget = echo:\nbuffer = 4k\n")
    ws = c.ws("/x")
    with c.frozen():
        ws.send(close_frame(1000) + bytes(8000))
    assert ws.recv_close() == 1000
    assert ws.read_to_end() == b""
