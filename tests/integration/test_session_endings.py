# SPDX-License-Identifier: BSD-2-Clause
"""
The last bytes of a target and its end, with the carrier cut at each of the last 200 bytes that carry
them: they come once, and the end after them.
"""

import pytest

from harness.peers import Serving
from harness.session import open_post
from harness.session_conf import to
from harness.session_cut import FIN, RESET, Cut

WORDS = [b"first words", b"in between", b"last words"]
POINTS = 200


class Speaker(Serving):
    """Says its words and ends; takes what comes until the other side ends too."""

    def serve(self, sock, received):
        sock.sendall(b"".join(word + b"\n" for word in WORDS))
        sock.shutdown(1)
        while data := sock.recv(4096):
            received += data


def attach(session, kind, **cut):
    return getattr(session, f"attach_{kind}")(cut=cut or None)


def to_the_end(session):
    while session.carrier.closed is None:
        session.carrier.pump()


def length_of(culvert, kind):
    """How many bytes come down a carrier that is not cut."""
    session = open_post(culvert)
    session.framed, session.acks = True, False
    carrier = attach(session, kind)
    to_the_end(session)
    total = carrier.wire.n_received
    session.answer_close()
    return total


def cut_at(culvert, kind, other, at, how):
    """One session: cut, attached in another way, heard to its end, answered. Whether it was cut."""
    session = open_post(culvert)
    session.framed, session.acks = True, False
    was_cut = False
    try:
        attach(session, kind, down=at, how=how)
        to_the_end(session)
    except Cut:
        was_cut = True
    session.cut()
    for _ in range(2):  # the end is told again until it is answered
        attach(session, other)
        to_the_end(session)
    assert session.messages == WORDS and session.closed.code == 1000
    session.answer_close()
    session.cut(FIN)
    return was_cut


@pytest.mark.parametrize("other", ["ws", "sse", "poll"])
@pytest.mark.parametrize("kind", ["ws", "sse", "poll"])
def test_cut_around_the_end_nothing_is_lost(culvert, peer, kind, other):
    """Each of the nine ways takes its share of the points."""
    target = peer(Speaker)
    c = culvert(to(target, "framing = line\nclose_timeout = 2s\n[log]\naccess = no"))
    total = length_of(c, kind)
    share = range(["ws", "sse", "poll"].index(other), POINTS, 3)
    # Polls may bring it in one answer or in several: theirs are spread over all that was measured.
    step = total / POINTS if kind == "poll" else 1
    cuts = sum(cut_at(c, kind, other, max(0, total - int(back * step)), (RESET, FIN)[back % 2]) for back in share)
    assert cuts >= len(share) // 3
    target.wait_ended("eof", len(share) + 1)
    assert not any(target.received)
