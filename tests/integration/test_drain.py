# SPDX-License-Identifier: BSD-2-Clause
"""TERM: clients are told to leave one by one, spread over drain_timeout."""

import os
import signal

import pytest

from harness.admin import Admin
from harness.crowd import PATIENCE, Crowd, CrowdEcho
from harness.culvert import VARIANT
from harness.peers import Echo, Recorder, Silent, Target
from harness.wait import Stopwatch, wait_until
from harness.wire import connect
from harness.ws import BINARY, Refused, header


def refuses(address):
    try:
        connect(address).close()
        return False
    except ConnectionRefusedError:
        return True


@pytest.fixture
def crowd(culvert, peer):
    made = []

    def make(*args, **options):
        made.append(Crowd(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def even(times, seconds, parts=5):
    """The share of each part of the time, 1.0 being exactly even."""
    counts = [0] * parts
    for when in times:
        counts[min(int((when - times[0]) / seconds * parts), parts - 1)] += 1
    return [count * parts / len(times) for count in counts]


def test_2000_clients_leave_evenly_with_all_that_was_on_its_way(culvert, peer, crowd):
    echo = peer(CrowdEcho)
    c = culvert(
        "[server]\nworkers = 2\ndrain_timeout = 12s\n"
        f"[route /x]\ntarget = {echo.url}\nclose_timeout = 2s\n"
    )
    clients = crowd(c.address, pause=1.0)
    clients.join(2000)
    wait_until(lambda: clients.received > 2000 * 100, "all to talk")
    watch = Stopwatch()
    c.signal(signal.SIGTERM)
    assert c.wait_exit(60) == 0
    assert watch.seconds < 4 * 12
    wait_until(lambda: len(clients.closes) == 2000, "all to have been told")
    assert {code for _, code, _ in clients.closes} == {1001}
    assert clients.lost == [] and clients.wrong == []
    # What any of them had sent before its own Close is at the target, to the byte, and each has what
    # culvert says that it was given.
    wait_until(lambda: echo.received == clients.sent, "all that was sent at the target", PATIENCE)
    assert sum(int(event["in"]) for event in c.events("websocket")) == clients.sent
    assert sum(int(event["out"]) for event in c.events("websocket")) == clients.received
    # drain_timeout without close_timeout, which the last ones have for their answer
    times = sorted(when for when, _, _ in clients.closes)
    assert all(0.8 <= share <= 1.2 for share in even(times, 10)), even(times, 10)
    assert len(c.events("websocket")) == 2000


@pytest.mark.tsan
def test_clients_that_ignore_everything_do_not_keep_it(culvert, crowd):
    """Some never answer the Close; some do not even take what waits for them."""
    c = culvert(
        "[server]\nworkers = 2\ndrain_timeout = 3s\n[route /x]\ntarget = echo:\nclose_timeout = 1s\nbuffer = 16k\n"
        "write_timeout = 600s\n"
    )
    deaf = crowd(c.address, deaf=True, pause=None)
    deaf.join(200 if VARIANT == "tsan" else 2000)
    stuck = [c.ws("/x", receive_buffer=4096) for _ in range(5)]
    for ws in stuck:
        ws.send(header(BINARY, 1 << 40) + bytes(4))
        ws.fill()  # its echo is not read either
    watch = Stopwatch()
    c.signal(signal.SIGTERM)
    assert c.wait_exit(4 * 3) == 0
    assert watch.seconds >= 2.5
    assert c.log_lines("drain_timeout is over")


def test_what_waits_for_a_client_goes_out_before_its_close(culvert, peer):
    """Megabytes that it had not read yet when culvert was told to stop."""
    target = peer(Target)
    c = culvert(
        f"[server]\nadmin = 127.0.0.1:0\ndrain_timeout = 8s\n[route /x]\ntarget = {target.url}\n"
        "buffer = 8m\nclose_timeout = 2s\n"
    )
    admin = Admin(c)
    clients = [c.ws("/x", receive_buffer=4096) for _ in range(3)]
    data = os.urandom(6 << 20)
    for i in range(3):
        target.accept().send(data)
        admin.wait((i + 1) * len(data), "culvert_bytes_total", direction="out")
    assert admin.metrics().get("culvert_worker_buffer_bytes") > len(data)
    c.signal(signal.SIGTERM)
    c.wait_log("draining")
    for ws in clients:
        received, code = ws.recv_to_close()[:2]
        assert code == 1001 and received == data
        ws.send_close(1001)
    assert c.wait_exit() == 0


def test_who_comes_while_draining_gets_503(culvert, peer):
    target = peer(Silent)
    c = culvert(
        f"[server]\ndrain_timeout = 60s\n[route /x]\ntarget = {target.url}\n[route /]\ntarget = files:/usr/share\n"
    )
    first, second = c.ws("/x"), c.ws("/x")
    early = c.http()
    c.signal(signal.SIGTERM)
    assert first.recv_close() == 1001  # and no answer: it has close_timeout
    with pytest.raises(Refused) as refused:
        c.ws("/x")
    assert refused.value.status == 503
    assert refused.value.answer["retry-after"] and refused.value.answer["connection"] == "close"
    assert c.http().ask(path="/").status == 503
    assert early.ask(path="/").status == 503
    second.send_text("still served")
    c.signal(signal.SIGTERM)
    assert c.wait_exit() == 0


def test_a_proxy_header_under_way_gets_a_last_chance(culvert):
    """As a request under way does: a load balancer is told 503, and asks another."""
    c = culvert(
        "[server]\nlisten = 127.0.0.1:0 proxy\ntrusted_proxies = 127.0.0.1\n[route /x]\ntarget = echo:\nclose_timeout = 600s\n"
    )
    wire, silent = c.wire(), c.wire()
    wire.send(b"PROXY TCP4 192.0.2.1")
    wait_until(lambda: c.stats().connections == 2, "both to be accepted")
    c.signal(signal.SIGTERM)
    c.wait_log("main draining")
    wait_until(lambda: refuses(c.address), "it to stop listening")
    wire.send(b" 198.51.100.7 56324 443\r\n")
    with pytest.raises(Refused) as refused:
        wire.upgrade("/x")
    assert refused.value.status == 503
    wire.close()
    silent.wait_closed()
    assert c.wait_exit() == 0


def test_a_client_is_served_until_its_turn(culvert, peer):
    target = peer(Echo)
    c = culvert(f"[server]\ndrain_timeout = 4s\n[route /x]\ntarget = {target.url}\nclose_timeout = 1s\n")
    first, second = c.ws("/x"), c.ws("/x")
    c.signal(signal.SIGTERM)
    first.expect_close(1001)
    rounds = 0
    watch = Stopwatch()
    while watch.seconds < 0.7:  # its turn comes after 1.5 s
        second.send_text("hello")
        assert second.recv_bytes(5) == b"hello"
        rounds += 1
    assert rounds > 3
    second.expect_close(1001)
    assert c.wait_exit() == 0


def test_what_came_from_the_client_before_its_close_reaches_the_target(culvert, peer):
    target = peer(Recorder)
    c = culvert(f"[server]\ndrain_timeout = 2s\n[route /x]\ntarget = {target.url}\n")
    ws = c.ws("/x")
    c.signal(signal.SIGTERM)
    assert ws.recv_close() == 1001
    ws.send_text("what was being written ")
    ws.send_text("when the Close came")
    ws.send_close(1001)
    target.wait_received(b"what was being written when the Close came")
    assert c.wait_exit() == 0


@pytest.mark.tsan
@pytest.mark.parametrize("workers", [1, 4])
def test_it_ends_when_the_last_client_has_left(culvert, peer, workers):
    c = culvert(f"[server]\nworkers = {workers}\ndrain_timeout = 600s\n[route /x]\ntarget = echo:\n")
    clients = [c.ws("/x") for _ in range(6)]
    c.signal(signal.SIGTERM)
    c.wait_log("draining")
    for ws in clients:
        ws.send_close(1000)
        ws.wait_closed()
    assert c.wait_exit() == 0


def test_a_download_is_finished(culvert, tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.write(os.urandom(8 << 20))
    c = culvert(f"[server]\ndrain_timeout = 60s\n[route /]\ntarget = files:{tmp_path}\n")
    wire = c.http(receive_buffer=65536)
    wire.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    wire.read(1000)
    c.signal(signal.SIGTERM)
    c.wait_log("draining")
    assert len(wire.read_to_end()) > (8 << 20) - 1000
    wire.close()
    assert c.wait_exit() == 0


def test_hup_while_draining_changes_nothing(culvert):
    c = culvert("[server]\ndrain_timeout = 60s\n[route /x]\ntarget = echo:\n")
    ws, other = c.ws("/x"), c.ws("/x")
    c.signal(signal.SIGTERM)
    ws.expect_close(1001)
    c.signal(signal.SIGHUP)
    c.wait_log("ignored while stopping")
    assert other.is_open()
    c.signal(signal.SIGTERM)
    assert c.wait_exit() == 0


def test_a_unix_listener_shared_by_workers_drains_quietly(culvert, tmp_path):
    c = culvert(
        f"[server]\nlisten = unix:{tmp_path}/s.sock\nworkers = 4\ndrain_timeout = 1s\n[route /x]\ntarget = echo:\n"
    )
    c.ws("/x")
    c.signal(signal.SIGTERM)
    assert c.wait_exit() == 0
    assert not c.log_lines(" warn ")
    assert not os.path.exists(tmp_path / "s.sock")
