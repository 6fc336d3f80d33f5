# SPDX-License-Identifier: BSD-2-Clause
"""Many clients that have not asked for anything complete: plain sockets, nothing read."""

import socket

from .ws import upgrade_request

# What a browser sends, about 300 bytes, without the end.
PARTIAL = upgrade_request(
    "/x",
    headers=[("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101"), ("Accept", "*/*")],
)[:-2] + b"Cookie: id=" + b"0" * 16


class Crowd:
    """sources: each member comes from one of these addresses, in turn."""

    def __init__(self, address, sources=("127.0.0.1",)):
        self.address = address
        self.sources = sources
        self.socks = []

    def come(self, count, first_words=lambda number: b""):
        """first_words(number): what a member sends at once."""
        for number in range(count):
            sock = socket.socket()
            # With a source and no port, the port is chosen only when the other end is known.
            sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            sock.bind((self.sources[number % len(self.sources)], 0))
            sock.settimeout(30)
            sock.connect(self.address)
            if words := first_words(number):
                sock.sendall(words)
            sock.setblocking(False)
            self.socks.append(sock)

    def trickle(self, step=10, byte=b"0"):
        """One member of step sends a byte more; those that were closed are passed over."""
        for sock in self.socks[::step]:
            try:
                sock.send(byte)
            except OSError:
                pass

    def held(self):
        """How many culvert has not ended; what it has said to them is dropped."""
        return sum(self._is_open(sock) for sock in self.socks)

    @staticmethod
    def _is_open(sock):
        try:
            while sock.recv(4096):
                pass
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self):
        for sock in self.socks:
            sock.close()
        self.socks.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
