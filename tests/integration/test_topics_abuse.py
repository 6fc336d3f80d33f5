# SPDX-License-Identifier: BSD-2-Clause
"""What is sent to topic routes to fill a worker's memory."""

import json
import random
import socket
import threading

import pytest

from harness.http import request
from harness.topics import JSON, STREAM, Publisher, TopicSse, TopicWs, route, well
from harness.wait import wait_until
from harness.wire import Wire
from harness.ws import TEXT, frame, upgrade_request

# What was freed is not to be kept long.
ENV = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:quarantine_size_mb=4"}
WORKERS = "workers = 2\n[log]\naccess = no\n"


def push(wire, block, limit):
    """Sends until nothing is taken any more, or that much was; returns whether it was stopped."""
    wire.sock.settimeout(0.7)
    sent = 0
    try:
        while sent < limit:
            sent += wire.sock.send(block)
        return False
    except TimeoutError:
        return True
    except OSError:
        return False  # closed meanwhile


def test_publications_whose_answers_nobody_reads_stop(culvert):
    """Back-pressure: it is not read before it reads; what waits is bounded."""
    c = culvert(route("write_timeout = 60s\n", server=WORKERS), env=ENV)
    well(c)
    before = c.resident_bytes()
    said = json.dumps({"publish": "sensors/a", "data": "", "ref": "r" * 60}).encode()
    block = frame(TEXT, said) * 500
    wires = [TopicWs(c, ["chat/none"], receive_buffer=4096).wire for _ in range(3)]
    assert all(push(wire, block, 64 << 20) for wire in wires)
    assert c.resident_bytes() - before < 48 << 20
    well(c)


@pytest.mark.parametrize("said", [
    {"subscribe": ["sensors/#"], "ref": "r" * 60}, {"subscribe": [f"sensors/{i}" for i in range(64)]},
    {"subscribe": ["#"], "ref": 1}, {"unsubscribe": ["sensors/#"], "ref": 1}, {"what": 1},
    {"subscribe": ["sensors/#"], "since": "0-1", "ref": 1},
])  # fmt: skip
def test_requests_whose_answers_nobody_reads_stop(culvert, said):
    c = culvert(route("write_timeout = 60s\n", server=WORKERS), env=ENV)
    p = Publisher(c)
    for i in range(100):
        p.put(f"sensors/{i}", "x" * 1000, retain=1)
    before = c.resident_bytes()
    wires = [TopicWs(c, ["chat/none"], receive_buffer=4096).wire for _ in range(2)]
    assert all(push(wire, frame(TEXT, json.dumps(said)) * 300, 64 << 20) for wire in wires)
    assert c.resident_bytes() - before < 48 << 20
    well(c)


def test_a_flood_of_publications_fills_nothing(culvert):
    """Nobody waits for an answer; there is a subscriber that reads nothing, and one that does."""
    c = culvert(route("write_timeout = 60s\nqueue_messages = 100\n[bus]\nhistory_bytes = 4m\n", server=WORKERS), env=ENV)
    well(c)
    before = c.resident_bytes()
    stuck = [TopicWs(c, ["sensors/#"], receive_buffer=4096).begin(), TopicSse(c, ["sensors/#"], receive_buffer=4096).begin()]
    reads = TopicWs(c, ["chat/+"]).begin()
    block = frame(TEXT, json.dumps({"publish": "sensors/a", "data": "x" * 1000})) * 50
    flood = [threading.Thread(target=push, args=(TopicWs(c, ["chat/none"]).wire, block, 20 << 20), daemon=True) for _ in range(2)]
    for thread in flood:
        thread.start()
    most = rounds = 0
    while any(thread.is_alive() for thread in flood):
        Publisher(c).put("chat/a", str(rounds))
        assert reads.briefs(1) == [("chat/a", str(rounds))]
        most = max(most, c.resident_bytes())
        rounds += 1
    assert rounds > 1
    # Two workers' inboxes, history, queues, and what the sanitizer adds.
    assert most - before < 64 << 20
    c.wait_quiet()
    for client in stuck:
        got = client.next()
        while got.get("event") != "dropped":
            got = client.next()
        assert got["count"] > 0
    well(c)


def test_values_for_a_million_topics(culvert):
    c = culvert(route("[bus]\nretained_max = 1000\nretained_bytes = 1m\n", server=WORKERS), env=ENV)
    before = c.resident_bytes()
    ws = TopicWs(c, ["chat/none"]).begin()
    for i in range(200):
        ws.wire.send(b"".join(frame(TEXT, json.dumps({"publish": f"sensors/{i}/{j}/" + "d/" * 60, "data": "x" * 100, "retain": True}))
                              for j in range(50)))  # fmt: skip
    ws.ask(publish="chat/a", data="end")
    assert c.resident_bytes() - before < 64 << 20
    values = TopicWs(c, ["sensors/#"]).until("subscribed")
    assert 0 < len(values) <= 1000
    well(c)


def test_connections_that_come_and_go(culvert):
    """In the middle of their beginning, with much that is retained for them."""
    c = culvert(route(server=WORKERS), env=ENV)
    p = Publisher(c)
    for i in range(200):
        p.put(f"sensors/{i}", "x" * 2000, retain=1)
    fds = c.fds()
    rng = random.Random(3)
    for i in range(500):
        wire = Wire(socket.create_connection(c.address))
        wire.send(rng.choice([upgrade_request("/live"), request("GET", "/live", headers=[("Accept", STREAM)]),
                              request("GET", "/live", headers=[("Accept", JSON)])]))  # fmt: skip
        if i % 2:
            wire.read(rng.randrange(1, 2000))
        wire.reset() if i % 3 else wire.close()
    wait_until(lambda: c.fds() <= fds, "descriptors to be given back")
    well(c)
