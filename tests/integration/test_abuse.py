# SPDX-License-Identifier: BSD-2-Clause
"""A thousand connections misused in every way that comes to mind: nothing may stay behind."""

import random
import socket

import pytest

from harness.culvert import VARIANT
from harness.peers import Echo, Pourer, Recorder, Resetter, refusing_port
from harness.wait import wait_until
from harness.wire import Wire
from harness.ws import BINARY, CLOSE, CONTINUATION, PING, TEXT, close_frame, frame, header, upgrade_request

SEED = 20260101
PATHS = ["/record", "/echo", "/pour", "/reset", "/refused", "/inside", "/none"]


def half_handshake(wire, dice, path):
    head = upgrade_request(path)
    wire.send(head[: dice.randrange(len(head))])


def garbage(wire, dice, path):
    wire.send(dice.randbytes(dice.randrange(1, 4000)))


def broken_head(wire, dice, path):
    head = bytearray(upgrade_request(path))
    for _ in range(dice.randrange(1, 6)):
        head[dice.randrange(len(head))] = dice.randrange(256)
    wire.send(bytes(head))


def too_long_head(wire, dice, path):
    wire.send(upgrade_request(path, headers=[("X", "x" * 40_000)]))


def body_unfinished(wire, dice, path):
    wire.send(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" % path.encode())
    wire.send(bytes(dice.randrange(1000)))


def pipelined(wire, dice, path):
    wire.send((b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode()) * dice.randrange(1, 40))


def upgrade_and_go(wire, dice, path):
    wire.send(upgrade_request(path))


def half_frame(wire, dice, path):
    one = frame(TEXT, b"half a frame" * 20)
    wire.send(upgrade_request(path) + one[: dice.randrange(1, len(one))])


def big_frame_unfinished(wire, dice, path):
    wire.send(upgrade_request(path) + header(BINARY, 1 << dice.randrange(17, 62)) + bytes(dice.randrange(60_000)))


def frames_of_garbage(wire, dice, path):
    wire.send(upgrade_request(path) + dice.randbytes(dice.randrange(1, 3000)))


def pings_unread(wire, dice, path):
    wire.send(upgrade_request(path) + frame(PING, b"p" * 100) * dice.randrange(1, 300))


def fragments_unfinished(wire, dice, path):
    wire.send(upgrade_request(path) + frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False) * 100)


def close_and_more(wire, dice, path):
    wire.send(upgrade_request(path) + close_frame(dice.randrange(65536), dice.randbytes(10)) + frame(TEXT, b"x"))


def conversation(wire, dice, path):
    wire.send(upgrade_request(path))
    wire.send(frame(BINARY, dice.randbytes(dice.randrange(100_000))))
    wire.sock.settimeout(0.02)
    wire.read(1)


def conversation_in_order(wire, dice, path):
    wire.send(upgrade_request(path) + frame(BINARY, b"hello") + close_frame(1000))
    wire.sock.settimeout(0.02)
    wire.wait_closed()


def wrong_close(wire, dice, path):
    wire.send(upgrade_request(path) + frame(CLOSE, b"\x03"))


WAYS = [
    half_handshake,
    garbage,
    broken_head,
    too_long_head,
    body_unfinished,
    pipelined,
    upgrade_and_go,
    half_frame,
    big_frame_unfinished,
    frames_of_garbage,
    pings_unread,
    fragments_unfinished,
    close_and_more,
    conversation,
    conversation_in_order,
    wrong_close,
]


def drop(wire, dice):
    how = dice.randrange(3)
    if how == 0:
        wire.reset()
        return
    if how == 1:
        try:
            wire.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    wire.close()


def abuse(culvert, count, seed, together=50):
    """count connections, the last `together` of them open at any time."""
    dice = random.Random(seed)
    wires = []
    for i in range(count):
        if len(wires) == together:
            drop(wires.pop(dice.randrange(together)), dice)
        wire = Wire.open(culvert.address)
        wires.append(wire)
        way, path = dice.choice(WAYS), dice.choice(PATHS)
        wire.sock.settimeout(1)
        try:
            way(wire, dice, path)
        except (OSError, EOFError):
            pass  # culvert has its own opinion of it, or did not read it any more
    for wire in wires:
        drop(wire, dice)


def crowd(culvert, count=300):
    """
    Many connections whose events all come in the same turn of the loop, twice: the loop's tables
    keep the size that the busiest turn needed, so that none of what follows makes them grow.
    """
    for path in ("/echo", "/inside"):
        wires = [Wire.open(culvert.address) for _ in range(count)]
        for deed in (lambda wire: wire.send(upgrade_request(path)), Wire.reset):
            with culvert.frozen():
                for wire in wires:
                    deed(wire)
            culvert.wait_quiet()


def quiet(culvert, fds):
    """Its figures when all connections are gone."""

    def settled():
        one = culvert.stats()
        return one.connections == 0 and culvert.fds() == fds and one

    return wait_until(settled, "all connections to be gone", step=0.1)


def routes(peer):
    held, port = refusing_port()
    targets = {
        "/record": peer(Recorder).url,
        "/echo": peer(Echo).url,
        "/pour": peer(Pourer, 300_000).url,
        "/reset": peer(Resetter, b"x", wait_for=1).url,
        "/refused": f"tcp://127.0.0.1:{port}",
        "/inside": "echo:",
    }
    text = "[defaults]\nclose_timeout = 500ms\n[log]\naccess = no\n"
    return held, text + "".join(f"[route {path}]\ntarget = {url}\n" for path, url in targets.items())


@pytest.mark.skipif(VARIANT == "tsan", reason="its allocator does not tell live bytes")
def test_s15_a_thousand_abused_connections_leave_nothing_behind(culvert, peer):
    held, text = routes(peer)
    with held:
        c = culvert("[server]\nheader_timeout = 2s\n" + text)
        fds = c.fds()
        rounds = []
        crowd(c)
        for number in range(3):
            abuse(c, 340, SEED + number)
            rounds.append(quiet(c, fds))
        # The first round fills the pools, which are bounded; after that nothing may grow.
        assert rounds[2].live_bytes == rounds[1].live_bytes, rounds
        assert rounds[2].blocks == rounds[1].blocks == 0, rounds
        assert c.http().ask(path="/none").status == 404


def abuse_tls(culvert, tls, count, seed):
    dice = random.Random(seed)
    for _ in range(count):
        wire = Wire.open(culvert.address)
        wire.sock.settimeout(5)
        way = dice.randrange(6)
        try:
            if way == 0:
                wire.send(dice.randbytes(dice.randrange(1, 2000)))
            elif way == 1:
                wire.send(b"\x16\x03\x01\x40\x00\x01" + dice.randbytes(dice.randrange(3000)))
            else:
                wire.sock = tls.wrap_socket(wire.sock, server_hostname="localhost")
                if way > 2:
                    wire.send(upgrade_request(dice.choice(PATHS)))
                if way > 3:
                    wire.send(header(BINARY, 1 << 30) + bytes(dice.randrange(60_000)))
                if way == 5:
                    wire.cut()
        except (OSError, EOFError):
            pass
        drop(wire, dice)


@pytest.mark.skipif(VARIANT == "tsan", reason="its allocator does not tell live bytes")
def test_s15_abused_tls_connections_leave_nothing_behind(culvert, peer, certs):
    held, text = routes(peer)
    with held:
        c = culvert(
            f"[server]\nlisten = 127.0.0.1:0 tls\nheader_timeout = 2s\n[tls]\n{certs.section()}\n{text}"
        )
        fds = c.fds()
        rounds = []
        crowd(c)
        for number in range(3):
            abuse_tls(c, certs.client_context(), 150, SEED + 20 + number)
            rounds.append(quiet(c, fds))
        # OpenSSL keeps the text of a thread's last error; 25 connections of a kind would leave more.
        assert abs(rounds[2].live_bytes - rounds[1].live_bytes) < 512, rounds


@pytest.mark.tsan
def test_s14_workers_survive_a_thousand_abused_connections(culvert, peer):
    held, text = routes(peer)
    with held:
        c = culvert("[server]\nworkers = 4\nheader_timeout = 2s\n" + text)
        fds = c.fds()
        abuse(c, 1000, SEED + 10, together=100)
        quiet(c, fds)
        for _ in range(16):
            ws = c.ws("/inside")
            ws.send_text("still here")
            assert ws.recv_bytes(10) == b"still here"


def test_s6_2000_half_open_handshakes_leave_the_service_answering(culvert):
    c = culvert("[server]\nheader_timeout = 60s\n[route /x]\ntarget = echo:\n")
    for i in range(2000):
        try:
            wire = c.wire()
        except OSError:
            break
        wire.send(upgrade_request("/x")[: i % 100])
    assert len(c.clients) >= 900
    ws = c.ws("/x")
    ws.send_text("answer")
    assert ws.recv_bytes(6) == b"answer"


@pytest.mark.parametrize("seed", range(4))
def test_s14_odd_requests_never_upset_it(culvert, seed):
    """Routes × methods × headers, at random: always an answer or an end, and life goes on."""
    dice = random.Random(SEED + 100 + seed)
    c = culvert("[route /x]\ntarget = echo:\n[route /p/]\ntarget = echo:\nsubprotocols = a\n")
    lines = [
        b"Upgrade: websocket",
        b"Upgrade: h2c",
        b"Upgrade: \xff",
        b"Connection: Upgrade",
        b"Connection: close",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Version: 99999999999999999999",
        b"Sec-WebSocket-Protocol: a, ,,b",
        b"Content-Length: 0",
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"Accept: text/event-stream",
        b"Expect: 100-continue",
        b"Origin: http://" + b"x" * 300,
        b"Culvert-Session: ../../etc/passwd",
        b"Host: b",
        b": empty",
        b"no colon",
    ]
    for _ in range(150):
        method = dice.choice([b"GET", b"HEAD", b"POST", b"OPTIONS", b"DELETE", b"PUT", b"get", b"", b"G\0T"])
        path = dice.choice([b"/x", b"/p/", b"/p/x?session=%ff&ack=-1", b"*", b"/%", b"", b"/x?" + b"&" * 500])
        version = dice.choice([b"HTTP/1.1"] * 4 + [b"HTTP/1.0", b"HTTP/9.9", b"http/1.1", b""])
        head = [b" ".join([method, path, version]), b"Host: a"] + dice.sample(lines, dice.randrange(8))
        with Wire.open(c.address) as wire:
            wire.send(b"\r\n".join(head) + b"\r\n\r\nabc")
            wire.sock.shutdown(socket.SHUT_WR)
            try:
                got = wire.read_to_end()
            except ConnectionResetError:
                continue
            assert got == b"" or got.startswith(b"HTTP/1.1 "), got[:100]
    ws = c.ws("/x")
    ws.send_text("fine")
    assert ws.recv_bytes(4) == b"fine"
