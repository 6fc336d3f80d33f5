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
        self.n_cuts = self.sent = 0
        self.back = bytearray()
        self.session = open_post(culvert, path, **options)

    # ---- cutting ----

    def budget(self, left):
        """Where the next cut is, given how many bytes must pass there: all happen before the data ends."""
        most = max(1, left // (self.wanted - self.n_cuts))
        # Many fall into the handshake and the first frames, where most can go wrong.
        if self.chance.random() < 0.2:
            most = min(600, most)
        return self.chance.randrange(most)

    def down_cut(self):
        return {"down": self.budget(len(self.data) - len(self.back)), "how": self.how()}

    def up_cut(self):
        return {"up": self.budget(len(self.data) - self.sent), "how": self.how()}

    def how(self):
        return self.chance.choice((RESET, FIN, SILENCE))

    def cut_of_carrier(self):
        if self.n_cuts == self.wanted:
            return None
        if self.kind == "ws" and self.sent < len(self.data) and self.chance.random() < 0.5:
            return self.up_cut()
        return self.down_cut()

    def cut_of_posts(self):
        """In a request, or in an answer, of which the shortest is longer than this."""
        return self.up_cut() if self.chance.random() < 0.7 else {"down": self.chance.randrange(150), "how": self.how()}

    def cuts_posts(self):
        """The connection for POST gets a cut of its own, if there is something to send and to cut."""
        if self.n_cuts == self.wanted or self.sent == len(self.data) or self.chance.random() < 0.5:
            return False
        self.session.up = self.session.connect().cut_after(**self.cut_of_posts())
        return True

    def lost(self):
        """After a Cut: a stream may outlive the connection for POST; else both are left."""
        self.n_cuts += 1
        session = self.session
        stays = self.kind == "sse" and session.up and session.up.was_cut
        session.up = None
        if not stays or not self.cuts_posts():
            session.carrier.wire = self.kind = None
        self.forget(8)

    def forget(self, n):
        """What was left without a word stays open on our side for a while: the last n of it."""
        used = (self.session.carrier.wire, self.session.up)
        left = [wire for wire in self.session.wires if wire not in used]
        for wire in left[: len(left) - n]:
            wire.cut(RESET)
            self.session.wires.remove(wire)

    # ---- carrying ----

    def attach(self):
        self.kind = self.chance.choice(self.carriers)
        if self.kind == "ws":
            self.session.attach_ws(cut=self.cut_of_carrier())
            self.session.repeat()
            return
        cut = None if self.cuts_posts() else self.cut_of_carrier()
        (self.session.attach_sse if self.kind == "sse" else self.session.attach_poll)(cut=cut)

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
        self.session.carrier.wire = self.session.up = None
        self.forget(0)
        assert self.session.ask_post(frames.ack(self.session.received)).status == 200
        assert self.session.delete().status == 204
        self.session.cut(FIN)

    def check(self):
        assert bytes(self.back) == self.data
        assert self.n_cuts == self.wanted, f"{self.n_cuts} cuts of {self.wanted}"
