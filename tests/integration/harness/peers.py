# SPDX-License-Identifier: BSD-2-Clause
"""
Targets of every temper. Target is driven by the test itself, connection by connection; the others
serve on threads of their own and keep what they received.
"""

import hashlib
import os
import socket
import threading

from .wait import DEADLINE, wait_until
from .wire import Wire, linger_zero


class Target:
    """Listens on a free port, or on a unix socket at path; accept() returns connections as Wires."""

    scheme = "tcp"

    def __init__(self, path=None, host="127.0.0.1", receive_buffer=None, backlog=128):
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind(path or (host, 0))
        self.sock.listen(backlog)
        self.sock.settimeout(DEADLINE)
        self.path = path
        self.address = self.sock.getsockname()
        self.wires = []
        self.start()

    def start(self):
        pass

    @property
    def port(self):
        return self.address[1]

    @property
    def url(self):
        """As a route's target."""
        if self.path:
            return f"unix:{self.path}"
        host = self.address[0]
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def accept(self):
        sock, _ = self.sock.accept()
        sock.settimeout(DEADLINE)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = Wire(sock)
        self.wires.append(wire)
        return wire

    def nobody_came(self):
        """No connection is waiting to be accepted."""
        self.sock.settimeout(0)
        try:
            self.wires.append(Wire(self.sock.accept()[0]))
            return False
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(DEADLINE)

    def close(self):
        self.sock.close()
        for wire in self.wires:
            wire.close()


class TlsTarget(Target):
    """tls: an ssl.SSLContext. accept() has done the handshake; accept_raw() leaves it to the test."""

    scheme = "tls"

    def __init__(self, tls, **options):
        self.tls = tls
        super().__init__(**options)

    def accept_raw(self):
        return super().accept()

    def handshake(self, wire):
        wire.sock = self.tls.wrap_socket(wire.sock, server_side=True)
        return wire

    def accept(self):
        return self.handshake(self.accept_raw())


class Serving(Target):
    """Serves each connection on a thread by serve(); finished and failed count how they ended."""

    def start(self):
        self.received = []  # a bytearray for each connection
        self.ended = []  # "eof" or "reset", as they end
        self.stopping = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while not self.stopping:
            try:
                wire = self.accept()
            except OSError:
                return
            received = bytearray()
            self.received.append(received)
            threading.Thread(target=self._serve, args=(wire, received), daemon=True).start()

    def _serve(self, wire, received):
        try:
            self.serve(wire.sock, received)
            self.ended.append("eof")
        except OSError:
            self.ended.append("reset")
        finally:
            wire.close()

    def serve(self, sock, received):
        raise NotImplementedError

    def close(self):
        self.stopping = True
        # shutdown() wakes the thread in accept(), close() alone does not.
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        super().close()

    def wait_received(self, data, connection=0):
        """The connection has received exactly this."""
        wait_until(
            lambda: len(self.received) > connection and len(self.received[connection]) >= len(data),
            f"{len(data)} bytes at the target",
        )
        assert bytes(self.received[connection]) == data

    def wait_ended(self, how="eof", count=1):
        wait_until(lambda: len(self.ended) >= count, f"{count} connections to end at the target")
        assert self.ended[-1] == how


class Recorder(Serving):
    """Takes all and says nothing; closes when the other side has."""

    def serve(self, sock, received):
        while data := sock.recv(262144):
            received += data


class Echo(Serving):
    def serve(self, sock, received):
        while data := sock.recv(262144):
            sock.sendall(data)


class SplitEveryByte(Serving):
    """An echo that sends each byte by itself."""

    def serve(self, sock, received):
        while data := sock.recv(4096):
            received += data
            for byte in data:
                sock.sendall(bytes([byte]))


class Pourer(Serving):
    """Sends the same random bytes again and again: total bytes, or for ever; then FIN."""

    def __init__(self, total=None, **options):
        self.total = total
        self.block = os.urandom(65536)
        self.poured = 0
        super().__init__(**options)

    def serve(self, sock, received):
        left = self.total
        while left is None or left > 0:
            n = sock.send(self.block if left is None else self.block[: min(left, 65536)])
            # A short send must not shift the pattern.
            if n < 65536 and (left is None or n < left):
                rest = self.block[n : 65536 if left is None else min(left, 65536)]
                sock.sendall(rest)
                n += len(rest)
            self.poured += n
            left = None if left is None else left - n
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    def digest(self):
        """SHA-256 of all that a connection gets."""
        whole, rest = divmod(self.total, 65536)
        digest = hashlib.sha256()
        for _ in range(whole):
            digest.update(self.block)
        digest.update(self.block[:rest])
        return digest.hexdigest()


class SlowReader(Serving):
    """Reads nothing until go() is called; then all, and keeps its hash and length."""

    def start(self):
        self.gate = threading.Event()
        self.digest = hashlib.sha256()
        self.length = 0
        super().start()

    def go(self):
        self.gate.set()

    def serve(self, sock, received):
        self.gate.wait()
        while data := sock.recv(262144):
            self.digest.update(data)
            self.length += len(data)

    def close(self):
        self.gate.set()
        super().close()


class Silent(Serving):
    """Takes the connection, and neither reads nor writes nor closes until it is closed."""

    def start(self):
        self.gate = threading.Event()
        super().start()

    def serve(self, sock, received):
        self.gate.wait()

    def close(self):
        self.gate.set()
        super().close()


class Resetter(Serving):
    """Sends some bytes, waits for as many, and breaks off with RST."""

    def __init__(self, last_words=b"", wait_for=0, **options):
        self.last_words = last_words
        self.wait_for = wait_for
        super().__init__(**options)

    def serve(self, sock, received):
        sock.sendall(self.last_words)
        while len(received) < self.wait_for:
            data = sock.recv(4096)
            if not data:
                return
            received += data
        linger_zero(sock)
        sock.close()


class HalfCloser(Serving):
    """Sends its last words and FIN at once, and goes on to read until the other side ends."""

    def __init__(self, last_words=b"", **options):
        self.last_words = last_words
        super().__init__(**options)

    def serve(self, sock, received):
        sock.sendall(self.last_words)
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(262144):
            received += data


class Blackhole(Target):
    """A port that answers no SYN, because its queue is full, until open() makes room."""

    def __init__(self):
        super().__init__(backlog=0)
        self.fillers = []
        # The kernel takes one connection more than the backlog; those after it get no answer.
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(self.address)
            self.fillers.append(sock)
        probe = socket.socket()
        probe.settimeout(0.2)
        try:
            probe.connect(self.address)
            raise AssertionError("the port still answers")
        except TimeoutError:
            pass
        finally:
            probe.close()

    def open(self):
        for sock in self.fillers:
            sock.close()
        self.sock.listen(128)

    def close(self):
        for sock in self.fillers:
            sock.close()
        super().close()


def refusing_port():
    """A port where nobody listens, held so that nobody else gets it: (socket to keep, port)."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


def free_port():
    """A port that nobody has at the moment."""
    sock, port = refusing_port()
    sock.close()
    return port
