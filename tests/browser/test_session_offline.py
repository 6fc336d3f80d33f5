# SPDX-License-Identifier: BSD-2-Clause
"""A network that is gone for a while in the middle of a transfer, without a word to either side."""

import time

from relay import Relay
from sessions import ECHO, PAGES, SERVER, Page

TRANSPORTS = ["websocket", "sse", "longpoll"]
MANY = 20_000_000  # bytes there, and as many back
FEWER = 4_000_000
RATE = 2_000_000  # bytes per second down, until the network is gone: so that it is in the middle
AWAY = 10  # seconds
LIVELY = f"{SERVER}[route /echo]\ntarget = echo:\nheartbeat = 1s\npoll_wait = 1s\n{PAGES}"


def begin(page, many, more=None):
    """All of them on their way, at the same time; in the middle when it returns."""
    for kind in TRANSPORTS:
        page.open(kind, transports=[kind], **more or {})
        page.wait_settled(kind, kind)
    for seed, kind in enumerate(TRANSPORTS, 1):
        page.pour(many, seed, kind)
    for kind in TRANSPORTS:
        page.wait("seen.poured.length > 1e6", kind)


def in_the_middle(page, many):
    return all(page.seen(kind)["poured"]["length"] < many for kind in TRANSPORTS)


def arrived(page):
    for kind in TRANSPORTS:
        seen = page.wait("seen.poured.same !== null || seen.closed", kind)
        assert seen["poured"]["same"] and not seen["closed"] and not seen["errors"], seen
        assert seen["interrupted"] and seen["resumed"] == len(seen["interrupted"]), seen
    return True


def test_what_was_under_way_when_the_network_went_arrives_whole(culvert, tab):
    with Relay(culvert(ECHO), rate=RATE) as relay:
        page = Page(tab, relay.url())
        begin(page, MANY)
        relay.swallow()
        page.offline(True)
        assert in_the_middle(page, MANY)
        time.sleep(AWAY)
        relay.rate = None
        relay.pass_again()
        page.offline(False)
        assert arrived(page)


def test_a_silence_that_nobody_tells_of_is_noticed(culvert, tab):
    """By the heartbeat's absence; the connections that there were stay dead, the browser's idle ones too."""
    with Relay(culvert(LIVELY), rate=RATE, tells=False) as relay:
        page = Page(tab, relay.url())
        begin(page, FEWER, {"heartbeatTimeout": 1000})
        relay.swallow()
        assert in_the_middle(page, FEWER)
        relay.rate = None
        relay.pass_again()
        assert arrived(page)
