# SPDX-License-Identifier: BSD-2-Clause
"""What plain HTTP requests get: routing, status codes, keep-alive, the access log."""

import json

import pytest

from harness.http import read_answer, request
from harness.peers import Recorder, free_port
from harness.wait import wait_until
from harness.ws import Refused

ROUTES = """
    [route /exact]
    target = echo:
    transports = websocket
    [route /prefix/]
    target = echo:
    [route /prefix/deeper/]
    target = echo:
    [route /prefix/deeper/exact]
    target = echo:
    [route named.test/exact]
    target = echo:
    [route named.test/only-there]
    target = echo:
"""


def route_of(culvert, path, host="localhost"):
    """The route that the access log names for a WebSocket at this path; the status if refused."""
    count = len(culvert.events("websocket"))
    try:
        ws = culvert.ws(path, host=host)
    except Refused as refused:
        return refused.status
    ws.leave()
    return culvert.wait_event("websocket", count + 1)["route"]


# ---- routing ----


@pytest.mark.parametrize(
    "path, route",
    [
        ("/exact", "/exact"),
        ("/exact?query=/prefix/", "/exact"),
        ("/exact/", 404),
        ("/exact/below", 404),
        ("/Exact", 404),
        ("/%65xact", "/exact"),  # decoded once
        ("/%2565xact", 404),
        ("/prefix", 404),
        ("/prefix/", "/prefix/"),
        ("/prefix/x/y", "/prefix/"),
        ("/prefix/deeper/x", "/prefix/deeper/"),
        ("/prefix/deeper/exact", "/prefix/deeper/exact"),
        ("/prefix/deeper", "/prefix/"),
        ("/", 404),
        ("/only-there", 404),
    ],
)
def test_routes_exact_prefix_and_longest(culvert, path, route):
    c = culvert(ROUTES)
    assert route_of(c, path) == route


@pytest.mark.parametrize("host", ["named.test", "NAMED.test", "named.test:8080"])
def test_routes_of_a_host_come_before_those_of_any(culvert, host):
    c = culvert(ROUTES)
    assert route_of(c, "/exact", host) == "named.test/exact"
    assert route_of(c, "/only-there", host) == "named.test/only-there"
    assert route_of(c, "/prefix/", host) == "/prefix/"


def test_s11_a_target_never_comes_from_the_clients_text(culvert, peer):
    target = peer(Recorder)
    c = culvert("[route /x/]\ntarget = echo:\n")
    host = f"127.0.0.1:{target.port}"
    for path in (f"/x/{host}", f"/x/?target=tcp://{host}", f"http://{host}/x/"):
        try:
            ws = c.ws(path, host=host, headers=[("X-Target", f"tcp://{host}"), ("X-Forwarded-Host", host)])
        except Refused:
            continue
        ws.send_text("echo")
        assert ws.recv_data().payload == b"echo"
    assert target.received == []


@pytest.mark.parametrize(
    "path",
    [
        "/a//b",
        "//exact",
        "/./exact",
        "/../exact",
        "/prefix/../exact",
        "/prefix/..",
        "/%2e%2e/exact",
        "/a%2Fb",
        "/a%2fb",
        "/a\\b",
        "/a%5Cb",
        "/a%00b",
        "/a%",
        "/a%4",
        "/a%zz",
    ],
)
def test_s14_paths_that_could_be_read_in_two_ways_are_400(culvert, path):
    c = culvert(ROUTES)
    assert c.http().ask(path=path).status == 400


# ---- statuses ----


def test_no_route_is_404(culvert):
    c = culvert(ROUTES)
    answer = c.http().ask(path="/nothing")
    assert answer.status == 404
    assert answer.body.endswith(b"\n") and answer.body.count(b"\n") == 1


def test_an_error_is_json_for_who_accepts_json(culvert):
    c = culvert(ROUTES)
    answer = c.http().ask(path="/nothing", headers=[("Accept", "application/json")])
    assert answer.status == 404
    assert answer["content-type"].startswith("application/json")
    body = json.loads(answer.body)
    assert body["status"] == 404 and body["error"]


@pytest.mark.parametrize("accept", [None, "*/*", "text/html,*/*;q=0.8"])
def test_a_plain_get_on_a_websocket_route_is_426(culvert, accept):
    c = culvert(ROUTES)
    answer = c.http().ask(path="/exact", headers=[("Accept", accept)] if accept else [])
    assert answer.status == 426
    assert answer["upgrade"] == "websocket"


def test_a_transport_that_the_route_does_not_offer_is_406(culvert):
    c = culvert(ROUTES)
    assert c.http().ask(path="/exact", headers=[("Accept", "text/event-stream")]).status == 406


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_methods_without_meaning_are_405_with_allow(culvert, method):
    c = culvert(ROUTES)
    answer = c.http().ask(method, "/exact")
    assert answer.status == 405
    assert "GET" in answer["allow"]


def test_head_is_for_files_and_its_refusal_has_no_body(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    answer = wire.ask("HEAD", "/exact")
    assert answer.status == 405 and int(answer["content-length"]) > 0
    assert wire.ask(path="/nothing").status == 404  # the next answer follows at once


def test_options_tells_what_is_allowed(culvert):
    c = culvert(ROUTES)
    answer = c.http().ask("OPTIONS", "/exact")
    assert answer.status == 204
    assert "GET" in answer["allow"]


def test_defaults_hold_for_all_routes_that_say_nothing_else(culvert):
    c = culvert(
        """
        [defaults]
        subprotocols = one
        idle_timeout = 500ms
        [route /as-said]
        target = echo:
        [route /its-own]
        target = echo:
        subprotocols = two
        idle_timeout = 0
        """
    )
    its_own = c.ws("/its-own", subprotocols=["one", "two"])
    as_said = c.ws("/as-said", subprotocols=["two", "one"])
    assert (as_said.subprotocol, its_own.subprotocol) == ("one", "two")
    assert as_said.recv_close() == 1008
    its_own.send_text("not idle for ever")
    assert its_own.recv_bytes(17) == b"not idle for ever"


def test_answers_of_a_route_are_not_to_be_stored_or_buffered(culvert):
    c = culvert(ROUTES)
    answer = c.http().ask(path="/exact")
    assert answer["cache-control"] == "no-store, no-transform"
    assert answer["x-accel-buffering"] == "no"


@pytest.mark.parametrize(
    "raw, status",
    [
        (b"GET /exact HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /exact HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /exact HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", 417),
        (b"GET /exact HTTP/1.1\r\n\r\n", 400),
        (b"GET /exact HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /exact HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET /exact HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /exact HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello", 400),
        (b"GET /exact HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
        (b"GET /exact HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET /exact HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /exact HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\n", 400),
        (b"POST /exact HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET http://other/exact HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET exact HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a ClientHello on a plain port", 400),
        (b"GET /exact HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400),
    ],
    ids=lambda value: value.decode("latin-1")[:60] if isinstance(value, bytes) else None,
)
def test_s14_requests_with_doubtful_framing_are_refused_and_end_the_connection(culvert, raw, status):
    c = culvert(ROUTES)
    wire = c.http()
    wire.send(raw)
    assert read_answer(wire).status == status
    if status != 417:
        wire.wait_closed()


def test_absolute_form_is_taken_for_the_same_host(culvert):
    c = culvert(ROUTES)
    assert c.http().ask(path="http://localhost/exact").status == 426


# ---- connections ----


def test_a_connection_is_kept_for_the_next_request(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    assert [wire.ask(path=path).status for path in ("/exact", "/nothing", "/prefix/")] == [426, 404, 426]
    assert wire.is_open()


def test_pipelined_requests_are_answered_in_order(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    wire.send(b"".join(request(path=path) for path in ("/exact", "/nothing", "/prefix/", "/nothing")))
    assert [read_answer(wire).status for _ in range(4)] == [426, 404, 426, 404]


def test_a_request_with_a_body_does_not_become_the_next_request(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    inner = request(path="/exact")
    wire.send(request("POST", "/nothing", body=inner))
    assert read_answer(wire).status == 404
    try:
        wire.send(request(path="/nothing"))
        rest = wire.read_to_end(reset_is_end=True) if not wire.is_open() else read_answer(wire)
    except (OSError, EOFError):
        return  # closed after the refusal: fine too
    assert getattr(rest, "status", 404) == 404


def test_a_refusal_reaches_a_client_that_is_still_sending_its_body(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    wire.send(request("POST", "/exact", headers=[("Content-Length", "900000")]))
    c.wait_event("request")
    wire.send(bytes(900_000))
    c.wait_quiet()
    assert read_answer(wire).status == 405
    wire.wait_closed()


def test_a_body_without_end_is_not_read_for_ever(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    wire.send(request("POST", "/exact", headers=[("Content-Length", str(1 << 40))]))
    with pytest.raises(OSError):
        for _ in range(1000):
            wire.send(bytes(65536))


def test_connection_close_is_honoured(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    answer = wire.ask(path="/exact", headers=[("Connection", "close")])
    assert "close" in ", ".join(answer.all("connection")).split(", ")
    assert wire.read_to_end() == b""


def test_http_1_0_gets_its_answer_and_the_end(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    answer = wire.ask(path="/exact", version="1.0")
    assert answer.status == 426
    assert answer["transfer-encoding"] is None
    assert wire.read_to_end() == b""


def test_http_1_0_needs_no_host(culvert):
    c = culvert(ROUTES)
    assert c.http().ask(path="/nothing", host=None, version="1.0").status == 404


def test_an_upgrade_may_follow_a_plain_request_on_the_same_connection(culvert):
    c = culvert(ROUTES)
    wire = c.wire()
    wire.send(request(path="/nothing"))
    assert read_answer(wire).status == 404
    wire.upgrade("/exact")
    wire.send_text("hello")
    assert wire.recv_data().payload == b"hello"


def test_a_connection_without_a_next_request_ends_after_header_timeout(culvert):
    c = culvert("[server]\nheader_timeout = 1s\n" + ROUTES)
    wire = c.http()
    assert wire.ask(path="/nothing").status == 404
    wire.read_to_end()


def test_a_client_that_finishes_after_its_request_gets_the_answer(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    wire.send(request(path="/nothing"))
    wire.finish()
    assert read_answer(wire).status == 404


# ---- the access log ----


def test_the_access_log_tells_a_plain_request(culvert):
    c = culvert(ROUTES)
    wire = c.http()
    answer = wire.ask(path="/exact")
    event = c.wait_event("request")
    assert event["route"] == "/exact"
    assert event["method"] == "GET"
    assert event["path"] == "/exact"
    assert event["status"] == "426"
    assert int(event["bytes"]) == len(answer.body)
    assert event["client"] == "%s:%d" % wire.sock.getsockname()
    assert float(event["duration"].rstrip("s")) < 10


def test_the_access_log_tells_a_websocket(culvert, peer):
    target = peer(Recorder)
    c = culvert(f"[route /x]\ntarget = {target.url}\n")
    ws = c.ws("/x")
    client = "%s:%d" % ws.sock.getsockname()
    ws.send_text("seven by")
    target.wait_received(b"seven by")
    ws.leave(3456)
    event = c.wait_event("websocket")
    assert event["route"] == "/x"
    assert event["client"] == client
    assert str(target.port) in event["target"]
    assert event["ended_by"] == "client"
    assert event["code"] == "3456"
    assert event["in"] == "8" and event["out"] == "0"
    assert float(event["duration"].rstrip("s")) < 10


def test_the_access_log_cannot_be_forged(culvert):
    c = culvert(ROUTES)
    c.http().ask(path="/%0a2026-01-01T00:00:00.000Z%20access%20forged%22")
    c.wait_event("request")
    assert c.log_lines(r"^2026-01-01T00:00:00.000Z access") == []


def test_access_no_writes_no_access_lines(culvert):
    c = culvert("[log]\naccess = no\n" + ROUTES)
    assert c.http().ask(path="/nothing").status == 404
    c.ws("/exact").leave()
    c.stop()
    assert c.log_lines(r"^\S+ access ") == []


@pytest.mark.parametrize("level, written", [("warn", False), ("info", True), ("debug", True)])
def test_level_bounds_what_is_logged(culvert, level, written):
    port = free_port()
    c = culvert(f"[server]\nlisten = 127.0.0.1:{port}\n[log]\nlevel = {level}\n" + ROUTES, ready=False)
    c.addresses = [("127.0.0.1", port)]
    def connected():
        try:
            return c.http().ask(path="/nothing").status == 404
        except ConnectionRefusedError:
            return False

    wait_until(connected, "culvert to answer")
    if written:
        c.wait_log(r"^\S+ info ")
    else:
        assert c.log_lines(r"^\S+ info ") == []
    if level == "info":
        assert c.log_lines(r"^\S+ debug ") == []
