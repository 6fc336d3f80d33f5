# SPDX-License-Identifier: BSD-2-Clause
"""Odd input to topic routes, made by chance from what they take: the workers live."""

import json
import os
import random
import threading

import pytest

from harness.culvert import VARIANT
from harness.http import request
from harness.topics import JSON, STREAM, TopicWs, route, well
from harness.wait import DEADLINE
from harness.wire import Wire
from harness.ws import BINARY, CONTINUATION, PING, TEXT, frame, upgrade_headers, upgrade_request

MORE = "[route /raw]\ntarget = topics:\npayload = raw\nsubscribe = #, $$x/#\npublish = a\norigins = any\n"
WORKERS = "workers = 2\n[log]\naccess = no\n"
N = 1000 if VARIANT == "tsan" else 10_000


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
def test_s14_odd_requests(culvert):
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
def test_s14_odd_messages(culvert):
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
def test_s14_odd_frames(culvert):
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
            else:
                wire.finish()
                wire.read_to_end(reset_is_end=True)
    well(c)
