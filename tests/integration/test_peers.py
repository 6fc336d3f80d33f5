# SPDX-License-Identifier: BSD-2-Clause
"""Clients and servers that others have written."""

import asyncio
import os
import shutil
import subprocess

import pytest
import websockets

from harness.child import spawn
from harness.peers import Echo, HalfCloser, free_port
from harness.wait import DEADLINE, wait_until
from harness.wire import connect
from harness.ws import BINARY, TEXT, accept_of, frame, upgrade_request


# ---- python3-websockets ----


def test_python_websockets_talks_to_a_target(culvert, peer):
    target = peer(Echo)
    c = culvert(f"[route /x]\ntarget = {target.url}\nsubprotocols = binary\n")

    async def talk():
        async with websockets.connect(c.url("/x"), subprotocols=["base64", "binary"]) as ws:
            assert ws.subprotocol == "binary"
            for message in (b"bytes", "text", os.urandom(300_000)):
                await ws.send(message)
                wanted = message.encode() if isinstance(message, str) else message
                got = b""
                while len(got) < len(wanted):
                    got += await ws.recv()
                assert got == wanted
            await asyncio.wait_for(await ws.ping(), DEADLINE)
            await ws.close(4000, "done")
            assert ws.close_code == 4000

    asyncio.run(asyncio.wait_for(talk(), DEADLINE))
    assert c.wait_event("websocket")["code"] == "4000"


def test_python_websockets_hears_that_the_target_has_ended(culvert, peer):
    target = peer(HalfCloser, b"bye")
    c = culvert(f"[route /x]\ntarget = {target.url}\n")

    async def talk():
        async with websockets.connect(c.url("/x")) as ws:
            messages = [message async for message in ws]
            return b"".join(messages), ws.close_code

    assert asyncio.run(asyncio.wait_for(talk(), DEADLINE)) == (b"bye", 1000)


# ---- curl ----


def curl(*args):
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(DEADLINE), *args],
        capture_output=True,
        timeout=2 * DEADLINE,
    )


@pytest.mark.parametrize("option", ["--silent", "--http1.1", "--http1.0", "--http2"])
def test_curl_is_told_to_upgrade(culvert, option):
    """--http2 sends `Upgrade: h2c` with a plain GET, which makes no other sense here."""
    c = culvert("[route /x]\ntarget = echo:\n")
    done = curl(option, "--include", c.url("/x", "http"))
    assert done.returncode == 0, done.stderr
    status = b"400" if option == "--http2" else b"426"
    assert done.stdout.startswith(b"HTTP/1.1 " + status)


def test_curl_keeps_a_connection_over_requests(culvert):
    c = culvert("[route /x]\ntarget = echo:\n")
    form = ["--write-out", "%{http_code} %{num_connects}\n", "--output", "/dev/null"]
    url = c.url("/none", "http")
    done = curl(*form, url, "--next", "--silent", *form, url)
    assert done.stdout == b"404 1\n404 0\n"


def test_curl_gets_the_101_and_the_bytes(culvert, peer):
    target = peer(HalfCloser, b"from the target")
    c = culvert(f"[route /x]\ntarget = {target.url}\nclose_timeout = 500ms\n")
    headers = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    done = curl("--http1.1", "--include", *[o for h in headers for o in ("--header", h)], c.url("/x", "http"))
    assert done.stdout.startswith(b"HTTP/1.1 101 ")
    assert accept_of("dGhlIHNhbXBsZSBub25jZQ==").encode() in done.stdout
    assert done.stdout.endswith(b"\x82\x0ffrom the target\x88\x02\x03\xe8")


# ---- openssl s_client ----


def test_openssl_s_client_carries_a_websocket(culvert, certs):
    c = culvert(f"[server]\nlisten = 127.0.0.1:0 tls\n[tls]\n{certs.section()}\n[route /x]\ntarget = echo:\n")
    process = spawn(
        ["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", certs.crt("ca"),
         "-servername", "localhost", "-verify_hostname", "localhost", "-connect", f"127.0.0.1:{c.port}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    process.stdin.write(upgrade_request("/x") + frame(TEXT, b"through openssl"))
    process.stdin.flush()
    got = b""
    while b"through openssl" not in got:
        piece = process.stdout.read1(65536)
        assert piece, (got, process.stderr.read())
        got += piece
    assert got.startswith(b"HTTP/1.1 101 ")
    process.kill()
    process.communicate()


# ---- redis ----


@pytest.fixture
def redis(tmp_path):
    """The port of a redis-server of our own."""
    program = shutil.which("redis-server")
    assert program, "redis-server is missing: run contrib/install-deps.sh test"
    port = free_port()
    process = spawn(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
         "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )

    def up():
        try:
            connect(("127.0.0.1", port)).close()
            return True
        except ConnectionRefusedError:
            return False

    wait_until(up, "redis-server")
    yield port
    process.terminate()
    process.wait()


def resp(*words):
    """A command as Redis takes it."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def test_redis_is_spoken_to_over_a_websocket(culvert, redis):
    c = culvert(f"[route /redis]\ntarget = tcp://localhost:{redis}\n")
    ws = c.ws("/redis")

    def ask(answer, *words):
        ws.send_frame(BINARY, resp(*words))
        assert ws.recv_bytes(len(answer)) == answer

    value = os.urandom(200_000)
    ask(b"+PONG\r\n", "PING")
    ask(b"+OK\r\n", "SET", "key", value)
    ask(b"$%d\r\n%s\r\n" % (len(value), value), "GET", "key")
    ask(b"$-1\r\n", "GET", "other")
    # A message may hold half a command, or several.
    both = resp("INCR", "n") + resp("INCR", "n")
    ws.send_frame(BINARY, both[:13])
    ws.send_frame(BINARY, both[13:])
    assert ws.recv_bytes(8) == b":1\r\n:2\r\n"
    # Another client is heard.
    other = c.ws("/redis")
    other.send_frame(BINARY, resp("SUBSCRIBE", "news"))
    other.recv_bytes(len(b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"))
    ask(b":1\r\n", "PUBLISH", "news", "hello")
    told = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n"
    assert other.recv_bytes(len(told)) == told
    # Redis ends the conversation.
    ws.send_frame(BINARY, resp("QUIT"))
    data, code, _ = ws.recv_to_close()
    assert (data, code) == (b"+OK\r\n", 1000)
