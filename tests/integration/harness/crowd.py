# SPDX-License-Identifier: BSD-2-Clause
"""Thousands of WebSocket clients that talk to an echo, and a TCP echo for as many: one thread each."""

import asyncio
import random
import socket
import struct
import threading
import time

from .wait import wait_until
from .ws import BINARY, CLOSE, PING, PONG, accept_of, close_frame, frame, upgrade_request, KEY

PATIENCE = 120  # seconds for thousands to get through a sanitizer build


class Member(asyncio.Protocol):
    """Sends a message, waits for it to come back, pauses, and so on."""

    def __init__(self, crowd):
        self.crowd = crowd
        self.buffer = bytearray()
        self.open = False
        self.awaited = None
        self.echo = bytearray()
        self.code = None
        self.timer = None

    def connection_made(self, transport):
        self.transport = transport
        transport.write(upgrade_request(self.crowd.path))

    def data_received(self, data):
        self.buffer += data
        if not self.open and not self.take_answer():
            return
        while self.take_frame():
            pass

    def take_answer(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.buffer[:end])
        del self.buffer[: end + 4]
        if not head.startswith(b"HTTP/1.1 101") or accept_of(KEY).encode() not in head:
            self.crowd.refused.append(head.split(b"\r\n")[0].decode())
            self.transport.abort()
            return False
        self.open = True
        self.crowd.n_open += 1
        if self.crowd.deaf:
            self.transport.pause_reading()
        elif self.crowd.pause is not None:
            self.later()
        return True

    def take_frame(self):
        b = self.buffer
        if len(b) < 2:
            return False
        opcode, length, at = b[0] & 15, b[1], 2
        if length == 126:
            if len(b) < 4:
                return False
            length, at = struct.unpack(">H", b[2:4])[0], 4
        assert length != 127, "nobody sent that much"
        if len(b) < at + length:
            return False
        payload = bytes(b[at : at + length])
        del b[: at + length]
        self.handle(opcode, payload)
        return True

    def handle(self, opcode, payload):
        if opcode == BINARY:
            self.echo += payload
            self.crowd.received += len(payload)
            if self.awaited is not None and len(self.echo) >= len(self.awaited):
                if bytes(self.echo) != self.awaited:
                    self.crowd.wrong.append((self.awaited, bytes(self.echo)))
                self.awaited = None
                self.echo.clear()
                self.crowd.n_waiting -= 1
                self.later()
        elif opcode == PING:
            self.transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self.code = struct.unpack(">H", payload[:2])[0] if payload else 1005
            self.crowd.closes.append((time.monotonic(), self.code, self.awaited is None))
            self.transport.write(close_frame(self.code))

    def later(self):
        if self.crowd.talking:
            pause = self.crowd.pause * random.uniform(0.5, 1.5)
            self.timer = self.crowd.loop.call_later(pause, self.talk)

    def talk(self):
        if not self.crowd.talking or self.code is not None or self.transport.is_closing():
            return
        self.awaited = random.randbytes(self.crowd.size)
        self.crowd.n_waiting += 1
        self.crowd.sent += len(self.awaited)
        self.transport.write(frame(BINARY, self.awaited, key=random.randbytes(4)))

    def connection_lost(self, error):
        if self.timer:
            self.timer.cancel()
        self.crowd.members.discard(self)
        if self.awaited is not None:
            self.crowd.n_waiting -= 1
        if self.open:
            self.crowd.n_open -= 1
            if self.code is None and not self.crowd.leaving:
                self.crowd.lost.append(str(error))


class Crowd:
    """
    join() brings more. refused: status lines; lost: endings without a Close; wrong: echoes that
    were not what was sent; closes: (when, code, whether every echo had come before it).
    deaf: they read nothing after the handshake. pause None: they say nothing.
    """

    def __init__(self, address, path="/x", size=100, pause=1.0, deaf=False):
        self.address, self.path, self.size, self.pause, self.deaf = address, path, size, pause, deaf
        self.members = set()
        self.refused, self.lost, self.wrong, self.closes = [], [], [], []
        self.n_open = self.n_waiting = self.sent = self.received = 0
        self.talking, self.leaving = True, False
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    async def _join(self, n, at_once):
        gate = asyncio.Semaphore(at_once)

        async def one():
            async with gate:
                _, member = await self.loop.create_connection(lambda: Member(self), *self.address)
                self.members.add(member)

        await asyncio.gather(*(one() for _ in range(n)))

    def join(self, n, at_once=64):
        """n more; returns when all have their answer."""
        wanted = self.n_open + n
        self.run(self._join(n, at_once))
        wait_until(lambda: self.n_open + len(self.refused) >= wanted, f"{n} more to be in", PATIENCE)

    def quiet(self):
        """No more is said; returns when every echo has come."""
        self.talking = False
        wait_until(lambda: self.n_waiting == 0, "all echoes", PATIENCE)

    async def _leave(self):
        for member in list(self.members):
            member.transport.abort()

    def close(self):
        if not self.thread.is_alive():
            return
        self.leaving, self.talking = True, False
        self.run(self._leave())
        wait_until(lambda: not self.members, "all to have left", PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()


class Echoing(asyncio.Protocol):
    def __init__(self, owner):
        self.owner = owner

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.owner.received += len(data)
        self.transport.write(data)


class CrowdEcho:
    """A TCP echo for a crowd; url is a route's target, received counts the bytes of all connections."""

    def __init__(self):
        self.received = 0
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.url = f"tcp://127.0.0.1:{self.sock.getsockname()[1]}"
        self.loop = asyncio.new_event_loop()
        serving = self.loop.create_server(lambda: Echoing(self), sock=self.sock, backlog=4096)
        self.server = self.loop.run_until_complete(serving)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
