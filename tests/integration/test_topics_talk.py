# SPDX-License-Identifier: BSD-2-Clause
"""What a WebSocket client of a topic route says while it is connected, and what it is answered."""

import base64
import json
import os

import pytest

from harness.topics import KINDS, Publisher, TopicSse, TopicWs, brief, payload, route
from harness.ws import BINARY, CONTINUATION, TEXT

OTHER_EPOCH = "0123456789abcdef-1"


def start(culvert, more="", topics=("chat/+",), **options):
    c = culvert(route(more, **options))
    return c, TopicWs(c, topics).begin()


# ---- publish ----


@pytest.mark.parametrize("ref", ["a", "", 0, 7, -1, 1.5, 2**53, "é\"\\\n", "x" * 62])
def test_an_ack_names_what_it_acknowledges(culvert, ref):
    c, ws = start(culvert)
    ws.say(publish="chat/a", data="1", ref=ref)
    got = [ws.next(), ws.next()]
    ack = next(one for one in got if one.get("event") == "ack")
    message = next(one for one in got if "topic" in one)
    assert ack == {"event": "ack", "ref": ref, "id": message["id"]}
    ws.say(publish="chat/a", data="2")  # nobody waits for one
    ws.say(publish="chat/a", data="3")
    assert ws.briefs(2) == [("chat/a", "2"), ("chat/a", "3")]


def test_whoever_cannot_subscribe_to_it_may_publish_it(culvert):
    c, ws = start(culvert, subscribe="chat/+", publish="secret/#")
    answer, before = ws.ask(publish="secret/a", data="x")
    assert answer["event"] == "ack" and before == []
    assert ws.ask(publish="chat/a", data="x")[0]["event"] == "error"
    assert ws.ask(subscribe=["secret/a"])[0]["event"] == "error"


@pytest.mark.parametrize("data", [b"", b"text", "é\u2028\"\\/\0\x7f".encode(), b"\r\n", b"\xff", bytes(range(256)), b"\xed\xa0\x80"])
def test_every_payload_comes_as_it_was(culvert, data):
    """As data if it is UTF-8, whichever way it came."""
    c, ws = start(culvert)
    sse, poll = TopicSse(c, ["chat/+"]).begin(), KINDS["poll"](c, ["chat/+"]).begin()
    ws.say(publish="chat/a", data64=base64.b64encode(data).decode())
    ws.say(publish="chat/a", data64=base64.b64encode(data).decode().rstrip("="))
    Publisher(c).put("chat/a", data)
    sent = 3
    try:
        ws.say(publish="chat/a", data=data.decode())
        sent += 1
    except UnicodeDecodeError:
        pass
    for client in (ws, sse, poll):
        for message in client.messages(sent):
            assert payload(message) == data


WRONG = [
    "", "{", "[]", "1", "null", '"publish"', "{}", '{"publish":"chat/a"}{}', '{"publish":"chat/a","data":"x"', '{"data":"x"}',
    '{"publish":"chat/a"}', '{"publish":"chat/a","data":1}', '{"publish":"chat/a","data":null}',
    '{"publish":"chat/a","data":"x","data64":"eA=="}', '{"publish":"chat/a","data64":"!"}', '{"publish":"chat/a","data64":"eA=a"}',
    '{"publish":"chat/a","data64":7}', '{"publish":1,"data":"x"}', '{"publish":"","data":"x"}', '{"publish":["chat/a"],"data":"x"}',
    '{"publish":"chat/+","data":"x"}', '{"publish":"chat/#","data":"x"}', '{"publish":"#","data":"x"}',
    '{"publish":"chat/\\u0000","data":"x"}', '{"publish":"chat/a+b","data":"x"}', '{"publish":"chat/a/b","data":"x"}',
    '{"publish":"nowhere","data":"x"}', '{"publish":"chat/a","data":"x","retain":1}', '{"publish":"chat/a","data":"x","retain":"yes"}',
    '{"publish":"chat/a","data":"x","ref":{}}', '{"publish":"chat/a","data":"x","ref":[1]}', '{"publish":"chat/a","data":"x","ref":true}',
    '{"publish":"chat/a","data":"x","ref":"%s"}' % ("x" * 65), '{"publish":"chat/a","publish":"chat/a","data":"x"}',
    '{"publish":"chat/a","data":"x","subscribe":["chat/a"]}', '{"subscribe":"chat/a"}', '{"subscribe":[]}', '{"subscribe":[1]}',
    '{"subscribe":["chat/a",""]}', '{"subscribe":["chat/a#"]}', '{"subscribe":["#/chat"]}', '{"subscribe":["chat/#"]}',
    '{"subscribe":["chat/a","nowhere"]}', '{"subscribe":["$x/a"]}', '{"subscribe":["chat/a"],"since":1}', '{"subscribe":["chat/a"],"since":""}',
    '{"subscribe":["chat/a"],"since":"a/b"}', '{"subscribe":["chat/a"],"since":"%s"}' % ("a" * 65), '{"unsubscribe":"chat/a"}',
    '{"unsubscribe":[]}', '{"unsubscribe":[null]}', '{"unsubscribe":["a#"]}', '{"subscribe":["%s"]}' % ("a/" * 128 + "a"),
    '{"publish":"%s","data":"x"}' % ("chat/" + "a/" * 127 + "a"), "[" * 5000, '{"a":' * 5000, '{"x":[' + "0," * 5000 + "0]}",
    '{"subscribe":[%s]}' % ",".join('"chat/a"' for _ in range(65)), "\ufeff{}", '{"publish":"chat/a","data":"\\ud800"}',
]  # fmt: skip


def test_what_cannot_be_read_is_an_error_and_no_end(culvert):
    c, ws = start(culvert)
    for text in WRONG:
        ws.wire.send_text(text)
        got = ws.next()
        assert got["event"] == "error" and got["reason"], (text, got)
        assert "ref" not in got
    # With a ref that can be read it is named.
    for text in WRONG:
        if text.startswith('{"') and '"ref"' not in text and text.endswith('"}') and text.count("{") == 1:
            ws.wire.send_text('{"ref":7,' + text[1:])
            got = ws.next()
            assert got["event"] == "error", (text, got)
            assert got.get("ref", 7) == 7
    assert ws.ask(ref=8, publish="nowhere", data="x")[0]["event"] == "error"
    # None of it had an effect.
    assert ws.ask(publish="chat/a", data="end")[1:] == ([],) and ws.briefs(1) == [("chat/a", "end")]


def test_unknown_keys_are_nothing(culvert):
    c, ws = start(culvert)
    assert ws.ask(publish="chat/a", data="x", since="!", new={"a": [1]})[0]["event"] == "ack"


def test_a_binary_message_ends_it(culvert):
    c, ws = start(culvert)
    ws.wire.send_frame(BINARY, b'{"publish":"chat/a","data":"x"}')
    ws.wire.expect_close(1003)
    c, ws = start(culvert)
    ws.wire.send_frame(BINARY, b"", fin=False)
    ws.wire.send_frame(CONTINUATION, b"")
    ws.wire.expect_close(1003)


def test_frames_may_be_cut_and_text_must_be_text(culvert):
    c, ws = start(culvert)
    said = json.dumps({"publish": "chat/a", "data": "é" * 10}, ensure_ascii=False).encode()
    ws.wire.send_frame(TEXT, said[:30], fin=False)
    ws.wire.send_frame(CONTINUATION, said[30:33], fin=False, piece=1)
    ws.wire.send_frame(CONTINUATION, said[33:])
    assert ws.briefs(1) == [("chat/a", "é" * 10)]
    ws.wire.send_frame(TEXT, b'{"publish":"chat/a","data":"\xff"}')
    ws.wire.expect_close(1007)


def test_a_message_over_message_max_is_1009(culvert):
    c, ws = start(culvert, "message_max = 1k\n")
    text = json.dumps({"publish": "chat/a", "data": "x" * 980})
    ws.wire.send_text(text + " " * (1024 - len(text)))
    assert ws.briefs(1) == [("chat/a", "x" * 980)]
    ws.wire.send_text(text + " " * (1025 - len(text)))
    ws.wire.expect_close(1009)
    c, ws = start(culvert, "message_max = 1k\n")
    for i in range(3):
        ws.wire.send_frame(TEXT if i == 0 else CONTINUATION, b"{" * 500, fin=False)
    ws.wire.expect_close(1009)


def test_a_message_that_is_never_finished_is_1008(culvert):
    c, ws = start(culvert, "message_timeout = 1s\n")
    ws.wire.send_frame(TEXT, b'{"publish"', fin=False)
    ws.wire.expect_close(1008)


# ---- subscribe, unsubscribe ----


def test_filters_come_and_go(culvert):
    c, ws = start(culvert, topics=["chat/x"])
    p = Publisher(c)
    p.put("sensors/a", "kept", retain=1)
    last = p.put("sensors/b", "before")
    ws.say(subscribe=["sensors/#", "chat/y"], ref=1)
    got = [ws.next() for _ in range(3)]
    assert {"event": "ack", "ref": 1, "id": None} in got
    got.remove({"event": "ack", "ref": 1, "id": None})
    assert brief(got[0]) == ("sensors/a", "kept", True)
    assert got[1] == {"event": "subscribed", "topics": ["sensors/#", "chat/y"], "since": last}
    for topic in ("sensors/a", "chat/x", "chat/y", "chat/z"):
        p.put(topic, "1")
    assert ws.briefs(3) == [("sensors/a", "1"), ("chat/x", "1"), ("chat/y", "1")]
    answer, before = ws.ask(unsubscribe=["sensors/#", "chat/x", "chat/none"])
    assert (answer["event"], before) == ("ack", [])
    for topic in ("sensors/a", "chat/x", "chat/y", "chat/z"):
        p.put(topic, "2")
    assert ws.briefs(1) == [("chat/y", "2")]
    ws.ask(unsubscribe=["chat/y"])
    p.put("chat/y", "3")
    ws.say(subscribe=["chat/y"])
    assert ws.briefs(1) == ["subscribed"]
    p.put("chat/y", "4")
    assert ws.briefs(1) == [("chat/y", "4")]


def test_since_for_a_filter_brings_its_history_alone(culvert):
    c, ws = start(culvert, topics=["chat/x"])
    p = Publisher(c)
    since = p.put("chat/x", "1")
    p.put("sensors/a", "2", retain=1)
    p.put("chat/x", "3")
    p.put("sensors/b", "4")
    assert ws.briefs(2) == [("chat/x", "1"), ("chat/x", "3")]
    ws.begun = False  # older ids come now
    ws.say(subscribe=["sensors/#", "chat/+"], since=since)
    assert ws.briefs(3) == [("sensors/a", "2"), ("sensors/b", "4"), "subscribed"]
    p.put("chat/x", "5")  # matched by two filters now
    assert ws.briefs(1) == [("chat/x", "5")]
    ws.ask(unsubscribe=["chat/x"])
    p.put("chat/x", "6")
    assert ws.briefs(1) == [("chat/x", "6")]
    ws.say(subscribe=["sensors/a"], since=OTHER_EPOCH)
    assert ws.briefs(3) == ["reset", ("sensors/a", "2", True), "subscribed"]


def test_the_same_filter_again_brings_retained_values_again(culvert):
    c, ws = start(culvert, topics=["sensors/#"])
    p = Publisher(c)
    p.put("sensors/a", "1", retain=1)
    assert ws.briefs(1) == [("sensors/a", "1")]
    ws.say(subscribe=["sensors/#"])
    assert ws.briefs(2) == [("sensors/a", "1", True), "subscribed"]
    p.put("sensors/a", "2")
    p.put("sensors/a", "3")
    assert ws.briefs(2) == [("sensors/a", "2"), ("sensors/a", "3")]
    ws.ask(unsubscribe=["sensors/#"])  # it was there once
    p.put("sensors/a", "4")
    assert ws.ask(publish="chat/a", data="")[1] == []


def test_a_list_with_a_forbidden_filter_subscribes_to_none_of_it(culvert):
    c, ws = start(culvert, topics=["chat/x"])
    assert ws.ask(subscribe=["chat/y", "#"])[0]["event"] == "error"
    p = Publisher(c)
    p.put("chat/y", "1")
    p.put("chat/x", "2")
    assert ws.briefs(1) == [("chat/x", "2")]


def test_a_client_has_so_many_filters(culvert):
    c, ws = start(culvert, topics=["0"], subscribe="#")
    answers = [ws.ask(subscribe=[f"{i}-{j}" for j in range(50)])[0]["event"] for i in range(8)]
    assert answers == ["ack"] * 5 + ["error"] * 3
    assert ws.ask(unsubscribe=[f"0-{j}" for j in range(50)])[0]["event"] == "ack"
    assert ws.ask(subscribe=[f"again-{j}" for j in range(50)])[0]["event"] == "ack"
    c, ws = start(culvert, topics=["0"], subscribe="#")
    deep = ["/".join(str(i) for _ in range(128)) for i in range(64)]
    answers = [ws.ask(subscribe=[one])[0] for one in deep]
    assert answers[-1]["event"] == "error" and "levels" in answers[-1]["reason"]
    assert ws.ask(unsubscribe=deep)[0]["event"] == "ack"
    assert ws.ask(subscribe=deep[:3])[0] == {"event": "ack", "ref": "r", "id": None}
    # What it has already is not counted again; who has none left is bounded as before.
    assert ws.ask(subscribe=deep[:3])[0]["event"] == "ack"
    ws.ask(unsubscribe=["0", *deep[:3]])
    refused = ws.ask(subscribe=deep)[0]
    assert refused["event"] == "error" and "levels" in refused["reason"]


def test_retained_values_beyond_any_buffer(culvert):
    c, ws = start(culvert, topics=["chat/x"])
    p = Publisher(c)
    values = {f"sensors/{i}": os.urandom(10_000) for i in range(300)}
    for topic, value in values.items():
        p.put(topic, value, retain=1)
    slow = TopicWs(c, ["sensors/#"], receive_buffer=4096)
    got = slow.until("subscribed")
    assert {one["topic"]: payload(one) for one in got} == values
    ws.say(subscribe=["sensors/#"])
    assert {one["topic"]: payload(one) for one in ws.until("subscribed")} == values


def test_pings_and_closes_are_answered(culvert):
    c, ws = start(culvert)
    ws.wire.send_frame(9, b"are you there")
    assert ws.wire.recv_pong() == b"are you there"
    ws.wire.leave(3000)
    event = c.wait_event()
    assert (event["ended_by"], event["code"]) == ("client", "3000")
    c2, ws = start(culvert)
    said = json.dumps({"publish": "chat/a", "data": "last words"})
    other = TopicWs(c2, ["chat/a"]).begin()
    ws.wire.send_text(said)
    ws.wire.send_close(1000)
    assert other.briefs(1) == [("chat/a", "last words")]
    assert ws.closed()[1] == 1000
