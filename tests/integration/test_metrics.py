# SPDX-License-Identifier: BSD-2-Clause
"""/metrics: counters agree exactly with what clients have counted."""

import contextlib
import ctypes
import os
import re
import subprocess
import threading

import pytest

from harness.admin import Admin
from harness.culvert import ROOT
from harness.peers import Echo, HalfCloser, Pourer, Recorder, Resetter, refusing_port
from harness.wait import wait_until
from harness.ws import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Refused, frame

SERVER = "[server]\nadmin = 127.0.0.1:0\n"


def counted(metrics, route, what):
    name = f"culvert_{what}_total"
    return tuple(int(metrics.get(name, route=route, direction=way)) for way in ("in", "out"))


def receive(ws, n_bytes=0, n_messages=0):
    """Data until both are reached; returns (bytes, messages) as a client counts them."""
    got = [0, 0]
    while got[0] < n_bytes or got[1] < n_messages:
        one = ws.recv_data()
        got[0] += len(one.payload)
        got[1] += one.fin
    return got


def test_promtool_has_nothing_to_say(culvert, certs):
    c = culvert(SERVER + f"listen = 127.0.0.1:0 tls\nworkers = 2\n[tls]\n{certs.section()}"
                "[route /x]\ntarget = echo:\n[route /odd\"name]\ntarget = echo:\n")
    ws = c.ws("/x", tls=certs.client_context())
    ws.send_text("hello")
    ws.recv_bytes(5)
    answer = Admin(c).ask("/metrics")
    assert answer["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    done = subprocess.run(["promtool", "check", "metrics"], input=answer.body, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert (done.returncode, done.stdout) == (0, b"")


def test_messages_and_bytes_are_counted_exactly(culvert, peer):
    c = culvert(SERVER + f"[route /x]\ntarget = {peer(Echo).url}\nheartbeat = 0\n")
    admin = Admin(c)
    ws = c.ws("/x")
    sent = b""
    messages = 0
    for payload in (b"", b"a", b"text", b"x" * 126, b"y" * 70000):  # whole ones, an empty one too
        ws.send_binary(payload)
        ws.send_text(payload.decode())
        sent += 2 * payload
        messages += 2
    for parts in ([b"one", b"two", b""], [b"", b"z" * 200, b"end"]):  # in fragments, with a PING between
        ws.send_frame(TEXT, parts[0], fin=False)
        ws.send_frame(PING, b"?")
        ws.send_frame(CONTINUATION, parts[1], fin=False)
        ws.send_frame(CONTINUATION, parts[2])
        sent += b"".join(parts)
        messages += 1
    # Many in one segment go a short way through the decoder.
    ws.send(b"".join(frame(BINARY, b"many") for _ in range(1000)))
    sent += 1000 * b"many"
    messages += 1000
    # This one never ends: its bytes count, the message does not.
    ws.send_frame(TEXT, b"not the end", fin=False)
    sent += b"not the end"
    got = receive(ws, len(sent))
    metrics = admin.metrics()
    assert counted(metrics, "/x", "bytes") == (len(sent), got[0])
    assert counted(metrics, "/x", "messages") == (messages, got[1])


@pytest.mark.parametrize("messages", ["binary", "text", "base64"])
def test_units_of_a_target_are_messages_each(culvert, peer, messages):
    """Lines, an empty one too; base64 counts as the client sees it."""
    lines = b"".join(b"line %d\n" % i for i in range(500)) + b"\n" + b"w" * 40000 + b"\n"
    c = culvert(SERVER + f"[route /x]\ntarget = {peer(HalfCloser, lines).url}\nframing = line\n"
                f"messages = {messages}\n")
    ws = c.ws("/x")
    n_bytes = n_messages = 0
    while (one := ws.recv_frame()).opcode != CLOSE:
        if one.opcode in (TEXT, BINARY, CONTINUATION):
            n_bytes += len(one.payload)
            n_messages += one.fin
    assert n_messages == 502
    metrics = Admin(c).metrics()
    assert counted(metrics, "/x", "bytes") == (0, n_bytes)
    assert counted(metrics, "/x", "messages") == (0, n_messages)


def test_whole_messages_are_counted_in(culvert, peer):
    """Where messages are collected the decoder stops at each."""
    target = peer(Recorder)
    c = culvert(SERVER + f"[route /x]\ntarget = {target.url}\nframing = length32\n")
    ws = c.ws("/x")
    for i in range(50):
        ws.send_frame(BINARY, b"a" * i, fin=i % 3 != 0)
        if i % 3 == 0:
            ws.send_frame(CONTINUATION, b"")
    admin = Admin(c)
    admin.wait(50, "culvert_messages_total", route="/x", direction="in")
    assert counted(admin.metrics(), "/x", "bytes") == (sum(range(50)), 0)


def test_workers_are_added_up(culvert, peer):
    c = culvert(SERVER + f"workers = 4\n[route /x]\ntarget = {peer(Echo).url}\n[route /in/]\ntarget = echo:\n")
    admin = Admin(c)
    totals = {"/x": [0, 0, 0], "/in/": [0, 0, 0]}  # sent, received bytes; sent messages
    for i in range(40):
        route = "/x" if i % 2 else "/in/"
        ws = c.ws(route)
        data = os.urandom(1000 + i)
        for _ in range(3):
            ws.send_binary(data)
        totals[route][0] += 3 * len(data)
        totals[route][1] += receive(ws, 3 * len(data))[0]
        totals[route][2] += 3
    metrics = admin.metrics()
    assert metrics.get("culvert_connections_accepted_total") == 40
    assert metrics.get("culvert_connections", state="bridged") == 40
    for route, (sent, received, messages) in totals.items():
        assert counted(metrics, route, "bytes") == (sent, received)
        assert counted(metrics, route, "messages")[0] == messages
        assert metrics.get("culvert_bridges", route=route) == 20
    assert metrics.get("culvert_worker_sockets") == 40 + 20
    c.close_clients()
    admin.wait(0, "culvert_connections", state="bridged")
    assert admin.metrics().get("culvert_bridges_opened_total") == 40


def test_closes_tell_who_and_with_which_code(culvert, peer):
    c = culvert(SERVER + f"[route /echo]\ntarget = {peer(Echo).url}\n"
                f"[route /ends]\ntarget = {peer(Pourer, total=10).url}\n"
                f"[route /resets]\ntarget = {peer(Resetter, wait_for=1).url}\n"
                "[route /text]\ntarget = echo:\nmessages = text\n")
    admin = Admin(c)
    for code in (1000, 1001, 3000, 3999, 4000, 4999):
        c.ws("/echo").leave(code)
    c.ws("/echo").reset()
    c.ws("/ends").recv_to_close()
    ws = c.ws("/resets")
    ws.send_text("x")
    ws.recv_to_close()
    ws = c.ws("/text")
    ws.send_frame(TEXT, b"\xff")
    assert ws.recv_close() == 1007
    c.close_clients()
    admin.wait(10, "culvert_closes_total")
    metrics = admin.metrics()
    found = {(has["route"], has["initiator"], has["code"]): value
             for name, has, value in metrics.samples if name == "culvert_closes_total"}
    assert found == {
        ("/echo", "client", "1000"): 1, ("/echo", "client", "1001"): 1, ("/echo", "client", "3xxx"): 2,
        ("/echo", "client", "4xxx"): 2, ("/echo", "client", "1006"): 1, ("/ends", "target", "1000"): 1,
        ("/resets", "target", "1014"): 1, ("/text", "culvert", "1007"): 1,
    }


def test_refusals_tell_why(culvert, tmp_path):
    held, port = refusing_port()
    c = culvert(SERVER + "header_timeout = 300ms\n[route /x]\ntarget = echo:\nsubprotocols = a\n"
                "subprotocols_required = yes\ntransports = websocket\n"
                f"[route /dead]\ntarget = tcp://127.0.0.1:{port}\n[route /files/]\ntarget = files:{tmp_path}\n")
    admin = Admin(c)

    def refused(route, reason, status, send):
        before = admin.metrics().get("culvert_refusals_total", route=route, reason=reason)
        assert send() == status, reason
        assert admin.metrics().get("culvert_refusals_total", route=route, reason=reason) == before + 1

    def upgrade(path, **options):
        try:
            c.ws(path, **options)
        except Refused as answer:
            return answer.status
        return 101

    def slow():
        wire = c.http()
        wire.send(b"GET / HTTP/1.1\r\n")
        return int(wire.read_until(b"\r\n").split()[1])

    with held:
        refused("", "no_route", 404, lambda: c.http().ask(path="/nowhere").status)
        refused("", "malformed", 400, lambda: c.http().ask(path="/%zz").status)
        refused("", "header_size", 431, lambda: c.http().ask(path="/", headers=[("A", "b" * 40000)]).status)
        refused("", "header_timeout", 408, slow)
        refused("/x", "origin", 403, lambda: upgrade("/x", headers=[("Origin", "https://evil.example")]))
        refused("/x", "upgrade", 400, lambda: upgrade("/x"))
        refused("/x", "upgrade", 426, lambda: c.http().ask(path="/x").status)
        refused("/x", "method", 405, lambda: c.http().ask("DELETE", "/x").status)
        refused("/x", "transport", 406, lambda: c.http().ask(path="/x", headers=[("Accept", "text/event-stream")]).status)
        refused("/dead", "target_failed", 502, lambda: upgrade("/dead"))
        refused("/files/", "no_file", 404, lambda: c.http().ask(path="/files/none").status)
    assert admin.metrics().get("culvert_refusals_total") == 11
    assert "evil" not in admin.metrics().text and "nowhere" not in admin.metrics().text


def test_times_are_observed(culvert, peer):
    c = culvert(SERVER + f"[route /x]\ntarget = {peer(Recorder).url}\nheartbeat = 100ms\n")
    admin = Admin(c)
    ws = c.ws("/x")
    for _ in range(3):
        while ws.recv_frame().opcode != PING:
            pass
        ws.send(2 * frame(PONG))  # the second answers nothing
    admin.wait(3, "culvert_heartbeat_seconds_count", route="/x")
    metrics = admin.metrics()
    assert metrics.get("culvert_target_connect_seconds_count", route="/x") == 1
    assert 0 < metrics.get("culvert_target_connect_seconds_sum", route="/x") < 30
    assert metrics.get("culvert_loop_turn_seconds_count") > 5
    assert metrics.get("culvert_loop_turn_max_seconds") > 0
    buckets = [value for name, has, value in metrics.samples if name == "culvert_loop_turn_seconds_bucket"]
    assert buckets == sorted(buckets) and buckets[-1] == metrics.get("culvert_loop_turn_seconds_count")


def test_what_waits_is_seen(culvert, peer):
    """A client that does not read: its target's bytes wait in blocks, until it goes."""
    c = culvert(SERVER + f"[route /x]\ntarget = {peer(Pourer).url}\nbuffer = 256k\n")
    admin = Admin(c)
    ws = c.ws("/x", receive_buffer=4096)
    wait_until(lambda: admin.metrics().get("culvert_worker_buffer_bytes") >= 200_000, "bytes to wait")
    assert admin.metrics().get("culvert_worker_buffer_blocks") + 16 * admin.metrics().get("culvert_worker_pipes") >= 12
    ws.reset()
    admin.wait(0, "culvert_worker_buffer_bytes")
    assert admin.metrics().get("culvert_worker_buffer_blocks") == admin.metrics().get("culvert_worker_pipes") == 0


def test_tls_handshakes_and_certificates(culvert, certs):
    c = culvert(SERVER + f"listen = 127.0.0.1:0 tls\n[tls]\n{certs.section()}[tls old.example]\n"
                f"{certs.section('expired')}[route /x]\ntarget = echo:\n")
    admin = Admin(c)
    c.ws("/x", tls=certs.client_context())
    broken = c.wire()
    broken.send(b"GET / HTTP/1.1\r\n\r\n")
    broken.wait_closed()
    metrics = admin.metrics()
    assert metrics.get("culvert_tls_handshakes_total") == 1
    admin.wait(1, "culvert_tls_handshake_failures_total")
    name = "culvert_tls_certificate_expiry_timestamp_seconds"
    now = metrics.get("process_start_time_seconds")
    assert 0 < metrics.get(name, host="default") - now < 3 * 86400
    assert metrics.get(name, host="old.example") < now
    assert c.log_lines(r" warn +tls the certificate \S+ \(default\) expires on ")
    assert c.log_lines(r" warn +tls the certificate \S+ \(old.example\) expired on ")


@pytest.mark.tsan
def test_scrapes_while_connections_talk(culvert, peer):
    """Under ThreadSanitizer too: main reads what workers write, and nothing is lost by it."""
    c = culvert(SERVER + f"workers = 4\n[route /x]\ntarget = {peer(Echo).url}\n")
    admin = Admin(c)
    over = threading.Event()
    failures, seen = [], []

    def scrape():
        try:
            with admin.open() as client:
                while not over.is_set():
                    for path in ("/metrics", "/status", "/readyz"):
                        assert client.ask(path=path).status == 200
                    seen.append(path)
        except Exception as failure:
            failures.append(failure)

    def talk():
        try:
            for _ in range(5):
                ws = c.ws("/x")
                for _ in range(10):
                    ws.send_binary(b"d" * 5000)
                    ws.recv_bytes(5000)
                ws.leave()
        except Exception as failure:
            failures.append(failure)

    scrapers = [threading.Thread(target=scrape) for _ in range(2)]
    talkers = [threading.Thread(target=talk) for _ in range(6)]
    for thread in scrapers + talkers:
        thread.start()
    for thread in talkers:
        thread.join()
    over.set()
    for thread in scrapers:
        thread.join()
    assert not failures, failures
    assert len(seen) > 2
    assert counted(admin.metrics(), "/x", "bytes") == (1_500_000, 1_500_000)
    assert counted(admin.metrics(), "/x", "messages")[0] == 300
    admin.wait(30, "culvert_closes_total", route="/x", initiator="client", code="1000")


@contextlib.contextmanager
def halted(task):
    """This thread of another process stands still, wherever it was just then; its others go on."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    seize, interrupt, detach = 0x4206, 0x4207, 17  # PTRACE_*
    if ptrace(seize, task, None, None) != 0:
        pytest.skip(f"threads cannot be halted here: {os.strerror(ctypes.get_errno())}")
    assert ptrace(interrupt, task, None, None) == 0
    os.waitpid(task, 0x40000000)  # __WALL: the thread need not be a process
    try:
        yield
    finally:
        assert ptrace(detach, task, None, None) == 0


def worker_tasks(c):
    for task in os.listdir(f"/proc/{c.pid}/task"):
        with open(f"/proc/{c.pid}/task/{task}/comm") as file:
            if file.read().startswith("worker-"):
                yield int(task)


def test_a_scrape_delays_no_worker_wherever_it_is(culvert, peer):
    """
    Main is halted again and again while it answers scrapes of many routes: were a worker to wait for
    anything that a scrape holds, its clients would wait for ever.
    """
    routes = "".join(f"[route /route-{i}]\ntarget = echo:\n" for i in range(200))
    c = culvert(SERVER + f"workers = 2\n[route /x]\ntarget = {peer(Echo).url}\n{routes}")
    admin = Admin(c)
    clients = [c.ws("/x") for _ in range(4)]
    over = threading.Event()
    failures, scraped = [], []

    def scrape():
        try:
            with admin.open() as client:
                while not over.is_set():
                    scraped.append(client.ask(path="/metrics").status)
        except Exception as failure:
            failures.append(failure)

    scrapers = [threading.Thread(target=scrape) for _ in range(2)]
    for thread in scrapers:
        thread.start()
    try:
        for i in range(40):
            seen = len(scraped)
            wait_until(lambda: len(scraped) > seen or failures, "a scrape to come to its end", step=0.001)
            with halted(c.pid):
                clients.append(c.ws("/x"))  # who comes is served too
                for ws in clients[-5:]:
                    ws.send_binary(b"d" * 5000)
                    assert ws.recv_bytes(5000) == b"d" * 5000
    finally:
        over.set()
        for thread in scrapers:
            thread.join()
    assert not failures and set(scraped) == {200}


def test_a_scrape_waits_for_no_worker(culvert):
    """With every worker halted all that the admin listener has is answered."""
    c = culvert(SERVER + "workers = 2\n[route /x]\ntarget = echo:\n")
    admin = Admin(c)
    ws = c.ws("/x")
    ws.send_text("hello")
    assert ws.recv_bytes(5) == b"hello"
    with contextlib.ExitStack() as stack:
        tasks = list(worker_tasks(c))
        assert len(tasks) == 2
        for task in tasks:
            stack.enter_context(halted(task))
        for path in ("/metrics", "/status", "/healthz", "/readyz", "/"):
            assert admin.ask(path).status == 200
        assert counted(admin.metrics(), "/x", "bytes") == (5, 5)
    ws.send_text("hello")
    assert ws.recv_bytes(5) == b"hello"


def test_the_manual_names_every_metric(culvert, certs):
    """culvert(1) has a row for each family, with its type; and no row for what is not there."""
    c = culvert(SERVER + "[route /x]\ntarget = echo:\n")
    with open(os.path.join(ROOT, "contrib/man/culvert.1")) as file:
        section = file.read().split(".Sh METRICS", 1)[1].split(".Sh ", 1)[0]
    rows = re.findall(r"^\.It Li ((?:culvert|process)_\w+)\n\((counter|gauge|histogram)[;)]", section, re.M)
    assert dict(rows) == Admin(c).metrics().types
    assert len(rows) == len(set(rows))


def test_the_manual_names_every_reason():
    with open(os.path.join(ROOT, "contrib/man/culvert.1")) as file:
        section = file.read().split(".Sh METRICS", 1)[1]
    with open(os.path.join(ROOT, "src/base/metrics.c")) as file:
        reasons = re.findall(r'\[METRICS_REFUSED_\w+\] = "(\w+)"', file.read())
    assert len(reasons) == 24
    for reason in reasons[1:]:
        assert re.search(rf"\b{reason}\b", section), reason


def test_rules_dashboard_and_scrape_configuration_fit(culvert, tmp_path):
    """What contrib/ has for Prometheus and Grafana is valid, and asks for metrics that are there."""
    folder = os.path.join(ROOT, "contrib/prometheus")
    subprocess.run(["promtool", "check", "rules", f"{folder}/culvert.rules.yml"], check=True)
    subprocess.run(["promtool", "check", "config", f"{folder}/prometheus.yml"], check=True)
    c = culvert(SERVER + "[route /x]\ntarget = echo:\n")
    types = Admin(c).metrics().types
    for path in ("contrib/prometheus/culvert.rules.yml", "contrib/grafana/culvert.json"):
        with open(os.path.join(ROOT, path)) as file:
            names = set(re.findall(r"\b(?:culvert|process)_[a-z_]+\b", file.read()))
        families = {re.sub(r"_(bucket|sum|count)$", "", name) if name not in types else name for name in names}
        assert families and families <= set(types), families - set(types)
