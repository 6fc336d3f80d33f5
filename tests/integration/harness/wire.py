# SPDX-License-Identifier: BSD-2-Clause
"""A connected socket with buffered reads, plain or TLS, that can end in every way there is."""

import os
import socket
import ssl
import struct
import time

from .wait import DEADLINE


def connect(address, timeout=DEADLINE, receive_buffer=None, source=None):
    """address: (host, port), or the path of a unix socket."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        sock.bind((source, 0))
    sock.settimeout(timeout)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def linger_zero(sock):
    """close() will send RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Wire:
    """Every read has a deadline; an unexpected ending raises EOFError or ConnectionResetError."""

    def __init__(self, sock):
        self.sock = sock
        self.own = sock.getsockname()
        self.buffer = bytearray()

    @classmethod
    def open(cls, address, tls=None, server_name="localhost", **options):
        sock = connect(address, **options)
        if tls:
            sock = tls.wrap_socket(sock, server_hostname=server_name)
        return cls(sock)

    # ---- writing ----

    def send(self, data, piece=None, pause=0.0002):
        """piece: bytes per send, with a short pause between, so that they arrive apart."""
        if not piece:
            self.sock.sendall(data)
            return
        for i in range(0, len(data), piece):
            self.sock.sendall(data[i : i + piece])
            time.sleep(pause)

    def fill(self, block=bytes(65536), settle=0.5):
        """Sends until nothing is taken any more for a while; returns how many bytes were."""
        self.sock.settimeout(settle)
        total = 0
        try:
            while True:
                total += self.sock.send(block)
        except TimeoutError:
            return total
        finally:
            self.sock.settimeout(DEADLINE)

    def finish(self):
        """FIN, or close_notify on TLS; reading goes on."""
        if not isinstance(self.sock, ssl.SSLSocket):
            self.sock.shutdown(socket.SHUT_WR)
            return
        self.sock.settimeout(0)
        try:
            self.sock.unwrap()
        except (ssl.SSLError, OSError):
            pass  # ours is sent; the other side's has not come yet
        finally:
            self.sock.settimeout(DEADLINE)

    def cut(self):
        """FIN without TLS's close_notify, as a broken proxy or an attacker causes it."""
        with socket.socket(fileno=os.dup(self.sock.fileno())) as raw:
            raw.shutdown(socket.SHUT_WR)

    # ---- reading ----

    def _receive(self):
        """Some more bytes into the buffer; False at FIN."""
        data = self.sock.recv(262144)
        self.buffer += data
        return bool(data)

    def read(self, n):
        while len(self.buffer) < n:
            if not self._receive():
                raise EOFError(f"ended after {bytes(self.buffer[:200])!r}, wanted {n} bytes")
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self._receive():
                raise EOFError(f"ended after {bytes(self.buffer[:200])!r}, wanted {mark!r}")
        return self.read(self.buffer.index(mark) + len(mark))

    def read_to_end(self, reset_is_end=False):
        """All bytes to the FIN."""
        try:
            while self._receive():
                pass
        except (ConnectionResetError, ssl.SSLEOFError):
            if not reset_is_end:
                raise
        return self.read(len(self.buffer))

    def wait_closed(self):
        """The peer ends, by FIN or RST, and then so do we; what it still sends is dropped."""
        self.read_to_end(reset_is_end=True)
        self.close()

    def is_open(self):
        """Nothing has ended: neither FIN nor RST is there to be read."""
        timeout = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            return self._receive()
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        finally:
            self.sock.settimeout(timeout)

    # ---- ending ----

    def close(self):
        self.sock.close()

    def reset(self):
        if self.sock.fileno() >= 0:
            linger_zero(self.sock)
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
