# SPDX-License-Identifier: BSD-2-Clause
"""Proxies in front and what they say of a client: whom is it believed, and whom is it told on."""

import os
import signal
import socket
import ssl
import struct

import pytest

from harness.http import request
from harness.peers import Echo, Recorder, Target, TlsTarget, free_port
from harness.proxies import Haproxy, Nginx
from harness.records import Records
from harness.wait import Stopwatch, wait_until
from harness.ws import Refused, WsClient, frame, upgrade_request, TEXT

ECHO = "[route /echo]\ntarget = echo:\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT, SERVER = ("192.0.2.77", 4711), ("198.51.100.7", 443)


def v1(client=CLIENT, server=SERVER, family="TCP4"):
    return f"PROXY {family} {client[0]} {server[0]} {client[1]} {server[1]}\r\n".encode()


def v2(client=CLIENT, server=SERVER, more=b"", command=0x21):
    family = socket.AF_INET6 if ":" in client[0] else socket.AF_INET
    body = socket.inet_pton(family, client[0]) + socket.inet_pton(family, server[0])
    body += struct.pack(">HH", client[1], server[1]) + more
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + bytes([command, kind]) + struct.pack(">H", len(body)) + body


def v2_unix(client, server):
    body = client.ljust(108, b"\0") + server.ljust(108, b"\0")
    return SIGNATURE + b"\x21\x31" + struct.pack(">H", len(body)) + body


HEADERS = {"v1": v1(), "v2": v2(), "v2 with fields": v2(more=b"\x04\0\x05fill!")}
headers = pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())


def proxied(routes=ECHO, more="", trusted="127.0.0.1", flags="proxy"):
    return f"[server]\nlisten = 127.0.0.1:0 {flags}\ntrusted_proxies = {trusted}\n{more}\n{routes}"


def behind(routes=ECHO, trusted="127.0.0.1"):
    """Proxies that add headers to requests."""
    return f"[server]\ntrusted_proxies = {trusted}\n{routes}"


def text_of(address):
    return "%s:%d" % address[:2] if address else "unix:"


def talks(ws, text="hello"):
    ws.send_text(text)
    return ws.recv_bytes(len(text)) == text.encode()


def forwarded(c, lines, **options):
    """The client of a request with such headers, by the access log."""
    before = len(c.events("request"))
    wire = c.http(**options)
    wire.ask(path="/none", headers=lines)
    return unported(c.wait_event("request", before + 1)["client"]), text_of(wire.own)


def unported(client):
    """Without a port that nobody has told."""
    return client.removesuffix(":0")


def refused_silently(wire):
    assert wire.read_to_end(reset_is_end=True) == b""


# ---- X-Forwarded-For and Forwarded ----


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8", "127.0.0.2"])
@pytest.mark.parametrize("name, value", [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")])
def test_s18_a_forged_address_from_anybody_is_ignored(culvert, trusted, name, value):
    c = culvert(behind(trusted=trusted))
    told, peer = forwarded(c, [(name, value)])
    assert told == peer
    ws = c.ws("/echo", headers=[(name, value)])
    ws.leave()
    assert unported(c.wait_event("websocket")["client"]) == text_of(ws.own)


@pytest.mark.parametrize(
    "lines, client",
    [
        ([("X-Forwarded-For", "192.0.2.1")], "192.0.2.1"),
        ([("X-Forwarded-For", "192.0.2.1:80")], "192.0.2.1:80"),
        ([("X-Forwarded-For", "2001:db8::1")], "[2001:db8::1]"),
        ([("Forwarded", 'for="[2001:db8::1]:4711";proto=https')], "[2001:db8::1]:4711"),
        # What stands on the left of the first address that is not trusted, anybody may have written.
        ([("X-Forwarded-For", "192.0.2.66, 192.0.2.1")], "192.0.2.1"),
        ([("X-Forwarded-For", "127.0.0.1, 192.0.2.1")], "192.0.2.1"),
        ([("X-Forwarded-For", "192.0.2.66"), ("X-Forwarded-For", "192.0.2.1")], "192.0.2.1"),
        ([("X-Forwarded-For", "192.0.2.66, 192.0.2.1, 10.1.2.3, 10.9.9.9")], "192.0.2.1"),
        ([("Forwarded", "for=192.0.2.66, for=192.0.2.1, for=10.1.2.3")], "192.0.2.1"),
        ([("X-Forwarded-For", "<script>, 192.0.2.1")], "192.0.2.1"),
        # It goes no further than what can be read, and than both headers agree.
        ([("X-Forwarded-For", "192.0.2.1, nonsense, 10.1.2.3")], "10.1.2.3"),
        ([("Forwarded", "for=192.0.2.1, for=unknown, for=10.1.2.3")], "10.1.2.3"),
        ([("X-Forwarded-For", "nonsense")], "peer"),
        ([("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.2")], "peer"),
        ([("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")], "192.0.2.1"),
        ([], "peer"),
    ],
)
def test_s18_the_client_is_the_first_address_that_no_trusted_proxy_vouches_further_for(culvert, lines, client):
    c = culvert(behind(trusted="127.0.0.0/8, 10.0.0.0/8"))
    told, peer = forwarded(c, lines)
    assert told == (peer if client == "peer" else client)


def test_each_request_of_a_kept_connection_has_its_own_client(culvert):
    c = culvert(behind())
    wire = c.http()
    for i, lines in enumerate(([("X-Forwarded-For", "192.0.2.1")], [], [("X-Forwarded-For", "192.0.2.3")])):
        wire.ask(path="/none", headers=lines)
        client = unported(c.wait_event("request", i + 1)["client"])
        assert client == (lines[0][1] if lines else text_of(wire.own))


def test_a_websocket_is_logged_with_its_forwarded_client(culvert):
    c = culvert(behind())
    c.ws("/echo", headers=[("X-Forwarded-For", "192.0.2.1")]).leave()
    assert unported(c.wait_event("websocket")["client"]) == "192.0.2.1"


def test_a_proxy_on_a_unix_socket_is_believed_if_unix_is_trusted(culvert, tmp_path):
    for trusted, client in (("unix", "192.0.2.1"), ("127.0.0.1", "unix:")):
        path = str(tmp_path / (trusted + ".sock"))
        c = culvert(f"[server]\nlisten = unix:{path}\ntrusted_proxies = {trusted}\n{ECHO}")
        assert forwarded(c, [("X-Forwarded-For", "192.0.2.1")], address=path)[0] == client
        c.ws("/echo", address=path, headers=[("X-Forwarded-For", "192.0.2.1")]).leave()
        assert unported(c.wait_event("websocket")["client"]) == client


# ---- X-Forwarded-Host ----


def status(c, *lines, host="inner:8080", **options):
    try:
        c.ws("/echo", host=host, headers=lines, **options)
        return 101
    except Refused as refused:
        return refused.status


def test_s18_the_forwarded_host_of_a_trusted_proxy_is_what_origins_same_compares_with(culvert):
    c = culvert(behind())
    page = ("Origin", "https://app.example.org")
    assert status(c, page, ("X-Forwarded-Host", "app.example.org")) == 101
    assert status(c, page, ("X-Forwarded-Host", "app.example.org, inner")) == 101
    assert status(c, page, ("X-Forwarded-Host", "other.example.org")) == 403
    assert status(c, page, ("X-Forwarded-Host", "app.example.org:8443")) == 403
    assert status(c, page) == 403
    # The Host does not count beside it.
    assert status(c, ("Origin", "http://inner:8080"), ("X-Forwarded-Host", "app.example.org")) == 403
    assert status(c, ("Origin", "http://inner:8080")) == 101


@pytest.mark.parametrize("trusted", ["", "127.0.0.2"])
def test_s18_the_forwarded_host_of_anybody_else_is_ignored(culvert, trusted):
    c = culvert(behind(trusted=trusted))
    page = ("Origin", "https://evil.example")
    assert status(c, page, ("X-Forwarded-Host", "evil.example")) == 403
    assert status(c, ("Origin", "http://inner:8080"), ("X-Forwarded-Host", "evil.example")) == 101
    assert status(c, ("Origin", "http://inner:8080"), ("X-Forwarded-Host", "no host")) == 101


@pytest.mark.parametrize("value", ["", "no host", "a/b", "user@a", "a:70000"])
def test_s18_a_malformed_forwarded_host_is_400(culvert, value):
    c = culvert(behind())
    assert status(c, ("Origin", "http://inner:8080"), ("X-Forwarded-Host", value)) == 400


def test_routes_are_chosen_by_host_whatever_is_forwarded(culvert):
    c = culvert(behind("[route a.test/echo]\ntarget = echo:\n"))
    assert status(c, ("X-Forwarded-Host", "b.test"), host="a.test") == 101
    assert status(c, ("X-Forwarded-Host", "a.test"), host="b.test") == 404


# ---- PROXY headers, in ----


@headers
def test_the_client_is_the_one_that_the_header_names(culvert, header):
    c = culvert(proxied())
    wire = c.wire()
    wire.send(header + upgrade_request("/echo") + frame(TEXT, "early"))
    ws = wire.upgraded()
    assert ws.recv_bytes(5) == b"early"
    ws.leave()
    assert unported(c.wait_event("websocket")["client"]) == "192.0.2.77:4711"


@pytest.mark.parametrize(
    "header, client",
    [
        (v1(("2001:db8::1", 1), ("2001:db8::2", 2), "TCP6"), "[2001:db8::1]:1"),
        (v2(("2001:db8::1", 1), ("2001:db8::2", 2)), "[2001:db8::1]:1"),
        (v2(("::ffff:192.0.2.1", 1), ("::ffff:192.0.2.2", 2)), "192.0.2.1:1"),
        (v2_unix(b"/run/client", b"/run/server"), "unix:/run/client"),
        (b"PROXY UNKNOWN\r\n", "peer"),
        (b"PROXY UNKNOWN ::1 what ever\r\n", "peer"),
        (v2(command=0x20), "peer"),
        (SIGNATURE + b"\x20\0\0\0", "peer"),
        (SIGNATURE + b"\x21\0\0\x03abc", "peer"),
    ],
    ids=["v1-6", "v2-6", "mapped", "unix", "UNKNOWN", "UNKNOWN-more", "LOCAL", "LOCAL-short", "UNSPEC"],
)
def test_s18_every_kind_of_header(culvert, header, client):
    """LOCAL and UNKNOWN are the proxy's own connections."""
    c = culvert(proxied())
    wire = c.http()
    wire.send(header)
    assert wire.ask(path="/none").status == 404
    wanted = text_of(wire.own) if client == "peer" else client
    assert unported(c.wait_event("request")["client"]) == wanted


@headers
def test_s18_a_header_split_anywhere(culvert, header):
    c = culvert(proxied())
    whole = header + request(path="/none")
    for at in range(1, len(header) + 1):
        wire = c.http()
        wire.send(whole[:at])
        if at % 8 == 1:
            c.wait_quiet()  # neither does it spin on what has come
        wire.send(whole[at:])
        assert wire.read_until(b"\r\n") == b"HTTP/1.1 404 Not Found\r\n"
        wire.close()
    c.wait_event("request", len(header))
    assert {event["client"] for event in c.events("request")} == {"192.0.2.77:4711"}


@headers
def test_s18_a_header_and_its_request_byte_by_byte(culvert, header):
    c = culvert(proxied())
    wire = c.wire()
    wire.send(header + upgrade_request("/echo"), piece=1)
    assert talks(wire.upgraded())


@headers
@pytest.mark.parametrize("piece", [None, 1, 17])
def test_s18_tls_behind_the_header_in_the_same_segment(culvert, certs, header, piece):
    c = culvert(proxied(f"[tls]\n{certs.section()}{ECHO}", flags="tls proxy"))
    wire = c.wire()
    records = Records(wire, certs.client_context(), piece, before=header)
    wire.send(records.seal(upgrade_request("/echo") + frame(TEXT, "over TLS")), piece)
    got = records.read_until(b"over TLS")
    assert got.startswith(b"HTTP/1.1 101 ")
    wire.close()
    assert unported(c.wait_event("websocket")["client"]) == "192.0.2.77:4711"


@headers
def test_s18_a_header_from_an_untrusted_network_closes(culvert, header):
    c = culvert(proxied(trusted="127.0.0.1, 10.0.0.0/8"))
    wire = c.wire(source="127.0.0.9")
    wire.send_quietly(header + request(path="/echo"))
    refused_silently(wire)
    c.wait_log("info .*127.0.0.9:.*trusted_proxies")
    assert not c.events()
    # It is closed before anything was said, too.
    refused_silently(c.wire(source="127.0.0.9"))
    assert c.wire(source="127.0.0.1").is_open()


@pytest.mark.parametrize(
    "said",
    [
        request(path="/echo"),
        upgrade_request("/echo"),
        b"\x16\x03\x01\x02\0",  # the beginning of a ClientHello
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        b"PROXY TCP4 192.0.2.300 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY SCTP 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY UNKNOWN" + b" " * 200 + b"\r\n",
        b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        SIGNATURE + b"\x31\x11\0\x0c" + bytes(12),
        SIGNATURE + b"\x22\x11\0\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\0\x0b" + bytes(11),
        SIGNATURE + b"\x21\x51\0\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x20\0\x10\0" + bytes(4096),
        v2(more=b"\x04\0\x09short"),
        b"\r\n\r\n" + request(path="/echo"),
    ],
)
def test_s18_what_is_no_header_closes_without_an_answer(culvert, said):
    c = culvert(proxied())
    wire = c.wire()
    wire.send_quietly(said)
    refused_silently(wire)
    c.wait_log("info .*closed: PROXY header from 127.0.0.1:.*: ")
    assert not c.events()
    assert talks_behind(c)


def talks_behind(c):
    wire = c.wire()
    wire.send(v1())
    return talks(wire.upgrade("/echo"))


def test_s18_the_longest_header_is_taken(culvert):
    c = culvert(proxied())
    wire = c.http()
    fields = b"\x04" + struct.pack(">H", 4096 - 28 - 3) + bytes(4096 - 28 - 3)
    wire.send(v2(more=fields))
    assert wire.ask(path="/none").status == 404
    assert unported(c.wait_event("request")["client"]) == "192.0.2.77:4711"


@pytest.mark.parametrize("begun", [b"", v1()[:20], v2()[:20], v2()[:13]])
def test_s18_a_header_that_is_never_finished(culvert, begun):
    c = culvert(proxied(more="header_timeout = 1s"))
    watch = Stopwatch()
    wire = c.wire()
    wire.send(begun)
    refused_silently(wire)
    assert 0.9 < watch.seconds < 5
    c.wait_log("closed: PROXY header from .*: not complete in time")


def test_s18_a_header_that_drips_gets_no_more_time(culvert):
    c = culvert(proxied(more="header_timeout = 1s"))
    watch = Stopwatch()
    wire = c.wire()
    with pytest.raises(OSError):
        for byte in v2(more=b"\x04\x0f\x00" + bytes(3840)):
            wire.send(bytes([byte]))
            wire.sock.settimeout(0.05)
            try:
                assert wire.sock.recv(1) == b""
                raise ConnectionResetError
            except TimeoutError:
                pass
    assert watch.seconds < 5


def test_s18_the_request_has_to_come_in_the_same_time(culvert):
    """header_timeout is from the accept on, not from the PROXY header on."""
    c = culvert(proxied(more="header_timeout = 2s"))
    watch = Stopwatch()
    wire = c.http()
    wire.send(v1()[:-1])
    wait_until(lambda: watch.seconds > 1.5, "most of the time to pass")
    wire.send(b"\nGET / HTTP/1.1\r\n")
    assert wire.read_until(b"\r\n").startswith(b"HTTP/1.1 408 ")
    assert watch.seconds < 3.4


def test_s18_who_leaves_before_the_header_leaves_nothing(culvert):
    c = culvert(proxied())
    # What grows with the most connections at a time, such as the loop's tables, has grown then.
    for _ in range(60):
        c.wire().send(v1()[:5])
    wait_until(lambda: c.stats().connections == 60, "all to be accepted")
    c.close_clients()
    baseline = wait_until(lambda: c.stats().connections == 0 and c.stats(), "nobody to be left")
    fds = c.fds()
    for i in range(60):
        wire = c.wire(source="127.0.0.9" if i % 4 == 3 else None)
        wire.send_quietly(v2()[: i % 28])
        if i % 2:
            wire.reset()
        else:
            wire.close()
    wait_until(lambda: c.fds() == fds, "the descriptors to be closed")
    now = wait_until(lambda: c.stats().connections == 0 and c.stats(), "nobody to be left")
    assert now.live_bytes <= baseline.live_bytes


@pytest.mark.parametrize("tls", [False, True])
@headers
def test_s18_a_header_where_none_is_expected_is_refused(culvert, certs, header, tls):
    flags = "tls" if tls else ""
    c = culvert(proxied(f"[tls]\n{certs.section()}{ECHO}" if tls else ECHO, flags=flags))
    wire = c.wire()
    wire.send_quietly(header + request(path="/echo"))
    if tls:  # what is no ClientHello, TLS answers with an alert at most
        assert b"HTTP" not in wire.read_to_end(reset_is_end=True)
    else:
        assert wire.read_until(b"\r\n").startswith(b"HTTP/1.1 400 ")
        wire.wait_closed()
    assert not [event for event in c.events() if event["client"].startswith("192.0.2.")]


@headers
def test_s18_a_second_header_is_refused(culvert, header):
    c = culvert(proxied())
    wire = c.http()
    wire.send(header + v1(("192.0.2.99", 1)) + request(path="/echo"))
    assert wire.read_until(b"\r\n").startswith(b"HTTP/1.1 400 ")
    wire.wait_closed()
    assert unported(c.wait_event("request")["client"]) == "192.0.2.77:4711"


def test_s18_the_header_decides_whose_forwarding_is_believed(culvert):
    """The load balancer is trusted; the client that it names is not, unless it is a proxy of ours."""
    c = culvert(proxied(trusted="127.0.0.1, 10.0.0.0/8"))
    for i, (source, client) in enumerate((("192.0.2.77", "192.0.2.77:4711"), ("10.1.1.1", "192.0.2.1"))):
        wire = c.http()
        wire.send(v1((source, 4711)))
        wire.ask(path="/none", headers=[("X-Forwarded-For", "192.0.2.1")])
        assert unported(c.wait_event("request", i + 1)["client"]) == client


def test_a_unix_listener_may_be_a_proxys(culvert, tmp_path):
    path = str(tmp_path / "culvert.sock")
    text = f"[server]\nlisten = unix:{path} proxy\ntrusted_proxies = %s\n{ECHO}"
    c = culvert(text % "unix")
    wire = c.wire(address=path)
    wire.send(v1())
    wire.upgrade("/echo").leave()
    assert unported(c.wait_event("websocket")["client"]) == "192.0.2.77:4711"
    c.stop()
    c = culvert(text % "127.0.0.1")
    refused_silently(c.wire(address=path))


def test_who_has_not_sent_a_header_does_not_hold_up_the_end(culvert):
    c = culvert(proxied(more="header_timeout = 5m"))
    silent, late = c.wire(), c.http()
    wait_until(lambda: c.stats().connections == 2, "both to be accepted")
    c.signal(signal.SIGTERM)
    c.wait_log("draining|stopping")
    late.send(v1())
    assert late.ask(path="/none")["connection"] == "close"
    refused_silently(silent)
    assert c.wait_exit() == 0


def test_the_second_term_does_not_wait_for_a_header(culvert):
    c = culvert(proxied(more="header_timeout = 5m"))
    wire = c.wire()
    wire.send(v1()[:10])
    wait_until(lambda: c.stats().connections == 1, "it to be accepted")
    c.signal(signal.SIGTERM)
    c.wait_log("draining|stopping")
    c.signal(signal.SIGINT)
    assert c.wait_exit() == 0
    refused_silently(wire)


# ---- PROXY headers, out ----


def route(target, version, more=""):
    return f"[route /x]\ntarget = {target.url}\nsend_proxy = {version}\n{more}\n"


def header_of(version, client, server):
    family = "TCP6" if ":" in client[0] else "TCP4"
    return v1(client, server, family) if version == "v1" else v2(client, server)


versions = pytest.mark.parametrize("version", ["v1", "v2"])


@versions
def test_s18_a_target_is_told_the_client_first(culvert, peer, version):
    target = peer(Recorder)
    c = culvert(route(target, version))
    ws = c.ws("/x", source="127.0.0.9")
    ws.send_text("and then")
    header = header_of(version, ws.own[:2], c.address)
    target.wait_received(header + b"and then")
    ws.leave()
    target.wait_ended("eof")


@versions
def test_an_ipv6_client_is_told(culvert, peer, version):
    target = peer(Recorder)
    c = culvert("[server]\nlisten = [::1]:0\n" + route(target, version))
    ws = c.ws("/x")
    target.wait_received(header_of(version, ws.own[:2], c.address))


@versions
def test_an_ipv4_client_of_an_ipv6_listener_is_told_as_ipv4(culvert, peer, version):
    target = peer(Recorder)
    port = free_port()
    c = culvert(f"[server]\nlisten = :{port}\n" + route(target, version))
    ws = c.ws("/x", address=("127.0.0.1", port))
    target.wait_received(header_of(version, ws.own[:2], ("127.0.0.1", port)))


@versions
def test_s18_a_header_is_passed_on_with_both_addresses(culvert, peer, version):
    target = peer(Recorder)
    c = culvert(proxied(route(target, version)))
    wire = c.wire()
    wire.send(v2())
    wire.upgrade("/x")
    target.wait_received(header_of(version, CLIENT, SERVER))


@versions
def test_a_forwarded_client_is_told(culvert, peer, version):
    target = peer(Recorder)
    c = culvert(behind(route(target, version)))
    c.ws("/x", headers=[("X-Forwarded-For", "192.0.2.1")])
    target.wait_received(header_of(version, ("192.0.2.1", 0), c.address))
    # One header tells one family: the other address is written as one of it.
    c.ws("/x", headers=[("X-Forwarded-For", "2001:db8::1")])
    mapped = "0:0:0:0:0:ffff:7f00:1" if version == "v1" else "::ffff:127.0.0.1"
    wait_until(lambda: len(target.received) == 2, "a second connection")
    seen = header_of(version, ("2001:db8::1", 0), (mapped, c.port))
    target.wait_received(seen, 1)


@versions
def test_s18_a_forged_client_is_not_told(culvert, peer, version):
    target = peer(Recorder)
    c = culvert(behind(route(target, version), trusted="10.0.0.0/8"))
    ws = c.ws("/x", headers=[("X-Forwarded-For", "192.0.2.1")])
    target.wait_received(header_of(version, ws.own[:2], c.address))


@versions
def test_a_client_on_a_unix_socket(culvert, peer, tmp_path, version):
    target = peer(Recorder)
    path = str(tmp_path / "culvert.sock")
    c = culvert(f"[server]\nlisten = unix:{path}\ntrusted_proxies = unix\n" + route(target, version))
    c.ws("/x", address=path)
    target.wait_received(b"PROXY UNKNOWN\r\n" if version == "v1" else v2_unix(b"", path.encode()))
    # Whom the proxy there names is told all the same.
    c.ws("/x", address=path, headers=[("X-Forwarded-For", "192.0.2.1:80")])
    wait_until(lambda: len(target.received) == 2, "a second connection")
    target.wait_received(header_of(version, ("192.0.2.1", 80), ("0.0.0.0", 0)), 1)


@versions
def test_s18_the_header_goes_before_tls(culvert, certs, peer, version):
    target = peer(TlsTarget, certs.server_context())
    c = culvert(route(target, version, f"tls_ca = {certs.crt('ca')}"))
    wire = c.wire()
    wire.send(upgrade_request("/x"))
    conn = target.accept_raw()
    header = header_of(version, wire.own[:2], c.address)
    assert conn.sock.recv(len(header)) == header
    target.handshake(conn)
    ws = wire.upgraded()
    ws.send_text("secret")
    assert conn.read(6) == b"secret"


@versions
def test_a_unix_target_is_told_too(culvert, peer, tmp_path, version):
    target = peer(Recorder, str(tmp_path / "target.sock"))
    c = culvert(route(target, version))
    ws = c.ws("/x")
    target.wait_received(header_of(version, ws.own[:2], c.address))


def test_bytes_that_came_early_stay_behind_the_header(culvert, peer):
    target = peer(Recorder)
    c = culvert(route(target, "v1"))
    wire = c.wire()
    wire.send(upgrade_request("/x") + frame(TEXT, "early"))
    wire.upgraded()
    target.wait_received(header_of("v1", wire.own[:2], c.address) + b"early")


def test_nothing_is_told_where_nothing_is_configured(culvert, peer):
    target = peer(Recorder)
    c = culvert(behind(f"[route /x]\ntarget = {target.url}\n[route /echo]\ntarget = echo:\nsend_proxy = v2\n"))
    ws = c.ws("/x", headers=[("X-Forwarded-For", "192.0.2.1")])
    ws.send_text("alone")
    target.wait_received(b"alone")
    ws = c.ws("/echo")
    ws.send_text("my words only")
    assert ws.recv_bytes(13) == b"my words only"


# ---- HAProxy ----


@pytest.mark.parametrize("keyword", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"])
def test_s18_haproxy_in_front(culvert, peer, tmp_path, keyword):
    c = culvert(proxied())
    port = free_port()
    peer(Haproxy, tmp_path, [port], f"listen a\n  bind 127.0.0.1:{port}\n  server c 127.0.0.1:{c.port} {keyword}\n")
    ws = c.ws("/echo", address=("127.0.0.1", port), source="127.0.0.9")
    assert talks(ws)
    ws.leave()
    assert unported(c.wait_event("websocket")["client"]) == text_of(ws.own)


@pytest.mark.parametrize("keyword", ["send-proxy", "send-proxy-v2"])
def test_s18_haproxy_in_front_passes_tls_through(culvert, certs, peer, tmp_path, keyword):
    c = culvert(proxied(f"[tls]\n{certs.section()}{ECHO}", flags="tls proxy"))
    port = free_port()
    peer(Haproxy, tmp_path, [port], f"listen a\n  bind 127.0.0.1:{port}\n  server c 127.0.0.1:{c.port} {keyword}\n")
    ws = c.ws("/echo", address=("127.0.0.1", port), source="127.0.0.9", tls=certs.client_context())
    assert talks(ws)
    ws.leave()
    assert unported(c.wait_event("websocket")["client"]) == text_of(ws.own)


def test_haproxy_checks_health_on_a_proxy_listener(culvert, peer, tmp_path):
    """With a LOCAL header, or with nothing but a connection: neither is worth a warning."""
    c = culvert(proxied(ECHO + "[log]\nlevel = info\n"))
    port = free_port()
    peer(
        Haproxy, tmp_path, [port],
        f"listen a\n  bind 127.0.0.1:{port}\n"
        f"  option httpchk GET /none\n  http-check expect status 404\n"
        f"  server c 127.0.0.1:{c.port} send-proxy-v2 check check-send-proxy inter 100ms\n",
    )
    assert c.wait_event("request", 2)["client"].startswith("127.0.0.1:")
    assert talks(c.ws("/echo", address=("127.0.0.1", port)))
    assert not c.log_lines(" warn ")


@versions
def test_s18_haproxy_behind_believes_the_header(culvert, peer, tmp_path, version):
    """It passes on whom it takes for the client."""
    recorder = peer(Recorder)
    port = free_port()
    peer(
        Haproxy, tmp_path, [],
        f"listen a\n  bind 127.0.0.1:{port} accept-proxy\n  server t 127.0.0.1:{recorder.port} send-proxy\n",
    )
    c = culvert(f"[route /x]\ntarget = tcp://127.0.0.1:{port}\nsend_proxy = {version}\nconnect_timeout = 10s\n")
    ws = wait_until(lambda: attempt(c), "HAProxy to listen")
    ws.send_text("through two")
    recorder.wait_received(v1(ws.own[:2], c.address) + b"through two")


def attempt(c):
    try:
        return c.ws("/x", source="127.0.0.9")
    except Refused:
        return None


# ---- nginx ----

NGINX_FRONT = """
http {
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {
        listen 127.0.0.1:PORT;
        location / {
            proxy_pass http://127.0.0.1:TARGET;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}
"""


def test_s18_nginx_in_front(culvert, peer, tmp_path):
    """nginx puts its own idea into Host here; the pages' host comes as X-Forwarded-Host."""
    c = culvert(behind())
    port = free_port()
    peer(Nginx, tmp_path, [port], NGINX_FRONT.replace("PORT", str(port)).replace("TARGET", str(c.port)))
    front = {"address": ("127.0.0.1", port), "source": "127.0.0.9", "host": f"app.test:{port}"}
    forged = ("X-Forwarded-For", "192.0.2.66")
    assert status(c, ("Origin", "http://evil.test"), forged, **front) == 403
    assert status(c, ("Origin", f"http://127.0.0.1:{c.port}"), **front) == 403
    ws = c.ws("/echo", headers=[("Origin", f"http://app.test:{port}"), forged], **front)
    assert talks(ws)
    ws.leave()
    assert unported(c.wait_event("websocket")["client"]) == "127.0.0.9"
    assert {unported(event["client"]) for event in c.events("request")} == {"127.0.0.9"}


@versions
def test_s18_nginx_behind_believes_the_header(culvert, peer, tmp_path, version):
    recorder = peer(Recorder)
    port = free_port()
    nginx = peer(
        Nginx, tmp_path, [],
        "stream { log_format who '$proxy_protocol_addr $proxy_protocol_port';\n"
        "access_log {folder}/access.log who;\n"
        f"server {{ listen 127.0.0.1:{port} proxy_protocol; proxy_pass 127.0.0.1:{recorder.port}; }} }}\n",
    )
    c = culvert(f"[route /x]\ntarget = tcp://127.0.0.1:{port}\nsend_proxy = {version}\n")
    ws = wait_until(lambda: attempt(c), "nginx to listen")
    ws.send_text("hello")
    recorder.wait_received(b"hello")
    ws.leave()
    path = os.path.join(nginx.folder, "access.log")
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path), "nginx's access log")
    with open(path) as file:
        assert file.read().split() == ["127.0.0.9", str(ws.own[1])]
