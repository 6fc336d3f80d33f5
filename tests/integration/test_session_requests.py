# SPDX-License-Identifier: BSD-2-Clause
"""The requests of sessions as HTTP: how ids are told, what is refused, CORS, connections that serve many."""

import json

import pytest

from harness import session_frames as frames
from harness.http import read_answer, read_head, request
from harness.peers import Recorder, Target
from harness.session import Session, answer_of, open_post, open_ws
from harness.session_conf import ECHO, SERVER, to
from harness.session_frames import ACK, CLOSE, ack, binary, kinds
from harness.session_http import STREAM, V1, EventStream, begin_poll, post_head
from harness.ws import upgrade_headers

PAGE, OTHER = "https://page.example", "https://other.example"
POLL_HEADERS = [("Accept", V1)]
POST_HEADERS = [("Content-Type", V1)]


def every_request(session, query, headers=()):
    """The status of each kind of request that names a session; DELETE is the last."""
    asked = [session.ask("POST", session.connect(), query, [*POST_HEADERS, *headers]).status]
    asked += [session.ask("GET", session.connect(), query, [("Accept", V1), *headers]).status]
    asked += [EventStream(session.connect(), session.url(**query), headers=headers).answer.status]
    asked += [session.ask("DELETE", session.connect(), query, headers).status]
    return asked


# ---- the id ----


def test_the_id_may_come_in_a_header(culvert, peer):
    target = peer(Target)
    session = open_post(culvert(to(target)))
    far = target.accept()
    header = [("Culvert-Session", session.id)]
    for query in ({}, {"session": session.id}):
        answer = session.ask("POST", query=query, headers=[*POST_HEADERS, *header],
                             body=frames.pack(session.message(b"up")))
        assert answer.status == 200 and far.read(2) == b"up"
    far.send(b"down")
    answer = session.ask("GET", query={"ack": 0, "n": 1}, headers=[*POLL_HEADERS, *header])
    assert answer.frames[-1] == binary(1, b"down")
    stream = EventStream(session.connect(), session.url(ack=1, n=2), headers=header)
    assert stream.answer.status == 200
    assert session.ask("DELETE", query={}, headers=header).status == 204
    assert far.read_to_end() == b""


def test_a_header_and_a_query_that_differ_are_400(culvert):
    c = culvert(ECHO)
    session, other = open_post(c), open_post(c)
    assert every_request(session, {"session": session.id}, [("Culvert-Session", other.id)]) == [400] * 4
    assert session.ask_post().status == other.ask_post().status == 200


@pytest.mark.parametrize("key, value", [("session", None), ("ack", "0"), ("n", "7")])
def test_a_doubled_key_is_400(culvert, key, value):
    session = open_post(culvert(ECHO))
    doubled = f"{key}={value or session.id}"
    session.path = f"/x?{doubled}&{doubled}"
    query = {} if key == "session" else {"session": session.id}
    assert every_request(session, query) == [400] * 4
    session.path = "/x"
    assert session.ask_post().status == 200


@pytest.mark.parametrize("key", ["ack", "n"])
@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "0x1", "99999999999999999999999", "4611686018427387904"])
def test_a_number_that_is_none_is_400(culvert, key, value):
    session = open_post(culvert(ECHO))
    query = {"session": session.id, key: value}
    assert session.ask("GET", session.connect(), query, POLL_HEADERS).status == 400
    assert EventStream(session.connect(), session.url(**query)).answer.status == 400


@pytest.mark.parametrize("one", ["", " ", "a b", "é", "a/b", "a" * 300, "../x", "a.b", "\x01"])
def test_s14_what_cannot_be_an_id_finds_nothing(culvert, one):
    session = open_post(culvert(ECHO))
    for status in every_request(session, {"session": one}):
        assert status in (400, 410)
    assert session.ask_post().status == 200


def test_a_request_that_needs_a_session_and_names_none_is_refused(culvert, peer):
    target = peer(Target)
    session = Session(culvert(to(target)))
    assert session.ask("GET", session.connect(), {}, POLL_HEADERS).status == 400
    assert session.ask("DELETE", session.connect(), {}).status == 400
    assert session.ask("POST", session.connect(), {}, POST_HEADERS, body=frames.pack(ack(0))).status in (400, 415)
    assert target.nobody_came()


# ---- origins ----


def test_a_page_of_another_origin_reaches_no_session(culvert):
    session = open_post(culvert(f"{ECHO}origins = {PAGE}, {OTHER}\n"), headers=[("Origin", PAGE)])
    session.headers = []
    for origin in (OTHER, "https://evil.example", "null"):
        assert every_request(session, {"session": session.id}, [("Origin", origin)]) == [403] * 4
    for headers in ([("Origin", PAGE)], []):
        assert session.ask("POST", query={"session": session.id}, headers=[*POST_HEADERS, *headers]).status == 200


def test_s8_no_session_is_opened_for_a_foreign_page(culvert, peer):
    target = peer(Target)
    c = culvert(to(target))
    for headers in ([("Origin", "https://evil.example")], [("Sec-Fetch-Site", "cross-site")]):
        assert c.http().ask("POST", "/x", headers=headers).status == 403
        assert c.http().ask("GET", "/x", headers=[("Accept", STREAM), *headers]).status == 403
    assert target.nobody_came()


def test_every_answer_can_be_read_by_its_page(culvert):
    c = culvert(f"{ECHO}origins = {PAGE}\npoll_wait = 200ms\n")
    session = open_post(c, headers=[("Origin", PAGE)])
    answers = [
        session.ask_poll(),
        session.ask_post(session.message(b"x")),
        session.ask_poll(),
        session.ask_post(b"\x08"),
        session.ask_post(binary(9, b"gap")),
        session.ask_poll(n=0),
        EventStream(session.connect(), session.url(session=session.id, ack=0, n=9), headers=session.headers).answer,
        session.delete(),
    ]
    session.id = "A" * 24
    answers.append(session.ask_post())
    assert [answer.status for answer in answers] == [204, 200, 200, 400, 409, 409, 200, 204, 410]
    for answer in answers:
        assert answer["access-control-allow-origin"] == PAGE and answer["vary"] == "Origin"
        assert answer["access-control-allow-credentials"] == "true"
        assert answer["access-control-expose-headers"] == "Retry-After"
        assert answer["cache-control"] == "no-store, no-transform" and answer["x-accel-buffering"] == "no"


def test_a_preflight_allows_what_sessions_use(culvert):
    c = culvert(f"{ECHO}origins = {PAGE}\n")
    asked = [("Origin", PAGE), ("Access-Control-Request-Method", "DELETE"),
             ("Access-Control-Request-Headers", "culvert-session")]
    answer = c.http().ask("OPTIONS", "/x", headers=asked)
    assert answer.status == 204
    assert answer["access-control-allow-methods"] == "GET, POST, DELETE"
    assert answer["access-control-allow-headers"] == "Authorization, Content-Type, Culvert-Session, Last-Event-ID"
    assert set(answer["allow"].split(", ")) == {"GET", "POST", "DELETE", "OPTIONS"}


# ---- what a route does not do ----


def test_a_transport_that_the_route_does_not_allow_is_406(culvert, peer):
    target = peer(Target)
    c = culvert(SERVER + "".join(f"[route /{name}]\ntarget = {target.url}\ntransports = {name}\n"
                        for name in ("websocket", "sse", "longpoll")))

    asked = {"websocket": upgrade_headers(["culvert.v1"]), "sse": [("Accept", STREAM)], "longpoll": POLL_HEADERS}
    for allowed in asked:
        for other in set(asked) - {allowed}:
            assert c.http().ask("GET", f"/{allowed}", headers=asked[other]).status == 406
    assert c.http().ask("POST", "/websocket").status in (405, 406)
    for name in ("sse", "longpoll"):
        assert c.http().ask("POST", f"/{name}").status == 201


def test_of_several_media_types_the_first_that_is_allowed_counts(culvert):
    c = culvert(f"{ECHO}transports = sse\n")
    answer = EventStream(c.http(), "/x", headers=[]).answer
    assert answer.status == 200
    wire = c.http()
    wire.send(request("GET", "/x", headers=[("Accept", f"text/html, {V1};q=0.9, {STREAM};q=0.1, */*")]))
    answer = read_head(wire)
    assert answer.status == 200 and answer["content-type"] == STREAM


def test_without_a_resume_window_there_is_nothing_but_websocket(culvert, peer):
    target = peer(Target)
    c = culvert(to(target, "resume_window = 0"))
    for headers in ([("Accept", STREAM)], POLL_HEADERS):
        assert c.http().ask("GET", "/x", headers=headers).status == 406
    assert c.http().ask("POST", "/x").status in (405, 406)
    assert target.nobody_came()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "BREW"])
def test_another_method_is_405(culvert, method):
    session = open_post(culvert(ECHO))
    answer = session.ask(method)
    assert answer.status == 405
    assert {"GET", "POST", "DELETE", "OPTIONS"} <= set(answer["allow"].split(", "))
    assert session.ask_post().status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/vnd.culvert.v2", None])
def test_another_media_type_is_415(culvert, kind):
    session = open_post(culvert(ECHO))
    headers = [("Content-Type", kind)] if kind else []
    answer = session.ask("POST", session.connect(), headers=headers, body=frames.pack(session.message(b"x")))
    assert answer.status == 415
    assert session.ask_post(binary(1, b"x")).status == 200


def test_accept_anything_opens_nothing(culvert, peer):
    target = peer(Target)
    c = culvert(to(target))
    for accept in ("*/*", "text/*", "image/png, */*;q=0.1"):
        assert c.http().ask("GET", "/x", headers=[("Accept", accept)]).status == 426
    assert target.nobody_came()


# ---- connections ----


def test_one_connection_serves_them_all(culvert, peer):
    target = peer(Target)
    session = open_post(culvert(to(target)))
    far, wire = target.accept(), session.up
    for number in range(20):
        far.send(b"down")
        assert session.ask_post(session.message(b"up"), wire=wire).status == 200
        assert far.read(2) == b"up"
        assert session.ask_poll(wire=wire).status == 200
    assert session.delete(wire=wire).status == 204


def test_requests_may_be_sent_before_their_answers_have_come(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    wire = session.connect()
    pipelined = b""
    for number in range(1, 51):
        body = frames.pack(session.message(b"%02d" % number))
        pipelined += request("POST", session.url(session=session.id), headers=POST_HEADERS, body=body)
    pipelined += request("DELETE", session.url(session=session.id))
    pipelined += request("POST", session.url(session=session.id), headers=POST_HEADERS)
    pipelined += request("POST", "/x")
    wire.send(pipelined)
    answers = [answer_of(wire) for _ in range(53)]
    assert [answer.status for answer in answers] == [200] * 50 + [204, 200, 201]
    told = [answer.frames[0].seq for answer in answers[:50]]
    assert told == sorted(told)
    assert kinds(answers[51].frames) == [ACK, CLOSE]
    target.wait_received(b"".join(b"%02d" % number for number in range(1, 51)))


def test_what_is_asked_behind_a_poll_is_answered_after_it(culvert, peer):
    target = peer(Target)
    session = open_post(culvert(to(target)))
    far = target.accept()
    wire = begin_poll(session, ack=0, n=1)
    wire.send(request("POST", session.url(session=session.id), headers=POST_HEADERS,
                      body=frames.pack(session.message(b"up"))))
    far.send(b"down")
    assert answer_of(wire).frames[-1] == binary(1, b"down")
    assert answer_of(wire).status == 200 and far.read(2) == b"up"


@pytest.mark.parametrize("version, headers", [("1.0", []), ("1.1", [("Connection", "close")])])
def test_a_connection_that_is_for_one_request_ends_after_it(culvert, peer, version, headers):
    target = peer(Target)
    session = open_post(culvert(to(target)))
    far = target.accept()
    far.send(b"down")
    path = session.url(session=session.id, ack=0, n=1)
    for method, asked in (("GET", POLL_HEADERS), ("POST", POST_HEADERS)):
        wire = session.connect()
        wire.send(request(method, path, headers=[*asked, *headers], version=version,
                          body=frames.pack(session.message(b"up")) if method == "POST" else b""))
        answer = read_answer(wire)
        assert answer.status == 200 and answer["transfer-encoding"] is None
        assert wire.read_to_end() == b""
    assert far.read(2) == b"up"


def test_http_1_0_keep_alive_is_no_reason_to_fail(culvert):
    session = open_post(culvert(f"{ECHO}poll_wait = 200ms\n"))
    answer = session.ask_poll(headers=[("Connection", "keep-alive")], version="1.0")
    assert answer.status == 204


def test_a_client_may_ask_whether_its_body_is_wanted(culvert, peer):
    target = peer(Recorder)
    session = open_post(culvert(to(target, "buffer = 16k\nmessage_max = 16k")))
    wire = session.connect()
    body = frames.pack(session.message(b"hello"))
    wire.send(post_head(session, ("Expect", "100-continue"), ("Content-Length", str(len(body)))))
    assert read_head(wire).status == 100
    wire.send(body)
    assert answer_of(wire).status == 200
    target.wait_received(b"hello")
    wire = session.connect()
    wire.send(post_head(session, ("Expect", "100-continue"), ("Content-Length", "1000000")))
    assert read_answer(wire).status == 413
    wire = session.connect()
    wire.send(post_head(session, ("Expect", "200-ok"), ("Content-Length", "1")))
    assert read_answer(wire).status == 417


def test_a_refused_post_with_a_body_leaves_the_session_alone(culvert, peer):
    """Its connection ends, since nobody reads the body."""
    target = peer(Recorder)
    session = open_post(culvert(to(target)))
    session.id, known = "A" * 24, session.id
    wire = session.connect()
    wire.send(post_head(session, ("Content-Length", "100000")) + bytes(5000))
    answer = read_answer(wire)
    assert answer.status == 410 and answer["connection"] == "close"
    wire.wait_closed()
    session.id = known
    session.send(b"hello")
    target.wait_received(b"hello")


@pytest.mark.parametrize("where", ["poll", "post", "sse"])
def test_errors_are_one_line_of_text_or_json(culvert, where):
    session = Session(culvert(ECHO))
    session.id = "A" * 24
    method = "POST" if where == "post" else "GET"
    named = {"poll": POLL_HEADERS, "post": POST_HEADERS, "sse": [("Accept", STREAM)]}[where]
    answer = session.ask(method, headers=named)
    assert answer.status == 410
    assert answer.body.endswith(b"\n") and answer.body.count(b"\n") == 1 and session.id.encode() not in answer.body
    named = [(name, value + ", application/json" if name == "Accept" else value) for name, value in named]
    named += [("Accept", "application/json")] if where == "post" else []
    answer = session.ask(method, headers=named)
    assert answer.status == 410 and json.loads(answer.body)["status"] == 410


def test_a_websocket_may_name_its_session_in_the_header_too(culvert):
    c = culvert(ECHO)
    session = open_ws(c)
    session.send(b"hello")
    assert session.recv(5) == b"hello"
    ws = c.ws("/x?ack=1&n=1", subprotocols=["culvert.v1"], headers=[("Culvert-Session", session.id)])
    first = frames.decode(ws.recv_frame().payload)
    assert first.payload["session"] == session.id
