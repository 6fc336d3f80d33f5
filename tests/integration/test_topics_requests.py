# SPDX-License-Identifier: BSD-2-Clause
"""Requests to topic routes: the table of PROTOCOL.md section 4, and all that is refused."""

import json

import pytest

from harness.http import read_answer, request
from harness.topics import JSON, KINDS, STREAM, Publisher, TopicWs, payload, route, url
from harness.ws import Refused, upgrade_request

NO_STORE = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}
ASK = {
    "ws": lambda path: upgrade_request(path),
    "sse": lambda path: request("GET", path, headers=[("Accept", STREAM)]),
    "poll": lambda path: request("GET", path, headers=[("Accept", JSON)]),
}
ON_ALL = pytest.mark.parametrize("kind", ASK)


def ask(c, data, method="GET"):
    """The answer to some bytes; whatever it is, nobody may keep it."""
    wire = c.http()
    wire.send(data)
    answer = read_answer(wire, method)
    for name, value in NO_STORE.items():
        assert answer[name] == value, answer
    wire.close()
    return answer


def refused(c, kind, path, status, reason=b""):
    answer = ask(c, ASK[kind](path))
    assert answer.status == status, answer
    assert reason in answer.body, answer
    return answer


# ---- what is asked for ----


@ON_ALL
@pytest.mark.parametrize("query", [
    "topic=", "topic", "topic=a/%23/b", "topic=a%23", "topic=a+", "topic=sensors/+b", "topic=%23/a",
    "topic=sensors/%00", "topic=sensors/%ff", "topic=sensors/%2", "topic=" + "a/" * 128 + "a", "since=a&since=a",
    "since=", "since=a/b", "since=a+b", "since=" + "a" * 65, "topic=sensors/a&topic=",
])  # fmt: skip
def test_a_query_that_cannot_be_read(culvert, kind, query):
    c = culvert(route(subscribe="#"))
    refused(c, kind, f"/live?{query}", 400)


@ON_ALL
def test_what_the_list_does_not_cover_is_forbidden(culvert, kind):
    c = culvert(route(subscribe="sensors/#, chat/+, +/+/deep, $metrics/#"))
    for topic in ("#", "+", "+/#", "chat/#", "chat/+/x", "chat", "sensor/#", "$x/#", "+/deep", "$metrics2", "+/+/#",
                  "Sensors/a", "/sensors/a"):
        refused(c, kind, url("/live", [topic]), 403)
        refused(c, kind, url("/live", ["sensors/a", topic]), 403)  # one is enough
    wires = []
    for topic in ("sensors", "sensors/#", "sensors/+", "sensors/+/#", "chat/+", "chat/x", "a/b/deep", "+/b/deep",
                  "chat/+/deep", "$metrics", "$metrics/#"):
        wire = c.http()
        wire.send(ASK[kind](url("/live", [topic])))
        assert wire.read_until(b"\r\n").split(b" ")[1] in (b"101", b"200"), topic
        wires.append(wire)


@ON_ALL
def test_a_route_that_lets_nobody_subscribe(culvert, kind):
    c = culvert(route(subscribe=""))
    refused(c, kind, "/live", 403)
    refused(c, kind, "/live?topic=sensors/a", 403)
    assert Publisher(c).put("sensors/a", "x")


@ON_ALL
def test_as_many_filters_as_a_request_holds(culvert, kind):
    c = culvert(route("poll_wait = 1s\n", subscribe="#"))
    topics = [f"{i}" for i in range(257)]
    refused(c, kind, url("/live", topics), 400, b"too many")
    wire = c.http()
    wire.send(ASK[kind](url("/live", topics[:256])))
    wire.read_until(b" 101 " if kind == "ws" else b" 200 ")
    deep = ["/".join(str(i) for _ in range(128)) for i in range(16)]
    refused(c, kind, url("/live", deep), 400, b"levels")


@ON_ALL
def test_topics_may_have_128_levels(culvert, kind):
    c = culvert(route(subscribe="#", publish="#"))
    deep = "/".join("x" * 127) + "/y"
    client = KINDS[kind](c, ["/".join("+" * 127) + "/y", "/".join("x" * 127) + "/#", deep]).begin()
    p = Publisher(c)
    p.put("/".join("x" * 127), "short", retain=1)
    p.put(deep, "deep", retain=1)
    assert client.briefs(2) == [("/".join("x" * 127), "short"), (deep, "deep")]
    empty = "/" * 127
    client = KINDS[kind](c, [empty]).begin()
    p.put(empty, "levels without a byte")
    assert client.briefs(1) == [(empty, "levels without a byte")]
    assert p.ask(deep + "/z", "x").status == 400


# ---- which transport ----


@pytest.mark.parametrize("accept, status, wanted", [
    (STREAM, 200, STREAM), (JSON, 200, JSON), (f"{JSON}, {STREAM}", 200, JSON), (f"{STREAM};q=0.1, {JSON}", 200, STREAM),
    (f"text/html, {JSON};q=0.5", 200, JSON), ("*/*", 426, None), ("text/html", 426, None), ("application/*", 426, None),
    (None, 426, None),
])  # fmt: skip
def test_accept_names_the_transport(culvert, accept, status, wanted):
    c = culvert(route())
    wire = c.http()
    wire.send(request("GET", "/live", headers=[("Accept", accept)] if accept else []))
    head = wire.read_until(b"\r\n\r\n").decode()
    assert head.startswith(f"HTTP/1.1 {status} ")
    if wanted:
        assert f"Content-Type: {wanted}\r\n" in head
    else:
        assert "Upgrade: websocket\r\n" in head


@pytest.mark.parametrize("transports, got", [
    ("websocket", {"ws": 101, "sse": 406, "poll": 406, "none": 426}),
    ("sse", {"ws": 406, "sse": 200, "poll": 406, "none": 406}),
    ("longpoll", {"ws": 406, "sse": 406, "poll": 200, "none": 406}),
    ("sse, longpoll", {"ws": 406, "sse": 200, "poll": 200, "none": 406}),
])  # fmt: skip
def test_what_the_route_does_not_allow_is_406(culvert, transports, got):
    c = culvert(route(f"transports = {transports}\n"))
    asks = {**ASK, "none": lambda path: request("GET", path)}
    for kind, status in got.items():
        wire = c.http()
        wire.send(asks[kind]("/live"))
        assert wire.read_until(b"\r\n").split(b" ")[1] == str(status).encode(), kind


def test_methods(culvert):
    c = culvert(route("[route /read]\ntarget = topics:\nsubscribe = #\norigins = any\n"))
    for path, allowed in (("/live", "GET, POST, OPTIONS"), ("/read", "GET, OPTIONS")):
        for method in ("PUT", "DELETE", "HEAD", "PATCH") + (("POST",) if path == "/read" else ()):
            answer = ask(c, request(method, f"{path}?topic=sensors/a"), method)
            assert answer.status in (405, 501), (method, answer)
            assert answer.status == 501 or answer["allow"] == allowed
        answer = ask(c, request("OPTIONS", path))
        assert (answer.status, answer["allow"]) == (204, allowed)
    assert ask(c, request("GET", "/live", headers=[("Upgrade", "h2"), ("Connection", "upgrade")])).status == 400


@ON_ALL
def test_a_page_of_another_origin_gets_in_if_the_route_says_so(culvert, kind):
    c = culvert(route().replace("origins = any", "origins = https://a.example"))
    origin = [("Origin", "https://b.example")]
    data = {"ws": upgrade_request("/live", headers=origin), "sse": request("GET", "/live", headers=[("Accept", STREAM), *origin]),
            "poll": request("GET", "/live", headers=[("Accept", JSON), *origin])}[kind]  # fmt: skip
    assert ask(c, data).status == 403
    assert ask(c, request("POST", "/live?topic=chat/a", headers=origin, body=b"x")).status == 403
    answer = ask(c, request("POST", "/live?topic=chat/a", headers=[("Origin", "https://a.example")], body=b"x"))
    assert answer.status == 200 and answer["access-control-allow-origin"] == "https://a.example"
    # Errors too, or a page could not read them.
    answer = ask(c, request("GET", "/live?topic=%23", headers=[("Origin", "https://a.example"), ("Accept", JSON)]))
    assert answer.status == 403 and answer["access-control-allow-origin"] == "https://a.example"
    assert answer["access-control-expose-headers"] == "Retry-After"


def test_a_handshake_is_checked_as_on_any_route(culvert):
    c = culvert(route("subprotocols = a, b\nsubprotocols_required = yes\n"))
    with pytest.raises(Refused) as refusal:
        c.ws("/live")
    assert refusal.value.status == 400
    assert c.ws("/live", subprotocols=["c", "b", "a"]).subprotocol == "b"


def test_an_old_client_gets_a_stream_that_its_end_ends(culvert):
    c = culvert(route())
    wire = c.http()
    wire.send(request("GET", "/live", headers=[("Accept", STREAM)], version="1.0"))
    head = wire.read_until(b"\r\n\r\n")
    assert b"200" in head and b"chunked" not in head
    Publisher(c).put("sensors/a", "x")
    wire.read_until(b'"data":"x"}\n\n')


# ---- publishing ----


def test_a_post_publishes_its_body(culvert):
    c = culvert(route(subscribe="#"))
    p = Publisher(c)
    client = TopicWs(c).begin()
    every = bytes(range(256))
    for topic, data in (("chat/a", b""), ("chat/a", "é\0\n\r\"\\\u2028".encode()), ("sensors/a", every), ("chat/b", b"x" * 100_000)):
        sent = p.put(topic, data)
        got = client.next()
        assert (got["topic"], got["id"]) == (topic, sent)
        assert ("data64" in got) == (data is every)
        assert payload(got) == data
    answer = c.http().ask("POST", "/live?topic=chat/a", headers=[("Transfer-Encoding", "chunked")],
                          body=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")  # fmt: skip
    assert answer.status == 200 and client.briefs(1) == [("chat/a", "abcde")]
    wire = c.http()
    wire.send(request("POST", "/live?topic=chat/a", headers=[("Content-Length", "2"), ("Expect", "100-continue")]))
    assert wire.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    wire.send(b"ok")
    assert read_answer(wire).status == 200 and client.briefs(1) == [("chat/a", "ok")]


@pytest.mark.parametrize("query", [
    "", "topic=", "topic=chat/%2B", "topic=chat/%23", "topic=chat/+", "topic=chat/%00", "topic=a&topic=a",
    "topic=chat/%ff", "topic=chat/a&retain=2", "topic=chat/a&retain=yes", "topic=chat/a&retain=", "topic=chat/%",
    "topic=chat/a&retain=1&retain=1", "topic=sensors/" + "a/" * 127 + "a",
])  # fmt: skip
def test_a_post_to_nowhere_is_400(culvert, query):
    c = culvert(route())
    answer = ask(c, request("POST", f"/live?{query}", body=b"x"))
    assert answer.status == 400, answer


def test_a_post_to_what_the_list_does_not_have_is_403(culvert):
    c = culvert(route(publish="chat/+, $x/a"))
    for topic in ("chat", "chat/a/b", "sensors/a", "$x/b", "/chat/a", "x"):
        assert ask(c, request("POST", url("/live", [topic]), body=b"x")).status == 403, topic
    for topic in ("chat/", "chat/a", "$x/a"):
        assert Publisher(c).put(topic, "x")


def test_a_post_over_message_max_is_413(culvert):
    c = culvert(route("message_max = 1k\n"))
    p = Publisher(c)
    client = TopicWs(c, ["chat/+"]).begin()
    assert p.put("chat/a", b"x" * 1024)
    assert ask(c, request("POST", "/live?topic=chat/a", body=b"x" * 1025)).status == 413
    # Whose length is told is not asked for its body.
    for expect in ([], [("Expect", "100-continue")]):
        data = request("POST", "/live?topic=chat/a", headers=[("Content-Length", "1000000000"), *expect])
        assert ask(c, data).status == 413
    chunk = b"100\r\n" + bytes(256) + b"\r\n"
    assert ask(c, request("POST", "/live?topic=chat/a", headers=[("Transfer-Encoding", "chunked")], body=chunk * 5)).status == 413
    p.put("chat/a", "after that")
    assert client.briefs(2) == [("chat/a", "x" * 1024), ("chat/a", "after that")]


def test_a_body_that_breaks_off_is_published_nowhere(culvert):
    c = culvert(route("message_timeout = 1s\n"))
    client = TopicWs(c, ["chat/+"]).begin()
    wire = c.http()
    wire.send(request("POST", "/live?topic=chat/a", headers=[("Content-Length", "10")], body=b"half"))
    wire.close()
    slow = c.http()
    slow.send(request("POST", "/live?topic=chat/a", headers=[("Content-Length", "10")], body=b"half"))
    assert read_answer(slow).status == 408
    Publisher(c).put("chat/a", "whole")
    assert client.briefs(1) == [("chat/a", "whole")]


def test_retained_values_have_a_limit(culvert):
    c = culvert(route("[bus]\nretained_max = 2\n"))
    p = Publisher(c)
    for topic in ("chat/a", "chat/b", "chat/a"):
        p.put(topic, "x", retain=1)
    answer = Publisher(c).ask("chat/c", "x", retain=1)
    assert answer.status == 503 and answer["retry-after"]
    p.put("chat/c", "not kept")
    ws = TopicWs(c, ["chat/+"])
    assert sorted(ws.briefs(2)) == [("chat/a", "x", True), ("chat/b", "x", True)]
    error, _ = ws.begin().ask(publish="chat/c", data="x", retain=True)
    assert error["event"] == "error" and "retained" in error["reason"]
    p.put("chat/a", b"", retain=1)
    assert p.put("chat/c", "x", retain=1)
    assert json.loads(p.ask("chat/b", b"y", retain=1).body)["id"]
