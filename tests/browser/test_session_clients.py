# SPDX-License-Identifier: BSD-2-Clause
"""Programs that others have written for WebSocket, unmodified, on a session whose carriers are cut all the time."""

import os

import pytest
from chromium import need
from harness.peers import free_port
from harness.services import program, running
from relay import Relay
from sessions import PAGES, SERVER
from test_vnc import BLUE, RED, desktop  # noqa: F401

EVERY = 1.0  # seconds between cuts


# ---- noVNC ----


@pytest.mark.parametrize("transport", ["websocket", "longpoll"])
def test_novnc_keeps_its_picture(culvert, tab, desktop, transport):  # noqa: F811
    c = culvert(f"""{SERVER}
        [route /vnc]
        target = tcp://localhost:{desktop}
        [route /novnc/]
        target = files:{need('@novnc/novnc')}
        {PAGES}""")
    with Relay(c) as relay:
        assert tab.goto(url=relay.url(f"/session_vnc.html?transport={transport}")) == 200
        tab.wait_for("window.state === 'connected'", "noVNC to connect")
        tab.wait_pixel(200, 150, RED)
        with relay.cutting(EVERY):
            tab.wait_for("losses >= 2", "the carrier to be lost")
            tab.click(x=500, y=400)
            tab.press(key="y")
            tab.press(key="x")
            tab.wait_pixel(200, 150, BLUE)
            tab.wait_for("losses >= 3", "the carrier to be lost again")
        # All of the picture is there, not only what changed last.
        for x, y in ((20, 20), (600, 20), (20, 440), (400, 300)):
            tab.wait_pixel(x, y, BLUE)
        assert tab.evaluate(code="[state, socket.readyState]") == ["connected", 1]
        tab.evaluate(code="rfb.disconnect()")
        tab.wait_for("window.state === 'ended'", "noVNC to leave")


# ---- xterm.js with its attach addon ----

COUNTED = 45000
# Bytes per second. The output takes longer than two carriers live, and a whole frame, which on SSE is base64,
# less than one: even one that came late.
RATES = {"websocket": 60_000, "sse": 90_000}


@pytest.fixture
def shell(tmp_path):
    """The port of a shell on a terminal of its own."""
    port = free_port()
    environment = {**os.environ, "PS1": "ready> ", "HOME": str(tmp_path)}
    arguments = [program("socat"), f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
                 "EXEC:sh -i,pty,setsid,ctty,stderr"]
    with running(arguments, port, tmp_path / "socat.log", env=environment):
        yield port


@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_xterm_shows_each_line_of_the_output_once(culvert, tab, shell, transport):
    c = culvert(f"""{SERVER}
        [route /tty]
        target = tcp://127.0.0.1:{shell}
        [route /xterm/]
        target = files:{need('@xterm/xterm')}
        [route /attach/]
        target = files:{need('@xterm/addon-attach')}
        {PAGES}""")
    with Relay(c) as relay:
        assert tab.goto(url=relay.url(f"/session_terminal.html?transport={transport}")) == 200
        tab.wait_for("window.lines && lines().includes('ready>')", "the shell")
        relay.rate, command = RATES[transport], f"seq 1 {COUNTED}; echo done"
        with relay.cutting(2 * EVERY):
            tab.type(text=f"{command}\n")
            tab.wait_for("lines().filter((line) => line !== '').slice(-2).join() === 'done,ready>'", "the end")
        lines = tab.evaluate(code="lines()")
        assert tab.evaluate(code="losses") >= 2 and not tab.evaluate(code="window.closed")
    assert [line for line in lines if line] == [f"ready> {command}", *map(str, range(1, COUNTED + 1)), "done", "ready>"]
