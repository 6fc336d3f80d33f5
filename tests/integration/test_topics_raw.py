# SPDX-License-Identifier: BSD-2-Clause
"""payload = raw: payloads alone, for clients that know nothing of topics."""

import base64

import pytest

from harness.http import read_head, request
from harness.topics import STREAM, Publisher, TopicPoll, TopicWs, route, url
from harness.ws import BINARY, CLOSE, CONTINUATION, PING, TEXT, Refused, parse_close

OTHER_EPOCH = "0123456789abcdef-1"
PAYLOADS = [b"", b"text", "é\0\u2028".encode(), b"two\nlines", b"\n", b"\n\n", b"a\n", b"\na", b"a\rb", b"a\r\n", b"\xff\xfe",
            bytes(range(256)), b" leading", b":", b"data: x", b"x" * 70_000, b"\x80" * 70_000]  # fmt: skip


def start(culvert, more="", publish="chat/x", **options):
    c = culvert(route(f"payload = raw\n{more}[route /json]\ntarget = topics:\nsubscribe = #\npublish = #\norigins = any\n",
                      publish=publish, **options))
    return c, Publisher(c, "/json")


class Lines:
    """An event stream as a browser takes it apart."""

    def __init__(self, c, topics=(), since=None, headers=()):
        self.wire = c.http()
        self.wire.send(request("GET", url("/live", topics, since), headers=[("Accept", STREAM), *headers]))
        assert read_head(self.wire).status == 200
        self.last_id = None

    def block(self):
        event, data = "message", []
        for line in self.wire.read_until(b"\n\n")[:-2].split(b"\n"):
            assert b"\r" not in line
            name, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if name == b"id":
                self.last_id = value.decode()
            elif name == b"event":
                event = value.decode()
            else:
                assert name == b"data", line
                data.append(value)
        return event, b"\n".join(data) if data else None

    def next(self):
        """(event, data); blocks without data are none for a browser."""
        while (got := self.block())[1] is None:
            pass
        return got

    def begin(self):
        while self.last_id is None:
            self.block()
        return self


def as_event(payload):
    try:
        payload.decode()
        if b"\r" not in payload:
            return ("message", payload)
    except UnicodeDecodeError:
        pass
    return ("base64", base64.b64encode(payload))


def as_frame(payload):
    try:
        payload.decode()
        return (TEXT, payload)
    except UnicodeDecodeError:
        return (BINARY, payload)


def frames(ws, n):
    got = [ws.recv_data() for _ in range(n)]
    return [(one.opcode, one.payload) for one in got]


def test_payloads_alone(culvert):
    c, p = start(culvert)
    p.put("chat/kept", b"kept", retain=1)
    ws, lines = c.ws("/live"), Lines(c)
    assert frames(ws, 1) == [(TEXT, b"kept")]  # and nothing else tells that it is retained
    assert lines.next() == ("message", b"kept") and lines.last_id is None
    lines.begin()
    ids = []
    for payload in PAYLOADS:
        ids.append(p.put("chat/a", payload))
        assert frames(ws, 1) == [as_frame(payload)], payload[:20]
        assert lines.next() == as_event(payload), payload[:20]
        assert lines.last_id == ids[-1]
    again = Lines(c, headers=[("Last-Event-ID", ids[0])])
    assert [again.next() for _ in PAYLOADS[1:]] == [as_event(one) for one in PAYLOADS[1:]]


def test_a_stream_of_payloads_keeps_its_place(culvert):
    c, p = start(culvert, "heartbeat = 1s\n")
    lines = Lines(c, ["chat/a"]).begin()
    last = p.put("sensors/x", "of no interest")
    while lines.last_id != last:
        assert lines.block()[1] is None
    lines.wire.close()
    p.put("chat/a", "not missed")
    assert Lines(c, ["chat/a"], headers=[("Last-Event-ID", last)]).next() == ("message", b"not missed")
    p.put("chat/a", "kept", retain=1)
    # There is no way to tell that something is missing: what is retained comes anew.
    assert Lines(c, ["chat/a"], OTHER_EPOCH).next() == ("message", b"kept")


def test_a_message_goes_to_the_one_topic(culvert):
    c, _ = start(culvert)
    json, ws = TopicWs(c, ["#"], path="/json").begin(), c.ws("/live?topic=sensors/%23")
    ws.send_text('{"publish":"chat/a","data":"x"}')
    ws.send_binary(b"\xff")
    ws.send_text("")
    ws.send_frame(BINARY, b"te", fin=False)
    ws.send_frame(PING, b"!")
    ws.send_frame(CONTINUATION, b"xt")
    assert json.briefs(1) == [("chat/x", '{"publish":"chat/a","data":"x"}')]
    assert json.next()["data64"] == "/w=="
    assert json.briefs(2) == [("chat/x", ""), ("chat/x", "text")]
    assert Publisher(c).put("chat/x", "by POST")
    assert json.briefs(1) == [("chat/x", "by POST")]


def test_what_a_raw_client_says_is_bounded(culvert):
    c, _ = start(culvert, "message_max = 1k\n")
    json, ws = TopicWs(c, ["#"], path="/json").begin(), c.ws("/live")
    ws.send_binary(b"x" * 1024)
    assert json.briefs(1) == [("chat/x", "x" * 1024)]
    ws.recv_data()
    ws.send_binary(b"x" * 1025)
    ws.expect_close(1009)


def test_a_route_without_publish_takes_nothing(culvert):
    c, _ = start(culvert, publish="")
    ws = c.ws("/live")
    ws.send_text("x")
    ws.expect_close(1008)


def test_text_has_to_be_text(culvert):
    c, _ = start(culvert)
    ws = c.ws("/live")
    ws.send_frame(TEXT, b"\xff")
    ws.expect_close(1007)


def test_a_slow_raw_client_is_told_nothing_of_its_loss(culvert):
    """Events are not for it; what it gets is in order."""
    c, p = start(culvert, "queue_messages = 4\n")
    ws = c.ws("/live", receive_buffer=4096)
    for i in range(400):
        p.put("chat/a", b"%05d" % i + b"x" * 50_000)
    p.put("chat/a", "end")
    numbers = []
    while (payload := ws.recv_data().payload) != b"end":
        numbers.append(int(payload[:5]))
    assert numbers == sorted(set(numbers)) and numbers[-3:] == [397, 398, 399] and len(numbers) < 400


def test_a_poll_is_json_all_the_same(culvert):
    c, p = start(culvert)
    poll = TopicPoll(c, ["chat/a"]).begin()
    sent = p.put("chat/a", b"\xff")
    assert poll.poll() == [{"topic": "chat/a", "id": sent, "data64": "/w=="}]


def test_a_raw_client_is_forbidden_what_others_are(culvert):
    c, _ = start(culvert)
    with pytest.raises(Refused) as refusal:
        c.ws("/live?topic=%23")
    assert refusal.value.status == 403
    ws = c.ws("/live")
    ws.send_close(1000)
    got = ws.recv_frame()
    assert got.opcode == CLOSE and parse_close(got.payload)[0] == 1000


@pytest.mark.parametrize("publish", ["chat/+", "chat/a, chat/b", "#"])
def test_a_list_that_does_not_say_where_to_is_a_mistake(culvert, publish):
    c = culvert(route("payload = raw\n", publish=publish), ready=False)
    assert c.wait_exit() != 0
    c.expected_status = c.process.returncode
    assert c.log_lines("publish")
