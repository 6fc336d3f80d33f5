# SPDX-License-Identifier: BSD-2-Clause
"""HUP: another configuration, for who comes from then on; nobody who is there is disturbed."""

import os
import shutil
import signal
import socket
import ssl
import threading

import pytest

from harness.crowd import Crowd, CrowdEcho
from harness.culvert import configuration
from harness.peers import Echo, Target, free_port
from harness.wait import wait_until
from harness.wire import connect
from harness.ws import Refused, WsClient

OUTCOME = r"main (reloaded|not reloaded: nothing has changed)$"


def write(c, text):
    """As an editor does it: the new file takes the old one's place."""
    with open(c.conf_path + ".new", "w") as file:
        file.write(configuration(text))
    os.rename(c.conf_path + ".new", c.conf_path)


def hup(c):
    """Reloads; returns whether the configuration was taken."""
    before = len(c.log_lines(OUTCOME))
    c.signal(signal.SIGHUP)
    return c.wait_log(OUTCOME, before + 1)[before].endswith(" reloaded")


def reload(c, text):
    write(c, text)
    return hup(c)


def refusal(c, path="/x", **options):
    with pytest.raises(Refused) as refused:
        c.ws(path, **options)
    return refused.value.status


def listens(port, host="127.0.0.1"):
    try:
        connect((host, port)).close()
        return True
    except ConnectionRefusedError:
        return False


# ---- what changes ----


def test_routes_for_who_comes_after_it(culvert, peer):
    first, second = peer(Echo), peer(Target)
    c = culvert(f"[route /x]\ntarget = {first.url}\n[route /old]\ntarget = echo:\n")
    ws, old = c.ws("/x"), c.ws("/old")
    assert reload(c, f"[route /x]\ntarget = {second.url}\n[route /new]\ntarget = echo:\n")
    assert refusal(c, "/old") == 404
    assert c.ws("/new").is_open()
    later = c.ws("/x")
    conn = second.accept()
    later.send_text("to the new one")
    assert conn.read(14) == b"to the new one"
    for client in (ws, old):
        client.send_text("as before")
        assert client.recv_bytes(9) == b"as before"
    ws.leave(1000)
    assert c.wait_event("websocket")["target"] == first.url


def test_connections_keep_the_limits_that_they_began_with(culvert, peer):
    target = peer(Target)
    c = culvert(f"[route /x]\ntarget = {target.url}\nframing = line\nmessage_max = 4k\nheartbeat = 600s\n")
    ws = c.ws("/x")
    conn = target.accept()
    assert reload(c, f"[route /x]\ntarget = {target.url}\nmessage_max = 1k\nheartbeat = 100ms\nheartbeat_timeout = 100ms\n")
    ws.send_text("x" * 3000)
    assert conn.read(3001) == b"x" * 3000 + b"\n"
    conn.send(b"y" * 3000 + b"\n")
    assert ws.recv_data().payload == b"y" * 3000


def test_limits_on_connections_count_who_was_there_before(culvert):
    """Lower: nobody has to go, nobody more comes. Higher: there is room at once."""

    def text(all, route, address):
        return (
            f"[server]\nmax_connections = {all}\n[route /x]\ntarget = echo:\nconnections_max = {route}\n"
            f"connections_per_ip = {address}\n[route /y]\ntarget = echo:\n"
        )

    c = culvert(text(100, 100, 100))
    held = [c.ws("/x") for _ in range(3)]
    for limits, there, status in (((100, 2, 100), "/y", 503), ((100, 100, 2), "/y", 429), ((3, 100, 100), None, 503)):
        assert reload(c, text(*limits))
        assert refusal(c, "/x") == status
        if there:
            c.ws(there).leave(1000)
        else:
            assert refusal(c, "/y") == 503
        for ws in held:
            ws.send_text("still here")
            assert ws.recv_bytes(10) == b"still here"
    assert reload(c, text(4, 4, 4))
    held.append(c.ws("/x"))
    assert refusal(c, "/x") == 503


def test_the_budget_for_who_has_not_asked_yet(culvert):
    """header_timeout and half_open_max: of who comes then."""
    text = "[server]\nheader_timeout = {}\nhalf_open_max = {}\n[route /x]\ntarget = echo:\n"
    c = culvert(text.format("600s", 100))
    waiting = [c.http() for _ in range(3)]
    for wire in waiting:
        wire.send(b"GET /x HT")
    assert reload(c, text.format("600s", 2))
    c.http().send(b"GET /x HT")
    waiting[0].wait_closed()  # the longest waiting ones go
    assert reload(c, text.format("300ms", 100))
    late = c.http()
    late.send(b"GET /x HT")
    assert late.read_until(b"\r\n").split()[1] == b"408"


@pytest.mark.tsan
@pytest.mark.parametrize("workers", [1, 4])
def test_listeners_are_added_kept_and_removed(culvert, tmp_path, workers):
    kept, gone, new = free_port(), free_port(), free_port()
    old_path, new_path = tmp_path / "old.sock", tmp_path / "new.sock"
    route = "[route /x]\ntarget = echo:\n"
    head = f"[server]\nworkers = {workers}\nlisten = 127.0.0.1:{kept}\n"
    c = culvert(f"{head}listen = 127.0.0.1:{gone}\nlisten = unix:{old_path}\n{route}")
    through_gone = c.ws("/x", address=("127.0.0.1", gone))
    through_old = c.ws("/x", address=str(old_path))
    assert reload(c, f"{head}listen = 127.0.0.1:{new}\nlisten = unix:{new_path}\n{route}")
    assert not listens(gone) and not old_path.exists()
    for address in [("127.0.0.1", kept), ("127.0.0.1", new), str(new_path)]:
        assert c.ws("/x", address=address).is_open()
    for ws in (through_gone, through_old):
        ws.send_text("still here")
        assert ws.recv_bytes(10) == b"still here"
    assert len(c.log_lines(f"listening on 127.0.0.1:{kept}")) == 1
    assert len(c.log_lines(f"listening on 127.0.0.1:{new}")) == 1


def test_what_waits_in_the_queue_of_a_removed_listener_is_served(culvert):
    """They have connected before it was removed, but culvert has not come to them."""
    kept, gone = free_port(), free_port()
    route = "[route /x]\ntarget = echo:\n"
    c = culvert(f"[server]\nlisten = 127.0.0.1:{kept}\nlisten = 127.0.0.1:{gone}\n{route}")
    with c.frozen():
        waiting = [c.wire(address=("127.0.0.1", gone)) for _ in range(20)]
        write(c, f"[server]\nlisten = 127.0.0.1:{kept}\n{route}")
        c.signal(signal.SIGHUP)
    c.wait_log(OUTCOME)
    for wire in waiting:
        assert wire.upgrade("/x").is_open()
    assert not listens(gone)


def test_what_waits_in_the_queue_of_a_removed_tls_listener_is_served(culvert, certs):
    """The new configuration has no [tls] any more."""
    kept, gone = free_port(), free_port()
    plain = f"[server]\nlisten = 127.0.0.1:{kept}\n"
    route = "[route /x]\ntarget = echo:\n"
    c = culvert(f"{plain}listen = 127.0.0.1:{gone} tls\n{route}[tls]\n{certs.section()}")
    with c.frozen():
        waiting = [connect(("127.0.0.1", gone)) for _ in range(300)]  # more than it takes in a turn
        write(c, plain + route)
        c.signal(signal.SIGHUP)
    c.wait_log(OUTCOME)
    for sock in waiting:
        tls = certs.client_context().wrap_socket(sock, server_hostname="localhost")
        assert c.keep(WsClient(tls)).upgrade("/x").is_open()


def test_who_has_not_sent_his_proxy_header_gets_the_tls_that_he_came_for(culvert, certs):
    listen = f"[server]\ntrusted_proxies = 127.0.0.1\nlisten = 127.0.0.1:{free_port()}"
    route = "[route /x]\ntarget = echo:\n"
    c = culvert(f"{listen} tls proxy\n{route}[tls]\n{certs.section()}")
    sock = connect(c.address)
    sock.sendall(b"PROXY TCP4 192.0.2.1")
    wait_until(lambda: c.stats().connections == 1, "it to be accepted")
    assert reload(c, f"{listen}\n{route}")
    sock.sendall(b" 198.51.100.7 56324 443\r\n")
    tls = certs.client_context().wrap_socket(sock, server_hostname="localhost")
    c.keep(WsClient(tls)).upgrade("/x").leave()
    assert c.wait_event("websocket")["client"] == "192.0.2.1:56324"


def test_a_port_chosen_by_the_system_stays(culvert):
    c = culvert("[server]\nlisten = 127.0.0.1:0\n[route /x]\ntarget = echo:\n")
    assert reload(c, "[server]\nlisten = 127.0.0.1:0\n[route /y]\ntarget = echo:\n")
    assert c.ws("/y").is_open()


def test_a_listener_becomes_tls_and_plain_again(culvert, certs):
    plain = f"[server]\nlisten = 127.0.0.1:{free_port()}\n[route /x]\ntarget = echo:\n"
    tls = plain.replace("\n[route", " tls\n[route") + f"[tls]\n{certs.section()}"
    c = culvert(plain)
    before = c.ws("/x")
    assert reload(c, tls)
    assert c.ws("/x", tls=certs.client_context()).is_open()
    before.send_text("plain")
    assert before.recv_bytes(5) == b"plain"
    assert reload(c, plain)
    assert c.ws("/x").is_open()


def test_a_listener_begins_to_want_proxy_headers(culvert):
    plain = (
        f"[server]\nlisten = 127.0.0.1:{free_port()}\ntrusted_proxies = 127.0.0.1\n[route /x]\ntarget = echo:\n"
    )
    c = culvert(plain)
    assert reload(c, plain.replace("\ntrusted", " proxy\ntrusted"))
    wire = c.wire()
    wire.send(b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n")
    wire.upgrade("/x").leave()
    assert c.wait_event("websocket")["client"] == "192.0.2.1:56324"
    assert reload(c, plain)
    assert c.ws("/x").is_open()


def served_certificate(c, certs):
    context = certs.client_context()
    context.check_hostname = False
    with context.wrap_socket(connect(c.address), server_hostname="localhost") as sock:
        return dict(entry[0] for entry in sock.getpeercert()["subject"])["commonName"]


def test_certificates_are_read_again(culvert, certs, tmp_path):
    def put(name):
        shutil.copy(certs.crt(name), tmp_path / "tls.crt")
        shutil.copy(certs.key(name), tmp_path / "tls.key")

    put("server")
    c = culvert(
        "[server]\nlisten = 127.0.0.1:0 tls\n[route /x]\ntarget = echo:\n"
        f"[tls]\ncertificate = {tmp_path}/tls.crt\nprivate_key = {tmp_path}/tls.key\n"
    )
    ws = c.ws("/x", tls=certs.client_context())
    assert served_certificate(c, certs) == "server"
    put("other")
    assert hup(c)
    assert served_certificate(c, certs) == "other"
    ws.send_text("encrypted as before")
    assert ws.recv_bytes(19) == b"encrypted as before"


def test_a_handshake_that_began_before_ends_after_it(culvert, certs):
    """The certificate is chosen in the middle of it."""
    text = (
        "[server]\nlisten = 127.0.0.1:0 tls\nworkers = 1\n[route /x]\ntarget = echo:\n"
        f"[tls]\n{certs.section()}[tls other.test]\n{certs.section('other')}"
    )
    c = culvert(text)
    pairs = []
    for _ in range(8):
        inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        sock = connect(c.address)
        tls = certs.client_context().wrap_bio(inside, outside, server_hostname="other.test")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outside.read()
        sock.sendall(hello[:50])
        pairs.append((sock, tls, inside, outside, hello[50:]))
    wait_until(lambda: c.stats().connections == 8, "all to be accepted")
    for _ in range(3):
        assert hup(c)
    for sock, tls, inside, outside, rest in pairs:
        sock.sendall(rest)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outside.read())
                inside.write(sock.recv(65536))
        sock.close()


def test_tickets_stay_good(culvert, certs):
    c = culvert(
        f"[server]\nlisten = 127.0.0.1:0 tls\n[route /x]\ntarget = echo:\n[tls]\n{certs.section()}"
    )
    context = certs.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with context.wrap_socket(connect(c.address), server_hostname="localhost") as sock:
        session = sock.session
    assert hup(c)
    with context.wrap_socket(connect(c.address), server_hostname="localhost", session=session) as sock:
        assert sock.session_reused


def test_the_level_of_the_log(culvert):
    text = "[log]\nlevel = {}\n[route /x]\ntarget = echo:\n"
    c = culvert(text.format("info"))
    c.http().ask(path="/none")
    assert not c.log_lines(" debug ")
    assert reload(c, text.format("debug"))
    c.http().ask(path="/none")
    c.wait_log(" debug .*404")
    assert reload(c, text.format("info"))


def test_the_file_and_the_format_of_the_log(culvert, tmp_path):
    c = culvert("[route /x]\ntarget = echo:\n")
    write(c, f"[log]\nfile = {tmp_path}/new.log\nformat = json\n[route /x]\ntarget = echo:\n")
    c.signal(signal.SIGHUP)
    wait_until(lambda: (tmp_path / "new.log").exists(), "the new file")
    c.http().ask(path="/none")
    wait_until(lambda: '"status":404' in (tmp_path / "new.log").read_text(), "the access line in JSON")
    assert "status" not in c.log_text()
    write(c, "[route /x]\ntarget = echo:\n")
    c.signal(signal.SIGHUP)
    c.wait_log("main reloaded")


# ---- what does not ----


@pytest.mark.parametrize(
    "mistake, told",
    [
        ("[route /x]\ntarget = nonsense\n", r"culvert\.ini:\d+: \[route /x\] target: expected"),
        ("[route /x]\ntarget = echo:\nunknown = 1\n", r"culvert\.ini:\d+: \[route /x\] unknown: unknown key"),
        ("[tls]\ncertificate = /none\nprivate_key = /none\n[route /x]\ntarget = echo:\n", r"(certificate|private_key): /none: No such"),
        ("[route /x]\ntarget = echo:\norigins = https://a b\n", "origins"),
        ("[server]\ntrusted_proxies = 10.0.0.0/99\n[route /x]\ntarget = echo:\n", "trusted_proxies"),
        ("[server]\nlisten = 127.0.0.1:0\nlisten = 192.0.2.1:1\n[route /x]\ntarget = echo:\n", "cannot listen on 192.0.2.1:1"),
        ("", r"\[route PATH\] with target is missing"),
    ],
)
def test_a_bad_file_changes_nothing_and_says_why(culvert, mistake, told):
    good = "[route /x]\ntarget = echo:\n[route /y]\ntarget = echo:\n"
    c = culvert(good)
    c.expect_error(told)
    c.expect_error("not reloaded")
    ws = c.ws("/y")
    assert not reload(c, mistake)
    assert c.log_lines(f" error .*{told}")
    assert c.ws("/y").is_open()
    ws.send_text("x")
    assert ws.recv_bytes(1) == b"x"
    assert reload(c, good)
    assert c.ws("/x").is_open()


def test_a_listener_that_is_not_free_leaves_all_as_it_is(culvert):
    """Also those that could have been opened are not."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, new = taken.getsockname()[1], free_port()
        c = culvert("[route /x]\ntarget = echo:\n")
        c.expect_error("cannot listen|not reloaded")
        before = c.fds()
        text = f"[server]\nlisten = 127.0.0.1:0\nlisten = 127.0.0.1:{new}\nlisten = 127.0.0.1:{port}\n"
        assert not reload(c, text + "[route /y]\ntarget = echo:\n")
        assert c.fds() == before and not listens(new)
        assert refusal(c, "/y") == 404
    assert reload(c, text + "[route /y]\ntarget = echo:\n")
    assert listens(new) and listens(port)


def test_keys_that_need_another_start_are_told(culvert):
    c = culvert("[server]\nworkers = 1\nsocket_mode = 0600\n[route /x]\ntarget = echo:\n")

    def told():
        return [line.split("[server] ")[1].split()[0] for line in c.log_lines("takes effect at the next start")]

    other = "[server]\nworkers = 3\nsocket_mode = 0660\n[route /x]\ntarget = echo:\n"
    assert reload(c, other)
    assert told() == ["workers", "socket_mode"]
    assert reload(c, other)  # it is still so
    assert told() == 2 * ["workers", "socket_mode"]
    assert reload(c, "[server]\nworkers = 1\nsocket_mode = 0600\n[route /x]\ntarget = echo:\n")  # as it began
    assert len(told()) == 4
    assert c.workers() == 1


@pytest.mark.parametrize("args, input", [(["127.0.0.1:0", "echo:"], None)])
def test_without_a_file_there_is_nothing_to_reload(culvert, args, input):
    c = culvert(args=args)
    c.signal(signal.SIGHUP)
    c.wait_log(" warn .*nothing to reload")
    assert c.ws("/").is_open()


@pytest.mark.tsan
def test_many_signals_at_once(culvert):
    c = culvert("[server]\nworkers = 4\n[route /x]\ntarget = echo:\n")
    ws = c.ws("/x")
    for _ in range(50):
        c.signal(signal.SIGHUP)
    c.wait_log("reloaded")
    write(c, "[server]\nworkers = 4\n[route /y]\ntarget = echo:\n")
    assert hup(c)
    wait_until(lambda: c.http().ask(path="/y").status == 426, "the last file to be in force")
    ws.send_text("x")
    assert ws.recv_bytes(1) == b"x"


# ---- under load ----


class Comers:
    """One after the other connects, says something and leaves, plain and TLS in turn."""

    def __init__(self, c, plain, tls, context):
        self.c, self.plain, self.tls, self.context = c, plain, tls, context
        self.failures, self.count, self.stopping = [], 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping and len(self.failures) < 5:
            try:
                address, tls = (self.tls, self.context) if self.count % 2 else (self.plain, None)
                ws = self.c.ws("/x", address=address, tls=tls)
                ws.send_text("hello")
                assert ws.recv_bytes(5) == b"hello"
                ws.leave(1000)
                self.c.clients.remove(ws)
                self.count += 1
            except Exception as failure:
                self.failures.append(repr(failure))

    def stop(self):
        self.stopping = True
        self.thread.join(60)


def load(culvert, peer, certs, tmp_path, n, rounds, workers):
    echo = peer(CrowdEcho)
    plain, tls, extra, taken = free_port(), free_port(), free_port(), socket.create_server(("127.0.0.1", 0))
    for kind in ("crt", "key"):
        shutil.copy(f"{certs.folder}/server.{kind}", tmp_path / f"tls.{kind}")

    def text(i):
        head = f"[server]\nworkers = {workers}\nlisten = 127.0.0.1:{plain}\nlisten = 127.0.0.1:{tls} tls\n"
        if i % 3 == 0:
            head += f"listen = 127.0.0.1:{extra}\nlisten = unix:{tmp_path}/s.sock\n"
        if i % 10 == 4:
            head += f"listen = 127.0.0.1:{taken.getsockname()[1]}\n"
        routes = f"[route /x]\ntarget = {echo.url}\nclose_timeout = {1 + i % 7}s\n"
        if i % 10 == 7:
            routes += "nonsense = 1\n"
        sections = "".join(f"[route /{j}]\ntarget = echo:\n" for j in range(i % 5))
        return f"{head}[tls]\ncertificate = {tmp_path}/tls.crt\nprivate_key = {tmp_path}/tls.key\n{routes}{sections}"

    c = culvert(text(1))
    c.expect_error("cannot listen|not reloaded|unknown key|certificate|private_key")
    context = certs.client_context()
    for i in range(8):  # libraries have what they keep, and once a connection of each kind
        assert reload(c, text(i % 2))
        c.ws("/x", address=("127.0.0.1", tls), tls=context).leave(1000)
        c.ws("/x", address=("127.0.0.1", plain)).leave(1000)
    # Tables of descriptors and timers grow with the most that there ever were.
    first = Crowd(("127.0.0.1", plain), pause=None)
    first.join(n + n // 8)
    first.close()
    assert reload(c, text(1))
    wait_until(lambda: c.stats().connections == 0, "all to have left")
    before = c.stats()

    clients = Crowd(("127.0.0.1", plain), pause=1.0)
    try:
        clients.join(n)
        comers = Comers(c, ("127.0.0.1", plain), ("127.0.0.1", tls), context)
        taken_over = 0
        for i in range(rounds):
            goal, seen = clients.received + n * clients.size // 20, comers.count
            wait_until(lambda: clients.received > goal and comers.count > seen or comers.failures, "some traffic")
            good = i % 10 not in (4, 7)
            name = ("server", "wrong_name")[i % 2] if i % 10 == 9 else "server"
            shutil.copy(certs.key(name), tmp_path / "tls.key")  # 9: of another certificate
            good = good and name == "server"
            assert reload(c, text(i)) == good, f"round {i}"
            shutil.copy(certs.key("server"), tmp_path / "tls.key")
            taken_over += good
        comers.stop()
        assert taken_over > rounds / 2
        clients.quiet()
        assert clients.lost == [] and clients.refused == [] and clients.wrong == []
        assert clients.n_open == n and clients.received == clients.sent > n * clients.size
        assert comers.failures == [] and comers.count > 10
    finally:
        clients.close()
        taken.close()
    assert reload(c, text(1))
    wait_until(lambda: c.stats().connections == 0, "all to have left")
    return before, c.stats()


def test_reloads_leave_not_a_byte(culvert, certs, tmp_path):
    """Exactly: with everything that a configuration can hold, and connections that outlive theirs."""
    tokens = tmp_path / "tokens"
    tokens.write_text("one: echo:\n")
    plain, tls, extra = free_port(), free_port(), free_port()

    def text(i):
        listens = f"listen = 127.0.0.1:{plain}\nlisten = 127.0.0.1:{tls} tls\n"
        if i % 2:
            listens += f"listen = 127.0.0.1:{extra}\nlisten = unix:{tmp_path}/s.sock\n"
        routes = "".join(f"[route /{j}]\ntarget = echo:\norigins = https://{j}.test\n" for j in range(i % 5))
        return (
            f"[server]\nworkers = 2\n{listens}trusted_proxies = 10.0.0.0/8\n[tls]\n{certs.section()}"
            f"[tls other.test]\n{certs.section('other')}[route /x]\ntarget = echo:\n"
            f"[route /map]\ntarget = map:{tokens}\n[route /tls]\ntarget = tls://127.0.0.1:1\n{routes}"
        )

    c = culvert(text(0))
    c.expect_error("unknown key")
    context = certs.client_context()

    def rounds(n):
        for i in range(n):
            held = c.ws("/x", address=("127.0.0.1", tls), tls=context) if i % 10 == 0 else None
            assert reload(c, text(i))
            if i % 10 == 5:
                assert not reload(c, text(i) + "nonsense = 1\n")
            if held:
                held.leave(1000)
                c.clients.remove(held)
        wait_until(lambda: c.stats().connections == 0, "all to have left")
        for _ in range(3):  # counters of a route that is gone go with a later reload
            assert reload(c, text(0))
        return c.stats()

    # A table of a library may grow once or twice and then stays; one byte left by each block of
    # reloads would make all of them differ.
    seen = [rounds(10) for _ in range(8)]
    same = sum(a.live_bytes == b.live_bytes for a, b in zip(seen, seen[1:]))
    assert same >= 4, [stats.live_bytes for stats in seen]
    assert len({stats.fds for stats in seen[1:]}) == 1


def test_2000_clients_over_100_reloads(culvert, peer, certs, tmp_path):
    before, after = load(culvert, peer, certs, tmp_path, 2000, 100, 1)
    assert after.fds == before.fds
    # The loop's tables grow with the most events that there ever were at a time; a connection that
    # were kept of each 40, or a configuration of each 2, would be more.
    assert after.live_bytes <= before.live_bytes + 49152, (before, after)


@pytest.mark.tsan
def test_clients_over_reloads(culvert, peer, certs, tmp_path):
    load(culvert, peer, certs, tmp_path, 50, 20, 4)
