# SPDX-License-Identifier: BSD-2-Clause
"""Networks that swallow packets, and links that go down: in namespaces of their own, with real TCP."""

import os

import pytest
from harness.network import FAR, NEAR, Network
from harness.peers import Echo, Pourer, Recorder
from harness.wait import Stopwatch, wait_until
from harness.ws import BINARY, PING, Refused, close_frame, frame

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")


@pytest.fixture
def network():
    made = Network()
    yield made
    made.close()


@pytest.fixture
def started(network, culvert, peer):
    """
    started(kind, where, lines…) starts culvert near, with a target far or near: (culvert, target,
    function that opens a client far).
    """

    def start(kind, where, *lines, **options):
        with network.inside(where):
            target = peer(kind, host=FAR if where == network.far else NEAR, **options)
        c = culvert(
            f"[server]\nlisten = {NEAR}:0\nlisten = 127.0.0.1:0\n[route /x]\ntarget = {target.url}\n"
            + "".join(f"{line}\n" for line in lines)
            + "[route /inside]\ntarget = echo:\n",
            wrapper=network.wrapper(),
        )

        def client(path="/x", near=False, **more):
            """From afar, or over culvert's own loopback."""
            with network.inside(network.near if near else network.far):
                return c.ws(path, address=c.addresses[1 if near else 0], **more)

        return c, target, client

    return start


def says(ws, data):
    ws.send_frame(BINARY, data)
    assert ws.recv_bytes(len(data)) == data


def wait_descriptors(c, before):
    wait_until(lambda: c.fds() == before, "descriptors to return")


# ---- clients ----


def test_s15_a_client_in_a_black_hole_is_gone_after_heartbeat_and_its_timeout(network, started):
    c, target, client = started(Recorder, network.near, "heartbeat = 1s", "heartbeat_timeout = 1s")
    before = c.fds()
    ws = client()
    ws.send_frame(BINARY, b"hello")
    target.wait_received(b"hello")
    network.cut()
    watch = Stopwatch()
    target.wait_ended("eof")
    assert 1.5 < watch.seconds < 8
    event = c.wait_event()
    assert (event["ended_by"], event["code"]) == ("client", "1006") and "heartbeat" in event["reason"]
    wait_descriptors(c, before)
    network.heal()
    ws.close()
    says(client("/inside"), b"as before")


def test_s15_a_client_in_a_black_hole_that_is_being_sent_to_is_gone_after_write_timeout(network, started):
    c, target, client = started(Pourer, network.near, "heartbeat = 1s", "heartbeat_timeout = 1s",
                                "write_timeout = 2s", "close_timeout = 1s", "buffer = 64k")
    before = c.fds()
    ws = client()
    assert ws.recv_data().opcode == BINARY
    network.cut()
    watch = Stopwatch()
    event = c.wait_event()
    assert 1.5 < watch.seconds < 15
    assert (event["ended_by"], event["code"]) == ("culvert", "1013")
    target.wait_ended("reset")
    wait_descriptors(c, before)


def test_a_client_is_kept_over_an_outage_shorter_than_its_heartbeat(network, started):
    c, target, client = started(Echo, network.near, "heartbeat = 20s", "heartbeat_timeout = 20s")
    ws = client()
    says(ws, b"before")
    network.cut()
    ws.send(frame(BINARY, b"meanwhile") * 100)
    c.wait_quiet()
    network.heal()
    assert ws.recv_bytes(900) == b"meanwhile" * 100
    says(ws, b"after")
    ws.leave()
    assert c.wait_event()["code"] == "1000"


# ---- targets ----


def test_s15_a_target_in_a_black_hole_is_1014_after_write_timeout(network, started):
    """The kernel takes what is sent and nobody acknowledges it: TCP_USER_TIMEOUT."""
    c, target, client = started(Echo, network.far, "write_timeout = 2s", "close_timeout = 1s", "heartbeat = 0")
    before = c.fds()
    ws = client(near=True)
    says(ws, b"before")
    network.cut()
    watch = Stopwatch()
    ws.send_frame(BINARY, b"into the dark")
    assert ws.recv_to_close()[:2] == (b"", 1014)
    assert 1.5 < watch.seconds < 15
    ws.send_quietly(close_frame(1014))
    event = c.wait_event()
    assert (event["ended_by"], event["code"]) == ("target", "1014")
    wait_descriptors(c, before)
    says(client("/inside", near=True), b"others go on")


def test_s15_a_target_in_a_black_hole_that_is_poured_at_is_1014_after_write_timeout(network, started):
    c, target, client = started(Recorder, network.far, "write_timeout = 2s", "close_timeout = 1s", "buffer = 64k")
    before = c.fds()
    ws = client(near=True)
    ws.send_frame(BINARY, b"before")
    target.wait_received(b"before")
    network.cut()
    watch = Stopwatch()
    try:
        for _ in range(500):
            ws.send_frame(BINARY, bytes(65536), key=bytes(4))
    except OSError:
        pass  # it was ended meanwhile
    event = c.wait_event()
    assert 1.5 < watch.seconds < 15
    assert (event["ended_by"], event["code"]) == ("target", "1014")
    ws.close()
    wait_descriptors(c, before)


def test_a_target_in_a_black_hole_is_504_within_connect_timeout_and_comes_back(network, started):
    c, target, client = started(Echo, network.far, "connect_timeout = 1s")
    before = c.fds()
    network.cut()
    watch = Stopwatch()
    with pytest.raises(Refused) as refused:
        client(near=True)
    assert refused.value.status == 504 and 0.8 < watch.seconds < 8
    c.wait_log(r"warn .*route /x: target tcp://10\.77\.2\.2:\d+: connection timed out")
    network.heal()
    ws = client(near=True)
    says(ws, b"there again")
    c.close_clients()
    wait_descriptors(c, before)


def test_a_link_that_is_down_is_502_and_what_was_open_goes_on_when_it_is_up(network, started):
    c, target, client = started(Echo, network.far)
    ws = client(near=True)
    says(ws, b"before")
    network.link_down(network.near)
    ws.send(frame(BINARY, b"meanwhile") + frame(PING))
    assert ws.recv_pong() == b""  # culvert has taken it
    with pytest.raises(Refused) as refused:
        client(near=True)
    assert refused.value.status == 502
    c.wait_log(r"warn .*route /x: target .*: network is unreachable")
    says(client("/inside", near=True), b"needs no link")
    network.link_up(network.near)
    assert ws.recv_bytes(9) == b"meanwhile"
    says(ws, b"after")
    says(client(), b"from afar too")
