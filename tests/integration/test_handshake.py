# SPDX-License-Identifier: BSD-2-Clause
"""The opening handshake: who becomes a WebSocket, and what becomes of the others."""

import base64
import time

import pytest

from harness.http import read_answer, request
from harness.peers import Blackhole, Recorder, Target, TlsTarget
from harness.wait import DEADLINE, Stopwatch
from harness.ws import CONTINUATION, KEY, PING, TEXT, Refused, frame, upgrade_headers, upgrade_request

ECHO = """
    [route /echo]
    target = echo:
"""


def without(name):
    return [(key, value) for key, value in upgrade_headers() if key != name]


def replaced(name, *values):
    return without(name) + [(name, value) for value in values]


def ask(culvert, headers, **options):
    """The answer to an upgrade with these headers, and whether the connection was closed after it."""
    wire = culvert.wire()
    wire.send(request(path="/echo", headers=headers, **options))
    answer = read_answer(wire)
    if answer.status == 400:
        wire.wait_closed()
    return answer


def test_a_websocket_client_is_let_in_and_talks(culvert):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    assert ws.subprotocol is None
    ws.send_text("hello")
    assert ws.recv_data().payload == b"hello"
    ws.leave()


def test_the_example_of_rfc_6455_gets_its_accept(culvert):
    c = culvert(ECHO)
    answer = ask(c, replaced("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="))
    assert answer.status == 101
    assert answer["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


# ---- S5: the head ----


def test_s5_a_handshake_byte_at_a_time_gives_the_same_answer(culvert):
    c = culvert(ECHO)
    whole = c.ws("/echo")
    pieces = c.ws("/echo", piece=1)
    keep = lambda answer: [h for h in answer.headers if h[0] != "date"]
    assert keep(pieces.answer) == keep(whole.answer)
    pieces.send_text("x")
    assert pieces.recv_data().payload == b"x"


def test_s5_16_kib_of_cookies_are_fine(culvert):
    c = culvert(ECHO)
    ws = c.ws("/echo", headers=[("Cookie", f"name{i}=" + "v" * 2000) for i in range(8)])
    ws.send_text("still here")
    assert ws.recv_data().payload == b"still here"


@pytest.mark.parametrize("piece", [None, 1000])
def test_s5_headers_over_header_max_are_431(culvert, piece):
    c = culvert("[server]\nheader_max = 8k\n" + ECHO)
    assert c.ws("/echo", headers=[("X-Fill", "x" * 7000)])
    wire = c.wire()
    head = upgrade_request("/echo", headers=[("X-Fill", "x" * 9000)])
    if piece:
        wire.send(head[:8500], piece)  # it is refused before the head is complete
    else:
        wire.send(head)
    assert read_answer(wire).status == 431
    wire.wait_closed()


def test_s5_the_default_cap_on_all_headers_is_32_kib(culvert):
    c = culvert(ECHO)
    assert ask(c, upgrade_headers(headers=[("X-Fill", "x" * 31000)])).status == 101
    assert ask(c, upgrade_headers(headers=[("X-Fill", "x" * 33000)])).status == 431


def test_s5_more_than_100_header_lines_are_431(culvert):
    c = culvert(ECHO)
    few = [(f"X-{i}", "x") for i in range(95)]
    many = [(f"X-{i}", "x") for i in range(96)]
    assert ask(c, upgrade_headers(headers=few)).status == 101  # Host and 4 more: 100
    assert ask(c, upgrade_headers(headers=many)).status == 431


def test_s5_a_long_request_target_is_414(culvert):
    c = culvert(ECHO)
    wire = c.wire()
    wire.send(upgrade_request("/echo?" + "q" * 8000))
    assert read_answer(wire).status == 101
    wire = c.wire()
    wire.send(upgrade_request("/echo?" + "q" * 8200))
    assert read_answer(wire).status == 414
    wire.wait_closed()


@pytest.mark.parametrize(
    "name, headers, status",
    [
        ("no Key", without("Sec-WebSocket-Key"), 400),
        ("two Keys", replaced("Sec-WebSocket-Key", KEY, KEY), 400),
        ("short Key", replaced("Sec-WebSocket-Key", base64.b64encode(b"fifteen bytes..").decode()), 400),
        ("long Key", replaced("Sec-WebSocket-Key", base64.b64encode(b"seventeen bytes..").decode()), 400),
        ("Key not base64", replaced("Sec-WebSocket-Key", "!" * 22 + "=="), 400),
        ("empty Key", replaced("Sec-WebSocket-Key", ""), 400),
        ("no Version", without("Sec-WebSocket-Version"), 426),
        ("Version 8", replaced("Sec-WebSocket-Version", "8"), 426),
        ("Version 14", replaced("Sec-WebSocket-Version", "14"), 426),
        ("Version 130", replaced("Sec-WebSocket-Version", "130"), 426),
        ("two Versions", replaced("Sec-WebSocket-Version", "13", "13"), 400),
        ("no Connection", without("Connection"), 400),
        ("Connection without upgrade", replaced("Connection", "keep-alive"), 400),
        ("Connection upgraded", replaced("Connection", "upgraded"), 400),
        ("Connection in two lines", replaced("Connection", "keep-alive", "Upgrade"), 101),
        ("Connection as Firefox has it", replaced("Connection", "keep-alive, Upgrade"), 101),
        ("Connection in capitals", replaced("Connection", "UPGRADE"), 101),
        ("Upgrade in capitals", replaced("Upgrade", "WebSocket"), 101),
        ("no Upgrade", without("Upgrade"), 426),
        ("two Upgrades", replaced("Upgrade", "websocket", "websocket"), 400),
        ("Extensions", upgrade_headers(headers=[("Sec-WebSocket-Extensions", "permessage-deflate")]), 101),
        ("broken Extensions", upgrade_headers(headers=[("Sec-WebSocket-Extensions", "a; =b")]), 400),
        ("broken Protocol", upgrade_headers(headers=[("Sec-WebSocket-Protocol", "a b")]), 400),
        ("Protocol twice", upgrade_headers(headers=[("Sec-WebSocket-Protocol", "a, a")]), 400),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_s5_upgrade_headers_missing_doubled_or_odd(culvert, name, headers, status):
    c = culvert(ECHO)
    answer = ask(c, headers)
    assert answer.status == status
    if status == 426:
        assert answer["sec-websocket-version" if "Version" in name else "upgrade"] is not None


def test_s5_a_wrong_version_is_told_the_right_one(culvert):
    c = culvert(ECHO)
    assert ask(c, replaced("Sec-WebSocket-Version", "12"))["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    "head",
    [
        request(path="/echo", host=None, headers=upgrade_headers()),
        request(path="/echo", headers=upgrade_headers(headers=[("Host", "localhost")])),
        request(path="/echo", host="", headers=upgrade_headers()),
        request(path="/echo", host="a b", headers=upgrade_headers()),
        request(path="/echo", host="user@localhost", headers=upgrade_headers()),
        request(path="/echo", host="localhost:port", headers=upgrade_headers()),
    ],
    ids=["none", "two", "empty", "blank", "user", "port"],
)
def test_s5_a_host_missing_doubled_or_malformed_is_400(culvert, head):
    c = culvert(ECHO)
    wire = c.wire()
    wire.send(head)
    assert read_answer(wire).status == 400
    wire.wait_closed()


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
def test_an_upgrade_by_another_method_is_400(culvert, method):
    c = culvert(ECHO)
    wire = c.wire()
    wire.send(request(method, "/echo", headers=upgrade_headers()))
    assert read_answer(wire, method).status == 400
    wire.wait_closed()


def test_an_upgrade_on_http_1_0_is_400(culvert):
    c = culvert(ECHO)
    assert ask(c, upgrade_headers(), version="1.0").status == 400


# ---- S4: lists ----


@pytest.mark.parametrize("name", ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Connection", "Upgrade"])
@pytest.mark.parametrize("element", ["a,", ",", "\"\\\"", "a;"], ids=["tokens", "commas", "quotes", "parameters"])
def test_s4_a_list_of_30_kib_costs_no_time(culvert, name, element):
    c = culvert(ECHO)
    before = c.cpu_seconds()
    for _ in range(10):
        wire = c.wire()
        wire.send(upgrade_request("/echo", headers=[(name, element * (30000 // len(element)))]))
        assert read_answer(wire).status in (101, 400, 431)
        wire.close()
    assert c.cpu_seconds() - before < 2  # quadratic would be a thousand million steps each


def test_s4_no_extension_is_ever_accepted(culvert):
    c = culvert(ECHO)
    offer = "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"
    ws = c.ws("/echo", headers=[("Sec-WebSocket-Extensions", offer)])
    assert ws.answer["sec-websocket-extensions"] is None
    ws.send_frame(TEXT, b"compressed", rsv=4)
    ws.expect_close(1002)


# ---- subprotocols ----

SUBPROTOCOLS = """
    [route /listed]
    target = echo:
    subprotocols = binary, mqtt
    [route /required]
    target = echo:
    subprotocols = binary, mqtt
    subprotocols_required = yes
"""


@pytest.mark.parametrize(
    "offered, chosen",
    [
        (["mqtt", "binary"], "mqtt"),  # the client's order
        (["binary", "mqtt"], "binary"),
        (["base64", "binary"], "binary"),
        (["base64"], None),
        (["BINARY"], None),  # names compare exactly
        ([], None),
    ],
)
def test_subprotocols_the_first_of_the_clients_that_is_listed_is_chosen(culvert, offered, chosen):
    c = culvert(SUBPROTOCOLS)
    assert c.ws("/listed", subprotocols=offered).subprotocol == chosen


def test_subprotocols_in_several_header_lines_are_one_list(culvert):
    c = culvert(SUBPROTOCOLS)
    headers = [("Sec-WebSocket-Protocol", "base64"), ("Sec-WebSocket-Protocol", "mqtt")]
    assert c.ws("/listed", headers=headers).subprotocol == "mqtt"


@pytest.mark.parametrize("offered", [[], ["base64"]])
def test_subprotocols_required_refuses_a_client_without(culvert, offered):
    c = culvert(SUBPROTOCOLS)
    with pytest.raises(Refused) as refused:
        c.ws("/required", subprotocols=offered)
    assert refused.value.status == 400
    assert c.ws("/required", subprotocols=["mqtt"]).subprotocol == "mqtt"


# ---- S10: upgrades ----


@pytest.mark.parametrize(
    "value", ["h2c, websocket", "websocket, h2c", "websocket/13", "websockets", "TLS/1.0", "foo", ""]
)
def test_s10_any_upgrade_but_websocket_alone_is_400_and_close(culvert, value):
    c = culvert(ECHO)
    assert ask(c, replaced("Upgrade", value)).status == 400


H2C = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]


def test_s10_h2c_is_never_honoured(culvert):
    c = culvert(ECHO)
    wire = c.wire()
    wire.send(request(path="/echo", headers=H2C))
    assert read_answer(wire).status == 400
    wire.wait_closed()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_s10_h2c_is_ignored_where_the_request_makes_sense_without(culvert, method):
    c = culvert(ECHO + "transports = websocket\n")
    plain, with_h2c = c.http(), c.http()
    accept = [("Accept", "text/event-stream")]
    expected = plain.ask(method, "/echo", headers=accept)
    answer = with_h2c.ask(method, "/echo", headers=accept + H2C)
    assert answer.status == expected.status
    assert answer.status not in (101, 400)


@pytest.mark.parametrize(
    "headers",
    [[("Content-Length", "5")], [("Transfer-Encoding", "chunked")]],
    ids=["length", "chunked"],
)
def test_s10_a_body_on_the_upgrade_is_400_and_close(culvert, headers):
    c = culvert(ECHO)
    wire = c.wire()
    wire.send(upgrade_request("/echo", headers=headers) + b"5\r\nhello\r\n0\r\n\r\n")
    assert read_answer(wire).status == 400
    wire.wait_closed()


def test_s10_frames_that_come_with_the_handshake_are_kept(culvert, peer):
    target = peer(Recorder)
    c = culvert(f"[route /x]\ntarget = {target.url}\n")
    wire = c.wire()
    wire.send(upgrade_request("/x") + frame(TEXT, "first ") + frame(TEXT, "second"))
    wire.upgraded()
    target.wait_received(b"first second")


@pytest.mark.parametrize("size", [100, 300_000], ids=["few", "many"])
def test_s10_client_bytes_before_the_101_are_kept_in_order(culvert, peer, certs, size):
    """The target takes its time with the TLS handshake; 300 kB are more than culvert holds."""
    target = peer(TlsTarget, certs.server_context())
    c = culvert(f"[route /x]\ntarget = {target.url}\ntls_ca = {certs.crt('ca')}\n")
    data = bytes(i * 7 % 127 for i in range(size))  # ASCII, so that it may go as text
    frames = [frame(TEXT, data[:100], fin=False)]
    frames += [frame(CONTINUATION, data[i : i + 1000], fin=False) for i in range(100, size, 1000)]
    stream = b"".join(frames) + frame(CONTINUATION) + frame(PING, b"last")
    wire = c.wire()
    wire.send(upgrade_request("/x"))
    raw = target.accept_raw()
    sent = send_what_is_taken(wire.sock, stream)
    conn = target.handshake(raw)
    wire.send(stream[sent:])
    wire.upgraded()
    assert conn.read(size) == data
    assert wire.recv_pong() == b"last"


def send_what_is_taken(sock, data):
    """Sends until the connection is full; returns how much that was."""
    sock.settimeout(0.5)
    sent = 0
    try:
        while sent < len(data):
            sent += sock.send(data[sent : sent + 65536])
    except TimeoutError:
        pass
    sock.settimeout(DEADLINE)
    return sent


def test_s10_a_target_that_connects_late_gets_all_that_came_before(culvert, peer):
    target = peer(Blackhole)
    c = culvert(f"[route /x]\ntarget = {target.url}\n")
    wire = c.wire()
    wire.send(upgrade_request("/x") + frame(TEXT, "early"))
    target.open()
    wire.upgraded()
    while True:
        conn = target.accept()
        try:
            got = conn.read(5)
            break
        except (EOFError, OSError):
            continue  # one of those that kept the queue full
    assert got == b"early"


def test_a_client_that_leaves_before_the_101_frees_its_target(culvert, peer, certs):
    target = peer(TlsTarget, certs.server_context())
    c = culvert(f"[route /x]\ntarget = {target.url}\ntls_ca = {certs.crt('ca')}\nconnect_timeout = 60s\n")
    wire = c.wire()
    wire.send(upgrade_request("/x"))
    raw = target.accept_raw()
    assert raw.read(1)  # culvert's ClientHello
    watch = Stopwatch()
    wire.reset()
    raw.wait_closed()
    assert watch.seconds < 20


# ---- header_timeout ----


@pytest.mark.parametrize("sent", [b"", b"GET /echo HTTP/1.1\r\nHost: lo"], ids=["nothing", "half a head"])
def test_header_timeout_ends_a_handshake_that_does_not_come(culvert, sent):
    c = culvert("[server]\nheader_timeout = 1s\n" + ECHO)
    wire = c.wire()
    watch = Stopwatch()
    wire.send(sent)
    got = wire.read_to_end()
    assert 0.8 <= watch.seconds < 5
    if sent:
        assert got.startswith(b"HTTP/1.1 408 ")


def test_header_timeout_is_not_stretched_by_a_byte_now_and_then(culvert):
    c = culvert("[server]\nheader_timeout = 1s\n" + ECHO)
    wire = c.wire()
    watch = Stopwatch()
    wire.send(b"GET /echo HTTP/1.1\r\nX-Slow: ")
    while wire.is_open() and watch.seconds < DEADLINE:
        wire.send_quietly(b"x")
        time.sleep(0.05)
    assert 0.8 <= watch.seconds < 5


def test_header_timeout_does_not_touch_an_open_websocket(culvert):
    c = culvert("[server]\nheader_timeout = 1s\n" + ECHO)
    ws = c.ws("/echo")
    late = c.wire()
    late.wait_closed()  # this one had as long
    ws.send_text("still here")
    assert ws.recv_data().payload == b"still here"
