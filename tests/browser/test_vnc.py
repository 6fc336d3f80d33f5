# SPDX-License-Identifier: BSD-2-Clause
"""A desktop in the browser: TigerVNC's Xvnc, culvert, noVNC, Chromium."""

import os
import shutil
import signal
import subprocess

import pytest
from chromium import HERE, need
from harness.child import spawn
from harness.peers import free_port
from harness.wait import wait_until
from harness.wire import connect

# At 200, 150, away from the mouse pointer, which a new desktop has in its middle.
RED, BLUE = (200, 20, 50), (20, 100, 200)
# In the red terminal: as soon as an x is typed, a blue one covers it.
SCRIPT = """
stty -echo -icanon
while [ "$(dd bs=1 count=1 2>/dev/null)" != x ]; do :; done
exec xterm -geometry 160x60+0+0 -b 0 -bg '#1464c8' -e sleep 600
"""


@pytest.fixture
def desktop(tmp_path):
    """The RFB port of an X server with one terminal that covers it."""
    for program in ("Xvnc", "xterm"):
        assert shutil.which(program), f"{program} is missing: run contrib/install-deps.sh test"
    port = free_port()
    read_end, write_end = os.pipe()
    log = open(tmp_path / "xvnc.log", "w")
    server = spawn(
        ["Xvnc", "-displayfd", str(write_end), "-geometry", "640x480", "-depth", "24", "-SecurityTypes", "None",
         "-rfbport", str(port), "-localhost", "-AlwaysShared", "-ac", "-nolisten", "tcp"],
        pass_fds=[write_end], stdout=log, stderr=log,
    )
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        number = pipe.readline().strip()
    assert number, (tmp_path / "xvnc.log").read_text()
    terminal = spawn(
        ["xterm", "-geometry", "160x60+0+0", "-b", "0", "-bg", "#c81432", "-e", "sh", "-c", SCRIPT],
        env={**os.environ, "DISPLAY": f":{number}"}, stdout=log, stderr=log,
    )

    def up():
        try:
            connect(("127.0.0.1", port)).close()
            return True
        except ConnectionRefusedError:
            return False

    wait_until(up, "Xvnc")
    yield port
    for process in (terminal, server):
        process.terminate()
        process.wait()
    log.close()


def configuration(port):
    return f"""
        [route /vnc]
        target = tcp://localhost:{port}
        [route /novnc/]
        target = files:{need('@novnc/novnc')}
        [route /]
        target = files:{os.path.join(HERE, 'pages')}
        """


def test_a_desktop_is_seen_and_typed_on_in_the_browser(culvert, chromium, desktop):
    c = culvert(configuration(desktop))
    assert chromium.goto(url=c.url("/vnc.html", "http")) == 200
    chromium.wait_for("window.state === 'connected'", "noVNC to connect")
    chromium.wait_pixel(200, 150, RED)
    chromium.click(x=500, y=400)
    chromium.press(key="y")
    chromium.press(key="x")
    chromium.wait_pixel(200, 150, BLUE)
    chromium.evaluate(code="rfb.disconnect()")
    event = c.wait_event("websocket")
    assert event["ended_by"] == "client" and event["code"] in ("1000", "1005")
    assert int(event["in"]) > 0 and int(event["out"]) > 1000


def test_a_token_chooses_the_desktop(culvert, chromium, desktop, tmp_path):
    """As noVNC's own page is told by its address: path=websockify?token=T."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"other: 127.0.0.1:1\ndesk+1: localhost:{desktop}\n")
    c = culvert(configuration(desktop) + f"[route /websockify]\ntarget = map:{tokens}\n")
    chromium.goto(url=c.url("/vnc.html?path=websockify%3Ftoken%3Dunknown", "http"))
    chromium.wait_for("window.state === 'lost'", "noVNC to be refused")
    chromium.goto(url=c.url("/vnc.html?path=websockify%3Ftoken%3Ddesk%2B1", "http"))
    chromium.wait_for("window.state === 'connected'", "noVNC to connect")
    chromium.wait_pixel(200, 150, RED)
    chromium.evaluate(code="rfb.disconnect()")
    assert c.wait_event("websocket")["target"] == f"localhost:{desktop}"


def test_the_browser_is_told_when_culvert_stops(culvert, chromium, desktop):
    c = culvert(configuration(desktop))
    chromium.goto(url=c.url("/vnc.html", "http"))
    chromium.wait_for("window.state === 'connected'", "noVNC to connect")
    chromium.wait_pixel(200, 150, RED)
    c.signal(signal.SIGTERM)
    chromium.wait_for("window.state === 'ended' || window.state === 'lost'", "noVNC to be told")
    assert c.wait_exit() == 0
