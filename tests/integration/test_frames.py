# SPDX-License-Identifier: BSD-2-Clause
"""Frames on an open WebSocket: lengths, fragments, text, pings, closes, and what breaks the rules."""

import hashlib
import os
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.peers import Recorder, SlowReader, SplitEveryByte, Target
from harness.wait import Stopwatch, wait_until
from harness.ws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    WsClient,
    close_frame,
    frame,
    header,
    mask,
    upgrade_request,
)

ECHO = """
    [route /echo]
    target = echo:
"""


def to(target):
    return f"[route /x]\ntarget = {target.url}\n"


# ---- S1: lengths ----


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 65537, 1_000_000])
def test_s1_a_frame_of_any_length_reaches_the_target_and_its_echo_the_client(culvert, peer, length):
    target = peer(Recorder)
    c = culvert(to(target) + ECHO)
    data = os.urandom(length)
    ws = c.ws("/x")
    ws.send_binary(data)
    ws.send_binary(b"end")
    target.wait_received(data + b"end")
    echo = c.ws("/echo")
    echo.send_binary(data)
    echo.send_binary(b"end")
    assert echo.recv_bytes(length + 3) == data + b"end"


def test_target_bytes_come_as_binary_frames_of_at_most_64_kib(culvert, peer):
    target = peer(Target)
    c = culvert(to(target))
    ws = c.ws("/x")
    conn = target.accept()
    data = os.urandom(1 << 20)
    conn.send(data)
    got = bytearray()
    while len(got) < len(data):
        one = ws.recv_data()
        assert one.opcode == BINARY and one.fin and 0 < len(one.payload) <= 65536
        got += one.payload
    assert got == data


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1])
def test_s1_a_huge_frame_is_forwarded_as_its_bytes_come(culvert, peer, length):
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    before = c.stats()
    ws.send(header(BINARY, length) + b"\0\0\0\0" + b"the beginning")
    target.wait_received(b"the beginning")
    assert c.stats().live_bytes - before.live_bytes < 70_000
    ws.reset()
    target.wait_ended()


@pytest.mark.parametrize("length", [2**63, 2**63 + 1, 2**64 - 4, 2**64 - 3, 2**64 - 2, 2**64 - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
@pytest.mark.parametrize("masked", [True, False])
def test_s1_a_length_with_the_top_bit_is_1002(culvert, length, opcode, masked):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send(header(opcode, length, masked=masked) + (b"\0\0\0\0" if masked else b"") + b"xxxx")
    ws.expect_close(1002)


@pytest.mark.parametrize("length, size", [(0, 2), (1, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)])
def test_s1_a_length_that_is_not_the_shortest_is_1002(culvert, length, size):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send_frame(BINARY, b"x" * length, size=size)
    ws.expect_close(1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("length", [126, 127, 65536])
def test_s1_a_control_frame_over_125_bytes_is_1002(culvert, opcode, length):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send(header(opcode, length) + b"\0\0\0\0")
    ws.expect_close(1002)


# ---- other rules of framing ----


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"x", key=None),
        frame(PING, b"x", key=None),
        frame(TEXT, b"x", rsv=1),
        frame(TEXT, b"x", rsv=2),
        frame(TEXT, b"x", rsv=4),
        frame(CONTINUATION, b"x", rsv=4),
        frame(PING, b"x", rsv=1),
        frame(3, b"x"),
        frame(7, b"x"),
        frame(0xB, b"x"),
        frame(0xF, b"x"),
        frame(PING, b"x", fin=False),
        frame(CLOSE, b"", fin=False),
        frame(CONTINUATION, b"x"),
        frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
        frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"),
        frame(TEXT, b"x") + frame(CONTINUATION, b"y"),
    ],
    ids=[
        "data not masked",
        "ping not masked",
        "rsv3",
        "rsv2",
        "rsv1",
        "rsv1 on a continuation",
        "rsv3 on a ping",
        "opcode 3",
        "opcode 7",
        "opcode 11",
        "opcode 15",
        "ping in fragments",
        "close in fragments",
        "continuation of nothing",
        "text in text",
        "binary in text",
        "continuation of a finished message",
    ],
)
def test_s4_a_broken_frame_is_1002(culvert, peer, data):
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    ws.send(frame(BINARY, b"before ") + data + frame(BINARY, b"after"))
    ws.expect_close(1002)
    event = c.wait_event("websocket")
    assert event["code"] == "1002" and event["ended_by"] in ("client", "culvert") and event["reason"]
    target.wait_ended()
    got = bytes(target.received[0])
    assert got.startswith(b"before ") and b"after" not in got


# ---- S2: fragments ----


def test_s2_131_000_fragments_of_one_byte_flow_through(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    before = c.stats().live_bytes
    data = os.urandom(131_000)
    ws.send(frame(BINARY, data[:1], fin=False))
    for i in range(1, len(data), 1000):
        ws.send(b"".join(frame(CONTINUATION, data[k : k + 1], fin=False) for k in range(i, min(i + 1000, len(data)))))
    target.wait_received(data)
    assert c.stats().live_bytes - before < 70_000  # the message is still unfinished
    ws.send_frame(PING, b"alive")
    assert ws.recv_pong() == b"alive"
    ws.send_frame(CONTINUATION, b"!")
    target.wait_received(data + b"!")


def test_s2_131_000_empty_fragments_cost_nothing(culvert):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send(frame(TEXT, b"a", fin=False))
    ws.send(frame(CONTINUATION, b"", fin=False) * 131_000)
    ws.send(frame(CONTINUATION, b"b"))
    assert ws.recv_bytes(2) == b"ab"


@pytest.mark.parametrize("what", ["between fragments", "in a frame", "in a header"])
def test_s2_message_timeout_closes_an_unfinished_message_with_1008(culvert, what):
    c = culvert(ECHO + "message_timeout = 1s\n")
    ws = c.ws("/echo")
    if what == "between fragments":
        ws.send(frame(BINARY, b"half", fin=False))
    elif what == "in a frame":
        ws.send(frame(BINARY, b"half a frame")[:10])
    else:
        ws.send(frame(BINARY, b"half", fin=False) + frame(CONTINUATION, b"x" * 200)[:3])
    watch = Stopwatch()
    _, code, _ = ws.recv_to_close()
    assert code == 1008
    assert 0.8 <= watch.seconds < 5
    assert c.wait_event("websocket")["code"] == "1008"


def test_message_timeout_is_for_silence_not_for_the_whole_message(culvert):
    c = culvert(ECHO + "message_timeout = 1s\n")
    ws = c.ws("/echo")
    watch = Stopwatch()
    ws.send(frame(BINARY, b"0", fin=False))
    for _ in range(8):
        time.sleep(0.25)
        ws.send(frame(CONTINUATION, b"1", fin=False))
    assert watch.seconds > 1.9
    ws.send(frame(CONTINUATION, b"2"))
    assert ws.recv_bytes(10) == b"0111111112"


def test_message_timeout_leaves_an_idle_connection_alone(culvert):
    c = culvert(ECHO + "message_timeout = 200ms\n")
    idle, unfinished = c.ws("/echo"), c.ws("/echo")
    idle.send_text("done")
    assert idle.recv_bytes(4) == b"done"
    unfinished.send(frame(TEXT, b"x", fin=False))
    assert unfinished.recv_to_close()[1] == 1008
    time.sleep(0.3)
    idle.send_text("more")
    assert idle.recv_bytes(4) == b"more"


# ---- text ----


@pytest.mark.parametrize(
    "text",
    [b"\x00\x7f", "é€😀".encode(), b"\xed\x9f\xbf\xee\x80\x80", b"\xf4\x8f\xbf\xbf", "\ufeffbom".encode()],
)
def test_valid_text_passes_as_its_bytes(culvert, peer, text):
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    for i in range(len(text) + 1):  # cut anywhere, code points too
        ws.send(frame(TEXT, text[:i], fin=False) + frame(CONTINUATION, text[i:]))
    target.wait_received(text * (len(text) + 1))


@pytest.mark.parametrize(
    "text",
    ["ff", "80", "c080", "c1bf", "e08080", "eda080", "f4908080", "f5808080"],
)
def test_text_that_is_not_utf_8_is_1007(culvert, peer, text):
    text = bytes.fromhex(text)
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    ws.send(frame(TEXT, b"good " + text))
    ws.expect_close(1007)
    target.wait_ended()
    # What came before the first wrong byte may have been a part of a code point, not more.
    assert bytes(target.received[0]).startswith(b"good ")
    assert len(target.received[0]) < 5 + len(text)
    assert c.wait_event("websocket")["code"] == "1007"


@pytest.mark.parametrize("cut", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"], ids=lambda value: value.hex())
def test_text_that_ends_inside_a_code_point_is_1007(culvert, cut):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send(frame(TEXT, cut, fin=False) + frame(CONTINUATION))
    assert ws.recv_to_close()[1] == 1007


def test_wrong_text_fails_at_once_and_not_at_its_end(culvert):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send(header(TEXT, 1_000_000) + b"\0\0\0\0" + b"\xff")
    ws.expect_close(1007)


def test_binary_frames_are_not_checked_as_text(culvert):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send_binary(b"\xff\xfe\x80")
    assert ws.recv_bytes(3) == b"\xff\xfe\x80"


# ---- pings ----


@pytest.mark.parametrize("payload", [b"", b"x", bytes(125)], ids=["0", "1", "125"])
def test_a_ping_gets_its_pong(culvert, payload):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send_frame(PING, payload)
    assert ws.recv_pong() == payload


def test_a_ping_inside_a_message_is_answered_before_its_end(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    ws.send(frame(TEXT, b"one ", fin=False) + frame(PING, b"now"))
    assert ws.recv_pong() == b"now"
    ws.send(frame(CONTINUATION, b"two"))
    target.wait_received(b"one two")


def test_pongs_that_nobody_asked_for_are_ignored(culvert):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send(frame(PONG, b"unasked") * 3 + frame(TEXT, b"text"))
    assert ws.recv_bytes(4) == b"text"


def test_only_the_newest_ping_of_a_client_that_does_not_read_is_answered(culvert, peer):
    target = peer(Target)
    c = culvert(to(target))
    ws = c.ws("/x", receive_buffer=4096)
    conn = target.accept()
    poured = conn.fill()
    for i in range(2000):
        ws.send_frame(PING, b"%d" % i)
    ws.send_binary(b"all pings are read")
    assert conn.read(18) == b"all pings are read"
    pongs, got = [], 0
    while got < poured or not pongs:
        one = ws.recv_frame()
        if one.opcode == PONG:
            pongs.append(one.payload)
        else:
            got += len(one.payload)
    ws.send_frame(PING, b"after")
    while pongs[-1] != b"after":
        pongs.append(ws.recv_pong())
    assert pongs[-2] == b"1999"
    assert len(pongs) <= 4, pongs


# ---- closes ----


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
)
def test_close_codes_that_a_client_may_send_are_echoed(culvert, code):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send_close(code, "thank you")
    assert ws.recv_close() == code
    ws.wait_closed()
    event = c.wait_event("websocket")
    assert event["code"] == str(code) and event["ended_by"] == "client"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535])
def test_close_codes_that_nobody_may_send_are_1002(culvert, code):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send_close(code)
    assert ws.recv_close() == 1002
    ws.wait_closed()


def test_a_close_without_a_code_is_answered_without_one(culvert):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send_close(None)
    assert ws.recv_close() is None
    ws.wait_closed()


def test_a_close_of_one_byte_is_1002(culvert):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send_frame(CLOSE, b"\x03")
    assert ws.recv_close() == 1002
    ws.wait_closed()


@pytest.mark.parametrize("reason", [b"\xff", b"cut \xe2\x82"], ids=["wrong", "cut"])
def test_a_close_reason_that_is_not_utf_8_is_1007(culvert, reason):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send_close(1000, reason)
    assert ws.recv_close() == 1007
    ws.wait_closed()


def test_a_close_reason_of_123_bytes_is_fine(culvert):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    ws.send_close(1000, "é" * 61 + "!")
    assert ws.recv_close() == 1000


def test_a_close_between_fragments_is_a_close(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    ws.send(frame(TEXT, b"half", fin=False) + close_frame(1000))
    assert ws.recv_close() == 1000
    target.wait_ended()
    assert bytes(target.received[0]) == b"half"


def test_what_follows_a_close_is_dropped(culvert, peer):
    target = peer(Recorder)
    c = culvert(to(target))
    ws = c.ws("/x")
    ws.send(frame(TEXT, b"before") + close_frame(1000) + frame(TEXT, b"after") + frame(PING, b"x"))
    assert ws.recv_close() == 1000
    ws.wait_closed()
    target.wait_ended()
    assert bytes(target.received[0]) == b"before"


# ---- S7: split reads ----


def test_s7_a_conversation_is_the_same_at_every_split(culvert):
    """Handshake, all kinds of frames and a Close: cut in two at each byte, and sent byte by byte."""
    c = culvert(ECHO)
    stream = upgrade_request("/echo", headers=[("Cookie", "a=b")])
    stream += frame(TEXT, "héllo wörld €😀")
    stream += frame(BINARY, bytes(range(200)))
    stream += frame(TEXT, "fragm€"[:4], fin=False) + frame(PING, b"ping") + frame(CONTINUATION, "€nt")
    stream += frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"")
    stream += close_frame(4321, "göne")

    def talk(split=None, piece=None):
        with WsClient.open(c.address) as wire:
            if split is None:
                wire.send(stream, piece)
            else:
                wire.send(stream[:split])
                time.sleep(0.002)
                wire.send(stream[split:])
            wire.upgraded()
            data, pongs = bytearray(), []
            while True:
                one = wire.recv_frame()
                if one.opcode == PONG:
                    pongs.append(one.payload)
                elif one.opcode == CLOSE:
                    return bytes(data), pongs, one.payload, wire.read_to_end()
                else:
                    data += one.payload

    expected = talk()
    assert expected[0] == "héllo wörld €😀".encode() + bytes(range(200)) + "frag€nt".encode()
    assert expected[1] == [b"ping"]
    assert expected[2][:2] == struct.pack(">H", 4321)
    assert talk(piece=1) == expected
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(talk, range(1, len(stream)))
        for split, result in enumerate(results, 1):
            assert result == expected, f"split at byte {split}"


def test_s7_a_target_that_sends_each_byte_by_itself_loses_none(culvert, peer):
    target = peer(SplitEveryByte)
    c = culvert(to(target))
    ws = c.ws("/x")
    data = os.urandom(3000)
    ws.send_binary(data)
    assert ws.recv_bytes(3000) == data


def test_every_masking_key_position_survives_a_large_transfer(culvert, peer):
    """8 MB in frames of odd lengths, in reads of any size."""
    target = peer(SlowReader)
    target.go()
    c = culvert(to(target))
    ws = c.ws("/x")
    data = os.urandom(8_000_000)
    position, length = 0, 1
    while position < len(data):
        key = os.urandom(4)
        piece = data[position : position + length]
        ws.send(header(BINARY, len(piece)) + key + mask(piece, key))
        position += length
        length = length * 3 % 200_003 + 1
    wait_until(lambda: target.length >= len(data), "all bytes at the target")
    assert target.digest.hexdigest() == hashlib.sha256(data).hexdigest()
