# SPDX-License-Identifier: BSD-2-Clause
"""
soak.py SECONDS -- mixed traffic for so long against culvert with two workers, plain and TLS: clients
and targets that talk, end, break off, send garbage, read slowly or not at all, all at once.

Each behaviour is one check, passed if it has never gone wrong; the others are that afterwards all
connections, descriptors and memory have been given back, that memory did not grow on the way, and
that nothing was logged as an error.
"""

import os
import random
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
os.environ.setdefault("CULVERT", "build/release/culvert")

from harness import ws as frames
from harness.certs import Certificates
from harness.culvert import Culvert
from harness.http import HttpClient
from harness.peers import refusing_port
from harness.wait import wait_until
from harness.wire import linger_zero
from harness.ws import Refused, WsClient

THREADS = 12
POURED = 3 << 20
LAST_WORDS = b"that is all"
SAMPLE_SECONDS = 0.5
# What the allocator keeps in the caches of two threads counts as live.
LIVE_SLACK = 512 << 10
GROWTH_SLACK = 1 << 20


# ---- targets ----


class Peer:
    """A TCP service with a thread for each connection, which it forgets at its end."""

    def __init__(self, serve):
        self.serve = serve
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"tcp://127.0.0.1:{self.sock.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            sock, _ = self.sock.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(120)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            self.serve(sock)
        except OSError:
            pass
        finally:
            sock.close()


def swallow(sock):
    while sock.recv(262144):
        pass


def echo(sock):
    while data := sock.recv(262144):
        sock.sendall(data)


def pour(sock):
    sock.sendall(bytes(POURED))
    sock.shutdown(socket.SHUT_WR)
    swallow(sock)


def speak_and_end(sock):
    sock.sendall(LAST_WORDS)
    sock.shutdown(socket.SHUT_WR)
    swallow(sock)


def read_nothing(sock):
    time.sleep(random.random() * 3)


def take_and_break_off(sock):
    sock.recv(1)
    linger_zero(sock)


# ---- clients ----


class Behaviours:
    """Each method is one conversation from its beginning to its end, and asserts that it went well."""

    def __init__(self, culvert, contexts):
        self.culvert = culvert
        self.contexts = contexts

    def names(self):
        return [name for name in dir(self) if name.startswith("does_")]

    def wire(self, kind=WsClient, **options):
        tls = random.random() < 0.33
        return kind.open(self.culvert.addresses[1 if tls else 0], tls=self.contexts if tls else None, **options)

    def ws(self, path, **options):
        return self.wire(**options).upgrade(path)

    def does_echo(self):
        with self.ws("/echo") as ws:
            for _ in range(random.randrange(1, 30)):
                data = os.urandom(random.randrange(1, 3000))
                ws.send_binary(data)
                assert ws.recv_bytes(len(data)) == data
            ws.leave()

    def does_pipelined_echo(self):
        with self.ws("/echo") as ws:
            pieces = [os.urandom(random.randrange(0, 200)) for _ in range(100)]
            ws.send(b"".join(frames.frame(frames.BINARY, piece) for piece in pieces))
            assert ws.recv_bytes(sum(map(len, pieces))) == b"".join(pieces)
            ws.leave()

    def does_big_messages(self):
        with self.ws("/echo") as ws:
            data = os.urandom(random.randrange(65536, 2 << 20))
            cut = random.randrange(len(data))
            message = (frames.frame(frames.BINARY, data[:cut], fin=False) + frames.frame(frames.PING, b"?")
                       + frames.frame(frames.CONTINUATION, data[cut:]))
            sender = threading.Thread(target=ws.send_quietly, args=(message,), daemon=True)
            # A TLS connection has one user at a time.
            if ws.sock.__class__ is socket.socket:
                sender.start()
                assert ws.recv_bytes(len(data)) == data
                sender.join()
            else:
                ws.send(frames.frame(frames.BINARY, data[:65536]))
                assert ws.recv_bytes(min(len(data), 65536)) == data[:65536]
            ws.leave()

    def does_bytes_apart(self):
        with self.ws("/echo") as ws:
            ws.send(frames.frame(frames.BINARY, b"byte by byte"), piece=1)
            assert ws.recv_bytes(12) == b"byte by byte"
            ws.leave()

    def does_download(self):
        with self.ws("/pour") as ws:
            data, code, _ = ws.recv_to_close()
            assert (len(data), code) == (POURED, 1000)
            ws.send_close()
            ws.wait_closed()

    def does_slow_reading(self):
        with self.ws("/pour", receive_buffer=4096) as ws:
            for _ in range(random.randrange(5, 40)):
                ws.read(random.randrange(1, 1000))
                time.sleep(0.02)
            ws.reset() if random.random() < 0.5 else ws.close()

    def does_half_close(self):
        with self.ws("/ends") as ws:
            assert ws.recv_to_close()[:2] == (LAST_WORDS, 1000)
            ws.send_close()
            ws.wait_closed()

    def does_target_reset(self):
        with self.ws("/resets") as ws:
            ws.send_binary(b"more than one byte")
            assert ws.recv_to_close()[1] == 1014
            ws.send_close()
            ws.wait_closed()

    def does_target_refused(self):
        with self.wire() as ws:
            try:
                ws.upgrade("/refuses")
            except Refused as refused:
                assert refused.status == 502
            else:
                raise AssertionError("nobody listens there")

    def does_reset(self):
        with self.ws("/echo") as ws:
            for _ in range(random.randrange(20)):
                ws.send_binary(os.urandom(random.randrange(1, 20000)))
            ws.reset()

    def does_vanishing(self):
        with self.ws("/silent") as ws:
            ws.send_binary(os.urandom(1000))
            ws.cut()

    def does_filling_up(self):
        """The way to the target is full when the client gives up, or the target."""
        block = frames.frame(frames.BINARY, bytes(65536))
        with self.ws("/stuck") as ws:
            ws.sock.settimeout(0.3)
            try:
                for _ in range(1000):
                    ws.sock.send(block)
            except OSError:
                pass

    def does_wrong_frames(self):
        wrong = random.choice([
            (frames.frame(frames.BINARY, b"x", key=None), 1002), (frames.frame(3, b"x"), 1002),
            (frames.frame(frames.TEXT, b"\xff"), 1007), (frames.frame(frames.PING, bytes(126)), 1002),
            (frames.frame(frames.BINARY, b"x", rsv=4), 1002), (frames.close_frame(1005), 1002),
        ])
        with self.ws("/echo") as ws:
            ws.send(wrong[0])
            ws.expect_close(wrong[1])

    def does_garbage_frames(self):
        with self.ws("/echo") as ws:
            ws.send_quietly(os.urandom(random.randrange(1, 5000)))
            ws.close()

    def does_garbage_requests(self):
        # Whether it is the TLS port or not.
        with WsClient.open(random.choice(self.culvert.addresses)) as wire:
            wire.send_quietly(os.urandom(random.randrange(16, 5000)) + b"\r\n\r\n")
            try:
                wire.cut()
                wire.wait_closed()
            except OSError:
                pass  # it has been thrown out already

    def does_half_a_request(self):
        request = frames.upgrade_request("/echo")
        with self.wire() as wire:
            wire.send(request[: random.randrange(len(request))])
            random.choice((wire.reset, wire.close))()

    def does_http(self):
        with self.wire(HttpClient) as http:
            for _ in range(random.randrange(1, 5)):
                assert http.ask(path="/nowhere").status == 404
                assert http.ask(path="/echo").status == 426

    def does_nothing(self):
        with self.ws("/silent") as ws:
            time.sleep(random.random() * 3)
            ws.leave()


# ---- the soak ----


class Soak:
    def __init__(self, folder):
        certificates = Certificates(folder)
        self.refusing, port = refusing_port()
        routes = {
            "echo": Peer(echo).url, "pour": Peer(pour).url, "ends": Peer(speak_and_end).url,
            "resets": Peer(take_and_break_off).url, "silent": Peer(swallow).url,
            "stuck": Peer(read_nothing).url,
            "refuses": f"tcp://127.0.0.1:{port}",
        }
        self.culvert = Culvert(folder, (
            "[server]\nlisten = 127.0.0.1:0\nlisten = 127.0.0.1:0 tls\nworkers = 2\n"
            f"[log]\naccess = no\n[tls]\n{certificates.section()}"
            "[defaults]\nclose_timeout = 2s\nheartbeat = 1s\n"
            + "".join(f"[route /{name}]\ntarget = {url}\n" for name, url in routes.items())))
        self.culvert.start()
        self.behaviours = Behaviours(self.culvert, certificates.client_context())
        self.done = {name: 0 for name in self.behaviours.names()}
        self.wrong = {}  # the first failure of each behaviour
        self.lock = threading.Lock()
        self.resident = []
        self.passed = self.failed = 0

    # ---- traffic ----

    def do(self, name):
        try:
            getattr(self.behaviours, name)()
            problem = None
        except Exception:
            problem = traceback.format_exc()
        with self.lock:
            self.done[name] += 1
            if problem:
                self.wrong.setdefault(name, problem)

    def one_thread(self, end):
        while time.monotonic() < end and self.culvert.process.poll() is None:
            self.do(random.choice(list(self.done)))

    def traffic(self, seconds):
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self.one_thread, args=(end,), daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(SAMPLE_SECONDS)
            if time.monotonic() < end and self.culvert.process.poll() is None:
                self.resident.append(self.culvert.resident_bytes())
        for thread in threads:
            thread.join()

    def warm_up(self):
        for name in list(self.done) * 2:
            self.do(name)

    def quiet(self):
        """Its figures as soon as nobody is connected."""
        wait_until(lambda: self.culvert.stats().connections == 0, "all connections to end", 60, step=0.2)
        self.culvert.wait_quiet()
        return self.culvert.stats()

    # ---- checks ----

    def check(self, good, what):
        if good:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok  ' if good else 'FAIL'}  {what}", flush=True)

    def check_behaviours(self):
        for name, count in self.done.items():
            self.check(name not in self.wrong, f"{name[5:].replace('_', ' ')}, {count} times")
            if name in self.wrong:
                print("      " + self.wrong[name].rstrip().replace("\n", "\n      "))

    def check_memory(self):
        third = len(self.resident) // 3
        if third == 0:
            print("      too short to see memory grow")
            return
        early, middle, late = (
            statistics.median(self.resident[i * third:(i + 1) * third]) for i in range(3))
        self.check(late <= middle * 1.05 + GROWTH_SLACK,
                   f"resident memory does not grow: {early / 1e6:.1f}, {middle / 1e6:.1f}, {late / 1e6:.1f} MB")

    def check_given_back(self, before):
        try:
            after = self.quiet()
        except AssertionError as problem:
            self.check(False, f"connections end: {problem}, {self.culvert.stats()}")
            return
        self.check(after.connections == before.connections, f"{after.connections} connections are left")
        self.check(after.fds == before.fds, f"descriptors: {before.fds} before, {after.fds} after")
        self.check(after.blocks == before.blocks, f"buffers lent: {before.blocks} before, {after.blocks} after")
        self.check(after.live_bytes <= before.live_bytes + LIVE_SLACK,
                   f"live bytes: {before.live_bytes} before, {after.live_bytes} after")

    def run(self, seconds):
        self.warm_up()
        before = self.quiet()
        self.traffic(seconds)
        self.check_behaviours()
        if self.culvert.process.poll() is not None:
            self.check(False, f"culvert ended with status {self.culvert.process.returncode}")
            print(self.culvert.log_text()[-4000:])
            return
        self.check_memory()
        self.check_given_back(before)
        try:
            self.culvert.stop()
            self.check(True, "stops with status 0, no error was logged")
        except AssertionError as problem:
            self.check(False, f"stops with status 0, no error was logged: {problem}")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: soak.py SECONDS")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="culvert-soak-") as folder:
        soak = Soak(folder)
        try:
            soak.run(float(sys.argv[1]))
        finally:
            if soak.culvert.process.poll() is None:
                soak.culvert.process.kill()
                soak.culvert.process.wait()
    print(f"soak: {soak.passed} passed, {soak.failed} failed")
    sys.exit(soak.failed != 0)


if __name__ == "__main__":
    main()
