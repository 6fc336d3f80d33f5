# SPDX-License-Identifier: BSD-2-Clause
"""The same sequence for everybody, and for who comes back: cut a thousand times, nothing is lost or repeated."""

import random
import threading

import pytest

from harness.topics import KINDS, Publisher, brief, number, route
from harness.wait import Stopwatch

CUTS = 340  # of each kind of client: a thousand and twenty together
THE_END = "the end"
TOPICS = ["sensors/a", "sensors/b", "chat/hall", "chat/kitchen"]


class Publishing:
    """Several threads that publish for as long as somebody listens; what they were told is taken, in `ids`."""

    def __init__(self, culvert, n=3, pause=0.002):
        self.culvert, self.pause = culvert, pause
        self.stop = threading.Event()
        self.ids = {}
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(n)]

    def run(self, which):
        publisher = Publisher(self.culvert)
        count = 0
        while not self.stop.wait(self.pause):
            text = f"{which}.{count}"
            self.ids[publisher.put(random.choice(TOPICS), text)] = text
            count += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def collect(culvert, kind, publishing, cuts, out):
    """Reads a random few, goes away in the middle of something, and comes back with its cursor."""
    rng = random.Random(kind)
    since, got, done = None, [], 0
    while True:
        client = KINDS[kind](culvert, [], since)
        while since is None or not client.begun or rng.random() < 0.75:
            message = client.next()
            if message.get("event") is None and "retained" not in message:
                got.append((message["id"], message["data"]))
                since = message["id"]
            elif message.get("event") == "subscribed" and since is None:
                since = message["since"]
            else:
                assert message.get("event") == "subscribed", (kind, message)
            if got and got[-1][1] == THE_END:
                client.close()
                out[kind] = got
                return
            if done == cuts and not publishing.stop.is_set():
                publishing.finished.release()
                publishing.stop.wait(60)
        client.close()
        done = min(done + 1, cuts)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_thousand_cuts_lose_and_repeat_nothing(culvert, workers):
    c = culvert(route("poll_wait = 1s\n[bus]\nhistory_messages = 100000\n", f"workers = {workers}"))
    out = {}
    with Publishing(c) as publishing:
        publishing.finished = threading.Semaphore(0)
        threads = [threading.Thread(target=collect, args=(c, kind, publishing, CUTS, out)) for kind in KINDS]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert publishing.finished.acquire(timeout=120)
        # Everybody has been cut often enough: what is published last is the end.
        ends = Publisher(c)
        publishing.stop.set()
        for thread in publishing.threads:
            thread.join()
        last = number(ends.put(TOPICS[0], THE_END))
        for thread in threads:
            thread.join(60)
    assert set(out) == set(KINDS)
    for pattern in (" websocket route", " sse route", " request route.*method=GET"):
        assert len(c.log_lines(pattern)) >= CUTS, pattern
    for kind, got in out.items():
        numbers = [number(one) for one, _ in got]
        assert numbers == sorted(set(numbers)), kind
        assert numbers == list(range(numbers[0], last + 1)), kind
        for one, text in got[:-1]:
            assert publishing.ids[one] == text
    shortest = min(len(got) for got in out.values())
    tails = [got[-shortest:] for got in out.values()]
    assert tails[0] == tails[1] == tails[2]


def test_the_same_order_on_every_transport_and_worker(culvert):
    c = culvert(route(server="workers = 3"))
    clients = [KINDS[kind](c).begin() for kind in KINDS for _ in range(6)]
    watch = Stopwatch()
    with Publishing(c, n=4, pause=0) as publishing:
        while len(publishing.ids) < 600 and watch.seconds < 60:
            publishing.stop.wait(0.01)
            publishing.stop.clear()
    n = len(publishing.ids)
    first = [(one["id"], one["data"]) for one in clients[0].messages(n)]
    assert first == sorted(publishing.ids.items(), key=lambda pair: number(pair[0]))
    for client in clients[1:]:
        assert [(one["id"], one["data"]) for one in client.messages(n)] == first, client.name


@pytest.mark.parametrize("kind", KINDS)
def test_who_was_away_too_long_is_told_so(culvert, kind):
    c = culvert(route("[bus]\nhistory_messages = 50\n"))
    publisher = Publisher(c)
    client = KINDS[kind](c).begin()
    publisher.put("chat/a", "0", retain=1)
    since = client.messages(1)[0]["id"]
    client.close()
    for i in range(1, 51):
        publisher.put("chat/a", str(i))
    again = KINDS[kind](c, [], since)
    assert [brief(one)[1] for one in again.until("subscribed")] == [str(i) for i in range(1, 51)] or kind == "poll"
    publisher.put("chat/b", "one too many")
    late = KINDS[kind](c, [], since)
    assert late.briefs(3) == ["reset", ("chat/a", "0", True), "subscribed"]
    publisher.put("chat/a", "live")
    assert late.briefs(1) == [("chat/a", "live")]
