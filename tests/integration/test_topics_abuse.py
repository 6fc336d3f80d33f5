# SPDX-License-Identifier: BSD-2-Clause
"""What is sent to topic routes to bring a worker down, or to fill its memory."""

import json
import os
import random
import socket
import threading

import pytest

from harness.culvert import VARIANT
from harness.http import request
from harness.topics import JSON, STREAM, Publisher, TopicSse, TopicWs, brief, route
from harness.wait import DEADLINE, wait_until
from harness.wire import Wire
from harness.ws import BINARY, CONTINUATION, PING, TEXT, frame, upgrade_headers, upgrade_request

# What was freed is not to be kept long.
ENV = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:quarantine_size_mb=4"}
MORE = "[route /raw]\ntarget = topics:\npayload = raw\nsubscribe = #, $$x/#\npublish = a\norigins = any\n"
WORKERS = "workers = 2\n[log]\naccess = no\n"
N = 1000 if VARIANT == "tsan" else 10_000


def well(c):
    """Both workers still serve."""
    for _ in range(4):
        ws = TopicWs(c, ["chat/+"]).begin()
        Publisher(c).put("chat/a", "well")
        while brief(ws.next()) != ("chat/a", "well"):
            pass
        ws.close()


def pieces(rng):
    """Something that may stand in a query."""
    return rng.choice([
        "", "a", "chat/a", "%23", "+", "chat/+", "sensors/%23", "%24x", "/", "//", "%00", "%", "%zz", "%ff", "a/" * 130,
        "a" * rng.randrange(4000), "%2F", "%2e%2e", "=", "&", "\\", "'\"", "-1", "0-0", "f" * 16 + "-0", "x" * 65,
        "".join(chr(rng.randrange(33, 127)) for _ in range(rng.randrange(20))),
    ])  # fmt: skip


def odd_request(rng):
    keys = ["topic", "since", "retain", "session", "ack", "n", "heartbeat", "wait", "x", ""]
    query = "&".join(f"{rng.choice(keys)}={pieces(rng)}" for _ in range(rng.randrange(5)))
    headers = rng.sample([
        ("Accept", STREAM), ("Accept", JSON), ("Accept", "*/*"), ("Origin", "http://localhost"), ("Origin", "null"),
        ("Last-Event-ID", pieces(rng)), ("Culvert-Session", pieces(rng)), ("Content-Length", str(rng.randrange(-1, 100))),
        ("Transfer-Encoding", "chunked"), ("Expect", "100-continue"), ("Connection", "close"), ("Content-Type", JSON),
        *upgrade_headers(rng.choice([(), ("culvert.v1",)])),
    ], rng.randrange(6))  # fmt: skip
    if rng.random() < 0.2:
        headers += upgrade_headers()
    data = request(rng.choice(["GET", "GET", "GET", "POST", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "BREW"]),
                   f"{rng.choice(['/live', '/live', '/raw', '/live/', '/'])}?{query}", headers=headers,
                   body=os.urandom(rng.randrange(50)) if rng.random() < 0.5 else b"", version=rng.choice(["1.1", "1.1", "1.0"]))  # fmt: skip
    if rng.random() < 0.2:
        data += frame(rng.choice([TEXT, BINARY, PING, CONTINUATION, 11]), os.urandom(rng.randrange(200)), fin=rng.random() < 0.8)
    if rng.random() < 0.1:  # a byte is another
        at = rng.randrange(len(data))
        data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    return data[: rng.randrange(len(data))] if rng.random() < 0.05 else data


def send_odd(c, seed, n, statuses):
    rng = random.Random(seed)
    for _ in range(n):
        with Wire.open(c.address) as wire:
            try:
                wire.send(odd_request(rng) * rng.choice([1, 1, 1, 3]))
                wire.sock.settimeout(0.001)
                statuses.append(wire.sock.recv(100)[9:12])
            except OSError:
                pass
            if rng.random() < 0.3:
                wire.reset()


@pytest.mark.tsan
def test_odd_requests(culvert):
    c = culvert(route("poll_wait = 1s\n" + MORE, server=WORKERS))
    statuses = []
    threads = [threading.Thread(target=send_odd, args=(c, seed, N // 4, statuses)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {b"101", b"200", b"400", b"403", b"405", b"426"} <= set(statuses)
    well(c)


# ---- on a connection ----


def mutate(rng, text):
    data = bytearray(text)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at:at] = rng.choice([b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u0000", b"\\ud800", b"#", b"+", b"/", b"1e9"])
        elif kind == 1:
            del data[at : at + rng.randrange(5)]
        elif kind == 2 and at < len(data):
            data[at] = rng.randrange(32, 127)
        else:
            data[at:at] = data[: rng.randrange(20)]
    return bytes(data)


SAID = [
    {"publish": "chat/a", "data": "x", "ref": 1}, {"publish": "chat/a", "data64": "eA==", "retain": True, "ref": "r"},
    {"publish": "sensors/a/b", "data": "", "retain": True}, {"subscribe": ["chat/a", "sensors/#"], "ref": 2},
    {"subscribe": ["sensors/+"], "since": "0123456789abcdef-1", "ref": 3}, {"unsubscribe": ["chat/a", "sensors/#", "sensors/+"]},
]  # fmt: skip


@pytest.mark.tsan
def test_odd_messages(culvert):
    c = culvert(route(MORE, server=WORKERS))
    rng = random.Random(1)
    seeds = [json.dumps(one).encode() for one in SAID]
    ws = TopicWs(c, ["chat/+"]).begin()
    events = []

    def read():
        while (message := ws.read()).get("ref") != "the end":
            events.append(message.get("event"))
        events.append("the end")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for _ in range(N // 50):
        ws.wire.send(b"".join(frame(TEXT, mutate(rng, rng.choice(seeds))) for _ in range(50)))
    ws.say(unsubscribe=["chat/a"], ref="the end")
    reader.join(DEADLINE)
    assert events[-1] == "the end" and min(events.count("error"), events.count("ack"), events.count(None)) > N // 100
    well(c)


@pytest.mark.tsan
def test_odd_frames(culvert):
    """Each on a connection of its own, behind a message that is fine."""
    c = culvert(route(MORE, server=WORKERS))
    rng = random.Random(2)
    for i in range(N // 20):
        with Wire.open(c.address) as wire:
            data = upgrade_request(rng.choice(["/live", "/raw"])) + frame(TEXT, json.dumps(rng.choice(SAID)))
            for _ in range(rng.randrange(1, 5)):
                data += frame(rng.randrange(16), os.urandom(rng.randrange(130)), fin=rng.random() < 0.7, rsv=rng.choice([0, 0, 0, 4]),
                              key=rng.choice([None, b"\1\2\3\4", b"\1\2\3\4"]))  # fmt: skip
            wire.send(data[: rng.randrange(len(data))] if rng.random() < 0.2 else data)
            if i % 3 == 0:
                wire.reset()
    well(c)


# ---- memory ----


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
    flood = [TopicWs(c, ["chat/none"]).wire for _ in range(2)]
    for wire in flood:
        threading.Thread(target=push, args=(wire, block, 20 << 20), daemon=True).start()
    most = 0
    for i in range(30):
        Publisher(c).put("chat/a", str(i))
        assert reads.briefs(1) == [("chat/a", str(i))]
        most = max(most, c.resident_bytes())
    # Two workers' inboxes, history, queues, and what the sanitizer adds.
    assert most - before < 200 << 20
    for wire in flood:
        wire.close()
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
    for i in range(N // 20):
        wire = Wire(socket.create_connection(c.address))
        wire.send(rng.choice([upgrade_request("/live"), request("GET", "/live", headers=[("Accept", STREAM)]),
                              request("GET", "/live", headers=[("Accept", JSON)])]))  # fmt: skip
        if i % 2:
            wire.read(rng.randrange(1, 2000))
        wire.reset() if i % 3 else wire.close()
    wait_until(lambda: c.fds() <= fds, "descriptors to be given back")
    well(c)
