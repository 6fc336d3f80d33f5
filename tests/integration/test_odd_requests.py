# SPDX-License-Identifier: BSD-2-Clause
"""Routes × methods × Upgrade × targets, each with the answer that PROTOCOL.md section 1 gives it."""

import pytest
from harness.http import read_answer
from harness.wire import Wire
from harness.ws import KEY

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW", "get", "x-"]

HANDSHAKE = f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
UPGRADES = {
    "none": "",
    "websocket": "Upgrade: websocket\r\n" + HANDSHAKE,
    "other case": "uPGRADE: WebSocket\r\n" + HANDSHAKE,
    "no key": "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
    "no version": f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n",
    "not in connection": "Upgrade: websocket\r\n" + HANDSHAKE.replace("Connection: Upgrade", "Connection: keep-alive"),
    "h2c": "Upgrade: h2c\r\n" + HANDSHAKE,
    "empty": "Upgrade: \r\n" + HANDSHAKE,
    "comma": "Upgrade: ,\r\n" + HANDSHAKE,
    "several": "Upgrade: websocket, h2c\r\n" + HANDSHAKE,
    "twice": "Upgrade: websocket\r\nUpgrade: websocket\r\n" + HANDSHAKE,
    "with a version": "Upgrade: websocket/13\r\n" + HANDSHAKE,
    "not ascii": "Upgrade: websocket\xff\r\n" + HANDSHAKE,
    "quoted": 'Upgrade: "websocket"\r\n' + HANDSHAKE,
}

# What follows the route's path in the target, and whether it can be read in one way.
TARGETS = [
    ("%s", True),
    ("%s?", True),
    ("%s?&&=&a&a=1&a=2", True),
    ("%s?session=1&Session=2&ack=3", True),
    ("http://localhost%s", True),
    ("HTTP://LOCALHOST%s?a=%%C3%%A4", True),
    ("http://elsewhere%s", False),
    ("http://user@localhost%s", False),
    ("ftp://localhost%s", False),
    ("x%s", False),
    ("/.%s", False),
    ("%s%%", False),
    ("%s%%4", False),
    ("%s%%zz", False),
    ("%s%%00", False),
    ("%s\0", False),
    ("%s\\", False),
    ("%s%%5c", False),
    ("%s?%%", False),
    ("%s?a=%%0g", False),
    ("%s?a=%%00", False),
    ("%s?a=\0", False),
    ("%s?a=%%ff", False),
    ("%s?session=1&session=1", False),
    ("%s?ack=1&%%61ck=2", False),
    ("%s?n&n", False),
    ("%s?since=&a=1&since=", False),
]


def ignored(method, upgrade):
    """No use of the request is in an Upgrade to h2c, where the method names one."""
    return upgrade == "none" or (upgrade == "h2c" and method != "GET")


def of_files(method):
    return {"GET": 200, "HEAD": 200, "OPTIONS": 204}.get(method, 405)


def of_stream(method, upgrade):
    if ignored(method, upgrade):
        return {"GET": 426, "OPTIONS": 204}.get(method, 405)
    if method == "GET" and upgrade in ("websocket", "other case"):
        return 101
    return 426 if method == "GET" and upgrade == "no version" else 400


def wanted(kind, method, upgrade, good):
    if not good:
        return 400
    if kind == "files":
        return of_files(method) if ignored(method, upgrade) else 400
    if kind == "both" and ignored(method, upgrade):
        return of_files(method)
    return of_stream(method, upgrade)


def check(answer, kind, method, status):
    assert answer.status == status
    if status in (204, 405):
        assert answer["allow"] == ("GET, OPTIONS" if kind == "stream" else "GET, HEAD, OPTIONS")
    if status == 400:
        assert answer["connection"] == "close"
    if status == 426:
        assert answer["upgrade"] == "websocket"
    if kind == "stream" and status in (204, 405, 426):
        assert answer["cache-control"] == "no-store, no-transform"


@pytest.mark.parametrize("kind, path", [("stream", "/x"), ("files", "/files/page"), ("both", "/both/page")])
def test_s14_every_odd_request_gets_its_answer(culvert, tmp_path, kind, path):
    (tmp_path / "page").write_text("a page")
    c = culvert(
        f"""
        [log]
        access = no
        [route /x]
        target = echo:
        transports = websocket
        resume_window = 0
        [route /files/]
        target = files:{tmp_path}
        [route /both/]
        target = echo:
        transports = websocket
        resume_window = 0
        web = {tmp_path}
        """
    )
    fds = c.fds()
    # Each method with each Upgrade on a good target; each method, and each Upgrade, on each target.
    asked = [(method, upgrade, TARGETS[0]) for method in METHODS for upgrade in UPGRADES]
    asked += [(method, "none", target) for method in METHODS for target in TARGETS]
    asked += [("GET", upgrade, target) for upgrade in UPGRADES for target in TARGETS]
    for method, upgrade, (target, good) in asked:
        with Wire.open(c.address) as wire:
            head = f"{method} {target % path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADES[upgrade]}\r\n"
            wire.send(head.encode("latin-1"))
            try:
                check(read_answer(wire, method), kind, method, wanted(kind, method, upgrade, good))
            except (AssertionError, EOFError) as failure:
                raise AssertionError(f"{head!r}: {failure}") from None
    c.wait_quiet()
    assert c.stats().connections == 0 and c.fds() == fds
    assert c.http().ask(path=path).status == (426 if kind == "stream" else 200)


def test_options_of_everything_tells_what_there_is_at_all(culvert):
    c = culvert("[route /x]\ntarget = echo:\n")
    answer = c.http().ask("OPTIONS", "*", headers=[("Origin", "https://elsewhere.example")])
    assert answer.status == 204 and answer["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("accept, status", [
    ("text/event-stream", 406),
    ("text/html, application/vnd.culvert.v1;q=0.1", 406),
    ("TEXT/Event-Stream ; q=0", 406),
    ("text/*", 426),
    ("text/event-stream2", 426),
    ("application/json", 426),
    ("", 426),
    (",,;,/", 426),
])
def test_accept_names_a_transport_or_none(culvert, accept, status):
    c = culvert("[route /x]\ntarget = echo:\ntransports = websocket\n")
    assert c.http().ask(path="/x", headers=[("Accept", accept)]).status == status
    # What it names is of no use to a method that has none.
    assert c.http().ask("PUT", "/x", headers=[("Accept", accept)]).status == 405
