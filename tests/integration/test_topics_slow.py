# SPDX-License-Identifier: BSD-2-Clause
"""Subscribers that do not keep up: what they lose, what they are told, and that nobody else notices."""

import time

import pytest

from harness.admin import Admin
from harness.topics import Publisher, TopicSse, TopicWs, brief, number, route
from harness.wait import Stopwatch, wait_until

SMALL = {"receive_buffer": 4096}
FILL = "x" * 60_000  # a few of them fill what the kernel keeps for a connection


def stall(culvert, kind, publisher, topics=("chat/+",)):
    """A subscriber whose socket is full: what is published from here on waits in its queue. And how many came
    before."""
    client = kind(culvert, list(topics), **SMALL).begin()
    n = 0
    watch = Stopwatch()
    while True:
        before = sent(culvert)
        publisher.put("chat/fill", FILL)
        n += 1
        time.sleep(0.05)
        if n > 4 and sent(culvert) == before:
            return client, n
        assert n < 400 and watch.seconds < 60


def sent(culvert):
    """Messages that subscribers' sockets have taken."""
    return Admin(culvert).metrics().get("culvert_messages_total", route="/live", direction="out")


def take(client, last):
    """All up to a payload: messages and events, in order."""
    got = []
    while not got or got[-1].get("data") != last:
        got.append(client.next())
    return got


def told(messages):
    """[(data or count of a loss)], without what filled the socket."""
    out = []
    for one in messages:
        if one.get("event") == "dropped":
            out.append(one["count"])
        elif one.get("data") != FILL:
            out.append(one["data"])
    return out


@pytest.fixture
def slow(culvert):
    def start(more, server=""):
        c = culvert(route(f"queue_bytes = 16m\nqueue_messages = 10\n{more}\n", f"admin = 127.0.0.1:0\n{server}"))
        return c, Publisher(c)

    return start


KINDS = pytest.mark.parametrize("kind", [TopicWs, TopicSse], ids=["ws", "sse"])


@KINDS
def test_drop_oldest(slow, kind):
    c, publisher = slow("overflow = drop-oldest")
    client, n = stall(c, kind, publisher)
    for i in range(50):
        publisher.put("chat/a", str(i))
    got = take(client, "49")
    assert told(got)[-10:] == [str(i) for i in range(40, 50)]
    lost = sum(one["count"] for one in got if one.get("event") == "dropped")
    came = sum(1 for one in got if "event" not in one)
    assert came + lost == n + 50 and lost >= 40
    ids = [number(one["id"]) for one in got if "id" in one]
    assert ids == sorted(set(ids))
    publisher.put("chat/a", "after")
    assert brief(client.next()) == ("chat/a", "after")


@KINDS
def test_drop_newest(slow, kind):
    c, publisher = slow("overflow = drop-newest")
    client, n = stall(c, kind, publisher)
    for i in range(50):
        publisher.put("chat/a", str(i))
    # Room comes when it is read: what is published then comes again, behind the loss.
    got = [client.next() for _ in range(n)]
    while got[-1].get("event") != "dropped":
        got.append(client.next())
    lost = got[-1]["count"]
    came = [one["data"] for one in got if "event" not in one and one["data"] != FILL]
    filled = sum(1 for one in got if one.get("data") == FILL)
    assert filled + len(came) + sum(one["count"] for one in got if one.get("event") == "dropped") == n + 50
    assert came == [str(i) for i in range(len(came))] and len(came) <= 10 and lost >= 40
    publisher.put("chat/a", "after")
    assert brief(client.next()) == ("chat/a", "after")


@KINDS
def test_coalesce(slow, kind):
    c, publisher = slow("overflow = coalesce")
    client, _ = stall(c, kind, publisher)
    for i in range(60):
        publisher.put(f"chat/{i % 3}", str(i))
    got = take(client, "59")
    topics = {}
    for one in got:
        if one.get("topic", "chat/fill") != "chat/fill":
            topics.setdefault(one["topic"], []).append(one["data"])
    # The latest of each topic, none of it lost, few of those before.
    assert [topics[f"chat/{i}"][-1] for i in range(3)] == ["57", "58", "59"]
    assert sum(len(one) for one in topics.values()) <= 10
    ids = [number(one["id"]) for one in got if "id" in one]
    assert ids == sorted(set(ids))


@KINDS
def test_disconnect(slow, kind):
    c, publisher = slow("overflow = disconnect")
    client, _ = stall(c, kind, publisher)
    for i in range(11):
        publisher.put("chat/a", str(i))
    if kind is TopicWs:
        _, code, reason = client.closed()
        assert (code, reason) == (1013, "too slow: the queue is full")
    else:
        client.closed()
    assert c.wait_log("code=1013 reason=\"too slow: the queue is full\"")


def test_one_that_takes_nothing_among_a_thousand(slow):
    """The others are not delayed, and memory stays within what its queue may hold."""
    c, publisher = slow("", "workers = 2")
    stalled, _ = stall(c, TopicWs, publisher, ["chat/fill"])
    others = [(TopicWs if i % 2 else TopicSse)(c, ["chat/b"]).begin() for i in range(999)]
    before = c.resident_bytes()
    for i in range(200):
        publisher.put("chat/fill", FILL)
    watch = Stopwatch()
    for i in range(5):
        publisher.put("chat/b", str(i))
        for one in others:
            assert brief(one.next()) == ("chat/b", str(i))
    assert watch.seconds < 40
    assert c.resident_bytes() - before < 64 << 20
    lost = 0
    while not lost:
        lost = stalled.next().get("count", 0)
    assert lost >= 180
    for one in others:
        one.close()


def test_a_subscriber_that_takes_nothing_at_all_is_ended(slow):
    c, publisher = slow("write_timeout = 1s\n")
    stall(c, TopicWs, publisher)
    stall(c, TopicSse, publisher, ["chat/fill", "chat/z"])
    assert wait_until(lambda: len(c.log_lines('code=1013 reason="client takes no data"')) == 2, "both to end")
