# SPDX-License-Identifier: BSD-2-Clause
"""Limits on connections, and clients that hold a connection without asking for anything."""

import json
import re
import threading

import pytest

from harness.silent import PARTIAL, Crowd
from harness.culvert import VARIANT
from harness.http import read_answer, request
from harness.peers import Blackhole, Echo, Resetter, Target, refusing_port
from harness.wait import Stopwatch, wait_until
from harness.ws import Refused, frame, upgrade_headers, upgrade_request

ECHO = "[route /x]\ntarget = echo:\nheartbeat = 0\n"


def refused(c, path="/x", **options):
    """The answer to one that is too many."""
    with pytest.raises(Refused) as caught:
        c.ws(path, **options)
    answer = caught.value.answer
    c.clients.pop().close()
    if answer.status in (429, 503):
        assert int(answer["retry-after"]) > 0
        assert "no-store" in answer["cache-control"]
        assert answer["connection"] == "close"
    return answer


def let_in(c, path="/x", **options):
    """A place becomes free a moment after the ending is seen outside."""

    def attempt():
        try:
            return c.ws(path, **options)
        except Refused as refusal:
            assert refusal.status in (429, 503), refusal.answer
            return None

    return wait_until(attempt, f"a free place on {path}")


def talks(ws, text="hello"):
    ws.send_text(text)
    assert ws.recv_bytes(len(text)) == text.encode()
    return True


# ---- the limits ----


def test_connections_max_of_a_route(culvert):
    c = culvert(ECHO + "connections_max = 2\n[route /free]\ntarget = echo:\n")
    first, second = c.ws("/x"), c.ws("/x")
    assert refused(c).status == 503
    assert talks(c.ws("/free"))
    assert talks(first) and talks(second)
    c.wait_log("info .* route /x: refused: too many connections to this route")
    first.leave()
    assert talks(let_in(c))


def test_connections_per_ip(culvert):
    c = culvert(ECHO + "connections_per_ip = 2\n[route /free]\ntarget = echo:\n")
    mine = [c.ws("/x", source="127.0.0.5") for _ in range(2)]
    assert refused(c, source="127.0.0.5").status == 429
    assert talks(c.ws("/x", source="127.0.0.6"))
    assert talks(c.ws("/free", source="127.0.0.5"))
    c.wait_log("info .* route /x: refused: too many connections from this address")
    mine[0].leave()
    assert talks(let_in(c, source="127.0.0.5"))


def test_connections_per_ip_takes_a_mapped_address_for_ipv4(culvert):
    c = culvert(f"[server]\nlisten = :0\nlisten = 127.0.0.1:0\n{ECHO}connections_per_ip = 1\n")
    mapped = ("127.0.0.1", c.addresses[0][1])
    ws = c.ws("/x", address=mapped, source="127.0.0.7")
    assert refused(c, address=c.addresses[1], source="127.0.0.7").status == 429
    ws.leave()
    assert talks(let_in(c, address=c.addresses[1], source="127.0.0.7"))


def test_connections_per_ip_takes_unix_sockets_for_one_address(culvert, tmp_path):
    c = culvert(f"[server]\nlisten = unix:{tmp_path}/s\n{ECHO}connections_per_ip = 2\n")
    held = [c.ws("/x") for _ in range(2)]
    assert refused(c).status == 429
    assert talks(held[0])


def test_max_connections_over_two_routes(culvert):
    c = culvert(f"[server]\nmax_connections = 3\n{ECHO}[route /y]\ntarget = echo:\n")
    held = [c.ws("/x"), c.ws("/y"), c.ws("/x")]
    for path in ("/x", "/y"):
        assert refused(c, path).status == 503
    held[1].leave()
    assert talks(let_in(c, "/x"))
    assert refused(c, "/y").status == 503


def test_limits_are_for_conversations_not_for_files(culvert, tmp_path):
    (tmp_path / "page.html").write_text("a page")
    c = culvert(f"[server]\nmax_connections = 1\n{ECHO}web = {tmp_path}\nconnections_max = 1\n"
                f"[route /p/]\ntarget = echo:\nweb = {tmp_path}\nconnections_per_ip = 1\n")
    held = c.ws("/p/")
    assert c.http().ask(path="/p/page.html").body == b"a page"
    assert refused(c, "/x").status == 503
    assert talks(held)


@pytest.mark.parametrize("key, status", [("connections_max", 503), ("connections_per_ip", 429)])
def test_refusals_are_text_or_json(culvert, key, status):
    c = culvert(f"{ECHO}{key} = 1\n")
    held = c.ws("/x")
    for accept in (None, "application/json"):
        wire = c.wire()
        wire.send(request(path="/x", headers=upgrade_headers(headers=[("Accept", accept)] if accept else [])))
        # Frames that were sent ahead are no second request.
        wire.send(frame(1, b"sent ahead"))
        answer = read_answer(wire)
        assert answer.status == status
        if accept:
            told = json.loads(answer.body)
            assert told["status"] == status and "too many connections" in told["error"]
        else:
            assert re.fullmatch(rb"too many connections [a-z ]+\n", answer.body)
        assert wire.read_to_end(reset_is_end=True) == b""
    assert talks(held)


def test_a_request_that_is_wrong_anyway_takes_no_place(culvert):
    c = culvert(ECHO + "connections_max = 1\n")
    for _ in range(3):
        assert refused(c, headers=[("Origin", "http://elsewhere.example")]).status == 403
        assert c.http().ask(path="/x").status == 426
    assert talks(c.ws("/x"))


# ---- each ending gives the place back ----


def leaves(c):
    c.ws("/x").leave()


def resets(c):
    c.ws("/x").reset()


def ends(c):
    ws = c.ws("/x")
    ws.finish()
    ws.wait_closed()


@pytest.mark.parametrize("ending", [leaves, resets, ends])
def test_a_client_that_ends_gives_its_place_back(culvert, peer, ending):
    c = culvert(f"[route /x]\ntarget = {peer(Echo).url}\nconnections_max = 1\nconnections_per_ip = 1\n")
    for _ in range(3):
        wait_until(lambda: c.stats().connections == 0, "the one before to be gone")
        ending(c)
    assert talks(let_in(c))


def test_a_target_that_ends_gives_the_place_back(culvert, peer):
    target = peer(Target)
    c = culvert(f"[route /x]\ntarget = {target.url}\nconnections_max = 1\n")
    for _ in range(2):
        ws = let_in(c)
        target.accept().close()
        ws.expect_close(1000)
    assert let_in(c)


def test_a_target_that_resets_gives_the_place_back(culvert, peer):
    target = peer(Resetter, wait_for=1)
    c = culvert(f"[route /x]\ntarget = {target.url}\nconnections_max = 1\n")
    for _ in range(2):
        ws = let_in(c)
        ws.send_text("x")
        ws.expect_close(1014)
    assert let_in(c)


def test_a_target_that_cannot_be_reached_gives_the_place_back(culvert):
    held, port = refusing_port()
    with held:
        c = culvert(f"[route /x]\ntarget = tcp://127.0.0.1:{port}\nconnections_max = 1\n")
        for _ in range(5):  # at once: the place is free before the answer is there
            assert refused(c).status == 502


def test_a_target_that_is_waited_for_holds_a_place(culvert, peer):
    """It counts while it is connected, and no more when the time is over or the client has gone."""
    target = peer(Blackhole)
    c = culvert(f"[route /x]\ntarget = {target.url}\nconnections_max = 1\nconnect_timeout = 1s\n")
    for _ in range(2):
        wire = c.wire()
        wire.send(upgrade_request("/x"))
        wait_until(lambda: c.stats().connections == 1, "it to be there")
        assert read_answer(wire).status == 504
        wire.wait_closed()
    c2 = culvert(f"[route /x]\ntarget = {target.url}\nconnections_max = 1\nconnect_timeout = 600s\n")
    for number in range(3):
        wire = c2.wire()
        wire.send(upgrade_request("/x"))
        wait_until(lambda: c2.stats().connections == 1, "it to be there")
        assert refused(c2).status == 503
        wire.reset()
        wait_until(lambda: c2.stats().connections == 0, "it to be gone")


@pytest.mark.tsan
@pytest.mark.parametrize("key, status", [("connections_max", 503), ("connections_per_ip", 429)])
def test_limits_are_exact_in_a_storm_on_four_workers(culvert, key, status):
    """60 at once, three times: 10 get in, neither more nor fewer; then their places are free again."""
    c = culvert(f"[server]\nworkers = 4\n{ECHO}{key} = 10\n")
    for _ in range(3):
        wires = [c.wire() for _ in range(60)]
        barrier = threading.Barrier(6)

        def rush(part):
            barrier.wait()
            for wire in part:
                wire.send(upgrade_request("/x"))

        threads = [threading.Thread(target=rush, args=(wires[i::6],)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = []
        for wire in wires:
            wire.status = read_answer(wire).status
            statuses.append(wire.status)
        assert sorted(set(statuses)) == [101, status]
        assert statuses.count(101) == 10
        for wire in wires:
            if wire.status == 101:
                assert talks(wire)
                wire.leave()
        c.close_clients()
        wait_until(lambda: c.stats().connections == 0, "all of them to be gone")


# ---- half-open clients ----


def test_s6_the_longest_waiting_half_open_client_is_closed(culvert):
    c = culvert(f"[server]\nhalf_open_max = 3\nheader_timeout = 600s\n{ECHO}")
    first, second, third = (c.wire() for _ in range(3))
    first.send(PARTIAL)
    wait_until(lambda: c.stats().connections == 3, "three to wait")
    first.send(b"0")  # a byte now and then is no reason to stay
    assert talks(c.ws("/x"))  # the fourth is one too many for a moment
    first.wait_closed()
    assert second.is_open() and third.is_open()
    fourth, fifth = c.wire(), c.wire()
    second.wait_closed()
    assert third.is_open() and fourth.is_open() and fifth.is_open()
    third.upgrade("/x")  # it asks, and waits no more
    assert talks(third)
    sixth = c.wire()
    wait_until(lambda: c.stats().connections == 5, "three to wait, two to talk")
    assert fourth.is_open() and fifth.is_open() and sixth.is_open()
    c.wait_log("half-open clients closed, the longest waiting first: half_open_max is reached")


def test_s6_a_kept_connection_waits_from_its_last_answer_on(culvert):
    c = culvert(f"[server]\nhalf_open_max = 2\nheader_timeout = 600s\n{ECHO}")
    kept = c.http()
    assert kept.ask(path="/none").status == 404
    other = c.wire()
    wait_until(lambda: c.stats().connections == 2, "two to wait")
    assert kept.ask(path="/none").status == 404  # now the other one has waited longer
    assert talks(c.ws("/x"))
    other.wait_closed()
    assert kept.ask(path="/none").status == 404


def test_s6_who_has_asked_is_not_closed_for_another(culvert):
    """A burst of 64 full requests where 2 may wait: each of them gets its answer."""
    c = culvert(f"[server]\nhalf_open_max = 2\n{ECHO}")
    wires = []
    for number in range(64):
        wire = c.wire()
        wire.send(upgrade_request("/x" if number % 2 else "/none"))
        wires.append(wire)
    statuses = [read_answer(wire).status for wire in wires]
    assert statuses.count(101) == 32 and statuses.count(404) == 32


def answers(c, count=5, **options):
    for number in range(count):
        ws = c.ws("/x", **options)
        assert talks(ws, f"client {number}")
        ws.leave()


@pytest.mark.skipif(VARIANT == "tsan", reason="its allocator does not tell live bytes")
def test_s6_10000_half_open_handshakes_leave_the_service_answering(culvert):
    """A third is silent, a third has sent half a head, a third trickles."""
    c = culvert(f"[server]\nheader_timeout = 6s\n{ECHO}")
    fds = c.fds()
    sources = [f"127.0.1.{i}" for i in range(1, 9)]
    # Some tables of the loop stay as large as they once were.
    with Crowd(c.address, sources) as crowd:
        crowd.come(10_000)
        answers(c)
    c.close_clients()
    wait_until(lambda: c.fds() == fds and c.stats().connections == 0, "the first ones to go")
    before = c.stats()
    with Crowd(c.address, sources) as crowd:
        crowd.come(10_000, lambda number: b"" if number % 3 == 0 else PARTIAL)
        watch = Stopwatch()
        for _ in range(3):
            crowd.trickle(step=10)
            answers(c)
        assert watch.seconds < 24
        wait_until(lambda: c.stats().connections == 0, "all of them to be ended")
        assert crowd.held() == 0
        answers(c)
    wait_until(lambda: c.fds() == fds and c.stats().connections == 0, "descriptors to return")
    # One more has 16 bytes for each event that came at once, and now all timed out together.
    assert abs(c.stats().live_bytes - before.live_bytes) < 10_000 * 32


def test_s6_1000_half_open_tls_handshakes_leave_the_service_answering(culvert, certs):
    c = culvert(
        f"[server]\nlisten = 127.0.0.1:0 tls\nheader_timeout = 6s\n[tls]\n{certs.section()}\n{ECHO}"
    )
    tls = certs.client_context()
    answers(c, tls=tls)
    wait_until(lambda: c.stats().connections == 0, "the first ones to go")
    fds = c.fds()
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40)
    with Crowd(c.address) as crowd:
        crowd.come(1000, lambda number: hello[: number % 50])
        crowd.trickle(step=10, byte=b"\0")
        answers(c, tls=tls)
        assert crowd.held() > 900
        wait_until(lambda: c.stats().connections == 0, "all of them to be ended")
        assert crowd.held() == 0
    wait_until(lambda: c.fds() == fds, "descriptors to return")


def test_s6_half_open_clients_do_not_take_the_last_descriptors(culvert, peer):
    """Of 64 descriptors silent clients take all that there are; who asks gets through at once."""
    target = peer(Echo)
    c = culvert(
        f"[server]\nheader_timeout = 600s\n[route /x]\ntarget = {target.url}\n",
        wrapper=["sh", "-c", 'ulimit -n 64; exec "$0" "$@"'],
    )
    with Crowd(c.address) as crowd:
        crowd.come(200, lambda number: PARTIAL[: number % 300])
        for _ in range(5):
            watch = Stopwatch()
            talkers = [c.ws("/x") for _ in range(3)]
            assert all(talks(ws) for ws in talkers)
            crowd.come(50)
            assert all(talks(ws) for ws in talkers)
            assert watch.seconds < 20
            c.close_clients()
        assert 5 < crowd.held() < 64  # as many as there is room for
    c.wait_log("half-open clients closed, the longest waiting first: descriptors are short")
    assert not c.log_lines("cannot accept")
