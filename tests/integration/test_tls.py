# SPDX-License-Identifier: BSD-2-Clause
"""TLS on both sides: listeners with certificates by SNI, targets whose certificates are checked."""

import hashlib
import os
import re
import ssl
import subprocess
import threading

import pytest

from harness.peers import HalfCloser, Recorder, SlowReader, Target, TlsTarget
from harness.records import Records
from harness.wait import DEADLINE, wait_until
from harness.ws import BINARY, Refused, frame, upgrade_request

TLS = "[server]\nlisten = 127.0.0.1:0 tls\n"
ECHO = "[route /echo]\ntarget = echo:\n"


def listener(certs, more="", routes=ECHO, others=""):
    return f"{TLS}[tls]\n{certs.section()}{more}\n{others}\n{routes}"


def talks(ws, text="hello"):
    ws.send_text(text)
    return ws.recv_bytes(len(text)) == text.encode()


# ---- the listener ----


def test_a_websocket_over_tls(culvert, certs):
    c = culvert(listener(certs))
    ws = c.ws("/echo", tls=certs.client_context())
    assert talks(ws)
    ws.send_close(1000)
    assert ws.recv_close() == 1000


def test_a_handshake_over_tls_byte_at_a_time(culvert, certs):
    c = culvert(listener(certs))
    assert talks(c.ws("/echo", tls=certs.client_context(), piece=1))


def test_what_tls_has_decrypted_does_not_stay_behind(culvert, certs, peer):
    """One record holds more than there is room for, and nothing comes after it."""
    target = peer(Target, receive_buffer=4096)
    c = culvert(listener(certs, routes=f"[route /x]\ntarget = {target.url}\nbuffer = 4k\nheartbeat = 0\n"))
    ws = c.ws("/x", tls=certs.client_context())
    conn = target.accept()
    for size in (16_000, 16_000, 300_000):
        data = os.urandom(size)
        ws.send_binary(data)
        assert conn.read(size) == data


def opened(c, certs):
    """A WebSocket to an echo whose TLS records the test lays out itself."""
    wire = c.wire()
    records = Records(wire, certs.client_context())
    wire.send(records.seal(upgrade_request("/echo")))
    records.read_until(b"\r\n\r\n")
    return wire, records


def test_records_that_come_together_are_all_read(culvert, certs):
    """One read may take them all, and then no event of the socket tells of the later ones."""
    wire, records = opened(culvert(listener(certs)), certs)
    wire.send(b"".join(records.seal(frame(BINARY, bytes([n]) * 100)) for n in range(50)))
    assert records.read_until(bytes([49]) * 100).count(bytes([20]) * 100) == 1


def test_half_a_record_keeps_nobody_busy(culvert, certs):
    c = culvert(listener(certs).replace("[server]", "[server]\nworkers = 1"))
    wire, records = opened(c, certs)
    whole, half = records.seal(frame(BINARY, b"whole")), records.seal(frame(BINARY, b"late"))
    wire.send(whole + half[:20])
    records.read_until(b"whole")
    assert talks(c.ws("/echo", tls=certs.client_context()))
    wire.send(half[20:])
    records.read_until(b"late")


def test_a_pouring_tls_client_is_held_up_and_loses_nothing(culvert, certs, peer):
    target = peer(SlowReader, receive_buffer=65536)
    c = culvert(listener(certs, routes=f"[route /x]\ntarget = {target.url}\nbuffer = 16k\nheartbeat = 0\n"))
    ws = c.ws("/x", tls=certs.client_context())
    data = os.urandom(20_000_000)
    sender = in_background(ws.send_binary, data)
    sender.join(1)
    assert sender.is_alive()
    target.go()
    sender.join()
    wait_until(lambda: target.length >= len(data), "all bytes at the target")
    assert target.digest.hexdigest() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [16383, 16384, 16385, 5_000_000])
def test_bytes_over_tls_arrive_whole_both_ways(culvert, certs, peer, size):
    target = peer(Target)
    c = culvert(listener(certs, routes=f"[route /x]\ntarget = {target.url}\n"))
    ws = c.ws("/x", tls=certs.client_context())
    conn = target.accept()
    up, down = os.urandom(size), os.urandom(size)
    # Half a record of the next frame may be decrypted with the one before: nothing may stay behind.
    for piece in range(0, size, 100_000):
        ws.send_binary(up[piece : piece + 100_000])
        assert conn.read(len(up[piece : piece + 100_000])) == up[piece : piece + 100_000]
        conn.send(down[piece : piece + 100_000])
        assert ws.recv_bytes(len(down[piece : piece + 100_000])) == down[piece : piece + 100_000]


def test_the_certificate_is_chosen_by_sni(culvert, certs):
    others = f"[tls other.test]\n{certs.section('other')}[tls *.wild.test]\n{certs.section('wild')}"
    c = culvert(listener(certs, others=others))

    def name_of(server_name):
        wire = c.wire(tls=certs.client_context(verify=False), server_name=server_name)
        der = wire.sock.getpeercert(True)
        text = subprocess.run(
            ["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, stdout=subprocess.PIPE, check=True
        ).stdout.decode()
        return text.split("=")[-1].strip()

    assert name_of("localhost") == "server"
    assert name_of("other.test") == "other"
    assert name_of("OTHER.test") == "other"
    assert name_of("a.wild.test") == "wild"
    assert name_of("wild.test") == "server"
    assert name_of("a.b.wild.test") == "server"
    assert name_of("unknown.test") == "server"
    assert name_of(None) == "server"


@pytest.mark.parametrize("offer, chosen", [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)])
def test_alpn_is_http_1_1(culvert, certs, offer, chosen):
    c = culvert(listener(certs))
    context = certs.client_context()
    if offer:
        context.set_alpn_protocols(offer)
    ws = c.ws("/echo", tls=context)
    assert ws.sock.selected_alpn_protocol() == chosen
    assert talks(ws)


def test_alpn_without_http_1_1_is_refused(culvert, certs):
    c = culvert(listener(certs))
    context = certs.client_context()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        c.ws("/echo", tls=context)


def only(context, version):
    context.minimum_version = context.maximum_version = version
    return context


def test_tls_1_2_and_1_3_are_taken_and_nothing_older(culvert, certs):
    c = culvert(listener(certs))
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        ws = c.ws("/echo", tls=only(certs.client_context(), version))
        assert ws.sock.version() == name and talks(ws)
    old = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{c.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        input=b"",
        capture_output=True,
        timeout=DEADLINE,
    )
    assert b"alert protocol version" in old.stderr


def test_min_version_1_3_refuses_1_2(culvert, certs):
    c = culvert(listener(certs, "min_version = 1.3"))
    assert talks(c.ws("/echo", tls=certs.client_context()))
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        c.ws("/echo", tls=only(certs.client_context(), ssl.TLSVersion.TLSv1_2))


@pytest.mark.parametrize(
    "verify, certificate, accepted",
    [
        ("none", None, True),
        ("optional", None, True),
        ("optional", "client", True),
        ("optional", "foreign_client", False),
        ("required", None, False),
        ("required", "client", True),
        ("required", "foreign_client", False),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_client_verify(culvert, certs, verify, certificate, accepted, version):
    more = f"client_verify = {verify}\n"
    if verify != "none":
        more += f"client_ca = {certs.crt('ca')}\n"
    c = culvert(listener(certs, more))
    context = only(certs.client_context(certificate), version)
    if accepted:
        assert talks(c.ws("/echo", tls=context))
    else:
        with pytest.raises((ssl.SSLError, ConnectionResetError, EOFError)):
            c.ws("/echo", tls=context)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.tsan
def test_a_tls_session_is_resumed_on_whichever_worker(culvert, certs, tmp_path, version):
    c = culvert(f"[server]\nlisten = 127.0.0.1:0 tls\nworkers = 4\n[tls]\n{certs.section()}\n{ECHO}")
    session = str(tmp_path / "session")

    def s_client(*options):
        ask = "GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        return subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{c.port}", version, "-ign_eof", *options],
            input=ask,
            capture_output=True,
            timeout=DEADLINE,
        ).stdout

    first = s_client("-sess_out", session)
    assert b"\nNew, " in first and b"404 Not Found" in first
    for _ in range(12):
        again = s_client("-sess_in", session)
        assert b"\nReused, " in again and b"404 Not Found" in again


def test_renegotiation_is_refused(culvert, certs):
    c = culvert(listener(certs))
    process = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{c.port}", "-tls1_2", "-legacy_renegotiation"],
        input=b"R\n",
        capture_output=True,
        timeout=DEADLINE,
    )
    assert b"RENEGOTIATING" in process.stdout + process.stderr
    assert re.search(rb"no.renegotiation|handshake failure|error:", process.stderr, re.I)


def test_plain_http_on_a_tls_port_does_no_harm(culvert, certs):
    c = culvert(listener(certs))
    wire = c.wire()
    wire.send(upgrade_request("/echo"))
    wire.wait_closed()
    assert b"HTTP/1.1 101" not in wire.buffer
    assert talks(c.ws("/echo", tls=certs.client_context()))


def test_header_timeout_covers_the_tls_handshake(culvert, certs):
    c = culvert(f"[server]\nlisten = 127.0.0.1:0 tls\nheader_timeout = 1s\n[tls]\n{certs.section()}\n{ECHO}")
    wire = c.wire()
    wire.send(b"\x16\x03\x01")
    wire.wait_closed()


def test_plain_and_tls_listeners_side_by_side(culvert, certs):
    c = culvert(f"[server]\nlisten = 127.0.0.1:0\nlisten = 127.0.0.1:0 tls\n[tls]\n{certs.section()}\n{ECHO}")
    works = []
    for address in c.addresses:
        for tls in (None, certs.client_context()):
            try:
                works.append((address, tls is not None) if talks(c.ws("/echo", address=address, tls=tls)) else None)
            except (ssl.SSLError, OSError, EOFError):
                pass
    assert len(works) == 2 and {tls for _, tls in works} == {True, False}
    assert {address for address, _ in works} == set(c.addresses)


def test_a_tls_client_that_is_cut_off_is_no_orderly_end(culvert, certs, peer):
    """FIN without close_notify: a truncation, which an attacker can cause."""
    target = peer(Recorder)
    c = culvert(listener(certs, routes=f"[route /x]\ntarget = {target.url}\n"))
    ws = c.ws("/x", tls=certs.client_context())
    ws.send_text("some")
    target.wait_received(b"some")
    ws.cut()
    assert c.wait_event("websocket")["code"] == "1006"


def test_a_tls_client_that_ends_in_order_without_a_close_leaves_an_eof(culvert, certs, peer):
    target = peer(Recorder)
    c = culvert(listener(certs, routes=f"[route /x]\ntarget = {target.url}\n"))
    ws = c.ws("/x", tls=certs.client_context())
    ws.send_text("goodbye")
    ws.finish()
    target.wait_ended("eof")
    assert bytes(target.received[0]) == b"goodbye"


# ---- targets ----


class TlsServing:
    """Mixed into a Serving peer: TLS before serve()."""

    scheme = "tls"

    def __init__(self, tls, *args, **options):
        self.tls = tls
        super().__init__(*args, **options)

    def _serve(self, wire, received):
        try:
            wire.sock = self.tls.wrap_socket(wire.sock, server_side=True)
        except OSError:
            self.ended.append("handshake failed")
            wire.close()
            return
        super()._serve(wire, received)


class TlsRecorder(TlsServing, Recorder):
    pass


def refusal(culvert):
    with pytest.raises(Refused) as refused:
        culvert.ws("/x")
    return refused.value.status


def to(target, more=""):
    return f"[route /x]\ntarget = {target.url}\n{more}\n"


@pytest.mark.parametrize("certificate", ["self_signed", "wrong_name", "expired", "server"])
def test_s16_a_certificate_that_cannot_be_verified_is_502_by_default(culvert, peer, certs, certificate):
    """The system's authorities know none of them."""
    target = peer(TlsRecorder, certs.server_context(certificate))
    c = culvert(to(target))
    assert refusal(c) == 502
    assert target.received == [] or bytes(target.received[0]) == b""
    assert c.log_lines(r"verif|certificate")


@pytest.mark.parametrize(
    "certificate, status",
    [("server", None), ("self_signed", 502), ("wrong_name", 502), ("expired", 502), ("other", 502)],
)
def test_s16_tls_ca_says_whom_to_trust_and_the_name_is_checked(culvert, peer, certs, certificate, status):
    target = peer(TlsRecorder, certs.server_context(certificate))
    c = culvert(to(target, f"tls_ca = {certs.crt('ca')}"))
    if status is None:
        ws = c.ws("/x")
        ws.send_text("trusted")
        target.wait_received(b"trusted")
    else:
        assert refusal(c) == status


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_s16_the_name_in_the_target_is_the_one_that_is_checked(culvert, peer, certs, host):
    good = peer(TlsRecorder, certs.server_context("server"))
    bad = peer(TlsRecorder, certs.server_context("other"))
    ca = f"tls_ca = {certs.crt('ca')}\n"
    c = culvert(
        f"[route /good]\ntarget = tls://{host}:{good.port}\n{ca}[route /x]\ntarget = tls://{host}:{bad.port}\n{ca}"
    )
    assert c.ws("/good")
    assert refusal(c) == 502


@pytest.mark.parametrize("certificate", ["self_signed", "wrong_name", "expired"])
def test_s16_tls_verify_no_takes_any_certificate(culvert, peer, certs, certificate):
    target = peer(TlsRecorder, certs.server_context(certificate))
    c = culvert(to(target, "tls_verify = no"))
    ws = c.ws("/x")
    ws.send_text("whoever you are")
    target.wait_received(b"whoever you are")


def test_a_tls_target_is_told_the_name(culvert, peer, certs):
    names = []
    context = certs.server_context()
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    target = peer(TlsRecorder, context)
    c = culvert(
        f"[route /name]\ntarget = tls://localhost:{target.port}\ntls_verify = no\n"
        f"[route /number]\ntarget = tls://127.0.0.1:{target.port}\ntls_verify = no\n"
    )
    assert c.ws("/name") and c.ws("/number")
    assert names == ["localhost", None]


def test_a_target_that_speaks_no_tls_is_502(culvert, peer):
    target = peer(HalfCloser, b"SSH-2.0-no-tls\r\n")
    c = culvert(f"[route /x]\ntarget = tls://127.0.0.1:{target.port}\ntls_verify = no\n")
    assert refusal(c) == 502


def open_through(culvert, target):
    """A WebSocket and its connection at the target, which has to shake hands first."""
    wire = culvert.wire()
    wire.send(upgrade_request("/x"))
    conn = target.accept()
    return wire.upgraded(), conn


def in_background(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def test_bytes_pass_through_a_tls_target_whole(culvert, peer, certs):
    target = peer(TlsTarget, certs.server_context())
    c = culvert(to(target, f"tls_ca = {certs.crt('ca')}"))
    ws, conn = open_through(c, target)
    data = os.urandom(3_000_000)
    sender = in_background(ws.send_binary, data)
    assert conn.read(len(data)) == data
    sender.join()
    sender = in_background(conn.send, data)
    assert ws.recv_bytes(len(data)) == data
    sender.join()
    ws.send_close(1000)
    assert ws.recv_close() == 1000
    assert conn.read_to_end() == b""  # an orderly end: close_notify


def test_what_tls_has_decrypted_from_a_target_does_not_stay_behind(culvert, peer, certs):
    target = peer(TlsTarget, certs.server_context())
    c = culvert(to(target, "tls_verify = no\nbuffer = 4k\nheartbeat = 0"))
    wire = c.wire(receive_buffer=4096)
    wire.send(upgrade_request("/x"))
    conn = target.accept()
    wire.upgraded()
    for size in (16_000, 16_000, 300_000):
        data = os.urandom(size)
        sender = in_background(conn.send, data)
        assert wire.recv_bytes(size) == data
        sender.join()


def test_a_tls_target_that_is_cut_off_is_1014_and_not_1000(culvert, peer, certs):
    target = peer(TlsTarget, certs.server_context())
    c = culvert(to(target, "tls_verify = no"))
    wire, conn = open_through(c, target)
    conn.send(b"partial")
    conn.cut()
    data, code, _ = wire.recv_to_close()
    assert (data, code) == (b"partial", 1014)


def test_a_tls_target_that_finishes_is_1000(culvert, peer, certs):
    target = peer(TlsTarget, certs.server_context())
    c = culvert(to(target, "tls_verify = no"))
    wire, conn = open_through(c, target)
    conn.send(b"all of it")
    conn.finish()
    data, code, _ = wire.recv_to_close()
    assert (data, code) == (b"all of it", 1000)
