# SPDX-License-Identifier: BSD-2-Clause
"""Connections that break at a given byte, in either direction."""

from .http import HttpClient
from .wait import DEADLINE
from .ws import WsClient

RESET, FIN, SILENCE = "reset", "fin", "silence"


class Cut(Exception):
    """The connection has been cut where the test wanted it."""


class Cutting:
    """
    After up bytes sent or down bytes received it ends, and Cut is raised. how: RESET; FIN; or SILENCE, as
    when a network is left: nobody tells culvert.
    """

    up = down = None
    how = RESET
    n_sent = n_received = 0
    was_cut = False

    def cut_after(self, up=None, down=None, how=RESET):
        self.up = None if up is None else self.n_sent + up
        self.down = None if down is None else self.n_received + down
        self.how = how
        return self

    def cut(self, how=RESET):
        if how == RESET:
            self.reset()
        elif how == FIN:
            self.close()

    def _cut(self):
        self.was_cut = True
        self.cut(self.how)
        raise Cut

    def send(self, data, piece=None, pause=0.0002):
        left = len(data) if self.up is None else self.up - self.n_sent
        if left >= len(data):
            super().send(data, piece, pause)
            self.n_sent += len(data)
            return
        super().send(data[:left], piece, pause)
        self.n_sent += left
        self._cut()

    def _receive(self):
        most = 262144 if self.down is None else min(262144, self.down - self.n_received)
        if most <= 0:
            self._cut()
        data = self.sock.recv(most)
        self.n_received += len(data)
        self.buffer += data
        return bool(data)

    def quiet_for(self, seconds):
        """Nothing, not even an end, comes for so long."""
        if self.buffer:
            return False
        self.sock.settimeout(seconds)
        try:
            self._receive()
            return False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(DEADLINE)


class CutWs(Cutting, WsClient):
    pass


class CutHttp(Cutting, HttpClient):
    pass
