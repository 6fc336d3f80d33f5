# SPDX-License-Identifier: BSD-2-Clause
"""Unlikely orders of events, each of which has once been answered wrongly."""

import os
import signal
import subprocess
import threading
import time

from harness.culvert import BINARY
from harness.http import read_answer, request
from harness.peers import Blackhole, SlowReader, Target, free_port
from harness.wait import DEADLINE, Stopwatch, wait_until
from harness.wire import connect
from harness.ws import BINARY as BINARY_FRAME
from harness.ws import close_frame, frame, header, upgrade_request

ECHO = "[route /x]\ntarget = echo:\n"


def test_a_websocket_behind_thousands_of_pipelined_requests(culvert):
    """Nobody reads the answers at first; what follows the upgrade is much, and comes before its 101."""
    c = culvert("[log]\naccess = no\n" + ECHO)
    wire = c.wire(receive_buffer=4096)
    count, size = 20_000, 400_000
    early = frame(BINARY_FRAME, bytes(size))
    whole = request(path="/none") * count + upgrade_request("/x") + early
    sender = threading.Thread(target=wire.send, args=(whole,), daemon=True)
    sender.start()
    c.wait_quiet()
    for _ in range(count):
        assert read_answer(wire).status == 404
    wire.upgraded()
    assert wire.recv_bytes(size) == bytes(size)
    sender.join(DEADLINE)


def test_a_close_while_an_echo_waits_for_the_client(culvert):
    """The echo is not sent to a client that has said goodbye."""
    c = culvert(ECHO + "buffer = 64k\n")
    for count in range(1500, 5000, 125):
        ws = c.ws("/x", receive_buffer=4096)
        ws.sock.settimeout(0.5)
        try:
            ws.send(frame(BINARY_FRAME, bytes(1024)) * count + close_frame(1000))
        except TimeoutError:
            pass  # this many do not fit
        c.keep(ws)
    c.close_clients()
    assert c.ws("/x").is_open()


def test_close_timeout_holds_when_the_target_ends_unread(culvert, peer):
    target = peer(Target, receive_buffer=4096)
    c = culvert(f"[route /x]\ntarget = {target.url}\nbuffer = 32m\nclose_timeout = 1s\nwrite_timeout = 600s\n")
    ws = c.ws("/x")
    conn = target.accept()
    ws.send(frame(BINARY_FRAME, bytes(12_000_000)) + close_frame(1000))
    ws.recv_close()
    conn.finish()
    watch = Stopwatch()
    c.wait_event("websocket")
    assert watch.seconds < 1 * 4


def test_a_redirect_with_a_long_query_is_whole(culvert, tmp_path):
    (tmp_path / "www" / "sub").mkdir(parents=True)
    c = culvert(f"[route /]\ntarget = files:{tmp_path}/www\n")
    wire = c.http()
    query = "a" * 3000
    answer = wire.ask(path=f"/sub?{query}")
    assert answer.status == 301 and answer["location"].endswith(f"/sub/?{query}")
    assert wire.ask(path="/none").status == 404


def test_a_last_answer_is_whole_for_a_client_that_pauses(culvert, tmp_path):
    """The connection ends after it, but the client takes its time before it reads on."""
    data = os.urandom(1 << 20) * 5
    (tmp_path / "big").write_bytes(data)
    c = culvert(f"[route /]\ntarget = files:{tmp_path}\n")
    wire = c.http(receive_buffer=65536)
    wire.send(request(path="/big", headers=[("Connection", "close")]))
    time.sleep(7)  # longer than anything but write_timeout
    assert read_answer(wire).body == data


def test_a_request_that_was_on_its_way_when_a_stop_began_is_answered(culvert):
    c = culvert(ECHO)
    plain, upgrade = c.http(), c.http()
    wait_until(lambda: c.stats().connections == 2, "both to be accepted")
    c.signal(signal.SIGTERM)
    c.wait_log("draining")
    assert plain.ask(path="/none").status == 503
    upgrade.send(upgrade_request("/x"))
    answer = read_answer(upgrade)
    assert answer.status == 503 and answer["retry-after"]
    assert c.wait_exit() == 0


def test_a_target_that_answers_after_a_stop_began_is_not_bridged(culvert, peer):
    target = peer(Blackhole)
    c = culvert(f"[route /x]\ntarget = {target.url}\nconnect_timeout = 60s\nclose_timeout = 30s\n")
    wire = c.http()
    wire.send(upgrade_request("/x"))
    wait_until(lambda: c.stats().connections == 1, "the request to be under way")
    c.wait_quiet()
    c.signal(signal.SIGTERM)
    c.wait_log("draining")
    target.open()
    assert read_answer(wire).status == 503
    assert c.wait_exit() == 0


def test_a_download_that_is_broken_off_is_not_read_to_its_end(culvert, tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(64 << 30)
    c = culvert(f"[route /]\ntarget = files:{tmp_path}\n")
    wire = c.http()
    wire.send(request(path="/huge"))
    wire.read(1 << 20)
    wire.finish()
    wire.read(1 << 20)
    wire.close()
    event = c.wait_event("request")
    assert event["status"] == "200" and int(event["bytes"]) < 1 << 30


def test_a_client_that_leaves_before_its_answer_is_in_the_log(culvert, peer):
    target = peer(Blackhole)
    c = culvert(f"[route /x]\ntarget = {target.url}\n")
    wire = c.http()
    wire.send(upgrade_request("/x"))
    wait_until(lambda: c.stats().connections == 1, "the request to be under way")
    wire.close()
    event = c.wait_event("request")
    assert event["status"] == "499" and event["route"] == "/x"


def test_a_log_that_nobody_reads_stops_nobody():
    port = free_port()
    process = subprocess.Popen([BINARY, f"127.0.0.1:{port}", "echo:"], stderr=subprocess.PIPE)
    try:
        process.stderr.readline()
        for _ in range(2000):  # more lines than a pipe holds
            with connect(("127.0.0.1", port)) as sock:
                sock.sendall(request(path="/", headers=[("Connection", "close")]))
                assert sock.recv(100).startswith(b"HTTP/1.1 426")
        os.set_blocking(process.stderr.fileno(), False)
        log = process.stderr.read()
        os.set_blocking(process.stderr.fileno(), True)
        process.terminate()
        log += process.stderr.read()
        assert b"lines were lost" in log and b"stopped" in log
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_reset_client_is_noticed_even_if_it_is_not_being_read(culvert, peer):
    """The target takes nothing, so the client is not read; what the target sent waits for it."""
    target = peer(Target, receive_buffer=4096)
    c = culvert(f"[route /x]\ntarget = {target.url}\nbuffer = 16k\nheartbeat = 0\n")
    ws = c.ws("/x", receive_buffer=4096)
    conn = target.accept()
    poured = threading.Thread(target=lambda: conn.fill(), daemon=True)
    poured.start()
    ws.send(header(BINARY_FRAME, 1 << 40) + bytes(4))
    ws.fill()
    poured.join(DEADLINE)
    ws.reset()
    c.wait_quiet()
    conn.close()
    event = c.wait_event("websocket")
    assert event["ended_by"] == "client" and event["code"] == "1006"


def test_a_bad_query_is_400_on_every_route(culvert, tmp_path):
    c = culvert(ECHO + f"[route /]\ntarget = files:{tmp_path}\n")
    for path in ("/?a=%zz", "/?%00", "/?a=%ff", "/x?a=%2", "/x?=%c3"):
        assert c.http().ask(path=path).status == 400
    wire = c.http()
    wire.send(upgrade_request("/x?token=%zz"))
    assert read_answer(wire).status == 400
    assert c.http().ask(path="/x?a=%C3%A4&b=+&c").status == 426


def test_slow_targets_are_read_to_their_end_after_the_client_has_gone(culvert, peer):
    """What a client sent before its Close arrives, however slowly its target takes it."""
    target = peer(SlowReader, receive_buffer=4096)
    c = culvert(f"[route /x]\ntarget = {target.url}\nbuffer = 8m\n")
    ws = c.ws("/x")
    data = os.urandom(1 << 20) * 6
    ws.send_binary(data)
    ws.leave(1000)
    target.go()
    wait_until(lambda: target.length == len(data), "all bytes at the target")


def test_a_slow_reader_that_answers_pings_as_it_reads_them_is_alive(culvert, peer):
    """The PING lies behind megabytes in the kernel; the client takes them steadily."""
    target = peer(Target)
    c = culvert(f"[route /x]\ntarget = {target.url}\nheartbeat = 1s\nheartbeat_timeout = 1s\n")
    ws = c.ws("/x", receive_buffer=16384)
    conn = target.accept()
    total = 2_000_000
    conn.send(bytes(total))
    got = 0
    while got < total:
        got += len(ws.recv_data().payload)  # answers PINGs on its way
        time.sleep(0.15)
    assert ws.is_open()


def test_a_flow_to_a_slow_client_is_not_idle(culvert, peer):
    target = peer(Target)
    c = culvert(f"[route /x]\ntarget = {target.url}\nidle_timeout = 1s\nbuffer = 16m\n")
    ws = c.ws("/x", receive_buffer=16384)
    conn = target.accept()
    total = 9_000_000
    conn.send(bytes(total))
    got = 0
    watch = Stopwatch()
    while got < total:
        got += len(ws.recv_data().payload)
        if watch.seconds < 3:
            time.sleep(0.05)
    assert ws.recv_close() == 1008  # and now it is


def test_a_new_message_has_its_whole_time(culvert):
    c = culvert(ECHO + "message_timeout = 2s\n")
    ws = c.ws("/x")
    ws.send(frame(BINARY_FRAME, b"begin", fin=False))
    time.sleep(1.5)
    ws.send(frame(0, b"") + header(BINARY_FRAME, 5))
    time.sleep(1.5)
    ws.send(bytes(4) + b"hello")
    assert ws.recv_bytes(10)[:5] == b"begin"


def test_pings_do_not_prolong_an_unfinished_message(culvert):
    c = culvert(ECHO + "message_timeout = 1s\n")
    for begun in (frame(BINARY_FRAME, b"", fin=False), header(BINARY_FRAME, 5) + bytes(4)):
        ws = c.ws("/x")
        ws.send(begun)
        watch = Stopwatch()
        ws.sock.settimeout(0.2)
        if begun[0] == 2:  # a whole frame: control frames may follow
            while watch.seconds < 4 and c.events("websocket") == []:
                ws.send_quietly(frame(9, b"still here"))
                time.sleep(0.2)
        ws.sock.settimeout(DEADLINE)
        assert ws.recv_close() == 1008
        assert watch.seconds < 4


def test_an_upgrade_that_is_ignored_leaves_a_half_closed_client_its_answer(culvert, tmp_path):
    data = os.urandom(1 << 20) * 8
    (tmp_path / "big").write_bytes(data)
    c = culvert(f"[route /]\ntarget = files:{tmp_path}\n")
    wire = c.http(receive_buffer=65536)
    wire.send(request(path="/big", headers=[("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Accept", "text/html")]))
    wire.finish()
    assert read_answer(wire).body == data
