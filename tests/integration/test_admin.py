# SPDX-License-Identifier: BSD-2-Clause
"""The admin listener: where it listens, what it answers, and to whom."""

import json
import os
import re
import signal
import socket
import stat
import subprocess

import pytest

from harness.admin import Admin
from harness.culvert import run
from harness.peers import Recorder
from harness.wait import wait_until
from harness.ws import upgrade_request

ROUTE = "[route /x]\ntarget = echo:\n"
SERVER = "[server]\nadmin = 127.0.0.1:0\n"


def test_health_and_readiness(culvert):
    admin = Admin(culvert(SERVER + ROUTE))
    answer = admin.ask("/healthz")
    assert (answer.status, answer.body) == (200, b"ok\n")
    answer = admin.ask("/readyz")
    assert (answer.status, answer.body) == (200, b"ready\n")


def test_only_get_and_head(culvert):
    admin = Admin(culvert(SERVER + ROUTE))
    for path in ("/", "/healthz", "/readyz", "/metrics", "/status"):
        got = admin.ask(path)
        head = admin.ask(path, "HEAD")
        assert (got.status, head.status, head.body) == (200, 200, b"")
        assert int(head["content-length"]) > 0
        assert got["access-control-allow-origin"] is None and got["cache-control"] == "no-store"
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = admin.ask(path, method)
            assert (answer.status, answer["allow"]) == (405, "GET, HEAD")
    assert admin.ask("/metrics/").status == 404
    assert admin.ask("/../etc/passwd").status == 404


def test_status_is_json_with_figures(culvert, certs):
    c = culvert(SERVER + f"listen = 127.0.0.1:0 tls\nworkers = 2\n[tls]\n{certs.section()}"
                '[route /a"b]\ntarget = echo:\n[route /x]\ntarget = echo:\n')
    ws = c.ws("/x", tls=certs.client_context())
    ws.send_text("twelve bytes")
    ws.recv_bytes(12)
    admin = Admin(c)
    assert admin.ask("/status")["content-type"] == "application/json"
    status = admin.status()
    assert (status["pid"], status["ready"], status["draining"]) == (c.pid, True, False)
    assert [worker["accepting"] for worker in status["workers"]] == [True, True]
    routes = {route["name"]: route for route in status["routes"]}
    assert set(routes) == {'/a"b', "/x"}
    assert (routes["/x"]["bridged"], routes["/x"]["bytes_in"], routes["/x"]["messages_out"]) == (1, 12, 1)
    assert status["listeners"] == [{"address": "127.0.0.1:0", "tls": True, "proxy": False}]
    assert [each["host"] for each in status["certificates"]] == ["default"]
    assert certs.key("server") not in json.dumps(status)


def test_the_page_brings_all_that_it_needs(culvert):
    admin = Admin(culvert(SERVER + ROUTE))
    first, second = admin.ask("/"), admin.ask("/")
    policy = first["content-security-policy"]
    nonce = re.search(r"script-src 'nonce-([0-9a-f]{32})'", policy)[1]
    assert policy.startswith("default-src 'none';") and "frame-ancestors 'none'" in policy
    assert first.body.decode().count(f'nonce="{nonce}"') == 2
    assert first.body != second.body  # a nonce is used once
    assert not re.search(rb"(src|href)=\"(https?:)?//", first.body)


def test_admin_off(culvert):
    c = culvert("[server]\nadmin = off\n" + ROUTE)
    assert not c.log_lines(r" admin ")
    assert c.http().ask(path="/metrics").status == 404


def test_admin_on_a_unix_socket(culvert, tmp_path):
    path = str(tmp_path / "admin.sock")
    c = culvert(f"[server]\nadmin = unix:{path}\nsocket_mode = 0600\n" + ROUTE)
    admin = Admin(c)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    # No browser comes here: any Host will do.
    assert admin.ask("/readyz", host="culvert").body == b"ready\n"
    assert admin.metrics().get("culvert_ready") == 1
    c.stop()
    assert not os.path.exists(path)


def test_a_configured_address_that_is_taken_is_a_failure(culvert):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        c = culvert(f"[server]\nadmin = 127.0.0.1:{port}\n" + ROUTE, ready=False)
        c.expected_status = 1
        c.expect_error(rf"cannot listen on 127.0.0.1:{port}")
        assert c.wait_exit() == 1


def test_the_default_address_that_is_taken_is_a_warning(culvert, tmp_path):
    """In a network namespace of its own, where 9180 is nobody's but ours."""
    if subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no network namespaces here")
    conf = tmp_path / "culvert.ini"
    conf.write_text(f"[server]\nlisten = unix:{tmp_path}/culvert.sock\nworkers = 1\n" + ROUTE)
    script = tmp_path / "run.sh"
    script.write_text('ip link set lo up\n/usr/bin/python3 -c "import socket, time; s = socket.socket(); '
                      's.bind((\'127.0.0.1\', 9180)); s.listen(); print(1, flush=True); time.sleep(600)" >ready &\n'
                      'trap "kill $!" EXIT\nuntil [ -s ready ]; do sleep 0.05; done\n"$@" &\nchild=$!\n'
                      'trap "kill -TERM $child" TERM\nwait $child\nwait $child\n')
    c = culvert(args=["-c", str(conf)], wrapper=["unshare", "-n", "bash", str(script)])
    assert c.wait_log(r" warn +admin no admin listener: cannot listen on 127.0.0.1:9180, the default: ")
    assert c.http(address=f"{tmp_path}/culvert.sock").ask(path="/nowhere").status == 404


def test_not_ready_while_no_worker_accepts(culvert, peer):
    """Descriptors run out: not ready. They come back, without a new client: ready again."""
    target = peer(Recorder)
    c = culvert(SERVER + f"workers = 1\n[route /x]\ntarget = {target.url}\n", wrapper=["prlimit", "--nofile=90"])
    admin = Admin(c)
    for _ in range(80):  # some are joined to the target, the others wait in the kernel
        c.wire().send(upgrade_request("/x"))
    c.wait_log(r" warn +listener cannot accept")
    wait_until(lambda: admin.ask("/readyz").status == 503, "not to be ready")
    assert admin.ask("/readyz").body == b"no worker accepts connections\n"
    assert admin.ask("/healthz").status == 200
    assert admin.metrics().get("culvert_listener_pauses_total") >= 1
    assert admin.status()["workers"][0]["accepting"] is False
    c.close_clients()
    wait_until(lambda: admin.ask("/readyz").status == 200, "to be ready again")


def test_draining_is_healthy_and_not_ready(culvert, peer):
    c = culvert(SERVER + f"[route /x]\ntarget = {peer(Recorder).url}\nclose_timeout = 20s\n")
    admin = Admin(c)
    kept = admin.open()
    assert kept.ask(path="/readyz").status == 200
    ws = c.ws("/x")
    c.signal(signal.SIGTERM)
    assert ws.recv_close() == 1001  # which is not answered for a while
    answer = kept.ask(path="/readyz")
    assert (answer.status, answer.body) == (503, b"draining\n")
    assert kept.ask(path="/healthz").status == 200
    assert b"culvert_draining 1\n" in kept.ask(path="/metrics").body
    ws.close()
    assert c.wait_exit() == 0


def test_a_slow_scraper_gets_all_and_keeps_nobody_waiting(culvert):
    """800 routes make an answer of megabytes, more than sockets hold."""
    routes = "".join(f"[route /route-{i}]\ntarget = echo:\n" for i in range(800))
    c = culvert(SERVER + routes)
    admin = Admin(c)
    slow = admin.open(receive_buffer=4096)
    slow.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = slow.read_until(b"\r\n\r\n").decode()
    length = int(re.search(r"Content-Length: (\d+)", head)[1])
    assert length > 2_000_000
    for _ in range(3):
        assert admin.ask("/healthz").status == 200
    body = slow.read(length)
    assert body.count(b"# TYPE ") == len(admin.metrics().types) and body.endswith(b"\n")
    gone = admin.open(receive_buffer=4096)
    gone.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    gone.read(100)
    gone.reset()
    assert admin.ask("/healthz").status == 200


def test_s6_who_only_holds_a_place_keeps_no_probe_out(culvert):
    c = culvert(SERVER + ROUTE)
    admin = Admin(c)
    silent = [admin.open() for _ in range(11)]
    begun = [admin.open() for _ in range(11)]
    for client in begun:
        client.send(b"GET /healthz HTTP/1.1\r\n")
    kept = [admin.open() for _ in range(10)]
    assert all(client.ask(path="/healthz").status == 200 for client in kept)
    for _ in range(5):
        assert admin.ask("/healthz").status == 200
    silent[0].wait_closed()
    assert kept[-1].ask(path="/healthz").status == 200
    for _ in range(40):  # these were answered, and do not go
        assert admin.open().ask(path="/healthz", headers=[("Connection", "close")]).status == 200
    assert admin.ask("/healthz").status == 200
    assert c.ws("/x")


def test_too_many_scrapers_are_turned_away(culvert):
    """All are being answered, and take nothing."""
    routes = "".join(f"[route /{'long' * 50}{i}]\ntarget = echo:\n" for i in range(300))
    c = culvert(SERVER + ROUTE + routes)
    admin = Admin(c)
    kept = [admin.open(receive_buffer=4096) for _ in range(32)]
    for client in kept:
        client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.read(100)
    one_more = admin.open()
    one_more.wait_closed()
    kept[0].reset()
    wait_until(lambda: answers(admin), "a place to be free")
    assert c.ws("/x")


def answers(admin):
    try:
        return admin.ask("/healthz").status == 200
    except (OSError, EOFError):
        return False


# ---- S17 ----


def test_s17_admin_is_never_on_a_clients_listener(culvert):
    c = culvert(SERVER + ROUTE)
    admin = Admin(c)
    for path in ("/healthz", "/readyz", "/metrics", "/status", "/"):
        assert c.http().ask(path=path).status == 404, path
        assert admin.ask(path).status == 200
    assert admin.ask("/x").status == 404


def test_s17_admin_is_on_loopback_by_default(culvert):
    done = run("--dump", "-c", "-", input="[server]\nlisten = :0\n[route /x]\ntarget = echo:\n")
    assert re.search(r"^admin = 127\.0\.0\.1:9180$", done.stdout, re.M)


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1:9180", 200), ("10.1.2.3", 200), ("[::1]:9180", 200), ("[fe80::1]", 200), ("localhost", 200),
    ("LOCALHOST:80", 200), (socket.gethostname(), 200), (None, 400),
    ("evil.example", 403), ("localhost.evil.example", 403), ("127.0.0.1.evil.example", 403), ("0x7f.1", 403),
    ("2130706433", 403), ("evil.example:9180", 403), ("localhost.", 403), ("127.0.0.1.", 403),
])
def test_s17_pages_of_other_sites_cannot_rebind_their_name(culvert, host, status):
    admin = Admin(culvert(SERVER + ROUTE))
    for path in ("/status", "/metrics", "/", "/nothing"):
        got = admin.ask(path, host=host)
        assert got.status == (404 if path == "/nothing" and status == 200 else status)
        assert status == 200 or b"culvert_" not in got.body
    assert admin.ask("/status", headers=[("Origin", "https://evil.example")])["access-control-allow-origin"] is None
