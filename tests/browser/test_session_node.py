# SPDX-License-Identifier: BSD-2-Clause
"""The library in Node, with npm's ws and Node's own fetch, against culvert."""

import json
import os
import signal
import subprocess

import pytest
from chromium import HERE, need
from harness.child import spawn
from harness.peers import Echo, HalfCloser, Recorder, Resetter, refusing_port
from harness.wait import DEADLINE
from relay import Relay
from sessions import SERVER

TRANSPORTS = ["websocket", "sse", "longpoll"]
# Its access line; that of one that a POST opened says longpoll, whatever carries it later.
SESSION = "(websocket|sse|longpoll)"
each_transport = pytest.mark.parametrize("transport", TRANSPORTS)


class Client:
    """session_client.mjs, on its way."""

    def __init__(self, url, transport, size=0):
        need("ws")
        self.process = spawn(
            ["node", os.path.join(HERE, "session_client.mjs"), url, transport, str(size)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def seen(self):
        """What it says at its end."""
        try:
            output, errors = self.process.communicate(timeout=2 * DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
        assert self.process.returncode == 0, errors
        return json.loads(output)


def to(url, more=""):
    return f"{SERVER}[route /x]\ntarget = {url}\nsubprotocols = chat\n{more}"


@each_transport
def test_an_echo_of_every_byte_and_a_code_of_ones_own(culvert, peer, transport):
    c = culvert(to(peer(Echo).url))
    seen = Client(c.url("/x"), transport, 5_000_000).seen()
    assert seen["same"] and seen["protocol"] == "chat" and seen["transports"] == [transport], seen
    assert (seen["code"], seen["clean"], seen["error"], seen["interrupted"]) == (4002, True, None, 0), seen
    event = c.wait_event(SESSION)
    assert event["code"] == "4002" and event["in"] == event["out"] == "5000000"


@each_transport
def test_an_echo_of_every_byte_over_a_line_that_is_cut(culvert, peer, transport):
    c = culvert(to(peer(Echo).url))
    with Relay(c, rate=800_000) as relay:
        client = Client(relay.url("/x"), transport, 2_000_000)
        with relay.cutting(0.9):
            seen = client.seen()
    assert seen["same"] and seen["interrupted"] >= 2, seen
    # An interruption that comes after the last byte meets a socket that is closing, and need not be mended.
    missing = seen["interrupted"] - seen["resumed"]
    assert missing == 0 or (missing == 1 and seen["late"] > 0), seen
    assert (seen["code"], seen["clean"], seen["error"]) == (4002, True, None), seen
    event = c.wait_event(SESSION)
    assert event["code"] == "4002" and event["in"] == event["out"] == "2000000"


@each_transport
@pytest.mark.parametrize("kind, last, code", [(HalfCloser, "bye", 1000), (Resetter, "", 1014)])
def test_it_is_told_how_the_target_ended(culvert, peer, transport, kind, last, code):
    # A reset right after the accept may be met while still connecting: 502. This one comes later.
    target = peer(kind, last.encode(), **({"wait_for": 2} if kind is Resetter else {}))
    seen = Client(culvert(to(target.url)).url("/x"), transport).seen()
    assert (seen["opened"], seen["text"], seen["code"], seen["clean"]) == (True, last, code, True), seen


@each_transport
def test_it_is_told_that_culvert_stops(culvert, peer, transport):
    target = peer(Recorder)
    c = culvert(to(target.url))
    client = Client(c.url("/x"), transport)
    target.wait_received(b"go")
    c.signal(signal.SIGTERM)
    seen = client.seen()
    assert (seen["code"], seen["clean"]) == (1001, True) and "retry" in json.loads(seen["reason"]), seen
    assert c.wait_exit() == 0


@each_transport
def test_it_does_not_open_what_the_target_refuses(culvert, transport):
    held, port = refusing_port()
    with held:
        seen = Client(culvert(to(f"tcp://127.0.0.1:{port}")).url("/x"), transport).seen()
    assert (seen["opened"], seen["code"], seen["clean"]) == (False, 1006, False) and seen["error"], seen
