# SPDX-License-Identifier: BSD-2-Clause
"""A session that sends random data through an echo while its carriers are cut at random bytes."""

import random

from . import session_frames as frames
from .peers import Serving
from .session import open_post
from .session_cut import FIN, RESET, SILENCE, Cut

CARRIERS = ("ws", "sse", "longpoll")


class RecordingEcho(Serving):
    def serve(self, sock, received):
        while data := sock.recv(262144):
            received += data
            sock.sendall(data)


class Chaos:
    """
    size bytes go out and come back; exactly cuts times a connection breaks before all have. carriers: which
    kinds an attach may choose from. largest: payload of a message.
    """

    def __init__(self, culvert, path, carriers, size, cuts, seed, largest=16000, **options):
        self.chance = random.Random(seed)
        self.data = self.chance.randbytes(size)
        self.carriers, self.wanted, self.largest = carriers, cuts, largest
        self.n_cuts = self.n_attaches = self.sent = 0
        self.back = bytearray()
        self.left_open = []
        self.session = open_post(culvert, path, **options)

    # ---- cutting ----

    def budget(self, left):
        """Where the next cut is: early enough that all of them happen before the data ends."""
        if self.n_cuts >= self.wanted:
            return None
        most = max(1, left // (self.wanted - self.n_cuts))
        # Many fall into the handshake and the first frames, where most can go wrong.
        at = self.chance.randrange(min(600, most)) if self.chance.random() < 0.2 else self.chance.randrange(most)
        how = self.chance.choice((RESET, FIN, SILENCE))
        up = self.sent < len(self.data) and self.chance.random() < 0.5
        return {"up" if up else "down": at, "how": how}

    def left(self):
        return len(self.data) - len(self.back)

    def lost(self):
        """After a Cut: the connection for POST may break alone; else all are left."""
        self.n_cuts += 1
        session = self.session
        if session.up and session.up.was_cut and self.kind == "sse" and self.chance.random() < 0.5:
            self.leave(session.up)
            session.up = None
            return
        for wire in (session.carrier.wire, session.up):
            if wire:
                self.leave(wire)
        session.carrier.wire = session.up = None
        self.kind = None

    def leave(self, wire):
        """What was cut without a word stays open on our side for a while."""
        self.left_open.append(wire)
        if len(self.left_open) > 8:
            self.left_open.pop(0).cut(RESET)

    # ---- carrying ----

    def attach(self):
        self.kind = self.chance.choice(self.carriers)
        self.n_attaches += 1
        budget = self.budget(self.left())
        if self.kind == "ws":
            self.session.attach_ws(cut=budget)
            self.session.repeat()
            return
        of_up = budget is not None and ("up" in budget or self.chance.random() < 0.3)
        if of_up:
            self.session.up = self.session.connect().cut_after(**budget)
            budget = None
        if self.kind == "sse":
            self.session.attach_sse(cut=budget)
        else:
            self.session.attach_poll(cut=budget)

    def batch(self):
        """The next messages that the window lets go."""
        out = []
        while self.sent < len(self.data) and len(out) < 4:
            payload = self.data[self.sent : self.sent + self.chance.randint(1, self.largest)]
            if not self.session.fits(len(payload)):
                break
            self.sent += len(payload)
            out.append(self.session.message(payload))
        return out

    def step(self):
        session = self.session
        out = self.batch()
        uncovered = self.kind != "ws" and any(seq > session.covered for seq in session.unacked)
        if out or uncovered:
            if self.kind == "ws":
                session.carrier.send(*out)
            else:
                session.post(*out)
        if not self.done():
            session.carrier.pump()
        self.back += session.taken(len(session.data))
        session.messages.clear()

    def done(self):
        return self.sent == len(self.data) and not self.session.unacked and \
            len(self.back) + len(self.session.data) == len(self.data)

    def run(self):
        """Until all is back and acknowledged; then the session is ended."""
        self.kind = None
        while not self.done():
            try:
                if self.kind is None:
                    self.attach()
                self.step()
            except Cut:
                self.lost()
        self.back += self.session.taken(len(self.session.data))
        self.end()
        return self

    def end(self):
        for wire in (*self.left_open, self.session.carrier.wire, self.session.up):
            if wire:
                wire.cut(RESET)
        self.session.up = None
        assert self.session.ask_post(frames.ack(self.session.received)).status == 200
        assert self.session.delete().status == 204
        self.session.cut(FIN)

    def check(self):
        assert bytes(self.back) == self.data
        assert self.n_cuts == self.wanted, f"{self.n_cuts} cuts of {self.wanted}"
