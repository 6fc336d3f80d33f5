# SPDX-License-Identifier: BSD-2-Clause
"""Chromium's own EventSource, and nothing else, on a route to a TCP service that writes a log."""

from harness.peers import Serving
from relay import Relay
from sessions import PAGES, SERVER

LINES = 400
BUFFER = 4096  # bytes; a window holds some 50 lines, and each costs one reconnect
LOG = f"{SERVER}[route /log]\ntarget = {{url}}\nframing = line\nmessages = text\nbuffer = {BUFFER}\n{PAGES}"


def line(number):
    return f"{number}: caf\u00e9, \"quoted\", \\ and\ttab"


class Log(Serving):
    """Writes its lines, as fast as they are taken, and ends."""

    def serve(self, sock, received):
        sock.sendall("".join(f"{line(n)}\n" for n in range(LINES)).encode())


def wait_end(tab):
    """Until the EventSource has given up, as 204 tells it to."""
    tab.wait_for("log.readyState === EventSource.CLOSED", "EventSource to be stopped")
    seen = tab.evaluate(code="seen")
    assert seen["close"] == {"code": 1000, "reason": ""}, seen["close"]
    return seen


def test_an_eventsource_misses_no_line_and_stops_at_the_end(culvert, tab, peer):
    target = peer(Log)
    c = culvert(LOG.format(url=target.url))
    assert tab.goto(url=c.url("/session_log.html", "http")) == 200
    seen = wait_end(tab)
    assert seen["lines"] == [line(n) for n in range(LINES)]
    assert seen["losses"] > 1 + LINES * len(line(0)) // BUFFER
    assert [event["status"] for event in c.events("request") if event["path"] == "/log"][-1] == "204"
    assert len(target.received) == 1


def test_an_eventsource_goes_on_where_it_was_cut(culvert, tab, peer):
    """It waits a second before it comes back from what it thinks is a fault, so there are few."""
    target = peer(Log)
    with Relay(culvert(LOG.format(url=target.url)), rate=40_000) as relay:
        assert tab.goto(url=relay.url("/session_log.html")) == 200
        for cuts in range(1, 3):
            tab.wait_for(f"seen.lines.length > {cuts} * 80", "lines")
            relay.cut()
        relay.rate = None
        seen = wait_end(tab)
    assert seen["lines"] == [line(n) for n in range(LINES)]
    assert len(target.received) == 1
