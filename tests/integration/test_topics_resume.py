# SPDX-License-Identifier: BSD-2-Clause
"""One order of messages for everybody, and clients that lose their connection again and again."""

import random
import threading
import time

import pytest

from harness.culvert import VARIANT
from harness.topics import KINDS, Publisher, TopicSse, TopicWs, brief, number, payload, route
from harness.wait import DEADLINE

ON_ALL = pytest.mark.parametrize("kind", KINDS)
LARGE = "queue_messages = 100000\nqueue_bytes = 64m\n"


class Threads:
    """Run at once; the first failure is told at the end."""

    def __init__(self):
        self.threads, self.failures = [], []

    def start(self, function, *args):
        def run():
            try:
                function(*args)
            except BaseException as failure:
                self.failures.append(failure)

        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def join(self, timeout=2 * DEADLINE):
        end = time.monotonic() + timeout
        for thread in self.threads:
            thread.join(max(0, end - time.monotonic()))
        if self.failures:
            raise self.failures[0]
        assert not any(thread.is_alive() for thread in self.threads), "somebody waits"


# ---- one order ----


def publish_by_post(c, who, count, topics):
    p = Publisher(c)
    for i in range(count):
        p.put(topics[i % len(topics)], f"{who}.{i}")


def publish_by_ws(c, who, count, topics):
    """Without waiting for the answers."""
    ws = TopicWs(c, ["quiet"]).begin()
    for i in range(count):
        ws.say(publish=topics[i % len(topics)], data=f"{who}.{i}", ref=i)
    assert [ws.next()["ref"] for _ in range(count)] == list(range(count))


def same(one):
    return (one["id"], one["topic"], payload(one).decode())


@pytest.mark.tsan
def test_all_see_the_same_order_on_every_transport_and_worker(culvert):
    """Several publishers on several topics; whoever comes later and asks for the past sees it too."""
    c = culvert(route(LARGE, server="workers = 2", subscribe="#", publish="#"))
    clients = [(kind, KINDS[kind](c, ["a/#", "b"]).begin()) for kind in 3 * list(KINDS)]
    start = clients[0][1].since
    count = 150
    topics = ["a/1", "a/2", "b", "a/3", "else"]
    publishers, readers = Threads(), Threads()
    got = {i: [] for i in range(len(clients))}

    def read(i, client):
        while brief(message := client.next()) != ("b", "end"):
            got[i].append(same(message))

    for i, (_, client) in enumerate(clients):
        readers.start(read, i, client)
    for who in range(4):
        publishers.start([publish_by_post, publish_by_ws][who % 2], c, who, count, topics)
    publishers.join()
    Publisher(c).put("b", "end")
    readers.join()
    first = got[0]
    assert len(first) == 4 * count * 4 // 5
    for i, (kind, _) in enumerate(clients):
        assert got[i] == first, (i, kind)
    for who in range(4):
        mine = [int(data.split(".")[1]) for _, _, data in first if data.startswith(f"{who}.")]
        assert mine == [i for i in range(count) if i % 5 != 4]
    for kind in KINDS:
        for _ in range(2):
            past = KINDS[kind](c, ["a/#", "b"], start).until("subscribed")
            assert [same(one) for one in past if "id" in one][:-1] == first


# ---- cuts ----


class Steady:
    """Publishes numbers, one after the other, until it is stopped."""

    def __init__(self, c, threads, pause=0.002, topics=("a/1", "a/2", "b", "else")):
        self.c, self.pause, self.topics = c, pause, topics
        self.said, self.stopping = [], False
        threads.start(self.run)

    def run(self):
        p = Publisher(self.c)
        while not self.stopping:
            topic = self.topics[len(self.said) % len(self.topics)]
            self.said.append((p.put(topic, str(len(self.said))), topic))
            time.sleep(self.pause)
        self.said.append((p.put("b", "end"), "b"))


def come_back(kind, c, since):
    if kind == "sse":
        return TopicSse(c, ["a/#", "b"], headers=[("Last-Event-ID", since)])
    return KINDS[kind](c, ["a/#", "b"], since)


def cut(client, rng):
    """Sometimes in the middle of a message, or with RST, or while it waits."""
    if client.name == "poll" and rng.random() < 0.5:
        client.send()
    if rng.random() < 0.3:
        client.wire.reset()
    else:
        client.close()


def read_with_cuts(kind, c, start, cuts, seed, got):
    rng = random.Random(seed)
    since, done = start, False
    while not done:
        client = come_back(kind, c, since)
        client.begun, client.since = True, since
        if kind == "poll":
            client.send()
            client.waiting = client.receive()
        left = rng.randrange(6) if cuts > 0 else -1
        cuts -= 1
        while left != 0 and not done:
            message = client.next()
            assert message.get("event") in (None, "subscribed"), message
            if "topic" in message:
                got.append(same(message))
                done = got[-1][2] == "end"
                left -= 1
        since = client.since
        cut(client, rng)


@pytest.mark.tsan
@ON_ALL
def test_nothing_is_lost_or_repeated_while_history_reaches(culvert, kind):
    """A thousand cuts in all, while others publish."""
    c = culvert(route(LARGE + "[bus]\nhistory_messages = 1000000\n", server="workers = 2\n[log]\naccess = no",
                      subscribe="#", publish="#"))
    start = KINDS["ws"](c).begin().since
    publishing, readers, got = Threads(), Threads(), [[] for _ in range(4)]
    steady = Steady(c, publishing)
    for i, mine in enumerate(got):
        readers.start(read_with_cuts, kind, c, start, 10 if VARIANT == "tsan" else 84, i, mine)
    time.sleep(0.1)
    stopper = threading.Timer(2.5, lambda: setattr(steady, "stopping", True))
    stopper.start()
    readers.join()
    publishing.join()
    wanted = [(said, topic) for said, topic in steady.said if topic != "else"]
    for mine in got:
        assert [(one[0], one[1]) for one in mine] == wanted


@ON_ALL
def test_reset_is_told_exactly_when_something_is_missing(culvert, kind):
    """A short history: the number that `subscribed` tells says what was still there."""
    kept = 20
    c = culvert(route(f"{LARGE}[bus]\nhistory_messages = {kept}\n", subscribe="#", publish="#"))
    since = KINDS["ws"](c).begin().since
    publishing, rng = Threads(), random.Random(3)
    steady = Steady(c, publishing, pause=0.001, topics=("a/1",))
    resets = followed = 0
    try:
        while resets < 10 or followed < 10:
            time.sleep(rng.choice([0, 0.01, 0.02, 0.06]))
            client = come_back(kind, c, since)
            before = client.until("subscribed")
            reached = number(client.since) - number(since) <= kept
            if [brief(one) for one in before] == ["reset"]:
                assert not reached
                resets += 1
            else:
                assert reached
                numbers = [number(one["id"]) for one in before]
                assert numbers == list(range(number(since) + 1, number(client.since) + 1))
                followed += 1
            since = client.since
            client.close()
    finally:
        steady.stopping = True
        publishing.join()


@ON_ALL
def test_a_restart_is_another_epoch(culvert, kind):
    text = route(subscribe="#", publish="#")
    c = culvert(text)
    since = Publisher(c).put("a", "1")
    c.stop()
    c = culvert(text)
    p = Publisher(c)
    assert p.put("a", "2", retain=1).split("-")[0] != since.split("-")[0]
    assert come_back(kind, c, since).briefs(1) == ["reset"]


def test_history_goes_on_while_it_is_read(culvert):
    """A client that reads its history slowly is overtaken by eviction: it begins anew, and misses nothing after."""
    c = culvert(route(LARGE + "[bus]\nhistory_messages = 50\n", subscribe="#", publish="#"))
    p = Publisher(c)
    since = p.put("a", "first")
    for i in range(49):
        p.put("a", f"{i} " + "x" * 100_000)
    p.put("b", "kept", retain=1)
    slow = TopicWs(c, since=since, receive_buffer=4096)
    c.wait_quiet()
    for i in range(60):
        p.put("a", f"live {i}")
    before = [brief(one) for one in slow.until("subscribed")]
    at = before.index("reset")
    assert 0 < at < 49
    assert [one[1].split(" ")[0] for one in before[:at]] == [str(i) for i in range(at)]
    assert before[at:] == ["reset", ("b", "kept", True)]
    assert slow.briefs(60) == [("a", f"live {i}") for i in range(60)]
