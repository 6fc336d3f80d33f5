# SPDX-License-Identifier: BSD-2-Clause
"""Several workers: the same service, on all of them, whatever the listener."""

import os
import threading

import pytest

from harness.peers import Echo, Recorder
from harness.wait import wait_until
from harness.ws import close_frame, frame, upgrade_request

pytestmark = pytest.mark.tsan


def workers_of(events):
    return {event.who.split("-")[0] for event in events}


@pytest.mark.parametrize("listener", ["tcp", "unix", "tls"])
def test_four_workers_share_the_connections(culvert, peer, certs, tmp_path, listener):
    target = peer(Echo)
    where = {"tcp": "127.0.0.1:0", "unix": f"unix:{tmp_path}/culvert.sock", "tls": "127.0.0.1:0 tls"}[listener]
    section = f"[tls]\n{certs.section()}" if listener == "tls" else ""
    c = culvert(f"[server]\nlisten = {where}\nworkers = 4\n{section}[route /x]\ntarget = {target.url}\n")
    tls = certs.client_context() if listener == "tls" else None
    clients = [c.ws("/x", tls=tls) for _ in range(48)]
    for i, ws in enumerate(clients):
        ws.send_text(f"client {i}")
    for i, ws in enumerate(clients):
        assert ws.recv_bytes(len(f"client {i}")) == f"client {i}".encode()
    for ws in clients:
        ws.send_close(1000)
        assert ws.recv_close() == 1000
    c.wait_event("websocket", 48)
    if listener != "unix":  # there the workers race for one socket
        assert len(workers_of(c.events("websocket"))) == 4


def test_many_clients_at_once_on_four_workers(culvert, peer):
    target = peer(Echo)
    c = culvert(f"[server]\nworkers = 4\n[route /x]\ntarget = {target.url}\n[route /inside]\ntarget = echo:\n")
    failures = []

    def talk(number):
        try:
            for i in range(10):
                ws = c.ws("/x" if (number + i) % 2 else "/inside")
                data = os.urandom(20_000)
                ws.send_binary(data)
                assert ws.recv_bytes(len(data)) == data
                if i % 3 == 0:
                    ws.reset()
                else:
                    ws.leave(4000 + number)
        except Exception as failure:  # told by the main thread
            failures.append(failure)

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    c.wait_event("websocket", 120)
    assert len(workers_of(c.events("websocket"))) > 1


def test_names_are_resolved_on_every_worker(culvert, peer):
    target = peer(Recorder)
    c = culvert(f"[server]\nworkers = 4\n[route /x]\ntarget = tcp://localhost:{target.port}\n")
    for _ in range(32):
        wire = c.wire()
        wire.send(upgrade_request("/x") + frame(1, b"x") + close_frame(1000))
    wait_until(lambda: sum(map(len, target.received)) == 32, "all of them at the target")
    c.wait_event("websocket", 32)
    assert len(workers_of(c.events("websocket"))) > 1


def test_workers_auto_serves(culvert):
    c = culvert("[server]\nworkers = auto\n[route /x]\ntarget = echo:\n")
    ws = c.ws("/x")
    ws.send_text("auto")
    assert ws.recv_bytes(4) == b"auto"


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_says_how_many_threads_serve(culvert, workers):
    c = culvert(f"[server]\nworkers = {workers}\n[route /x]\ntarget = echo:\n")
    other = culvert(f"[server]\nworkers = {workers + 5}\n[route /x]\ntarget = echo:\n")
    # They take their names as they begin to run.
    wait_until(lambda: (c.workers(), other.workers()) == (workers, workers + 5), "all workers")
