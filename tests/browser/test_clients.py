# SPDX-License-Identifier: BSD-2-Clause
"""WebSocket clients that others have written: Chromium's own, and npm's ws."""

import json
import signal
import subprocess

import pytest
from chromium import HERE, need
from harness.peers import Echo, HalfCloser, Recorder, Resetter, refusing_port
from harness.wait import DEADLINE

# ---- npm's ws ----


@pytest.mark.parametrize("size", [1, 70_000, 5_000_000])
def test_npm_ws_talks_to_a_target(culvert, peer, size):
    need("ws")
    target = peer(Echo)
    c = culvert(f"[route /x]\ntarget = {target.url}\nsubprotocols = binary\n")
    done = subprocess.run(
        ["node", "ws_client.mjs", c.url("/x"), str(size)],
        cwd=HERE, capture_output=True, text=True, timeout=2 * DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen == {"extensions": "", "protocol": "binary", "pong": True, "same": True, "code": 4002}
    assert c.wait_event("websocket")["code"] == "4002"


# ---- Chromium's ----

OPEN = """
window.seen = {opened: false, protocol: null, data: [], code: null, clean: null};
window.ws = new WebSocket(%s, ["base64", "binary"]);
ws.binaryType = "arraybuffer";
ws.onopen = () => { seen.opened = true; seen.protocol = ws.protocol; };
ws.onmessage = (e) => seen.data.push(...new Uint8Array(e.data));
ws.onclose = (e) => { seen.code = e.code; seen.clean = e.wasClean; };
0
"""


def open_in(chromium, culvert, path="/x"):
    """From a page of culvert's own host, even if that is only its 404."""
    chromium.goto(url=culvert.url("/none", scheme="http"))
    chromium.evaluate(code=OPEN % json.dumps(culvert.url(path)))


def test_chromium_talks_and_leaves(culvert, peer, chromium):
    target = peer(Echo)
    c = culvert(f"[route /x]\ntarget = {target.url}\nsubprotocols = binary\n")
    open_in(chromium, c)
    chromium.wait_for("seen.opened")
    assert chromium.evaluate(code="seen.protocol") == "binary"
    chromium.evaluate(code="ws.send('héllo'); ws.send(new Uint8Array(100000).fill(7)); 0")
    chromium.wait_for("seen.data.length >= 100006")
    assert bytes(chromium.evaluate(code="seen.data.slice(0, 7)")) == "héllo".encode() + b"\x07"
    assert chromium.evaluate(code="seen.data.length === 100006 && seen.data.slice(6).every((x) => x === 7)")
    chromium.evaluate(code="ws.close(3333, 'bye'); 0")
    chromium.wait_for("seen.code")
    assert chromium.evaluate(code="[seen.code, seen.clean]") == [3333, True]
    event = c.wait_event("websocket")
    assert event["code"] == "3333" and event["in"] == "100006"


@pytest.mark.parametrize("kind, last, code", [(HalfCloser, b"bye", 1000), (Resetter, b"", 1014)])
def test_chromium_is_told_how_the_target_ended(culvert, peer, chromium, kind, last, code):
    # A reset right after the accept may be met while still connecting: 502. This one comes later.
    target = peer(kind, last, **({"wait_for": 2} if kind is Resetter else {}))
    c = culvert(f"[route /x]\ntarget = {target.url}\nsubprotocols = binary\n")
    open_in(chromium, c)
    chromium.wait_for("seen.opened")
    chromium.evaluate(code="ws.send('go'); 0")
    chromium.wait_for("seen.code")
    assert chromium.evaluate(code="[seen.opened, seen.code, seen.clean]") == [True, code, True]
    assert bytes(chromium.evaluate(code="seen.data")) == last


def test_chromium_is_told_that_culvert_stops(culvert, peer, chromium):
    target = peer(Recorder)
    c = culvert(f"[route /x]\ntarget = {target.url}\nsubprotocols = binary\n")
    open_in(chromium, c)
    chromium.wait_for("seen.opened")
    c.signal(signal.SIGTERM)
    chromium.wait_for("seen.code")
    assert chromium.evaluate(code="[seen.code, seen.clean]") == [1001, True]
    assert c.wait_exit() == 0


def test_chromium_does_not_open_what_the_target_refuses(culvert, chromium):
    held, port = refusing_port()
    with held:
        c = culvert(f"[route /x]\ntarget = tcp://127.0.0.1:{port}\nsubprotocols = binary\n")
        open_in(chromium, c)
        chromium.wait_for("seen.code")
        assert chromium.evaluate(code="[seen.opened, seen.code]") == [False, 1006]
        assert c.wait_log(r" access .* route=/x .* status=502 ")


def test_chromium_pongs_keep_the_connection(culvert, peer, chromium):
    target = peer(Recorder)
    c = culvert(
        f"[route /x]\ntarget = {target.url}\nsubprotocols = binary\nheartbeat = 300ms\nheartbeat_timeout = 1s\n"
        "[route /silent]\ntarget = echo:\nheartbeat = 300ms\nheartbeat_timeout = 1s\n"
    )
    open_in(chromium, c)
    chromium.wait_for("seen.opened")
    silent = c.ws("/silent")
    silent.wait_closed()  # this one does not answer, and is gone
    assert chromium.evaluate(code="ws.readyState") == 1
    chromium.evaluate(code="ws.send('still here'); 0")
    target.wait_received(b"still here")


def test_s8_a_page_of_another_host_is_refused(culvert, peer, chromium):
    target = peer(Echo)
    c = culvert(f"[route /x]\ntarget = {target.url}\n")
    other = culvert("[route /x]\ntarget = echo:\n")
    chromium.goto(url=other.url("/none", scheme="http"))
    chromium.evaluate(code=OPEN % json.dumps(c.url("/x")))
    chromium.wait_for("seen.code")
    assert chromium.evaluate(code="[seen.opened, seen.code]") == [False, 1006]
    assert c.wait_log(r" access .* route=/x .* status=403 ")
