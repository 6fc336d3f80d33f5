# SPDX-License-Identifier: BSD-2-Clause
"""CulvertTopics in Node, with npm's ws and Node's own fetch, against culvert."""

import json
import os
import subprocess

import pytest
from chromium import HERE, need
from harness.child import spawn
from harness.wait import DEADLINE
from relay import Relay
from sessions import SERVER

ROUTE = f"{SERVER}[route /live]\ntarget = topics:\nsubscribe = sensors/#\npublish = sensors/+\n"
COUNT = 600
each_transport = pytest.mark.parametrize("transport", ["websocket", "sse", "longpoll"])


def run(url, transport, direct):
    """What topic_client.mjs says at its end."""
    need("ws")
    process = spawn(
        ["node", os.path.join(HERE, "topic_client.mjs"), url, transport, direct, str(COUNT)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        output, errors = process.communicate(timeout=3 * DEADLINE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    return json.loads(output)


def check(seen, transport):
    assert seen["retained"] == ["sensors/kept=kept"], seen
    assert seen["live"] == list(range(COUNT)), seen
    assert (seen["transports"], seen["reset"], seen["own"], seen["closed"]) == ([transport], 0, "own", 1000), seen


@each_transport
def test_every_message_once_and_in_order(culvert, transport):
    url = culvert(ROUTE).url("/live")
    seen = run(url, transport, url.replace("ws:", "http:"))
    check(seen, transport)
    assert seen["interrupted"] == 0, seen


@each_transport
def test_every_message_once_and_in_order_over_a_line_that_is_cut(culvert, transport):
    c = culvert(ROUTE)
    with Relay(c) as relay, relay.cutting(0.9):
        seen = run(relay.url("/live"), transport, c.url("/live").replace("ws:", "http:"))
    check(seen, transport)
    # A cut between two polls hits nothing; the last cut may come after the last message.
    assert seen["interrupted"] >= 1 and seen["interrupted"] - seen["resumed"] in (0, 1), seen
