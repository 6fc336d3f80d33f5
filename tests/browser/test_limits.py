# SPDX-License-Identifier: BSD-2-Clause
"""Bounds on what the machine sees: resident memory, descriptors, processor time."""

import time

import pytest
from harness.silent import PARTIAL, Crowd
from harness.http import read_answer
from harness.peers import Echo, Pourer
from harness.wait import Stopwatch, wait_until
from harness.wire import Wire
from harness.ws import TEXT, frame, upgrade_request

MIB = 1 << 20


def test_stalled_readers_cost_their_buffers_and_no_more(culvert, peer):
    """50 clients that read nothing of 256 KiB buffers each, while their targets pour."""
    target = peer(Pourer)
    c = culvert(f"[route /x]\ntarget = {target.url}\nbuffer = 256k\nheartbeat = 0\n")
    c.ws("/x").reset()
    wait_until(lambda: c.stats().connections == 0, "the first one to go")
    before = c.resident_bytes()
    for _ in range(50):
        c.ws("/x", receive_buffer=4096)
    last = [None, None]

    def held_up():
        last[:] = last[1:] + [target.poured]
        return last[0] == last[1]

    wait_until(held_up, "the targets to be held up", step=0.5)
    grown = c.resident_bytes() - before
    assert grown < 50 * (256 + 64) * 1024 + 2 * MIB
    assert grown > 50 * 128 * 1024  # the buffers are in use, so the bound means something


def test_idle_connections_own_no_buffers(culvert, peer):
    target = peer(Echo)
    c = culvert(f"[route /x]\ntarget = {target.url}\n")
    for _ in range(20):
        ws = c.ws("/x")
        ws.send_binary(bytes(100_000))
        ws.recv_bytes(100_000)
    c.close_clients()
    wait_until(lambda: c.stats().connections == 0, "the first ones to go")
    before = c.stats()
    clients = [c.ws("/x") for _ in range(300)]
    for ws in clients:
        ws.send_text("hello")
        assert ws.recv_bytes(5) == b"hello"
    idle = c.stats()
    assert idle.connections == 300 and idle.blocks == 0
    assert (idle.live_bytes - before.live_bytes) / 300 < 4096


@pytest.mark.parametrize("target, at_least", [("echo:", 50), ("tcp", 20)], ids=["echo", "tcp"])
def test_without_descriptors_it_waits_and_does_not_spin(culvert, peer, target, at_least):
    """100 clients come to a process that may have 64 descriptors."""
    url = peer(Echo).url if target == "tcp" else target
    c = culvert(
        f"[server]\nheader_timeout = 600s\n[route /x]\ntarget = {url}\nheartbeat = 0\n",
        wrapper=["sh", "-c", 'ulimit -n 64; exec "$0" "$@"'],
    )
    c.expect_error(r"(?i)too many open files|descriptor")
    wires = []
    for number in range(100):
        wire = c.wire()
        wire.send(upgrade_request("/x") + frame(TEXT, b"%02d" % number))
        wires.append(wire)
    c.wait_quiet()
    watch, before = Stopwatch(), c.cpu_seconds()
    time.sleep(2)
    assert c.cpu_seconds() - before < 0.2 * watch.seconds
    assert len(c.log_lines("(?i)too many open files|descriptor")) < 250  # nor does it fill the disk
    # Those that were let in are served; as they leave, the others get their turn.
    served = refused = 0
    for number, wire in enumerate(wires):
        status = read_answer(wire).status
        if status == 101:
            served += 1
            assert wire.recv_bytes(2) == b"%02d" % number
        else:
            assert status in (502, 503)  # let in, but no descriptor was left for its target
            refused += 1
        wire.close()
    assert served >= at_least
    assert served + refused == 100
    with Wire.open(c.address) as wire:
        wire.send(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(wire).status == 404
    wait_until(lambda: c.fds() < 20, "descriptors to return")


def test_s6_a_half_open_client_costs_4_kib_at_most(culvert):
    """10,000 that have each sent most of a head."""
    c = culvert("[server]\nheader_timeout = 600s\n[route /x]\ntarget = echo:\n")
    with Crowd(c.address, [f"127.0.1.{i}" for i in range(1, 9)]) as crowd:
        before = c.stats()
        crowd.come(10_000, lambda number: PARTIAL)
        c.wait_quiet()
        after = c.stats()
        assert after.connections > 9900  # fewer descriptors than that, and the oldest had to go
        each = (after.live_bytes - before.live_bytes) / after.connections
        print(f"live bytes of a half-open client: {each:.0f}")
        assert each < 4096
        ws = c.ws("/x")
        ws.send_text("answer")
        assert ws.recv_bytes(6) == b"answer"


def test_s6_descriptors_are_for_who_asks(culvert, peer):
    """As many silent clients as there can be descriptors, again and again; it does not spin either."""
    target = peer(Echo)
    c = culvert(
        f"[server]\nheader_timeout = 600s\n[route /x]\ntarget = {target.url}\nheartbeat = 0\n",
        wrapper=["sh", "-c", 'ulimit -n 256; exec "$0" "$@"'],
    )
    with Crowd(c.address) as crowd:
        for _ in range(4):
            crowd.come(500)
            for _ in range(5):
                ws = c.ws("/x")
                ws.send_text("answer")
                assert ws.recv_bytes(6) == b"answer"
        c.wait_quiet()
        watch, before = Stopwatch(), c.cpu_seconds()
        time.sleep(1)
        assert c.cpu_seconds() - before < 0.2 * watch.seconds
    wait_until(lambda: c.fds() < 64, "descriptors to return")
