# SPDX-License-Identifier: BSD-2-Clause
"""Odd input to topic routes, made by chance from what they take: each is answered or closed, and the worker lives."""

import json
import random

from harness.http import request
from harness.topics import Publisher, TopicWs, route

SEED = 20
QUERY = ["topic=", "&topic=", "since=", "retain=1", "retain=", "%2B", "%23", "#", "+", "/", "//", "$SYS/", "chat/a",
         "sensors/#", "&", "=", "%", "%00", "%ff", "\u00e9", "0123456789abcdef-1", "a" * 300, "/" * 130]
HEADERS = [("Accept", "text/event-stream"), ("Accept", "application/json"), ("Accept", "*/*"), ("Last-Event-ID", "x y"),
           ("Last-Event-ID", "0123456789abcdef-1"), ("Upgrade", "websocket"), ("Upgrade", "h2c"),
           ("Connection", "Upgrade"), ("Content-Length", "2"), ("Content-Length", "x"), ("Origin", "null"),
           ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]
SAID = ['{"publish":"chat/a","data":"x","ref":1}', '{"subscribe":["#"],"ref":"s"}', '{"subscribe":["chat/+"],"since":"x-1"}',
        '{"unsubscribe":["chat/+"]}', "[]", "{", "null", '"', "[" * 50, '{"publish":"+","data":1}',
        '{"publish":"chat/a","data64":"!"}', '{"subscribe":[""]}', '{"subscribe":{}}', "\u00e9", ""]


def alive(culvert):
    assert Publisher(culvert).put("chat/alive", "yes")


def test_s14_requests_made_by_chance(culvert):
    c = culvert(route("heartbeat = 1s\npoll_wait = 100ms\n[route /raw]\ntarget = topics:\nsubscribe = #\npayload = raw\n"
                      "publish = chat/raw\norigins = any\n"))
    rng = random.Random(SEED)
    for i in range(3000):
        query = "".join(rng.choices(QUERY, k=rng.randrange(6)))
        line = request(
            rng.choice(["GET", "POST", "DELETE", "HEAD", "OPTIONS"]),
            f"{rng.choice(['/live', '/raw'])}?{query}".encode("latin-1").decode("latin-1"),
            headers=rng.sample(HEADERS, rng.randrange(5)),
        )
        wire = c.http()
        wire.send(line + b"{}" * rng.randrange(2))
        if i % 3:
            wire.close()  # perhaps before it was looked at
        elif i % 100 == 0:
            alive(c)
    alive(c)


def test_s14_messages_made_by_chance(culvert):
    c = culvert(route())
    rng = random.Random(SEED)
    for _ in range(60):
        client = TopicWs(c, ["chat/+"])
        for _ in range(30):
            text = rng.choice(SAID)
            if rng.random() < 0.3:
                at = rng.randrange(len(text) + 1)
                text = text[:at] + rng.choice(SAID) + text[at:]
            client.wire.send_text(text)
        client.wire.send_text(json.dumps({"publish": "chat/end", "data": "the end", "ref": "end"}))
        while client.read().get("ref") != "end":
            pass
        client.close()
    alive(c)
