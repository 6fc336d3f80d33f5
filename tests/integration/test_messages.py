# SPDX-License-Identifier: BSD-2-Clause
"""messages = binary, text, base64 and framing = line, length16, length32: what arrives on either side."""

import base64
import os
import struct

import pytest
from harness.http import read_answer
from harness.peers import Recorder, SplitEveryByte, Target
from harness.wait import wait_until
from harness.ws import BINARY, TEXT, frame, header, upgrade_request

SENTENCE = "Grüße, 世界, 🌍!"


def route(target, *lines):
    return "\n".join([f"[route /x]\ntarget = {target.url}", *lines]) + "\n"


def messages(ws, count):
    """Whole messages: (opcode, payload), fragments joined."""
    found = []
    while len(found) < count:
        one = ws.recv_data()
        opcode, payload = one.opcode, one.payload
        while not one.fin:
            one = ws.recv_data()
            assert one.opcode == 0
            payload += one.payload
        found.append((opcode, payload))
    return found


# ---- text ----


@pytest.mark.parametrize("cut", range(len(SENTENCE.encode()) + 1))
def test_text_is_never_cut_inside_a_character(culvert, peer, cut):
    target = peer(Target)
    c = culvert(route(target, "messages = text"))
    ws = c.ws("/x")
    conn = target.accept()
    data = SENTENCE.encode()
    got = ""
    conn.send(data[:cut])
    whole = len(data[:cut].decode(errors="ignore"))
    while len(got) < whole:
        one = ws.recv_data()
        assert one.opcode == TEXT
        got += one.payload.decode()
    conn.send(data[cut:])
    while len(got) < len(SENTENCE):
        got += ws.recv_data().payload.decode()
    assert got == SENTENCE


def test_text_that_comes_byte_by_byte(culvert, peer):
    target = peer(SplitEveryByte)
    c = culvert(route(target, "messages = text"))
    ws = c.ws("/x")
    ws.send_text(SENTENCE)
    got = ""
    while got != SENTENCE:
        got += ws.recv_data().payload.decode()


def test_bytes_that_are_no_text_are_1007_after_what_was(culvert, peer):
    target = peer(Target)
    c = culvert(route(target, "messages = text"))
    ws = c.ws("/x")
    conn = target.accept()
    conn.send("é".encode() + b"ok\xff and more")
    got, code, _ = ws.recv_to_close()
    assert got == "éok".encode() and code == 1007
    assert c.wait_event()["code"] == "1007"


def test_a_text_that_ends_inside_a_character_is_1007(culvert, peer):
    target = peer(Target)
    c = culvert(route(target, "messages = text"))
    ws = c.ws("/x")
    conn = target.accept()
    conn.send(b"fine\xe4\xb8")
    conn.finish()
    got, code, _ = ws.recv_to_close()
    assert got == b"fine" and code == 1007
    event = c.wait_event()
    assert event["code"] == "1007" and event["ended_by"] == "culvert"


# ---- base64 ----


@pytest.mark.parametrize("size", [1, 2, 3, 100, 12288, 12289, 65536, 200_000])
def test_base64_both_ways(culvert, peer, size):
    target = peer(Recorder)
    c = culvert(route(target, "messages = base64"))
    data = os.urandom(size)
    ws = c.ws("/x")
    ws.send_text(base64.b64encode(data).decode())
    target.wait_received(data)
    pouring = peer(Target)
    c = culvert(route(pouring, "messages = base64"))
    ws = c.ws("/x")
    conn = pouring.accept()
    conn.send(data)
    got = b""
    while len(got) < size:
        ((opcode, payload),) = messages(ws, 1)
        assert opcode == TEXT and len(payload) % 4 == 0
        got += base64.b64decode(payload, validate=True)
    assert got == data


def test_base64_without_padding_in_fragments_and_binary_as_it_is(culvert, peer):
    target = peer(Recorder)
    c = culvert(route(target, "messages = base64"))
    ws = c.ws("/x")
    ws.send_text("aGVsbG8")
    ws.send(frame(TEXT, b"aG", fin=False) + frame(9, b"ping") + frame(0, b"VsbG8="))
    ws.send_binary(b"\x00raw\xff")
    target.wait_received(b"hellohello\x00raw\xff")


@pytest.mark.parametrize("text", ["a", "a===", "aGVsb G8=", "aGVsbG8=aGVs", "aGVsbG9=", "%%%%", "_-_-"])
def test_what_is_no_base64_is_1007_and_what_came_before_arrives(culvert, peer, text):
    target = peer(Recorder)
    c = culvert(route(target, "messages = base64"))
    ws = c.ws("/x")
    ws.send_text("aGVsbG8=")
    ws.send_text(text)
    assert ws.recv_close() == 1007
    target.wait_received(b"hello")
    target.wait_ended()


# ---- framing, from the client ----


def test_a_message_becomes_a_line(culvert, peer):
    target = peer(Recorder)
    c = culvert(route(target, "framing = line"))
    ws = c.ws("/x")
    ws.send(frame(TEXT, b"one") + frame(TEXT, b"two\n") + frame(BINARY, b"") + frame(TEXT, b"three\r\n"))
    ws.send(frame(TEXT, b"fo", fin=False) + frame(9) + frame(0, b"u", fin=False) + frame(0, b"r"))
    target.wait_received(b"one\ntwo\n\nthree\r\nfour\n")


@pytest.mark.parametrize("framing, form", [("length16", ">H"), ("length32", ">I")])
def test_a_message_gets_its_length(culvert, peer, framing, form):
    target = peer(Recorder)
    c = culvert(route(target, f"framing = {framing}"))
    ws = c.ws("/x")
    sent = [b"hello", b"", os.urandom(300), os.urandom(65535)]
    ws.send(b"".join(frame(BINARY, one) for one in sent))
    ws.send(frame(BINARY, b"in", fin=False) + frame(0, b" parts"))
    target.wait_received(b"".join(struct.pack(form, len(one)) + one for one in [*sent, b"in parts"]))


def test_a_message_that_does_not_fit_its_length_is_1009(culvert, peer):
    target = peer(Recorder)
    c = culvert(route(target, "framing = length16"))
    ws = c.ws("/x")
    ws.send_binary(b"fits")
    ws.send_binary(bytes(65536))
    assert ws.recv_close() == 1009
    target.wait_received(b"\x00\x04fits")


@pytest.mark.parametrize("key", ["framing = line", "framing = length32", "messages = base64"])
def test_s1_a_message_over_message_max_is_1009_before_it_comes(culvert, peer, key):
    target = peer(Recorder)
    c = culvert(route(target, key, "message_max = 4k"))
    ws = c.ws("/x")
    ws.send(header(TEXT, 4097) + bytes(4))
    assert ws.recv_close() == 1009
    ws = c.ws("/x")
    ws.send(frame(TEXT, b"A" * 4096, fin=False) + header(0, 1 << 62) + bytes(4))
    assert ws.recv_close() == 1009


def test_s2_fragments_that_are_collected_are_bounded(culvert, peer):
    target = peer(Recorder)
    c = culvert(route(target, "framing = line", "message_max = 64k"))
    ws = c.ws("/x")
    before = c.stats()
    ws.send(frame(BINARY, b"x", fin=False))
    ws.send_quietly(frame(0, b"x", fin=False) * 131_000)
    assert ws.recv_close() == 1009
    assert c.stats().live_bytes - before.live_bytes < 256 * 1024


# ---- framing, from the target ----


@pytest.mark.parametrize("piece", [None, 1, 2, 3, 7])
def test_a_line_becomes_a_message(culvert, peer, piece):
    target = peer(Target)
    c = culvert(route(target, "framing = line", "messages = text"))
    ws = c.ws("/x")
    conn = target.accept()
    conn.send(("one\r\ntwo\n\n\r\n" + SENTENCE + "\nlast\r").encode() + b"x", piece=piece)
    conn.finish()
    expected = [b"one", b"two", b"", b"", SENTENCE.encode(), b"last\rx"]
    assert messages(ws, len(expected)) == [(TEXT, one) for one in expected]
    assert ws.recv_close() == 1000


@pytest.mark.parametrize("piece", [None, 1, 3])
@pytest.mark.parametrize("framing, form", [("length16", ">H"), ("length32", ">I")])
def test_a_unit_becomes_a_message(culvert, peer, framing, form, piece):
    target = peer(Target)
    c = culvert(route(target, f"framing = {framing}"))
    ws = c.ws("/x")
    conn = target.accept()
    units = [b"hello", b"", os.urandom(300), b"z", b""]
    conn.send(b"".join(struct.pack(form, len(one)) + one for one in units), piece=piece)
    conn.finish()
    assert messages(ws, len(units)) == [(BINARY, one) for one in units]
    assert ws.recv_close() == 1000


def test_large_units_are_whole(culvert, peer):
    target = peer(Target)
    c = culvert(route(target, "framing = length32", "message_max = 4m"))
    ws = c.ws("/x")
    conn = target.accept()
    units = [os.urandom(size) for size in (70_000, 3_000_000, 5)]
    conn.send(b"".join(struct.pack(">I", len(one)) + one for one in units))
    assert messages(ws, 3) == [(BINARY, one) for one in units]


def test_framed_base64_is_one_message_each(culvert, peer):
    target = peer(Target)
    c = culvert(route(target, "framing = line", "messages = base64"))
    ws = c.ws("/x")
    conn = target.accept()
    lines = [os.urandom(30_000).replace(b"\n", b"?").replace(b"\r", b"?"), b"", b"short"]
    conn.send(b"".join(one + b"\n" for one in lines))
    assert [base64.b64decode(payload) for _, payload in messages(ws, 3)] == lines


@pytest.mark.parametrize(
    "framing, data",
    [("length16", b"\x00\x05hell"), ("length16", b"\x00"), ("length32", b"\x00\x00\x00"), ("length32", b"\xff\xff\xff\xff")],
)
def test_a_unit_that_is_cut_or_too_large_is_1014_after_what_was_whole(culvert, peer, framing, data):
    target = peer(Target)
    c = culvert(route(target, f"framing = {framing}"))
    ws = c.ws("/x")
    conn = target.accept()
    first = struct.pack(">H" if framing == "length16" else ">I", 2) + b"ok"
    conn.send(first + data)
    conn.finish()
    got, code, _ = ws.recv_to_close()
    assert got == b"ok" and code == 1014
    assert c.wait_event()["code"] == "1014"


def test_a_line_over_message_max_is_1014(culvert, peer):
    target = peer(Target)
    c = culvert(route(target, "framing = line", "message_max = 4k"))
    ws = c.ws("/x")
    conn = target.accept()
    conn.send(b"a" * 4096 + b"\n" + b"b" * 4097)
    got, code, _ = ws.recv_to_close()
    assert got == b"a" * 4096 and code == 1014


# ---- origins ----


@pytest.mark.parametrize(
    "origins, host, origin, passes",
    [
        ("same", "example.org", "http://example.org", True),
        ("same", "example.org:8080", "http://example.org:8080", True),
        ("same", "EXAMPLE.org", "https://example.ORG", True),
        ("same", "example.org", None, True),
        ("same", "example.org", "http://example.org.evil.net", False),
        ("same", "example.org", "http://evilexample.org", False),
        ("same", "example.org", "http://example.org:8080", False),
        ("same", "example.org", "http://example.org.", False),
        ("same", "example.org", "http://user@example.org", False),
        ("same", "example.org", "null", False),
        ("same", "example.org", "", False),
        ("same", "example.org", "http://" + "a" * 300, False),
        ("same", "example.org", "http://example.org http://example.org", False),
        ("any", "example.org", "https://elsewhere.net", True),
        ("any", "example.org", "null", False),
        ("https://a.example, http://b.example:81", "example.org", "https://a.example", True),
        ("https://a.example, http://b.example:81", "example.org", "http://b.example:81", True),
        ("https://a.example, http://b.example:81", "example.org", "http://a.example", False),
        ("https://a.example, http://b.example:81", "example.org", "http://example.org", False),
    ],
)
def test_s8_s9_origins_are_compared_whole(culvert, origins, host, origin, passes):
    c = culvert(f"[route /x]\ntarget = echo:\norigins = {origins}\n")
    wire = c.http()
    headers = [] if origin is None else [("Origin", origin)]
    wire.send(upgrade_request("/x", host=host, headers=headers))
    assert read_answer(wire).status == (101 if passes else 403)


def test_s8_a_request_without_origin_passes_as_the_route_says(culvert):
    c = culvert("[route /x]\ntarget = echo:\n[route /y]\ntarget = echo:\norigin_required = yes\n")
    assert c.http().ask(path="/y").status == 403
    assert c.http().ask(path="/y", headers=[("Origin", "http://localhost")]).status == 426
    assert c.http().ask(path="/x").status == 426
    assert c.http().ask(path="/x", headers=[("Sec-Fetch-Site", "cross-site")]).status == 403
    assert c.http().ask(path="/x", headers=[("Sec-Fetch-Site", "same-origin")]).status == 426


def test_s9_two_origins_are_403(culvert):
    c = culvert("[route /x]\ntarget = echo:\n")
    two = [("Origin", "http://localhost"), ("Origin", "http://localhost")]
    assert c.http().ask(path="/x", headers=two).status == 403


def test_an_origin_that_is_none_is_a_mistake_at_its_line(culvert):
    c = culvert("[route /x]\ntarget = echo:\norigins = http://ok.example, http://bad.example/path\n", ready=False)
    assert c.wait_exit() == 78
    assert wait_until(lambda: c.log_lines(r"culvert\.ini:\d+: \[route /x\] origins: .*bad\.example/path"), "the mistake")
    c.expected_status = 78
