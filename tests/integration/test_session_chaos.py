# SPDX-License-Identifier: BSD-2-Clause
"""
No byte lost, none repeated, memory bounded: random data through a TCP echo while carriers are cut at
random bytes.
"""

import hashlib
import threading

import pytest

from harness.culvert import VARIANT
from harness.session_chaos import CARRIERS, Chaos, RecordingEcho
from harness.session_conf import SERVER
from harness.wait import wait_until

SIZE, CUTS = 50 << 20, 1000
SESSIONS, EACH, CUTS_EACH = 200, 256 << 10, 20

# What a connection may cost beside its window: itself, the last read, what is remembered of its end.
SLACK = 64 * 1024
BUFFER = 64 * 1024


def configuration(target, workers=1):
    return (f"{SERVER}workers = {workers}\n[log]\naccess = no\n[route /x]\ntarget = {target.url}\nbuffer = 64k\n"
            "close_timeout = 2s\n")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def settle(culvert, fds):
    """All that served the sessions is gone."""
    wait_until(lambda: culvert.fds() <= fds, f"{fds} descriptors, there are {culvert.fds()}")


class Highest:
    """The most bytes that culvert held at any of many moments."""

    def __init__(self, culvert):
        self.culvert, self.bytes = culvert, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.stop.wait(0.02):
            self.bytes = max(self.bytes, self.culvert.stats().live_bytes)

    def end(self):
        self.stop.set()
        self.thread.join()
        return self.bytes


@pytest.mark.parametrize("carriers", [("ws",), ("sse",), ("longpoll",), CARRIERS], ids="-".join)
def test_no_byte_is_lost_and_none_repeated(culvert, peer, carriers):
    target = peer(RecordingEcho)
    c = culvert(configuration(target))
    Chaos(c, "/x", carriers, 20_000, 4, seed=0).run().check()  # what comes once comes now
    c.close_clients()
    wait_until(lambda: c.stats().connections == 0, "the first session to go")
    fds, cold = c.fds(), c.stats().live_bytes
    highest = Highest(c)
    chaos = Chaos(c, "/x", carriers, SIZE, CUTS, seed="-".join(carriers))
    try:
        chaos.run()
    finally:
        most = highest.end()
    chaos.check()
    target.wait_ended("eof", 2)
    sent, there, back = digest(chaos.data), digest(target.received[1]), digest(chaos.back)
    assert sent == there == back
    settle(c, fds)
    if VARIANT != "tsan":  # its allocator does not tell live bytes
        # Both directions may hold a window, and a carrier that nobody reads any more what it was given.
        assert most - cold <= 4 * BUFFER + 12 * SLACK
        # The allocator counts what its thread's cache holds: messages of many lengths leave some of each.
        assert c.stats().live_bytes - cold <= 4 * SLACK


@pytest.mark.tsan
def test_many_sessions_at_once_on_four_workers(culvert, peer):
    target = peer(RecordingEcho)
    c = culvert(configuration(target, workers=4))
    fds = c.fds()
    failures, count = [], SESSIONS if VARIANT != "tsan" else 24

    def run(number):
        try:
            Chaos(c, "/x", CARRIERS, EACH, CUTS_EACH, seed=number, largest=4000).run().check()
        except BaseException as failure:  # told by the main thread
            failures.append((number, failure))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    wait_until(lambda: len(target.ended) == count, "all targets to hear of it")
    c.close_clients()
    settle(c, fds + 4)  # a worker may keep what it watches with
