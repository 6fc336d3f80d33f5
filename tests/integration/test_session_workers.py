# SPDX-License-Identifier: BSD-2-Clause
"""Four workers: a session belongs to one of them, and its requests arrive at any."""

import os
import threading

import pytest

from harness import session_frames as frames
from harness.http import request
from harness.peers import Echo, Recorder, Target
from harness.session import answer_of, open_post, open_sse, open_ws
from harness.session_conf import SERVER
from harness.session_frames import ACK, kinds
from harness.session_http import V1
from harness.wait import wait_until

pytestmark = pytest.mark.tsan


@pytest.fixture(params=["plain", "tls"])
def serving(request, culvert, certs):
    """Starts culvert with four workers: (it, the options of a session)."""

    def start(target, more=""):
        secure = request.param == "tls"
        head = f"{SERVER}workers = 4\n" + ("listen = 127.0.0.1:0 tls\n" if secure else "")
        tls = f"[tls]\n{certs.section()}\n" if secure else ""
        c = culvert(f"{head}{tls}[route /x]\ntarget = {target.url}\n{more}\n")
        return c, {"tls": certs.client_context() if secure else None}

    return start


def test_requests_of_a_session_may_arrive_anywhere(serving, peer):
    target = peer(Target)
    c, options = serving(target, "poll_wait = 5s")
    session = open_post(c, **options)
    far = target.accept()
    for number in range(24):
        # Each on a connection of its own, and so at a worker of its own.
        assert session.ask_post(session.message(b"up"), wire=session.connect()).status == 200
        assert far.read(2) == b"up"
        far.send(b"down")
        answer = session.ask_poll(wire=session.connect(), ack=number)
        assert answer.frames[-1] == frames.binary(number + 1, b"down")
        session.received = number + 1
    for attach in (session.attach_ws, session.attach_sse) * 8:
        attach()
        far.send(b"down")
        assert session.recv(4) == b"down"
    assert session.delete(wire=session.connect()).status == 204
    assert far.read_to_end() == b""


def test_a_connection_may_serve_sessions_of_all_workers(serving, peer):
    """Pipelined, one behind the other: each moves the connection on to where its session is."""
    target = peer(Recorder)
    c, options = serving(target)
    sessions = [open_post(c, **options) for _ in range(16)]
    for session in sessions:
        session.up.close()
    wire = sessions[0].connect()
    pipelined = b""
    for number in range(5):
        for session in sessions:
            body = frames.pack(session.message(b"%d" % number))
            pipelined += request("POST", session.url(session=session.id), headers=[("Content-Type", V1)], body=body)
    wire.send(pipelined)
    for _ in range(5):
        for session in sessions:
            answer = answer_of(wire)
            assert answer.status == 200 and kinds(answer.frames) == [ACK]
    wait_until(lambda: sum(map(len, target.received)) == 5 * 16, "all at the target")
    assert {bytes(received) for received in target.received} == {b"01234"}


@pytest.mark.parametrize("piece", [1, 50, 333])
def test_a_connection_that_moves_brings_what_was_not_read(serving, peer, piece):
    """Requests cut anywhere: the rest of one arrives when the connection is somewhere else."""
    c, options = serving(peer(Echo))
    sessions = [open_post(c, **options) for _ in range(4)]
    wire = sessions[0].connect()
    asked = b"".join(
        request("POST", session.url(session=session.id), headers=[("Content-Type", V1)],
                body=frames.pack(session.message(b"x" * 40))) for session in sessions
    )
    wire.send(asked, piece)
    assert [answer_of(wire).status for _ in sessions] == [200] * 4
    for session in sessions:
        assert session.recv(40) == b"x" * 40


def test_a_body_follows_its_head_to_another_worker(serving, peer):
    target = peer(Recorder)
    c, options = serving(target, "buffer = 64k")
    sessions = [open_post(c, **options) for _ in range(8)]
    data = [os.urandom(30_000) for _ in sessions]
    for session, one in zip(sessions, data):
        wire = session.connect()
        body = frames.pack(session.message(one))
        wire.send(request("POST", session.url(session=session.id), headers=[("Content-Type", V1)], body=body), 5000)
        assert answer_of(wire).status == 200
    wait_until(lambda: sum(map(len, target.received)) == 8 * 30_000, "all at the target")
    assert {bytes(received) for received in target.received} == set(data)


def test_many_change_their_carriers_at_once(serving, peer):
    c, options = serving(peer(Echo))
    failures = []

    def talk(number):
        try:
            session = (open_ws, open_post, open_sse)[number % 3](c, **options)
            data = os.urandom(20_000)
            for at in range(0, len(data), 2000):
                (session.attach_ws, session.attach_sse, session.attach_poll)[(at // 2000 + number) % 3]()
                session.repeat()
                session.send(data[at : at + 2000])
                assert session.recv(2000) == data[at : at + 2000]
            assert session.delete().status == 204
        except BaseException as failure:  # told by the main thread
            failures.append((number, failure))

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_unknown_id_is_unknown_wherever_it_arrives(serving, peer):
    c, options = serving(peer(Echo))
    session = open_post(c, **options)
    known, changed = session.id, set()
    for at in range(len(known)):
        for letter in "AQgw_":
            if letter != known[at]:
                changed.add(known[:at] + letter + known[at + 1 :])
    wire = session.connect()
    for session.id in sorted(changed)[::3]:
        assert session.ask_post(wire=wire).status == 410
    session.id = known
    assert session.ask_post(wire=wire).status == 200
