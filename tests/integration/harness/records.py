# SPDX-License-Identifier: BSD-2-Clause
"""A TLS client that leaves it to the test how its records are laid out in segments."""

import ssl


class Records:
    def __init__(self, wire, context, piece=None, before=b""):
        """Shakes hands; before: what goes in front of the first record."""
        self.wire = wire
        self.piece = piece
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.before = before
        self.step(lambda: self.tls.do_handshake() or True)

    def step(self, work):
        """work() with the bytes that it wants moved over the socket."""
        while True:
            try:
                result = work()
            except ssl.SSLWantReadError:
                result = None
            to_send = self.before + self.outgoing.read()
            self.before = b""
            if to_send:
                self.wire.send(to_send, self.piece)
            if result is not None:
                return result
            self.incoming.write(self.wire.sock.recv(65536))

    def seal(self, data):
        """One record, to be sent by the test itself."""
        self.tls.write(data)
        return self.outgoing.read()

    def read_until(self, end):
        got = b""
        while not got.endswith(end):
            got += self.step(lambda: self.tls.read(65536))
        return got
