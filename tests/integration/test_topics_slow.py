# SPDX-License-Identifier: BSD-2-Clause
"""Subscribers that read slowly, or nothing: what they lose is told in its place, and nobody else waits for them."""

import json
import os
import signal
import socket
import threading

import pytest

from harness.http import read_answer, request
from harness.topics import KINDS, STREAM, Publisher, TopicPoll, brief, number, route, url
from harness.wait import Stopwatch
from harness.ws import upgrade_request

STREAMS = pytest.mark.parametrize("kind", ["ws", "sse"])
BULK = 100_000  # bytes: what sockets hold is a few dozen of them


# What was freed is not to be kept long.
ENV = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:quarantine_size_mb=4"}


def start(culvert, more="", messages=10, bytes="64m", **options):
    lines = f"queue_messages = {messages}\nqueue_bytes = {bytes}\nwrite_timeout = 60s\n{more}"
    c = culvert(route(lines, **options), env=ENV)
    return c, Publisher(c)


def stalled(kind, c, topics=("sensors/#",), **options):
    return KINDS[kind](c, topics, receive_buffer=4096, **options).begin()


def flood(p, n, topic="sensors/a", size=BULK, first=0):
    return [p.put(topic, f"{i:06} ".encode() + os.urandom(size // 2).hex().encode()) for i in range(first, first + n)]


def told(client, last, count=None):
    """What is read up to the message of that id: numbers of messages and (count,) of losses."""
    got = []
    while not got or got[-1] != last:
        message = client.next()
        got.append((message["count"],) if message.get("event") == "dropped" else number(message["id"]))
    return got


# ---- each policy ----


@STREAMS
def test_drop_oldest(culvert, kind):
    c, p = start(culvert, "overflow = drop-oldest\n")
    client = stalled(kind, c)
    ids = [number(one) for one in flood(p, 200)]
    got = told(client, ids[-1])
    # From the beginning what sockets took, then one loss, then the newest ten.
    losses = [one for one in got if isinstance(one, tuple)]
    at = got.index(losses[0])
    assert len(losses) == 1
    assert got == ids[:at] + [(200 - at - 10,)] + ids[-10:]
    # Then it goes on as if nothing had been.
    last = p.put("sensors/a", "after")
    assert client.next()["id"] == last


@STREAMS
def test_drop_newest(culvert, kind):
    c, p = start(culvert, "overflow = drop-newest\n")
    client = stalled(kind, c)
    ids = [number(one) for one in flood(p, 200)]
    got, seen = [], 0
    while seen < 200:
        message = client.next()
        dropped = message.get("event") == "dropped"
        got.append((message["count"],) if dropped else number(message["id"]))
        seen += message["count"] if dropped else 1
    assert seen == 200 and got == ids[: len(got) - 1] + [(200 - len(got) + 1,)]
    last = p.put("sensors/a", "after")
    assert client.next()["id"] == last


@STREAMS
def test_losses_come_and_go_and_add_up(culvert, kind):
    """It reads a little, again and again: each gap has its count."""
    for overflow in ("drop-oldest", "drop-newest"):
        c, p = start(culvert, f"overflow = {overflow}\n")
        client = stalled(kind, c)
        ids, got = [], []
        for _ in range(6):
            ids += [number(one) for one in flood(p, 60)]
            for _ in range(15):
                got.append(client.next())
        ids.append(number(p.put("sensors/a", "end")))
        while "event" in got[-1] or got[-1]["id"].split("-")[1] != str(ids[-1]):
            got.append(client.next())
            if got[-1].get("event") == "dropped" and sum_of(got) == len(ids):
                break  # the end itself was dropped
        at = 0
        for message in got:
            if message.get("event") == "dropped":
                at += message["count"]
            else:
                assert number(message["id"]) == ids[at], (overflow, at)
                at += 1
        assert at == len(ids)
        assert sum(1 for one in got if one.get("event") == "dropped") > 1


def sum_of(got):
    return sum(one["count"] if one.get("event") == "dropped" else 1 for one in got)


@STREAMS
def test_coalesce(culvert, kind):
    """With a full queue the latest of each topic is kept; nothing is lost as long as there are few topics."""
    c, p = start(culvert, "overflow = coalesce\n")
    client = stalled(kind, c)
    flood(p, 100, "sensors/filler")
    topics = [f"sensors/{i}" for i in range(5)]
    latest = {}
    for i in range(200):
        latest[topics[i % 5]] = number(p.put(topics[i % 5], f"{i}"))
    last = p.put("sensors/filler", "end")
    got = []
    while not got or got[-1]["id"] != last:
        got.append(client.next())
    assert not [one for one in got if "event" in one]
    tail = [one for one in got if one["topic"] != "sensors/filler"]
    # Ids grow (which next() checks); of each topic the latest is there, and few others.
    assert {one["topic"]: number(one["id"]) for one in tail} == latest
    assert len(tail) <= 15
    assert sum(one["topic"] == "sensors/filler" for one in got) < 100


@STREAMS
def test_coalesce_of_many_topics_drops_the_oldest(culvert, kind):
    c, p = start(culvert, "overflow = coalesce\n")
    client = stalled(kind, c)
    flood(p, 100, "sensors/filler")
    ids = [number(p.put(f"sensors/{i}", "x")) for i in range(30)]
    got = []
    while not got or got[-1] != ids[-1]:
        message = client.next()
        if message.get("event") == "dropped":
            got.append((message["count"],))
        elif message["topic"] != "sensors/filler":
            got.append(number(message["id"]))
    # The last filler and twenty others.
    assert got == [(21,)] + ids[-10:]


@STREAMS
def test_disconnect(culvert, kind):
    c, p = start(culvert, "overflow = disconnect\n[bus]\nhistory_bytes = 64m\n")
    client, other = stalled(kind, c), KINDS[kind](c, ["chat/a"]).begin()
    ids = [number(one) for one in flood(p, 200)]
    if kind == "ws":
        got, code, _ = client.closed()
        assert code == 1013
    else:
        got = client.closed()
    assert [number(one["id"]) for one in got] == ids[: len(got)]  # up to where it was
    event = c.wait_event(kind.replace("ws", "websocket"))
    assert (event["ended_by"], event["code"]) == ("culvert", "1013")
    p.put("chat/a", "x")
    assert other.briefs(1) == [("chat/a", "x")]
    # It comes back with what it had, and misses nothing.
    again = KINDS[kind](c, ["sensors/#"], client.since)
    assert [number(one["id"]) for one in again.messages(5)] == ids[len(got) : len(got) + 5]


def test_queue_bytes_bound_it_too(culvert):
    c, p = start(culvert, "message_max = 2m\n", messages=1000, bytes="1m")
    client = stalled("ws", c)
    ids = [number(one) for one in flood(p, 200)]
    got = told(client, ids[-1])
    loss = next(i for i, one in enumerate(got) if isinstance(one, tuple))
    assert len(got) - loss - 1 == 10  # of 100,016 bytes each in 1,048,576


@STREAMS
@pytest.mark.parametrize("overflow", ["drop-oldest", "drop-newest", "coalesce", "disconnect"])
def test_a_message_as_large_as_a_queue_comes(culvert, kind, overflow):
    """Whose topic counts too; nothing waits before it."""
    c, p = start(culvert, f"overflow = {overflow}\nmessage_max = 8k\n", bytes="8k")
    client = KINDS[kind](c, ["sensors/#"]).begin()
    for size in (1, 8191, 8192, 100):
        p.put("sensors/a", "x" * size)
        assert brief(client.next()) == ("sensors/a", "x" * size)


# ---- while it waits ----


def test_a_new_subscription_does_not_overtake_what_waits(culvert):
    """Its `subscribed` moves the cursor: what came before has to be there before."""
    c, p = start(culvert, messages=1000)
    client = stalled("ws", c)
    ids = [number(one) for one in flood(p, 60)]
    p.put("chat/a", "kept", retain=1)
    client.say(subscribe=["chat/a"])
    c.wait_quiet()
    ids += [number(one) for one in flood(p, 3)]
    got = []
    while not got or got[-1] != ids[-1]:
        message = client.next()  # which checks that ids only grow, from `subscribed` on
        if "id" in message:
            got.append(number(message["id"]))
        elif message.get("event") == "dropped":
            got.append((message["count"],))
        else:
            got.append(brief(message))
    at = got.index("subscribed")
    assert got[at - 1] == ("chat/a", "kept", True)
    assert got[at + 1 :] == ids[-3:]


@STREAMS
def test_a_subscriber_that_takes_nothing_is_cut(culvert, kind):
    c = culvert(route("write_timeout = 2s\nqueue_messages = 10\n"))
    p, client = Publisher(c), stalled(kind, c)
    flood(p, 100)
    watch = Stopwatch()
    event = c.wait_event(kind.replace("ws", "websocket"))
    assert (event["ended_by"], event["code"]) == ("culvert", "1013") and watch.seconds < 4 * 2
    client.close()


@STREAMS
def test_one_that_takes_a_little_is_not(culvert, kind):
    c = culvert(route("write_timeout = 1s\nqueue_messages = 10\nheartbeat = 60s\n"))
    p, client = Publisher(c), stalled(kind, c)
    ids = flood(p, 60)
    stop = threading.Event()
    got = []
    for _ in range(20):
        stop.wait(0.15)
        got.append(client.next())
    while got[-1].get("id") != ids[-1]:
        got.append(client.next())
    assert c.events(kind.replace("ws", "websocket")) == []


# ---- among a thousand ----


def join_many(c, n):
    """Connections that have asked, half WebSocket and half event streams, answered."""
    wires = []
    path = url("/live", ["sensors/#"])
    for i in range(n):
        wires.append(c.wire())
        wires[-1].send(upgrade_request(path) if i % 2 else request("GET", path, headers=[("Accept", STREAM)]))
    for wire in wires:
        wire.read_until(b'"subscribed"')
    return wires


def test_a_stalled_one_among_a_thousand_delays_nobody(culvert):
    c, p = start(culvert, "heartbeat = 60s\n[bus]\nhistory_bytes = 1m\n", server="workers = 2\n[log]\naccess = no")
    wires = join_many(c, 1000)
    stuck = [stalled(kind, c, ["sensors/#", "chat/large"]) for kind in ("ws", "ws", "sse", "sse")]
    flood(p, 100, "chat/large")  # until they are
    c.wait_quiet()
    before = c.resident_bytes()
    for i in range(20):
        p.put("sensors/a", f"round-{i}-" + "x" * 1000)
    watch = Stopwatch()
    for wire in wires:
        wire.read_until(b"round-19-")
    assert watch.seconds < 4 * 5
    flood(p, 400, "chat/large")
    # What waits for a stalled one is ten messages, whatever is published.
    assert c.resident_bytes() - before < len(stuck) * 10 * BULK + (32 << 20)
    p.put("sensors/a", "the end")
    for wire in wires:
        wire.read_until(b"the end")
    for client in stuck:
        got = []
        while not got or got[-1] != ("sensors/a", "the end"):
            got.append(brief(client.next()))
        assert "dropped" in got


# ---- long answers ----

VALUES = 64


def retain_many(p):
    texts = [f"{i:06} ".encode() + os.urandom(BULK // 2).hex().encode() for i in range(VALUES)]
    for i, text in enumerate(texts):
        p.put(f"sensors/{i}", text, retain=1)
    return [(f"sensors/{i}", text.decode(), True) for i, text in enumerate(texts)]


def test_polls_that_nobody_reads_hold_no_copies_of_what_is_retained(culvert):
    c, p = start(culvert)
    kept = retain_many(p)
    first = TopicPoll(c, ["sensors/#"])
    assert [brief(one) for one in first.poll()] == kept  # it makes what all others refer to
    assert first.answer["transfer-encoding"] == "chunked"
    before = c.stats().live_bytes
    clients = [TopicPoll(c, ["sensors/#"], receive_buffer=4096) for _ in range(20)]
    for client in clients:
        client.send()
    well_behaved = TopicPoll(c, ["chat/+"], since=first.asked)
    well_behaved.send()
    said = p.put("chat/a", "not held up")
    assert [one["id"] for one in well_behaved.receive()] == [said]
    assert c.stats().live_bytes - before < 20 * 400_000 < 20 * VALUES * BULK / 10
    # What comes meanwhile is in the next answer.
    later = p.put("sensors/3", "later")
    for client in clients[:10]:
        assert [brief(one) for one in client.receive()] == kept
        assert [one["id"] for one in client.poll()] == [later]
    for client in clients[10:]:
        client.close()


@pytest.mark.parametrize("way", ["leave", "kill"])
def test_culvert_ends_in_the_middle_of_a_long_answer(culvert, way):
    c, p = start(culvert)
    kept = retain_many(p)
    client = TopicPoll(c, ["sensors/#"], receive_buffer=4096)
    client.send()
    client.wire.sock.recv(1, socket.MSG_PEEK)  # it has begun
    c.signal(signal.SIGTERM)
    c.wait_log("main draining")
    if way == "leave":
        assert [brief(one) for one in client.receive()] == kept
        client.close()
    else:
        c.signal(signal.SIGTERM)
        with pytest.raises((EOFError, ConnectionResetError)):
            client.receive()
    assert c.wait_exit() == 0


def in_one_turn(c, p, requests):
    """All of them are there when culvert looks, each on a connection of its own."""
    wires = [c.http() for _ in requests]
    c.stats()  # they are accepted
    with c.frozen():
        for wire, (topic, text) in zip(wires, requests):
            headers = [("Content-Length", str(len(text)))]
            wire.send(request("POST", url("/live", [topic]), headers=headers, body=text))
    for wire in wires:
        assert read_answer(wire).status == 200


def test_a_poll_that_waited_and_lost_its_place_gets_a_long_answer(culvert):
    c, p = start(culvert, "[bus]\nhistory_messages = 1\n")
    kept = retain_many(p)
    client = TopicPoll(c, ["sensors/#"], receive_buffer=4096)
    assert [brief(one) for one in client.poll()] == kept
    client.send()
    in_one_turn(c, p, [("sensors/x", str(i).encode()) for i in range(20)])
    client.wire.sock.recv(1, socket.MSG_PEEK)
    client.wire.sock.shutdown(socket.SHUT_WR)  # one answer more is all it wants
    assert [brief(one) for one in client.receive()] == ["reset"] + kept


def test_an_old_client_gets_a_long_answer_to_the_end(culvert):
    c, p = start(culvert)
    kept = retain_many(p)
    wire = c.http(receive_buffer=4096)
    wire.send(b"GET /live?topic=sensors/%23 HTTP/1.0\r\nAccept: application/json\r\n\r\n")
    answer = read_answer(wire)
    assert answer["content-length"] is None and answer["connection"] == "close"
    assert [brief(one) for one in json.loads(answer.body)["messages"]] == kept


# ---- waiting ----


def test_a_poll_that_waits_keeps_its_request_line_alone(culvert):
    c, p = start(culvert)
    since = p.put("sensors/a", "first")
    long = [("Accept", "application/json"), *((f"X-{i}", "x" * 1000) for i in range(8))]
    ask = request("GET", url("/live", ["chat/+"], since), headers=long)
    TopicPoll(c, ["chat/+"]).poll()
    c.stats()
    before = c.stats().live_bytes
    wires = [c.http() for _ in range(50)]
    for wire in wires:
        wire.send(ask)
    assert c.stats().live_bytes - before < 50 * 5000  # of 8,000 of headers each
    # What is behind it is held all the same, at every cut of it.
    wires[0].send(ask[: len(ask) // 2])
    c.stats()
    wires[0].send(ask[len(ask) // 2 :] + ask)
    said = p.put("chat/a", "all of you")
    for wire in wires + [wires[0], wires[0]]:
        assert [one["id"] for one in json.loads(read_answer(wire).body)["messages"]] == [said]
    lines = c.wait_log(f"access .*method=GET path=/live query=topic=chat/.*since={since} status=200", 52)
    assert len(lines) == 52
