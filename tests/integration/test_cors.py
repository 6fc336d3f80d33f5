# SPDX-License-Identifier: BSD-2-Clause
"""What pages of other origins are told: OPTIONS, and the Access-Control-… lines of every answer."""

import signal

import pytest
from harness.http import read_answer, request
from harness.peers import Blackhole, Silent, refusing_port
from harness.ws import upgrade_headers

PAGE = "https://page.example"
LISTED = f"[route /x]\ntarget = echo:\ntransports = websocket\norigins = {PAGE}, http://b.example:81\n"


def cors(answer):
    return {name: value for name, value in answer.headers if name.startswith("access-control-") or name == "vary"}


def of(origin):
    """What every answer to this allowed origin carries."""
    return {
        "access-control-allow-origin": origin,
        "vary": "Origin",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "Retry-After",
    }


PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": "Authorization, Content-Type, Culvert-Session, Last-Event-ID",
    "access-control-max-age": "600",
}


@pytest.mark.parametrize("origin", [PAGE, "http://b.example:81"])
def test_options_tells_a_listed_origin_what_it_may_ask(culvert, origin):
    c = culvert(LISTED)
    wire = c.http()
    asked = [("Origin", origin), ("Access-Control-Request-Method", "POST"),
             ("Access-Control-Request-Headers", "culvert-session")]
    answer = wire.ask("OPTIONS", "/x", headers=asked)
    assert answer.status == 204 and answer["allow"] == "GET, OPTIONS"
    assert cors(answer) == {**of(origin), **PREFLIGHT}
    assert answer["cache-control"] == "no-store, no-transform"
    assert wire.ask(path="/x", headers=[("Origin", origin)]).status == 426  # on the same connection


def test_options_tells_a_page_of_the_same_host(culvert):
    c = culvert("[route /x]\ntarget = echo:\n")
    answer = c.http().ask("OPTIONS", "/x", host="here.example:8080", headers=[("Origin", "http://here.example:8080")])
    assert answer.status == 204
    assert cors(answer) == {**of("http://here.example:8080"), **PREFLIGHT}


def test_any_origin_is_told_a_star_and_gets_no_credentials(culvert):
    c = culvert("[route /x]\ntarget = echo:\norigins = any\n")
    every = {"access-control-allow-origin": "*", "access-control-expose-headers": "Retry-After"}
    asked = [("Origin", "https://elsewhere.example")]
    assert cors(c.http().ask("OPTIONS", "/x", headers=asked)) == {**every, **PREFLIGHT}
    assert cors(c.http().ask("GET", "/x", headers=asked)) == every


def test_without_an_origin_nothing_is_told(culvert):
    c = culvert(LISTED)
    answer = c.http().ask("OPTIONS", "/x")
    assert answer.status == 204 and answer["allow"] == "GET, OPTIONS"
    assert cors(answer) == {}
    assert cors(c.http().ask("GET", "/x")) == {}


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "HEAD", "POST", "DELETE", "PUT", "BREW"])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://page.example", "null", PAGE + ".evil.example"])
def test_s8_a_foreign_origin_is_403_by_every_method_and_told_nothing(culvert, method, origin):
    c = culvert(LISTED)
    answer = c.http().ask(method, "/x", headers=[("Origin", origin)])
    assert answer.status == 403
    assert cors(answer) == {}


@pytest.mark.parametrize(
    "method, path, headers, status",
    [
        ("GET", "/x", [], 426),
        ("GET", "/x", [("Accept", "text/event-stream")], 406),
        ("POST", "/x", [], 405),
        ("GET", "/x", [("Upgrade", "h2c"), ("Connection", "Upgrade")], 400),
        ("GET", "/x", [("Upgrade", "websocket"), ("Connection", "Upgrade")], 426),
        ("POST", "/x", upgrade_headers(), 400),
        ("GET", "/x?a=%zz", [], 400),
        ("GET", "/x?session=1&session=2", [], 400),
        ("GET", "/down", upgrade_headers(), 502),
    ],
)
def test_every_answer_to_an_allowed_origin_can_be_read_by_its_page(culvert, method, path, headers, status):
    held, port = refusing_port()
    with held:
        c = culvert(f"{LISTED}\n[route /down]\ntarget = tcp://127.0.0.1:{port}\norigins = {PAGE}\n")
        answer = c.http().ask(method, path, headers=[("Origin", PAGE), *headers])
        assert answer.status == status
        assert cors(answer) == of(PAGE)
        assert answer["cache-control"] == "no-store, no-transform" and answer["x-accel-buffering"] == "no"


def test_a_page_can_read_when_to_come_back(culvert, peer, tmp_path):
    """Retry-After, where there is no place, where a token is unknown, and when culvert is stopping."""
    (tmp_path / "map").write_text("t: echo:\n")
    c = culvert(f"[server]\ndrain_timeout = 60s\n[defaults]\norigins = {PAGE}\nclose_timeout = 30s\n"
                f"[route /x]\ntarget = {peer(Silent).url}\nconnections_max = 1\n"
                f"[route /ip]\ntarget = {peer(Silent).url}\nconnections_per_ip = 1\n"
                f"[route /map]\ntarget = map:{tmp_path}/map\n[route /files]\ntarget = files:{tmp_path}\n")
    first, second = c.ws("/x"), c.ws("/ip")

    def ask(path, origin=PAGE):
        return c.http().ask("GET", path, headers=[("Origin", origin), *upgrade_headers()])

    for path, status in [("/x", 503), ("/ip", 429), ("/map?token=no", 404)]:
        answer = ask(path)
        assert (answer.status, cors(answer)) == (status, of(PAGE))
    c.signal(signal.SIGTERM)
    assert (first.recv_close(), second.recv_close()) == (1001, 1001)  # not answered: it goes on
    answer = ask("/x")
    assert (answer.status, answer["retry-after"], cors(answer)) == (503, "1", of(PAGE))
    assert c.http().ask("OPTIONS", "/x", headers=[("Origin", PAGE)])["access-control-allow-origin"] == PAGE
    for answer in (ask("/x", "https://evil.example"), ask("/nowhere"), ask("/files"), ask("/a//b")):
        assert (answer.status, cors(answer)) == (503, {})
    c.signal(signal.SIGTERM)
    assert c.wait_exit() == 0


def test_each_request_of_a_connection_is_told_its_own(culvert):
    c = culvert(LISTED)
    wire = c.http()
    origins = [PAGE, None, "http://b.example:81", "https://evil.example", PAGE]
    wire.send(b"".join(request(path="/x", headers=[("Origin", one)] if one else []) for one in origins))
    told = [cors(read_answer(wire)).get("access-control-allow-origin") for _ in origins]
    assert told == [PAGE, None, "http://b.example:81", None, PAGE]


def test_files_are_told_nothing(culvert, tmp_path):
    c = culvert(f"[route /]\ntarget = files:{tmp_path}\n")
    answer = c.http().ask("OPTIONS", "/x", headers=[("Origin", PAGE)])
    assert answer.status == 204 and answer["allow"] == "GET, HEAD, OPTIONS"
    assert cors(answer) == {}


def test_a_client_that_leaves_before_its_answer_leaves_nothing_behind(culvert, peer):
    """What was to be added to the answer goes with the connection: the sanitizer would tell."""
    hole = peer(Blackhole)
    c = culvert(f"[route /x]\ntarget = {hole.url}\norigins = {PAGE}\n")
    wire = c.http()
    wire.send(request(path="/x", headers=[("Origin", PAGE), *upgrade_headers()]))
    c.wait_quiet()
    wire.reset()
    assert c.wait_event("request")["status"] == "499"


def test_a_websocket_of_an_allowed_origin_opens(culvert):
    c = culvert(LISTED)
    ws = c.ws("/x", headers=[("Origin", PAGE)])
    ws.send_text("hello")
    assert ws.recv_bytes(5) == b"hello"
