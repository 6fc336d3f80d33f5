# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong around culvert: descriptors, frozen targets, name servers, clocks. Each fault has its documented
answer, and when it is over the service is normal again without a restart, with nothing left behind."""

import glob
import os
import random
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness.child import freeze
from harness.culvert import ROOT, VARIANT
from harness.http import read_answer
from harness.peers import Echo
from harness.services import redis_server, udp_socket
from harness.wait import Stopwatch, wait_until
from harness.ws import BINARY, PING, PONG, Refused, close_frame, frame, upgrade_request

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces and listens on port 53")


def test_what_the_manual_quotes_is_what_the_log_says():
    """culvert(1), "WHEN THINGS FAIL": the words to look for in the log are those of the sources."""
    with open(os.path.join(ROOT, "contrib/man/culvert.1")) as file:
        section = file.read().split(".Sh WHEN THINGS FAIL\n", 1)[1].split("\n.Sh ", 1)[0]
    quoted = re.findall(r"^\.Dl (.+)$", section, re.M)
    assert len(quoted) > 8
    sources = ""
    for path in glob.glob(os.path.join(ROOT, "src/**/*.c"), recursive=True):
        with open(path) as file:
            sources += file.read()
    for text in quoted:
        # Some are put together from a sentence and its reason.
        for part in re.split(r"(?<=accept): |; (?=connections)", text):
            assert part in sources, part


def status_of(c, path):
    """Of an upgrade; what opens is closed again."""
    wire = c.wire()
    try:
        wire.upgrade(path).leave()
        return 101
    except Refused as refused:
        return refused.status
    finally:
        wire.close()


def wait_descriptors(c, before):
    wait_until(lambda: c.fds() == before, "descriptors to return")


# ---- descriptors ----


def few_descriptors(count):
    return ["prlimit", f"--nofile={count}:{count}"]


def test_without_descriptors_clients_wait_for_their_turn(culvert, peer):
    """40 clients of an echo target in a process of 40 descriptors: each needs two."""
    c = culvert(f"[route /x]\ntarget = {peer(Echo).url}\n[route /inside]\ntarget = echo:\n", wrapper=few_descriptors(40))
    before = c.fds()
    wires = []
    for _ in range(40):
        wires.append(c.wire())
        wires[-1].send(upgrade_request("/x") + frame(BINARY, b"hello"))  # who says nothing would have to go
    c.wait_log(r"warn .*too few file descriptors are left")
    served = []
    for wire in wires:  # in the order in which they came
        assert read_answer(wire).status == 101
        assert wire.recv_bytes(5) == b"hello"
        served.append(wire)
        if len(served) > 5:
            served.pop(0).leave()
    for wire in served:
        wire.leave()
    c.wait_log(r"info .*accepting again")
    assert status_of(c, "/x") == status_of(c, "/inside") == 101
    wait_descriptors(c, before)


def test_the_last_one_to_find_room_may_take_his_time(culvert):
    """Nobody is closed to make room before somebody waits for it."""
    c = culvert("[route /x]\ntarget = echo:\n", wrapper=few_descriptors(44))
    before, served = c.fds(), []
    while True:
        fds, wire = c.fds(), c.wire()
        wait_until(lambda: c.fds() > fds or c.log_lines("cannot accept") or not wire.is_open(), "it to be accepted")
        if c.log_lines("cannot accept"):
            break
        served.append(wire.upgrade("/x"))
    assert len(served) > 20
    wire.send(upgrade_request("/x"))
    served.pop().leave()
    assert read_answer(wire).status == 101
    for ws in [*served, wire]:
        ws.leave()
    c.wait_log("accepting again")
    assert not c.log_lines("half-open clients closed")
    wait_descriptors(c, before)


def test_without_a_descriptor_for_the_target_it_is_502_until_there_is_one(culvert, peer):
    """Taken from outside while it runs: nothing is left for targets."""
    c = culvert(f"[route /x]\ntarget = {peer(Echo).url}\n[route /inside]\ntarget = echo:\n")
    before = c.fds()
    kept = c.ws("/x")
    limit = resource.prlimit(c.pid, resource.RLIMIT_NOFILE)
    wire = c.http()
    assert wire.ask(path="/none").status == 404  # accepted: it has its descriptor already
    resource.prlimit(c.pid, resource.RLIMIT_NOFILE, (c.fds(), limit[1]))
    wire.send(upgrade_request("/x"))
    assert read_answer(wire).status == 502
    wire.wait_closed()
    c.wait_log(r"warn .*route /x: target .*(too many open files|descriptors)")
    kept.send_frame(BINARY, b"goes on")
    assert kept.recv_bytes(7) == b"goes on"
    resource.prlimit(c.pid, resource.RLIMIT_NOFILE, limit)
    assert status_of(c, "/x") == status_of(c, "/inside") == 101
    kept.leave()
    wait_descriptors(c, before)


# ---- frozen targets ----


@pytest.fixture
def frozen_redis(tmp_path):
    """(port, freeze, thaw) of a redis-server; thawed at the end."""
    with redis_server(tmp_path, "--tcp-backlog", "1") as (port, process):
        yield port, lambda: freeze(process), lambda: process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGCONT)


def redis_route(port, *lines):
    return "\n".join([f"[route /redis]\ntarget = tcp://127.0.0.1:{port}", *lines, "[route /inside]\ntarget = echo:\n"])


def ping(ws):
    ws.send_frame(BINARY, b"PING\r\n")
    assert ws.recv_bytes(7) == b"+PONG\r\n"


class Pusher(threading.Thread):
    """Sends INCR commands with ballast, 32 MiB, as fast as they are taken."""

    COUNT = 512

    def __init__(self, ws):
        super().__init__(daemon=True)
        self.ws = ws
        self.sent = 0

    def run(self):
        one = frame(BINARY, b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$65536\r\n" + bytes(65536) + b"\r\nINCR n\r\n", key=bytes(4))
        try:
            for _ in range(self.COUNT):
                self.ws.sock.sendall(one)
                self.sent += 1
        except OSError:
            pass  # it was ended

    def wait_held_up(self):
        seen = []

        def same_again():
            seen.append(self.sent)
            return len(seen) > 2 and seen[-1] == seen[-2] == seen[-3]

        wait_until(same_again, "the client to be held up", step=0.3)
        assert self.sent < self.COUNT


def test_a_target_that_was_frozen_gets_all_and_answers_all(culvert, frozen_redis):
    port, freeze, thaw = frozen_redis
    c = culvert(redis_route(port, "heartbeat = 300ms", "heartbeat_timeout = 400ms"))
    ws = c.ws("/redis")
    ping(ws)
    idle = c.stats()
    freeze()
    pusher = Pusher(ws)
    pusher.start()
    pusher.wait_held_up()  # and longer than the heartbeat would have it: who is not read is not asked
    watch = Stopwatch()
    wait_until(lambda: watch.seconds > 1.5, "the heartbeat's time to pass", step=0.1)
    assert c.stats().live_bytes - idle.live_bytes < 1 << 20
    assert status_of(c, "/inside") == 101
    thaw()
    wanted = b"".join(b"+OK\r\n:%d\r\n" % (i + 1) for i in range(Pusher.COUNT))
    got = bytearray()
    while len(got) < len(wanted):
        one = ws.recv_frame()
        if one.opcode == BINARY:
            got += one.payload
    assert got == wanted
    pusher.join()
    ws.send_close(1000)
    assert ws.recv_to_close()[1] == 1000
    assert c.wait_event()["code"] == "1000"


def test_an_idle_client_of_a_frozen_target_is_kept_by_its_pongs(culvert, frozen_redis):
    port, freeze, thaw = frozen_redis
    c = culvert(redis_route(port, "heartbeat = 200ms", "heartbeat_timeout = 2s", "write_timeout = 1s"))
    ws = c.ws("/redis")
    ping(ws)
    freeze()
    ws.send_frame(BINARY, b"PING\r\n")  # its kernel takes that: nobody is stuck
    for _ in range(8):
        one = ws.recv_frame()
        assert one.opcode == PING
        ws.send_frame(PONG, one.payload)
    thaw()
    assert ws.recv_bytes(7) == b"+PONG\r\n"
    ping(ws)


def test_a_target_that_stays_frozen_is_1014_after_write_timeout(culvert, frozen_redis):
    port, freeze, thaw = frozen_redis
    c = culvert(redis_route(port, "write_timeout = 1s", "close_timeout = 1s", "heartbeat = 0"))
    before = c.fds()
    ws = c.ws("/redis")
    ping(ws)
    freeze()
    pusher = Pusher(ws)
    watch = Stopwatch()
    pusher.start()
    assert ws.recv_to_close()[1:2] == (1014,)
    assert watch.seconds > 0.8
    ws.send_quietly(close_frame(1014))
    event = c.wait_event()
    assert event["code"] == "1014" and event["ended_by"] == "target"
    pusher.join()
    wait_descriptors(c, before)
    assert status_of(c, "/inside") == 101
    thaw()
    ws = c.ws("/redis")
    ping(ws)
    ws.leave()
    wait_descriptors(c, before)


def test_a_frozen_target_whose_backlog_is_full_is_504_until_it_goes_on(culvert, frozen_redis):
    port, freeze, thaw = frozen_redis
    c = culvert(redis_route(port, "connect_timeout = 1s"))
    before = c.fds()
    freeze()
    waiting = []
    watch = Stopwatch()
    with pytest.raises(Refused) as refused:
        for _ in range(10):  # the kernel takes the first few for it
            watch = Stopwatch()
            waiting.append(c.ws("/redis"))
    assert refused.value.status == 504
    assert 0.8 < watch.seconds < 10
    assert 0 < len(waiting) < 10
    c.wait_log(r"warn .*route /redis: target tcp://127\.0\.0\.1:\d+: connection timed out")
    assert status_of(c, "/inside") == 101
    thaw()
    for ws in waiting:  # taken before it was frozen or not, they are served
        ping(ws)
        ws.leave()
    wait_until(lambda: status_of(c, "/redis") == 101, "the target to take connections again", step=0.1)
    wait_descriptors(c, before)


# ---- name servers ----


class NameServer:
    """
    A name server for culvert alone: on port 53 of a loopback address that only a resolv.conf in a
    mount namespace of its own tells. `answer` maps names to "silent", a number (of an error), an
    address, or "nothing" (the name exists and has no address).
    """

    def __init__(self, folder):
        self.folder = folder
        self.answer = {}
        self.asked = []
        self.address = f"127.{random.randrange(100, 250)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.start()

    def start(self):
        self.sock = udp_socket(self.address, 53)
        self.sock.settimeout(0.05)
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def wrapper(self):
        """Before culvert's command line."""
        path = self.folder / "resolv.conf"
        path.write_text(f"nameserver {self.address}\n")
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"',
                str(path)]

    def _run(self):
        while not self.stopping:
            try:
                data, peer = self.sock.recvfrom(4096)
            except TimeoutError:
                continue
            name, kind = self._question(data)
            self.asked.append(name)
            reply = self._reply(data, kind, self.answer.get(name, "silent"))
            if reply:
                self.sock.sendto(reply, peer)

    @staticmethod
    def _question(data):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        return ".".join(labels).lower(), int.from_bytes(data[at + 1 : at + 3], "big")

    @staticmethod
    def _reply(data, kind, what):
        end = data.index(b"\0", 12) + 5
        question = data[12:end]
        if what == "silent":
            return None
        code = what if isinstance(what, int) else 0
        found = b""
        if kind == 1 and not isinstance(what, int) and what != "nothing":
            found = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(what)  # a TTL of 0
        head = data[:2] + bytes([0x81, 0x80 | code]) + b"\0\1" + (b"\0\1" if found else b"\0\0") + bytes(4)
        return head + question + found

    def close(self):
        self.stopping = True
        self.thread.join()
        self.sock.close()


@pytest.fixture
def names(tmp_path, culvert):
    server = NameServer(tmp_path)
    yield server
    server.close()


def named_routes(target, names, *lines):
    routes = "".join(
        f"[route /{name}]\ntarget = tcp://{name}.culvert.test:{target.port}\n" + "".join(f"{line}\n" for line in lines)
        for name in names
    )
    return routes + "[route /inside]\ntarget = echo:\n"


@needs_root
def test_a_silent_name_server_is_504_within_connect_timeout(culvert, peer, names):
    target = peer(Echo)
    names.answer["other.culvert.test"] = "127.0.0.1"
    c = culvert(named_routes(target, ["mute", "other"], "connect_timeout = 1s"), wrapper=names.wrapper())
    before = c.fds()
    assert status_of(c, "/other") == 101
    wire = c.wire()
    watch = Stopwatch()
    wire.send(upgrade_request("/mute"))
    wait_until(lambda: "mute.culvert.test" in names.asked, "the question")
    # Others are served meanwhile, names too.
    assert status_of(c, "/inside") == status_of(c, "/other") == 101
    assert read_answer(wire).status == 504
    assert 0.8 < watch.seconds < 10
    wire.wait_closed()
    c.wait_log(r"warn .*route /mute: target tcp://mute\.culvert\.test:\d+: the name servers did not answer in time")
    # The server comes back: so does the route, by itself.
    names.answer["mute.culvert.test"] = "127.0.0.1"
    wait_until(lambda: status_of(c, "/mute") == 101, "the name to be found", step=0.2)
    wait_descriptors(c, before)


@needs_root
def test_name_servers_that_never_answer_are_504_too_when_there_would_be_time(culvert, peer, names):
    """c-ares gives up before connect_timeout: still nobody has answered."""
    c = culvert(named_routes(peer(Echo), ["mute"], "connect_timeout = 30s"), wrapper=names.wrapper())
    assert status_of(c, "/mute") == 504
    c.wait_log(r"warn .*route /mute: .*: the name servers did not answer")


@needs_root
@pytest.mark.parametrize("what, why", [
    (5, "the name servers failed"),  # REFUSED
    (2, "the name servers failed"),  # SERVFAIL
    (3, "no such host"),  # NXDOMAIN
    ("nothing", "no such host"),
], ids=["refused", "servfail", "nxdomain", "nothing"])
def test_a_name_server_that_says_no_is_502_until_it_says_yes(culvert, peer, names, what, why):
    names.answer["it.culvert.test"] = what
    c = culvert(named_routes(peer(Echo), ["it"], "connect_timeout = 20s"), wrapper=names.wrapper())
    before = c.fds()
    watch = Stopwatch()
    assert status_of(c, "/it") == 502
    assert watch.seconds < 10
    c.wait_log(rf"warn .*route /it: target tcp://it\.culvert\.test:\d+: {why}")
    assert status_of(c, "/inside") == 101
    names.answer["it.culvert.test"] = "127.0.0.1"
    wait_until(lambda: status_of(c, "/it") == 101, "the name to be found", step=0.2)
    wait_descriptors(c, before)


@needs_root
def test_a_name_server_that_is_gone_is_an_error_until_it_is_back(culvert, peer, names):
    """Its port is closed, which ICMP tells."""
    names.close()
    c = culvert(named_routes(peer(Echo), ["it"], "connect_timeout = 20s"), wrapper=names.wrapper())
    before = c.fds()
    assert status_of(c, "/it") == 502
    c.wait_log(r"warn .*route /it: .*: the name servers failed")
    assert status_of(c, "/inside") == 101
    names.answer["it.culvert.test"] = "127.0.0.1"
    names.start()
    wait_until(lambda: status_of(c, "/it") == 101, "the name to be found", step=0.2)
    wait_descriptors(c, before)


# ---- clocks ----


class Clock:
    """The wall clock of one process, moved by libfaketime; the monotonic one goes on as it is."""

    DAY = 86400

    def __init__(self, folder):
        self.path = folder / "clock"
        self.move(0)
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        assert found, "faketime is missing: run contrib/install-deps.sh test"
        preload = [found[0]]
        if VARIANT in ("asan", "tsan"):  # a sanitizer has to come first
            name = f"lib{VARIANT}.so"
            asked = subprocess.run(["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True)
            preload.insert(0, os.path.realpath(asked.stdout.strip()))
        self.env = {
            "LD_PRELOAD": ":".join(preload),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def move(self, seconds):
        new = self.path.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        new.rename(self.path)


def day_of(seconds_from_now):
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + seconds_from_now))


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_jumps_disconnects_nobody(culvert, peer, tmp_path, days):
    """heartbeat, idle_timeout, header_timeout, message_timeout, write_timeout and connect_timeout run at the time."""
    clock = Clock(tmp_path)
    c = culvert(
        "[server]\nheader_timeout = 60s\n[defaults]\nheartbeat = 60s\nidle_timeout = 60s\nmessage_timeout = 60s\n"
        f"[route /x]\ntarget = {peer(Echo).url}\n[route /brisk]\ntarget = echo:\nheartbeat = 300ms\n"
        "heartbeat_timeout = 30s\n",
        env=clock.env,
    )
    before = c.fds()
    clients = [c.ws("/x") for _ in range(3)]
    brisk = c.ws("/brisk")
    asking = c.wire()
    asking.send(upgrade_request("/x")[:30])
    unfinished = c.ws("/x")
    unfinished.send(frame(BINARY, b"half", fin=False))
    assert unfinished.recv_bytes(4) == b"half"
    clock.move(days * Clock.DAY)
    # Its log follows, and so does the Date of its answers.
    assert c.http().ask(path="/none").status == 404
    c.wait_log(rf"^{day_of(days * Clock.DAY)}T.* access .*status=404")
    for _ in range(3):  # the heartbeat goes on as it was
        one = brisk.recv_frame()
        assert one.opcode == PING
        brisk.send_frame(PONG, one.payload)
    unfinished.send(frame(0, b"whole"))
    assert unfinished.recv_bytes(5) == b"whole"
    asking.send(upgrade_request("/x")[30:])
    assert read_answer(asking).status == 101
    for ws in [*clients, asking]:
        ws.send_frame(BINARY, b"still here")
        assert ws.recv_bytes(10) == b"still here"
    clock.move(0)
    for ws in [*clients, asking, unfinished]:
        ws.send_frame(BINARY, b"and now")
        assert ws.recv_bytes(7) == b"and now"
        ws.leave()
    brisk.send_close(1000)
    brisk.recv_to_close()
    brisk.close()
    wait_until(lambda: len(c.events("websocket")) == 6, "all to have left")
    for event in c.events("websocket"):
        assert event["code"] == "1000" and float(event["duration"].rstrip("s")) < 60
    c.close_clients()
    wait_descriptors(c, before)


@pytest.mark.parametrize("days", [1, -1])
def test_deadlines_end_at_their_time_after_a_jump(culvert, tmp_path, days):
    """A day back does not make a second last for a day."""
    clock = Clock(tmp_path)
    c = culvert(
        "[server]\nheader_timeout = 1s\n[route /x]\ntarget = echo:\nidle_timeout = 1s\nheartbeat = 0\n", env=clock.env
    )
    ws, asking = c.ws("/x"), c.http()
    asking.send(b"GET /x HT")
    clock.move(days * Clock.DAY)
    watch = Stopwatch()
    assert ws.recv_close() == 1008
    assert read_answer(asking).status == 408
    assert 0.5 < watch.seconds < 10
