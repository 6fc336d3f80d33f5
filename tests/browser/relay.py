# SPDX-License-Identifier: BSD-2-Clause
"""
TCP between a browser and culvert that fails as networks do: cut with a reset, or silent.

What was swallowed is missing, so a connection that was once in a silence is of no use for good, like
one whose NAT entry or address is gone. Those that are made after it pass.
"""

import asyncio
import contextlib
import socket
import threading

from harness.wait import DEADLINE
from harness.wire import linger_zero

SLICE = 0.05  # seconds; a rate is kept to by waiting after each piece


class _End(asyncio.Protocol):
    """One side of a pair; what comes here goes out at the other."""

    def __init__(self, relay, down=False):
        self.relay = relay
        self.down = down
        self.other = None
        self.transport = None
        self.dead = False
        self.finished = False  # nothing more comes here
        self.held = 0  # reasons not to read
        self.waiting = None

    @property
    def rate(self):
        return self.relay.rate if self.down else self.relay.up_rate

    def connection_made(self, transport):
        self.transport = transport
        self.relay.ends.add(self)

    def data_received(self, data):
        if self.dead or self.relay.silent:
            self.die()
            if not self.relay.silent and not self.down and self.relay.tells:
                self.reset()
        elif self.rate:
            self.hold(1)
            self._slowly(memoryview(data))
        else:
            self.other.transport.write(data)

    def _slowly(self, data):
        if self.dead or self.transport.is_closing():
            return
        most = max(1, int(self.rate * SLICE)) if self.rate else len(data)
        self.other.transport.write(data[:most])
        self.waiting = self.relay.loop.call_later(SLICE if self.rate else 0, self._after, data[most:])

    def _after(self, rest):
        self.waiting = None
        if rest:
            self._slowly(rest)
        else:
            self.hold(-1)

    def hold(self, change):
        before, self.held = self.held, self.held + change
        if self.transport.is_closing():
            return
        if self.held and not before:
            self.transport.pause_reading()
        elif before and not self.held:
            self.transport.resume_reading()

    def die(self):
        """Neither side is told anything from now on."""
        for end in (self, self.other):
            end.dead = True

    def pause_writing(self):
        self.other.hold(1)

    def resume_writing(self):
        self.other.hold(-1)

    def eof_received(self):
        self.finished = True
        if self.dead or self.relay.silent:
            self.die()
        elif self.other.finished:
            self.other.transport.close()
            self.transport.close()
        else:
            self.other.transport.write_eof()
        return True

    def connection_lost(self, error):
        self.relay.ends.discard(self)
        if self.waiting:
            self.waiting.cancel()
        if self.relay.silent:
            self.die()
        if not self.dead and not self.other.transport.is_closing():
            self.other.transport.close()

    def reset(self):
        linger_zero(self.transport.get_extra_info("socket"))
        self.transport.abort()


class Relay:
    """
    In front of a culvert. rate, up_rate: bytes per second down and up, of each connection. tells: who
    sends on a connection from before a silence is answered with a reset, as most networks do it.
    """

    def __init__(self, culvert, rate=None, tells=True, up_rate=None):
        self.address = culvert.address
        self.rate = rate
        self.up_rate = up_rate
        self.tells = tells
        self.silent = False
        self.ends = set()
        self.cuts = 0  # that hit a connection
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.port = self.server.getsockname()[1]
        self.accepting = asyncio.run_coroutine_threadsafe(self._accept(), self.loop)

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    async def _accept(self):
        while True:
            sock, _ = await self.loop.sock_accept(self.server)
            self.loop.create_task(self._join(sock))

    async def _join(self, sock):
        """Culvert is there before anything is read."""
        near, far = _End(self), _End(self, down=True)
        near.other, far.other = far, near
        try:
            await self.loop.create_connection(lambda: far, *self.address)
        except OSError:
            linger_zero(sock)
            sock.close()
            return
        far.hold(1)
        await self.loop.connect_accepted_socket(lambda: near, sock)
        far.hold(-1)

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(DEADLINE)

    # ---- faults ----

    def cut(self):
        """Every connection ends with a reset, both ways."""
        self._do(self._cut())

    async def _cut(self):
        self.cuts += bool(self.ends)
        for end in list(self.ends):
            end.reset()

    @contextlib.contextmanager
    def cutting(self, every):
        """Cuts again and again, so many seconds apart."""
        over = threading.Event()

        def run():
            while not over.wait(every):
                self.cut()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()

    def swallow(self):
        """Bytes get lost, of all connections that there are and that are made until pass_again()."""
        self._do(self._swallow())

    async def _swallow(self):
        self.silent = True
        for end in self.ends:
            end.dead = True

    def pass_again(self):
        self.silent = False

    def close(self):
        self.accepting.cancel()

        async def end():
            for end in list(self.ends):
                end.transport.abort()

        self._do(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
