# SPDX-License-Identifier: BSD-2-Clause
"""The library in Chromium behind proxies that stand in WebSocket's way: which transport it comes to, and how soon."""

import time

import pytest
from chromium import Chromium
from harness.peers import free_port
from harness.proxies import Haproxy, Nginx
from harness.wait import Stopwatch
from session_proxies import squid
from sessions import ECHO, PAGES, SERVER, SETTLED, Page

# ---- a forward proxy that tunnels nothing ----

NO_TUNNEL = """
acl tunnel method CONNECT
http_access deny tunnel
http_access allow all
"""


def test_a_forward_proxy_without_connect_leaves_sse(culvert, tmp_path):
    """Browsers ask a proxy for a tunnel before they open a WebSocket."""
    c = culvert(ECHO)
    with squid(tmp_path, NO_TUNNEL) as port:
        way = (f"--proxy-server=http://127.0.0.1:{port}", "--proxy-bypass-list=<-loopback>")
        with Chromium(tmp_path / "chromium", *way) as other:
            page = Page(other, c.url(scheme="http"))
            page.open()
            page.wait_settled("sse")
            assert page.say("through squid") < SETTLED


# ---- a reverse proxy that knows nothing of upgrades ----

BUFFERING = """
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {url};
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_buffering on;
            {more}
        }}
    }}
}}
"""


@pytest.fixture
def nginx(tmp_path):
    """The base URL of an nginx in front of that culvert."""
    started = []

    def start(culvert, more=""):
        port = free_port()
        started.append(Nginx(tmp_path, [port], BUFFERING.format(port=port, url=culvert.url(scheme="http"), more=more)))
        return f"http://127.0.0.1:{port}/"

    yield start
    for one in started:
        one.close()


@pytest.mark.parametrize("how", ["proxy_http_version 1.0;", "proxy_http_version 1.1;",
                                 "proxy_http_version 1.1; proxy_ignore_headers X-Accel-Buffering;"])
def test_nginx_lets_streams_through(culvert, tab, nginx, how):
    """It buffers nothing that asks it not to; and of what is chunked it holds no chunk back."""
    page = Page(tab, nginx(culvert(ECHO), how))
    page.open()
    page.wait_settled("sse")
    assert page.say("through nginx") < SETTLED


def test_behind_a_proxy_that_holds_streams_back_it_polls(culvert, tab, nginx):
    """A stream without a length or chunks: nginx waits for whole buffers, or for its end."""
    page = Page(tab, nginx(culvert(ECHO), "proxy_http_version 1.0; proxy_ignore_headers X-Accel-Buffering;"))
    page.open()
    slow = page.wait_settled("longpoll")["transports"][0][1]
    assert page.say("through nginx, in whole answers") < SETTLED
    # It has learnt: the next one does not wait for a stream that never begins.
    page.open("two")
    assert page.wait_settled("longpoll", "two")["transports"][0][1] < slow
    page.say("again", "two")


# ---- one that cuts what is idle ----

CUTTING = """
listen {name}
    bind 127.0.0.1:{port}
    mode http
    timeout client {timeout}
    timeout server {timeout}
    timeout tunnel {timeout}
    server culvert 127.0.0.1:{culvert}
"""
# The page comes by one of the proxies, and its sockets go by both.
ROUTES = f"""{SERVER}
[route /usual]
target = echo:
[route /lively]
target = echo:
origins = any
heartbeat = 4s
poll_wait = 4s
{PAGES}
"""
TRANSPORTS = ["websocket", "sse", "longpoll"]
IDLE = 25  # seconds
LEARNT = 12  # seconds; two ends behind the shorter timeout, and time to spare


@pytest.fixture
def haproxy(tmp_path):
    """Base URLs of an HAProxy in front of that culvert, by the timeout after which it ends what is idle."""
    started = []

    def start(culvert, *timeouts):
        ports = {timeout: free_port() for timeout in timeouts}
        text = "".join(CUTTING.format(name=f"after-{timeout}", port=port, timeout=timeout, culvert=culvert.port)
                       for timeout, port in ports.items())
        started.append(Haproxy(tmp_path, list(ports.values()), text))
        return {timeout: f"http://127.0.0.1:{port}/" for timeout, port in ports.items()}

    yield start
    for one in started:
        one.close()


def test_a_proxy_that_ends_what_is_idle_ends_no_session(culvert, tab, haproxy):
    """Each socket learns to ask for signs of life more often than the proxy's timeout, if it has the time."""
    ways = haproxy(culvert(ROUTES), "10s", "3s")
    page = Page(tab, ways["10s"])
    for kind in TRANSPORTS:
        page.open(f"usual {kind}", "usual", transports=[kind])
        page.open(f"lively {kind}", ways["3s"] + "lively", transports=[kind])
    names = [f"{route} {kind}" for route in ("usual", "lively") for kind in TRANSPORTS]
    for name in names:
        page.wait_settled(name.split()[1], name)
        page.say(f"before, on {name}", name)
    idle = Stopwatch()
    time.sleep(IDLE)
    for name in names:
        page.say(f"after, on {name}", name)
        seen = page.seen(name)
        assert not seen["closed"] and not seen["errors"] and seen["interrupted"], seen
        assert seen["resumed"] == len(seen["interrupted"]), seen
        if name.startswith("lively"):
            assert page.since(seen["interrupted"][-1][1], name) > (idle.seconds - LEARNT) * 1000, seen
