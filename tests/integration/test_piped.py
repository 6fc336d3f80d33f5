# SPDX-License-Identifier: BSD-2-Clause
"""What a target pours goes to a plain WebSocket through a pipe, unseen; and nobody but the CPU notices."""

import hashlib
import os
import time

import pytest

from harness.admin import Admin
from harness.peers import Pourer, Resetter, Target
from harness.wait import wait_until
from harness.ws import BINARY, CLOSE, PING, PONG, frame

ADMIN = "[server]\nadmin = 127.0.0.1:0\nworkers = 1\n"


def route(target, more=""):
    return f"[route /x]\ntarget = {target.url}\n{more}\n"


def read_all(ws):
    """(digest of the data up to the Close, its length, the other frames)"""
    digest, length, others = hashlib.sha256(), 0, []
    while (one := ws.recv_frame()).opcode != CLOSE:
        if one.opcode == BINARY:
            digest.update(one.payload)
            length += len(one.payload)
        else:
            others.append(one)
    return digest.hexdigest(), length, others


def pipes(admin):
    return admin.metrics().get("culvert_worker_pipes")


def stalled(c, admin):
    """A client whose bytes wait in a pipe. On a busy machine small reads may have filled its socket first, and
    then they wait elsewhere: another client has another go."""
    for _ in range(20):
        ws = c.ws("/x")
        try:
            wait_until(lambda: pipes(admin) == 1, "a pipe that waits", timeout=3)
            return ws
        except AssertionError:
            ws.close()
            wait_until(lambda: c.stats().connections == 0, "the client to be gone")
    raise AssertionError("no pipe ever waits")


def test_a_pipe_holds_what_a_client_does_not_take(culvert, peer):
    """And what is to come behind it, comes behind it."""
    target = peer(Pourer, 40_000_000)
    c = culvert(ADMIN + route(target))
    admin, before = Admin(c), c.fds()
    ws = stalled(c, admin)
    wait_until(lambda: admin.metrics().get("culvert_worker_buffer_bytes") > 0, "its bytes to be counted")
    ws.send(frame(PING, b"between"))
    digest, length, others = read_all(ws)
    assert (digest, length) == (target.digest(), target.total)
    assert [(one.opcode, one.payload) for one in others] == [(PONG, b"between")]
    ws.send_close()
    ws.close()
    wait_until(lambda: c.events("websocket")[-1:] and c.events("websocket")[-1]["code"] == "1000", "the access line")
    assert c.events("websocket")[-1]["out"] == str(target.total)
    assert admin.metrics().get("culvert_bytes_total", route="/x", direction="out") >= target.total
    wait_until(lambda: pipes(admin) == 0 and c.fds() <= before, "nothing is left")


def test_more_stalled_clients_than_pipes(culvert, peer):
    """Those who come too late are served by copies. Each gets everything, and descriptors come back."""
    target = peer(Pourer, 8_000_000)
    c = culvert(ADMIN + route(target, "heartbeat = 0"))
    admin, before = Admin(c), c.fds()
    clients = [c.ws("/x", receive_buffer=300_000) for _ in range(50)]
    wait_until(lambda: pipes(admin) == 33, "all pipes to be in use")
    for ws in clients:
        assert read_all(ws)[:2] == (target.digest(), target.total)
        ws.send_close()
        ws.close()
    wait_until(lambda: pipes(admin) == 0 and c.fds() <= before, "nothing is left")


@pytest.mark.parametrize("more", ["messages = text", "messages = base64", "framing = line"])
def test_bytes_that_have_to_be_looked_at_are_not_piped(culvert, peer, more):
    target = peer(Target)
    c = culvert(ADMIN + route(target, f"{more}\nmessage_max = 8m\nbuffer = 8m"))
    ws = c.ws("/x", receive_buffer=4096)
    conn, admin = target.accept(), Admin(c)
    conn.send(b"a line of text\n" * 400_000)
    wait_until(lambda: admin.metrics().get("culvert_worker_buffer_bytes") > 1_000_000, "bytes to wait")
    assert pipes(admin) == 0
    ws.reset()


def test_a_tls_client_is_not_piped_to(culvert, peer, certs):
    target = peer(Pourer, 20_000_000)
    c = culvert(f"[server]\nlisten = 127.0.0.1:0 tls\nadmin = 127.0.0.1:0\n[tls]\n{certs.section()}{route(target)}")
    admin = Admin(c)
    ws = c.ws("/x", tls=certs.client_context())
    wait_until(lambda: admin.metrics().get("culvert_worker_buffer_bytes") > 0, "bytes to wait")
    assert pipes(admin) == 0
    assert read_all(ws)[:2] == (target.digest(), target.total)


def test_a_small_buffer_is_kept_to(culvert, peer):
    target = peer(Pourer)
    c = culvert(ADMIN + route(target, "buffer = 32k"))
    admin = Admin(c)
    ws = c.ws("/x")
    wait_until(lambda: admin.metrics().get("culvert_worker_buffer_bytes") > 0, "bytes to wait")
    for _ in range(20):
        assert admin.metrics().get("culvert_worker_buffer_bytes") <= 32 * 1024 + 10
        time.sleep(0.01)
    ws.reset()


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_goes_while_its_pipe_is_full_leaves_nothing(culvert, peer, how):
    target = peer(Pourer)
    c = culvert(ADMIN + route(target, "close_timeout = 300ms"))
    admin, before = Admin(c), c.fds()
    for _ in range(3):
        ws = stalled(c, admin)
        ws.reset() if how == "reset" else ws.close()
        wait_until(lambda: pipes(admin) == 0 and c.fds() <= before, "nothing is left")


def test_a_reset_of_the_target_comes_behind_what_is_in_the_pipe(culvert, peer):
    words = os.urandom(8_000_000)
    target = peer(Resetter, words)
    c = culvert(ADMIN + route(target, "buffer = 16m"))
    admin = Admin(c)
    ws = stalled(c, admin)
    c.wait_quiet()
    ws.send(frame(BINARY, b"x"))  # for a target that waits for something
    got = b""
    while (one := ws.recv_frame()).opcode == BINARY:
        got += one.payload
    assert one.opcode == CLOSE and len(got) > 1_000_000 and words.startswith(got)


def test_large_and_small_answers_mixed(culvert, peer):
    """Each guess of what comes next may be wrong."""
    target = peer(Target)
    c = culvert(route(target))
    ws = c.ws("/x")
    conn = target.accept()
    for n in (1, 70_000, 1, 16_384, 16_383, 300_000, 2, 65_536, 65_536, 65_536, 5, 1_000_000, 3):
        data = os.urandom(n)
        conn.send(data)
        assert ws.recv_bytes(n) == data
        ws.send_binary(data)
        assert conn.read(n) == data


def test_unix_sockets_on_both_sides(culvert, peer, tmp_path):
    target = peer(Pourer, 20_000_000, path=str(tmp_path / "target"))
    address = str(tmp_path / "front")
    c = culvert(f"[server]\nlisten = unix:{address}\nadmin = 127.0.0.1:0\nworkers = 1\n{route(target)}")
    admin = Admin(c)
    ws = c.ws("/x", address=address)
    wait_until(lambda: admin.metrics().get("culvert_worker_buffer_bytes") > 0, "bytes to wait")
    assert read_all(ws)[:2] == (target.digest(), target.total)


def test_a_reset_behind_a_mass_of_bytes_is_no_end_in_order(culvert, peer):
    """The pipe is told of it first, and only once."""
    target = peer(Resetter, os.urandom(4 * 65536), wait_for=1)  # a reset before the 101 is a 502
    c = culvert(ADMIN + route(target))
    for _ in range(5):
        ws = c.ws("/x")
        ws.send_binary(b"x")
        while (one := ws.recv_frame()).opcode == BINARY:
            pass
        assert one.payload[:2] == (1014).to_bytes(2, "big")
        ws.send_close(1014)
        ws.close()
