# SPDX-License-Identifier: BSD-2-Clause
"""PROTOCOL.md section 2 on messages, rule by rule, where test_messages.py leaves off: every place to cut,
every way to end in the middle."""

import base64
import struct

import pytest
from harness.peers import Recorder, Target
from harness.wait import Stopwatch
from harness.ws import BINARY, CONTINUATION, PING, TEXT, close_frame, frame

SENTENCE = "Grüße, 世界, 🌍!"
LINES = ["one", "", "Grüße 🌍", "x" * 130]


def route(target, *lines):
    return "\n".join([f"[route /x]\ntarget = {target.url}", *lines]) + "\n"


def whole(ws):
    """The next message: (opcode, payload), fragments joined."""
    one = ws.recv_data()
    opcode, payload = one.opcode, one.payload
    while not one.fin:
        one = ws.recv_data()
        assert one.opcode == CONTINUATION
        payload += one.payload
    return opcode, payload


def closed(ws):
    """(the bytes before it, the code) of culvert's Close, which is answered."""
    got, code, _ = ws.recv_to_close()
    ws.send_quietly(close_frame(code))
    return got, code


def fragments(data, cuts):
    """A text message in pieces, with a ping between each two."""
    edges = [0, *cuts, len(data)]
    pieces = [data[a:b] for a, b in zip(edges, edges[1:])]
    last = len(pieces) - 1
    return frame(PING).join(
        frame(CONTINUATION if i else TEXT, piece, fin=i == last) for i, piece in enumerate(pieces)
    )


# ---- cut anywhere ----


FORMS = {
    "framing = none": bytes,
    "framing = line": lambda data: data + b"\n",
    "framing = length16": lambda data: struct.pack(">H", len(data)) + data,
    "framing = length32": lambda data: struct.pack(">I", len(data)) + data,
}


@pytest.mark.parametrize("key", FORMS)
@pytest.mark.parametrize("piece", [None, 1])
def test_a_clients_text_may_be_cut_anywhere(culvert, peer, key, piece):
    """In fragments at each byte, all of them at once too, in TCP segments of one byte each."""
    target = peer(Recorder)
    c = culvert(route(target, key, "messages = text"))
    ws = c.ws("/x")
    data = SENTENCE.encode()
    ways = [[cut] for cut in range(len(data) + 1)] + [range(1, len(data))]
    for cuts in ways:
        ws.send(fragments(data, cuts), piece)
    target.wait_received(FORMS[key](data) * len(ways))


def test_a_clients_base64_may_be_cut_anywhere(culvert, peer):
    target = peer(Recorder)
    c = culvert(route(target, "messages = base64"))
    ws = c.ws("/x")
    data = SENTENCE.encode()
    sent = b""
    for size in (len(data), len(data) - 1, len(data) - 2):
        text = base64.b64encode(data[:size])
        for one in (text, text.rstrip(b"=")):
            ways = [[cut] for cut in range(len(one) + 1)] + [range(1, len(one))]
            for cuts in ways:
                ws.send(fragments(one, cuts))
            sent += data[:size] * len(ways)
    target.wait_received(sent)


@pytest.mark.parametrize("key, form", [
    ("framing = line", lambda text: text.encode() + b"\n"),
    ("framing = line", lambda text: text.encode() + b"\r\n"),
    ("framing = length16", lambda text: struct.pack(">H", len(text.encode())) + text.encode()),
    ("framing = length32", lambda text: struct.pack(">I", len(text.encode())) + text.encode()),
], ids=["lf", "crlf", "length16", "length32"])
@pytest.mark.parametrize("messages, opcode", [("text", TEXT), ("binary", BINARY), ("base64", TEXT)])
def test_a_targets_units_may_come_byte_by_byte(culvert, peer, key, form, messages, opcode):
    target = peer(Target)
    c = culvert(route(target, key, f"messages = {messages}"))
    ws = c.ws("/x")
    conn = target.accept()
    conn.send(b"".join(map(form, LINES)), piece=1)
    for line in LINES:
        wanted = line.encode() if messages != "base64" else base64.b64encode(line.encode())
        assert whole(ws) == (opcode, wanted)
    conn.finish()
    assert ws.recv_close() == 1000


# ---- text ----


@pytest.mark.parametrize("framing", ["none", "line", "length16"])
@pytest.mark.parametrize("data", [b"\xff", b"ok\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x8c"])
def test_a_clients_text_is_checked_whatever_the_messages_are(culvert, peer, framing, data):
    target = peer(Recorder)
    for messages in ("binary", "text", "base64"):
        c = culvert(route(target, f"framing = {framing}", f"messages = {messages}"))
        ws = c.ws("/x")
        ws.send(frame(TEXT, data))
        assert closed(ws) == (b"", 1007)
        assert c.wait_event()["code"] == "1007"


@pytest.mark.parametrize("framing", ["none", "line", "length16"])
@pytest.mark.parametrize("messages", ["binary", "text", "base64"])
def test_a_binary_frame_is_bytes_on_every_route(culvert, peer, framing, messages):
    target = peer(Recorder)
    c = culvert(route(target, f"framing = {framing}", f"messages = {messages}"))
    ws = c.ws("/x")
    data = b"\xff\x00=\xc3"
    ws.send(frame(BINARY, data))
    target.wait_received(FORMS[f"framing = {framing}"](data))


@pytest.mark.parametrize("framing, data", [
    ("line", b"fine\nG\xc3\n"), ("line", b"fine\nG\xc3"), ("length16", b"\x00\x04fine\x00\x02G\xc3"),
])
def test_a_unit_that_ends_inside_a_character_is_1007_even_if_the_next_would_complete_it(culvert, peer, framing, data):
    target = peer(Target)
    c = culvert(route(target, f"framing = {framing}", "messages = text"))
    ws = c.ws("/x")
    conn = target.accept()
    conn.send(data)
    if data[-1:] == b"\n":
        conn.send(b"\xbc\n")
    conn.finish()
    assert closed(ws) == (b"fine", 1007)


def test_a_reset_inside_a_character_is_a_reset(culvert, peer):
    """The target has not ended its text; it broke off: 1014, not 1007."""
    target = peer(Target)
    c = culvert(route(target, "messages = text"))
    ws = c.ws("/x")
    conn = target.accept()
    conn.send(b"fine\xe4\xb8")
    assert ws.recv_bytes(4) == b"fine"
    conn.reset()
    assert closed(ws) == (b"", 1014)
    event = c.wait_event()
    assert event["code"] == "1014" and event["ended_by"] == "target"


# ---- unfinished ----


@pytest.mark.parametrize("key", ["framing = line", "framing = length16", "messages = base64"])
@pytest.mark.parametrize("ending", ["close", "fin", "reset", "wrong"])
def test_a_message_that_is_never_finished_does_not_reach_the_target(culvert, peer, key, ending):
    target = peer(Recorder)
    c = culvert(route(target, key))
    ws = c.ws("/x")
    form = FORMS.get(key, bytes)
    first = b"aGVsbG8=" if "base64" in key else b"hello"
    ws.send(frame(TEXT, first) + frame(TEXT, b"aGVs", fin=False) + frame(CONTINUATION, b"bG8", fin=False))
    target.wait_received(form(b"hello"))
    if ending == "close":
        ws.send(close_frame(1000))
        assert ws.recv_close() == 1000
    elif ending == "fin":
        ws.finish()
    elif ending == "reset":
        ws.reset()
    else:
        ws.send(frame(TEXT, b"a new one in the middle"))
        assert ws.recv_close() == 1002
    target.wait_ended()
    target.wait_received(form(b"hello"))


@pytest.mark.parametrize("key", ["framing = line", "framing = length32", "messages = base64"])
@pytest.mark.parametrize("unfinished", [
    frame(TEXT, b"aGVs", fin=False), frame(TEXT, b"aGVs")[:-1], frame(TEXT, b"aGVs")[:2],
], ids=["fragment", "payload", "header"])
def test_s2_message_timeout_holds_where_messages_are_collected(culvert, peer, key, unfinished):
    target = peer(Recorder)
    c = culvert(route(target, key, "message_timeout = 400ms"))
    ws = c.ws("/x")
    watch = Stopwatch()
    ws.send(frame(TEXT, b"aGVsbG8=") + unfinished)
    if len(unfinished) == 2:  # a header alone is no message yet: with its key and a byte it is
        ws.send(b"\x00\x00\x00\x00a")
    assert closed(ws) == (b"", 1008)
    assert 0.3 < watch.seconds < 10
    target.wait_ended()
    assert len(target.received[0]) == len(FORMS.get(key, lambda data: b"hello")(b"aGVsbG8="))


# ---- limits, on the byte ----


@pytest.mark.parametrize("framing, form", [
    ("line", lambda data: data + b"\r\n"),
    ("length16", lambda data: struct.pack(">H", len(data)) + data),
    ("length32", lambda data: struct.pack(">I", len(data)) + data),
])
@pytest.mark.parametrize("piece", [None, 1000])
def test_a_unit_of_message_max_is_whole_and_one_byte_more_is_1014(culvert, peer, framing, form, piece):
    target = peer(Target)
    c = culvert(route(target, f"framing = {framing}", "message_max = 5000"))
    ws = c.ws("/x")
    conn = target.accept()
    conn.send(form(b"a" * 5000), piece)
    assert whole(ws) == (BINARY, b"a" * 5000)
    try:
        conn.send(form(b"b" * 5001), piece)
    except OSError:
        pass  # told by its length alone, it was cut off before its last byte
    assert closed(ws) == (b"", 1014)
    assert "too large" in c.wait_event()["reason"]


@pytest.mark.parametrize("framing", ["line", "length16", "length32"])
def test_a_message_of_message_max_is_whole_and_one_byte_more_is_1009(culvert, peer, framing):
    target = peer(Recorder)
    c = culvert(route(target, f"framing = {framing}", "message_max = 5000"))
    ws = c.ws("/x")
    ws.send(frame(BINARY, b"a" * 4000, fin=False) + frame(CONTINUATION, b"a" * 1000))
    target.wait_received(FORMS[f"framing = {framing}"](b"a" * 5000))
    ws.send(frame(BINARY, b"a" * 4000, fin=False) + frame(CONTINUATION, b"a" * 1001))
    assert ws.recv_close() == 1009


def test_message_max_says_nothing_where_nothing_is_collected(culvert, peer):
    target = peer(Recorder)
    c = culvert(route(target, "messages = text", "message_max = 1k"))
    ws = c.ws("/x")
    ws.send(frame(TEXT, b"t" * 100_000) + frame(BINARY, b"b" * 100_000))
    target.wait_received(b"t" * 100_000 + b"b" * 100_000)


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x00\x00", b"\x00\x00\x00\x05", b"\x00\x00\x00\x05hell"])
def test_a_fin_inside_a_unit_is_1014_wherever_it_is(culvert, peer, data):
    target = peer(Target)
    c = culvert(route(target, "framing = length32"))
    ws = c.ws("/x")
    conn = target.accept()
    conn.send(b"\x00\x00\x00\x02ok" + data, piece=1)
    conn.finish()
    assert closed(ws) == (b"ok", 1014)
    event = c.wait_event()
    assert event["ended_by"] == "target" and "inside a message" in event["reason"]


def test_a_fin_between_units_and_behind_an_empty_line_is_1000(culvert, peer):
    for framing, data, units in (("line", b"a\n\n", [b"a", b""]), ("line", b"\r", [b"\r"]), ("line", b"", []),
                                 ("length16", b"\x00\x00", [b""]), ("length32", b"", [])):
        target = peer(Target)
        c = culvert(route(target, f"framing = {framing}"))
        ws = c.ws("/x")
        conn = target.accept()
        conn.send(data)
        conn.finish()
        assert [whole(ws)[1] for _ in units] == units
        assert ws.recv_close() == 1000
