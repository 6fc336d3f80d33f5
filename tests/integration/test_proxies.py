# SPDX-License-Identifier: BSD-2-Clause
"""Proxies in front and behind: whose connection it is, told and believed only where it may be."""

import signal
import socket
import struct
import subprocess

import pytest

from harness.child import spawn
from harness.http import read_answer
from harness.peers import Target, TlsTarget, free_port
from harness.wait import Stopwatch, wait_until
from harness.wire import connect
from harness.ws import Refused, WsClient, upgrade_request

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
ECHO = "[route /x]\ntarget = echo:\n"
TRUSTING = "[server]\nlisten = 127.0.0.1:0 proxy\ntrusted_proxies = 127.0.0.1\n"


def v2(source="192.0.2.1", destination="198.51.100.7", ports=(56324, 443), command=0x21, extra=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    body = socket.inet_pton(family, source) + socket.inet_pton(family, destination) + struct.pack(">HH", *ports) + extra
    return SIGNATURE + bytes([command, 0x21 if ":" in source else 0x11]) + struct.pack(">H", len(body)) + body


def is_closed(wire):
    """Without a word."""
    return wire.read_to_end(reset_is_end=True) == b""


def client_of(c, what="websocket", count=1):
    return c.wait_event(what, count)["client"]


# ---- PROXY headers from in front ----


@pytest.mark.parametrize(
    "header, client",
    [
        (V1, "192.0.2.1:56324"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", "[2001:db8::1]:56324"),
        (v2(), "192.0.2.1:56324"),
        (v2("2001:db8::1", "2001:db8::2"), "[2001:db8::1]:56324"),
        (v2(extra=b"\x04\x00\x03abc"), "192.0.2.1:56324"),
    ],
)
def test_s18_a_trusted_header_names_the_client(culvert, header, client):
    c = culvert(TRUSTING + ECHO)
    wire = c.wire()
    wire.send(header + upgrade_request("/x"))
    ws = wire.upgraded()
    ws.send_text("hello")
    assert ws.recv_bytes(5) == b"hello"
    ws.leave()
    assert client_of(c) == client


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN whatever\r\n", v2(command=0x20)])
def test_s18_a_proxy_that_speaks_for_itself_is_the_client(culvert, header):
    c = culvert(TRUSTING + ECHO)
    wire = c.wire()
    wire.send(header)
    wire.upgrade("/x").leave()
    assert client_of(c).startswith("127.0.0.1:")


@pytest.mark.parametrize("header", [V1, v2()])
@pytest.mark.parametrize("tls", [False, True])
def test_s18_headers_cut_anywhere(culvert, certs, header, tls):
    """Byte by byte, and with what follows in the same segment, TLS or HTTP."""
    flag = "proxy tls" if tls else "proxy"
    c = culvert(
        f"[server]\nlisten = 127.0.0.1:0 {flag}\ntrusted_proxies = 127.0.0.0/8\n{ECHO}[tls]\n{certs.section()}"
    )
    for cut in range(len(header) + 1):
        sock = connect(c.address)
        sock.sendall(header[:cut])
        sock.sendall(header[cut:])
        if tls:
            sock = certs.client_context().wrap_socket(sock, server_hostname="localhost")
        c.keep(WsClient(sock)).upgrade("/x").leave()
    slow = c.wire()
    slow.send(header, piece=1)
    if not tls:
        slow.upgrade("/x").leave()
    assert {event["client"] for event in c.events("websocket")} == {"192.0.2.1:56324"}


@pytest.mark.parametrize(
    "wrong",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
        b"PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
        b"PROXY TCP4 " + b"1" * 200,
        SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\x00\x03" + bytes(3),
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(6000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_s18_a_malformed_or_missing_header_closes(culvert, wrong):
    c = culvert(TRUSTING + ECHO)
    wire = c.wire()
    wire.send(wrong)
    assert is_closed(wire)
    assert c.wait_log("closed: PROXY header from 127.0.0.1")
    wire = c.wire()
    wire.send(V1)
    wire.upgrade("/x").leave()


def test_s18_a_header_that_does_not_end_is_closed_in_time(culvert):
    c = culvert(TRUSTING.replace("proxy\n", "proxy\nheader_timeout = 500ms\n") + ECHO)
    silent, begun = c.wire(), c.wire()
    begun.send(V1[:20])
    watch = Stopwatch()
    assert is_closed(silent) and is_closed(begun)
    assert watch.seconds < 8
    wait_until(lambda: c.stats().connections == 0, "both to be gone")


def test_s18_who_waits_for_a_header_is_counted_and_does_not_keep_it(culvert):
    c = culvert(TRUSTING.replace("proxy\n", "proxy\nheader_timeout = 60s\n") + ECHO)
    waiting = [c.wire() for _ in range(5)]
    wait_until(lambda: c.stats().connections == 5, "all to wait")
    c.signal(signal.SIGTERM)
    assert c.wait_exit(8) == 0
    assert all(is_closed(wire) for wire in waiting)


def test_s18_only_trusted_peers_may_send_one(culvert):
    c = culvert("[server]\nlisten = 127.0.0.1:0 proxy\ntrusted_proxies = 127.0.0.2, 10.0.0.0/8\n" + ECHO)
    wire = c.wire()
    wire.send_quietly(V1 + upgrade_request("/x"))
    assert is_closed(wire)
    assert c.wait_log("closed: 127.0.0.1:.* not among trusted_proxies")
    wire = c.wire(source="127.0.0.2")
    wire.send(V1)
    wire.upgrade("/x").leave()
    assert client_of(c) == "192.0.2.1:56324"


@pytest.mark.parametrize("header", [V1, v2()])
def test_s18_where_it_is_not_configured_it_is_refused(culvert, header):
    c = culvert("[server]\nlisten = 127.0.0.1:0\ntrusted_proxies = 127.0.0.1\n" + ECHO)
    wire = c.wire()
    wire.send(header + upgrade_request("/x"))
    assert read_answer(wire).status == 400
    wire.wait_closed()


def test_s18_unix_listeners_and_peers(culvert, tmp_path):
    c = culvert(f"[server]\nlisten = unix:{tmp_path}/s proxy\ntrusted_proxies = unix\n{ECHO}")
    wire = c.wire()
    wire.send(V1)
    wire.upgrade("/x").leave()
    assert client_of(c) == "192.0.2.1:56324"


def test_s18_a_listener_changes_to_proxy_on_reload(culvert):
    plain = "[server]\nlisten = 127.0.0.1:0\ntrusted_proxies = 127.0.0.1\n" + ECHO
    c = culvert(plain)
    with open(c.conf_path) as file:
        text = file.read()
    with open(c.conf_path, "w") as file:
        file.write(text.replace("127.0.0.1:0\n", "127.0.0.1:0 proxy\n"))
    c.signal(signal.SIGHUP)
    c.wait_log("main reloaded")
    wire = c.wire()
    wire.send(V1)
    wire.upgrade("/x").leave()
    assert client_of(c) == "192.0.2.1:56324"


# ---- forwarding headers from in front ----


@pytest.mark.parametrize(
    "trusted, headers, client",
    [
        ("127.0.0.1", [("X-Forwarded-For", "192.0.2.1")], "192.0.2.1:0"),
        ("127.0.0.1", [("Forwarded", 'for="[2001:db8::1]:4711"')], "[2001:db8::1]:4711"),
        # What stands left of an address that is not trusted, anybody may have written.
        ("127.0.0.1", [("X-Forwarded-For", "203.0.113.9, 192.0.2.1")], "192.0.2.1:0"),
        ("127.0.0.1, 10.0.0.0/8", [("X-Forwarded-For", "203.0.113.9, 192.0.2.1, 10.1.2.3")], "192.0.2.1:0"),
        ("127.0.0.1, 10.0.0.0/8", [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "10.1.2.3")], "192.0.2.1:0"),
        # Two headers that disagree: one of them is the client's own.
        ("127.0.0.1", [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.2")], "127.0.0.1"),
        ("127.0.0.1", [("X-Forwarded-For", "nonsense")], "127.0.0.1"),
        ("10.0.0.0/8", [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")], "127.0.0.1"),
        ("", [("X-Forwarded-For", "192.0.2.1"), ("X-Real-IP", "192.0.2.1")], "127.0.0.1"),
    ],
)
def test_s18_forwarded_addresses(culvert, trusted, headers, client):
    c = culvert(f"[server]\ntrusted_proxies = {trusted}\n{ECHO}")
    c.ws("/x", headers=headers).leave()
    assert client_of(c).startswith(client)
    c.http().ask(path="/none", headers=headers)
    assert client_of(c, "request").startswith(client)


def test_s18_each_request_of_a_connection_has_its_own(culvert):
    c = culvert(f"[server]\ntrusted_proxies = 127.0.0.1\n{ECHO}")
    http = c.http()
    for i, headers in enumerate(([("X-Forwarded-For", "192.0.2.1")], [("X-Forwarded-For", "192.0.2.2")], [])):
        http.ask(path="/none", headers=headers)
        assert client_of(c, "request", i + 1).startswith(["192.0.2.1:", "192.0.2.2:", "127.0.0.1:"][i])


def test_s18_headers_behind_a_proxy_header(culvert):
    """The proxy in front tells of another one that is trusted as well, and of one that is not."""
    c = culvert("[server]\nlisten = 127.0.0.1:0 proxy\ntrusted_proxies = 127.0.0.1, 192.0.2.0/24\n" + ECHO)
    for i, (proxy, client) in enumerate((("192.0.2.1", "203.0.113.9:0"), ("198.51.100.1", "198.51.100.1:56324"))):
        wire = c.wire()
        wire.send(v2(proxy))
        wire.upgrade("/x", headers=[("X-Forwarded-For", "203.0.113.9")]).leave()
        assert client_of(c, "websocket", i + 1) == client


def origin(c, forwarded, page="https://shop.example"):
    headers = [("Origin", page)] + ([("X-Forwarded-Host", forwarded)] if forwarded else [])
    try:
        c.ws("/x", host="internal:8080", headers=headers).leave()
        return 101
    except Refused as refused:
        return refused.status


def test_s18_the_host_that_was_asked_for(culvert):
    trusting = culvert(f"[server]\ntrusted_proxies = 127.0.0.1\n{ECHO}")
    assert origin(trusting, "shop.example") == 101
    assert origin(trusting, "shop.example:443") == 101
    assert origin(trusting, "shop.example, internal:8080") == 101
    assert origin(trusting, None) == 403
    assert origin(trusting, "other.example") == 403
    assert origin(trusting, "bad host") == 400
    assert origin(trusting, None, "https://internal:8080") == 101
    other = culvert(ECHO)
    assert origin(other, "shop.example") == 403
    assert origin(other, "bad host", "http://internal:8080") == 101


def test_routes_are_chosen_by_host_not_by_what_a_proxy_says(culvert):
    c = culvert("[server]\ntrusted_proxies = 127.0.0.1\n[route a.test/x]\ntarget = echo:\n")
    assert c.http().ask(path="/x", host="a.test", headers=[("X-Forwarded-Host", "b.test")]).status == 426
    assert c.http().ask(path="/x", host="b.test", headers=[("X-Forwarded-Host", "a.test")]).status == 404


# ---- PROXY headers to targets ----


@pytest.mark.parametrize("kind", ["tcp", "tls", "unix"])
def test_send_proxy_v1(culvert, peer, certs, tmp_path, kind):
    if kind == "tls":
        target = peer(TlsTarget, certs.server_context())
    else:
        target = peer(Target, **({"path": str(tmp_path / "t")} if kind == "unix" else {}))
    c = culvert(f"[route /x]\ntarget = {target.url}\nsend_proxy = v1\ntls_ca = {certs.crt('ca')}\n")
    wire = c.wire()
    host, port = wire.sock.getsockname()
    wire.send(upgrade_request("/x"))
    conn = target.accept_raw() if kind == "tls" else target.accept()
    expected = f"PROXY TCP4 {host} 127.0.0.1 {port} {c.port}\r\n".encode()
    assert conn.sock.recv(len(expected), socket.MSG_WAITALL) == expected
    if kind == "tls":
        conn = target.handshake(conn)
    ws = wire.upgraded()
    ws.send_text("behind it")
    assert conn.read(9) == b"behind it"


def test_send_proxy_v2(culvert, peer):
    target = peer(Target)
    c = culvert(f"[route /x]\ntarget = {target.url}\nsend_proxy = v2\n")
    wire = c.wire()
    host, port = wire.sock.getsockname()
    wire.send(upgrade_request("/x"))
    conn = target.accept()
    expected = v2(host, "127.0.0.1", (port, c.port))
    assert conn.read(len(expected)) == expected
    wire.upgraded().send_text("behind it")
    assert conn.read(9) == b"behind it"


def test_send_proxy_passes_on_what_came_from_in_front(culvert, peer):
    target = peer(Target)
    c = culvert(
        "[server]\nlisten = 127.0.0.1:0 proxy\ntrusted_proxies = 127.0.0.1, 198.51.100.0/24\n"
        f"[route /x]\ntarget = {target.url}\nsend_proxy = v2\n"
    )
    wire = c.wire()
    wire.send(v2("2001:db8::1", "2001:db8::2", (1, 2)))
    wire.send(upgrade_request("/x"))
    expected = v2("2001:db8::1", "2001:db8::2", (1, 2))
    assert target.accept().read(len(expected)) == expected
    wire.upgraded()
    wire = c.wire()
    wire.send(v2("198.51.100.1", "198.51.100.2", (1, 2)))
    wire.send(upgrade_request("/x", headers=[("X-Forwarded-For", "203.0.113.9")]))
    expected = v2("203.0.113.9", "198.51.100.2", (0, 2))
    assert target.accept().read(len(expected)) == expected
    wire.upgraded()


@pytest.mark.parametrize("version, expected", [("v1", b"PROXY UNKNOWN\r\n"), ("v2", None)])
def test_send_proxy_for_a_client_on_a_unix_socket(culvert, peer, tmp_path, version, expected):
    target = peer(Target)
    path = f"{tmp_path}/s"
    c = culvert(f"[server]\nlisten = unix:{path}\n[route /x]\ntarget = {target.url}\nsend_proxy = {version}\n")
    wire = c.wire()
    wire.send(upgrade_request("/x"))
    if expected is None:
        expected = SIGNATURE + b"\x21\x31" + struct.pack(">H", 216) + bytes(108) + path.encode().ljust(108, b"\0")
    assert target.accept().read(len(expected)) == expected
    wire.upgraded()


def test_send_proxy_to_an_echo_says_nothing(culvert):
    c = culvert("[route /x]\ntarget = echo:\nsend_proxy = v1\n")
    ws = c.ws("/x")
    ws.send_text("hello")
    assert ws.recv_bytes(5) == b"hello"


# ---- real proxies ----


@pytest.fixture
def start(tmp_path):
    """start(args, port): a server in the foreground, until it listens."""
    started = []

    def run(args, port):
        log = open(tmp_path / f"server{len(started)}.log", "wb")
        started.append(spawn(args, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

        def listening():
            assert started[-1].poll() is None, (tmp_path / f"server{len(started) - 1}.log").read_text()
            try:
                connect(("127.0.0.1", port)).close()
                return True
            except ConnectionRefusedError:
                return False

        wait_until(listening, f"{args[0]} to listen")

    yield run
    for process in started:
        process.terminate()
        process.wait()


def haproxy(start, tmp_path, port, server, bind=""):
    path = tmp_path / f"haproxy{port}.cfg"
    path.write_text(
        "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n"
        f"listen l\n bind 127.0.0.1:{port} {bind}\n server s {server}\n"
    )
    start(["haproxy", "-db", "-f", str(path)], port)


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("tls", [False, True])
def test_haproxy_in_front(culvert, start, certs, tmp_path, version, tls):
    flag = "proxy tls" if tls else "proxy"
    c = culvert(
        f"[server]\nlisten = 127.0.0.1:0 {flag}\ntrusted_proxies = 127.0.0.1\n{ECHO}[tls]\n{certs.section()}"
    )
    port = free_port()
    haproxy(start, tmp_path, port, f"127.0.0.1:{c.port} {version}")
    wait_until(lambda: c.stats().connections == 0, "the probe to be gone")
    ws = c.ws(
        "/x", address=("127.0.0.1", port), tls=certs.client_context() if tls else None, source="127.0.0.77"
    )
    ws.send_text("hello")
    assert ws.recv_bytes(5) == b"hello"
    ws.leave()
    assert client_of(c).startswith("127.0.0.77:")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_behind(culvert, peer, start, tmp_path, version):
    """It reads our header, and passes on what it has understood in a header of its own."""
    target = peer(Target)
    port = free_port()
    haproxy(start, tmp_path, port, f"127.0.0.1:{target.port} send-proxy", "accept-proxy")
    c = culvert(f"[route /x]\ntarget = tcp://127.0.0.1:{port}\nsend_proxy = {version}\n")
    wire = c.wire(source="127.0.0.78")
    own = wire.sock.getsockname()
    ws = wire.upgrade("/x")
    ws.send_text("x")
    expected = f"PROXY TCP4 127.0.0.78 127.0.0.1 {own[1]} {c.port}\r\nx".encode()
    while True:  # the probe of the fixture came first, without a header
        conn = target.accept()
        got = conn.read_until(b"\r\n") if not conn.sock.recv(1, socket.MSG_PEEK) == b"" else b""
        if got:
            break
    assert got + conn.read(1) == expected


def test_nginx_in_front(culvert, start, tmp_path):
    """As a newcomer configures it: Host is nginx's own, so X-Forwarded-Host has to tell."""
    c = culvert(f"[server]\ntrusted_proxies = 127.0.0.1\n{ECHO}")
    port = free_port()
    path = tmp_path / "nginx.conf"
    path.write_text(
        f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n"
        f"client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;\n"
        f"uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{c.port};\n"
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection Upgrade;\n"
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
        "proxy_set_header X-Forwarded-Host $http_host;\n} } }\n"
    )
    start(["nginx", "-c", str(path), "-e", "stderr"], port)
    for page, status in ((f"http://shop.test:{port}", 101), ("http://evil.test", 403)):
        try:
            ws = c.ws(
                "/x", address=("127.0.0.1", port), source="127.0.0.79", host=f"shop.test:{port}",
                headers=[("Origin", page), ("X-Forwarded-For", "203.0.113.9")],
            )
            ws.send_text("hello")
            assert ws.recv_bytes(5) == b"hello"
            ws.leave()
            seen = 101
        except Refused as refused:
            seen = refused.status
        assert seen == status
    assert client_of(c) == "127.0.0.79:0"
