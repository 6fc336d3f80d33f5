# SPDX-License-Identifier: BSD-2-Clause
"""Who does not read slows the other side down, and costs a bounded number of bytes meanwhile."""

import hashlib
import os
import socket
import threading

import pytest

from harness.culvert import VARIANT
from harness.http import read_answer, request
from harness.peers import Echo, Pourer, SlowReader
from harness.wait import DEADLINE, Stopwatch, wait_until
from harness.ws import BINARY, PING, frame, header

# What a connection may cost beside its `buffer`: itself, its TLS state, the last read.
SLACK = 64 * 1024

pytestmark = pytest.mark.skipif(VARIANT == "tsan", reason="its allocator does not tell live bytes")


def kib(n):
    return n * 1024


def steady(read, what):
    """Waits until read() gives the same three times, some moments apart; returns it."""
    seen = []

    def same():
        seen.append(read())
        return len(seen) > 3 and len(set(seen[-3:])) == 1

    wait_until(same, what, step=0.25)
    return seen[-1]


@pytest.mark.parametrize("buffer", [16, 256, 4096])
def test_a_client_that_never_reads_stops_a_pouring_target(culvert, peer, buffer):
    total = 40_000_000
    target = peer(Pourer, total)
    c = culvert(f"[route /x]\ntarget = {target.url}\nbuffer = {buffer}k\nheartbeat = 0\n")
    warm_up(c, "/x")
    cold = c.stats().live_bytes
    kept = []
    for _ in range(2):
        target.poured = 0
        ws = c.ws("/x", receive_buffer=65536)
        steady(lambda: target.poured, "the target to be held up")
        assert 0 < target.poured < total
        assert c.stats().live_bytes - cold <= kib(buffer) + SLACK
        # The reader wakes up, and nothing is missing.
        digest, got = hashlib.sha256(), 0
        while (one := ws.recv_frame()).opcode == BINARY:
            digest.update(one.payload)
            got += len(one.payload)
        assert got == total and digest.hexdigest() == target.digest()
        ws.send_close(1000)
        ws.wait_closed()
        wait_until(lambda: c.stats().connections == 0, "the connection to go")
        kept.append(c.stats().live_bytes)
    assert kept[1] == kept[0]  # the first time fills the pool of buffers, which is bounded


@pytest.mark.parametrize("buffer", [16, 256, 4096])
def test_a_target_that_never_reads_stops_a_pouring_client(culvert, peer, buffer):
    total = 40_000_000
    block = os.urandom(64_000)
    expected = hashlib.sha256(block * (total // len(block))).hexdigest()
    targets = [peer(SlowReader, receive_buffer=65536) for _ in range(2)]
    c = culvert(
        "".join(f"[route /{i}]\ntarget = {t.url}\nbuffer = {buffer}k\nheartbeat = 0\n" for i, t in enumerate(targets))
        + "[route /warm]\ntarget = echo:\n"
    )
    warm_up(c, "/warm")
    cold = c.stats().live_bytes
    kept = []
    for i, target in enumerate(targets):
        ws = c.ws(f"/{i}")
        sent = [0]

        def pour():
            ws.send(header(BINARY, total) + bytes(4))
            while sent[0] < total:
                ws.send(block)
                sent[0] += len(block)

        thread = threading.Thread(target=pour, daemon=True)
        thread.start()
        steady(lambda: sent[0], "the client to be held up")
        assert 0 < sent[0] < total
        assert c.stats().live_bytes - cold <= kib(buffer) + SLACK
        target.go()
        thread.join(DEADLINE)
        wait_until(lambda: target.length >= total, "all bytes at the target")
        assert target.length == total and target.digest.hexdigest() == expected
        ws.leave()
        wait_until(lambda: c.stats().connections == 0, "the connection to go")
        kept.append(c.stats().live_bytes)
    assert kept[1] == kept[0]


def warm_up(culvert, path):
    """Connections that come and go together, so that the loop's tables have what they keep."""
    together = [culvert.ws(path) for _ in range(8)]
    wait_until(lambda: culvert.stats().connections >= 8, "the connections to be counted")
    for ws in together:
        ws.send_text("x")
    for ws in together:
        ws.reset()
    wait_until(lambda: culvert.stats().connections == 0, "the connection to go")


def test_over_tls_a_client_that_never_reads_costs_no_more(culvert, peer, certs):
    target = peer(Pourer)
    c = culvert(
        f"[server]\nlisten = 127.0.0.1:0 tls\n[tls]\n{certs.section()}\n"
        f"[route /x]\ntarget = {target.url}\nbuffer = 64k\nheartbeat = 0\nclose_timeout = 200ms\n"
    )
    tls = certs.client_context()
    for _ in range(2):
        c.ws("/x", tls=tls).reset()
        wait_until(lambda: c.stats().connections == 0, "the connection to go")
    before = c.stats()
    c.ws("/x", tls=tls, receive_buffer=65536)
    steady(lambda: target.poured, "the target to be held up")
    assert c.stats().live_bytes - before.live_bytes <= kib(64) + 2 * SLACK


def test_a_client_that_only_pings_and_never_reads_costs_little(culvert):
    c = culvert("[route /x]\ntarget = echo:\nheartbeat = 0\nwrite_timeout = 1h\nbuffer = 16k\n")
    warm_up(c, "/x")
    before = c.stats()
    ws = c.ws("/x", receive_buffer=4096)
    ping = frame(PING, b"p" * 125)
    sent = 0
    ws.sock.settimeout(1)
    try:
        while sent < 40_000_000:
            ws.send(ping * 1000)
            sent += len(ping) * 1000
    except TimeoutError:
        pass
    assert c.stats().live_bytes - before.live_bytes <= kib(16) + SLACK


def test_pipelined_requests_whose_answers_are_not_read_cost_little(culvert):
    c = culvert("[log]\naccess = no\n[route /x]\ntarget = echo:\n")
    c.http().ask(path="/none")
    c.close_clients()
    before = c.stats()
    wire = c.http(receive_buffer=4096)
    asked = wire.fill(request(path="/none") * 100)
    assert asked > 100_000
    assert c.stats().live_bytes - before.live_bytes <= 2 * SLACK + kib(64)
    for _ in range(3000):
        assert read_answer(wire).status == 404


def test_an_echo_to_a_client_that_does_not_read_stops_reading_it(culvert):
    c = culvert("[route /x]\ntarget = echo:\nheartbeat = 0\nbuffer = 64k\n")
    warm_up(c, "/x")
    before = c.stats()
    ws = c.ws("/x", receive_buffer=65536)
    ws.send(header(BINARY, 1 << 40) + bytes(4))
    total = ws.fill()
    assert c.stats().live_bytes - before.live_bytes <= 2 * kib(64) + SLACK
    got = 0
    while got < total:
        got += len(ws.recv_data().payload)
    assert got == total


def test_a_connection_at_full_speed_does_not_starve_another(culvert, peer):
    """One worker: whoever pours must give way."""
    pourer, echo = peer(Pourer), peer(Echo)
    c = culvert(f"[route /pour]\ntarget = {pourer.url}\n[route /echo]\ntarget = {echo.url}\n")
    stop = threading.Event()

    def drink(ws):
        """Until the end of the connection."""
        try:
            while ws.sock.recv(1 << 20):
                pass
        except OSError:
            pass

    def flood(ws):
        block = frame(BINARY, bytes(65536), key=bytes(4))
        while not stop.is_set():
            ws.send(block)

    drinker, flooder, ws = c.ws("/pour"), c.ws("/echo"), c.ws("/echo")
    threads = [
        threading.Thread(target=drink, args=(drinker,), daemon=True),
        threading.Thread(target=flood, args=(flooder,), daemon=True),
        threading.Thread(target=drink, args=(flooder,), daemon=True),
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: pourer.poured > 10_000_000, "the pouring to be under way")
    worst = 0
    for i in range(50):
        watch = Stopwatch()
        ws.send_text(f"round {i}")
        assert ws.recv_bytes(len(f"round {i}")) == f"round {i}".encode()
        worst = max(worst, watch.seconds)
    assert worst < 2
    stop.set()
    threads[1].join()
    for one in (drinker, flooder):
        one.sock.shutdown(socket.SHUT_RDWR)  # wakes the threads that read
    for thread in threads:
        thread.join()
