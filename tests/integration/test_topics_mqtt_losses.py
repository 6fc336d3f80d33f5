# SPDX-License-Identifier: BSD-2-Clause
"""A broker that goes and comes back, and a connection to it that breaks, while many publish and listen."""

import signal

import pytest

from harness.http import request
from harness.topics import Publisher, TopicPoll, TopicSse, TopicWs, brief, url
from harness.topics_load import Listener, Poster, WsTalker, first_times, in_order, of_topic
from harness.topics_mqtt import VERSIONS, Broker, Outsider, Relay, made, node, route, wait_up
from harness.wait import Stopwatch, wait_until

BOTH = pytest.mark.parametrize("version", VERSIONS)
QUIET = {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99:quarantine_size_mb=8"}  # memory that is free is not held


def crowd_of_talkers(one):
    return [Poster(one, "load/p1"), Poster(one, "load/p2"), WsTalker(one, "load/w1"), WsTalker(one, "load/w2")]


def end(talkers):
    for talker in talkers:
        talker.ending.set()
    for talker in talkers:
        talker.join()


def taken_again(talkers):
    for talker in talkers:
        talker.wait_taken()


def wait_last(ear, talkers):
    """A listener, or an outsider, has what was taken last of each of them."""
    messages = ear.messages if isinstance(ear, Outsider) else ear.messages()
    return all(not talker.taken or (talker.topic, talker.taken[-1]) in messages for talker in talkers)


def check_all(messages, talkers):
    """Whatever was taken is there, in order, and nothing that nobody has said."""
    for talker in talkers:
        got = first_times(messages, talker.topic)
        assert set(talker.taken) <= set(got), (talker.topic, sorted(set(talker.taken) - set(got), key=int)[:20])
        assert set(got) <= set(talker.taken) | set(talker.failed)
        assert in_order(got), talker.topic


# ---- the broker ends ----


@BOTH
def test_a_broker_that_restarts_loses_nothing_that_was_acknowledged(culvert, made, version):
    """Twice, the second time for longer than a publication waits. The broker keeps our session with what it has."""
    broker = made(Broker, keeps=True).start()
    outside = made(Outsider, broker.port, "load/#", session="witness")
    one = wait_up(node(culvert, broker.port, version, "publish_timeout = 2s\n"))
    ears = [Listener(TopicWs(one, ["load/#"])), Listener(TopicSse(one, ["load/#"]))]
    talkers = crowd_of_talkers(one)
    taken_again(talkers)
    broker.stop(signal.SIGTERM)
    broker.start()
    taken_again(talkers)
    broker.stop(signal.SIGTERM)
    wait_until(lambda: all(talker.failed for talker in talkers), "publications that are too late")
    broker.start()
    taken_again(talkers)
    end(talkers)
    wait_until(lambda: wait_last(outside, talkers), "the last ones outside")
    check_all(outside.messages, talkers)
    for ear in ears:
        ear.wait(lambda ear=ear: wait_last(ear, talkers), "the last ones")
        check_all(ear.messages(), talkers)
        assert ear.events() == ["down", "up"] * 2
    # At QoS 1 what was under way to the broker and from it may come again, and nothing else.
    again = [len(of_topic(outside.messages, talker.topic)) - len(first_times(outside.messages, talker.topic))
             for talker in talkers]
    assert sum(again) <= 2 * (2 + 2 * 10 + 20), again


@BOTH
def test_a_broker_that_is_killed_costs_only_what_it_had(culvert, made, version):
    """It has kept nothing; who listens is told so, and all goes on."""
    broker = made(Broker).start()
    one = wait_up(node(culvert, broker.port, version, "publish_timeout = 2s\n"))
    ears = [Listener(TopicWs(one, ["load/#"])), Listener(TopicSse(one, ["load/#"]))]
    before = TopicPoll(one, ["load/#"]).begin().since
    talkers = crowd_of_talkers(one)
    taken_again(talkers)
    broker.stop(signal.SIGKILL)
    for ear in ears:
        ear.wait(lambda ear=ear: "down" in ear.events(), "bus down")
    broker.start()
    for ear in ears:
        ear.wait(lambda ear=ear: "reset" in ear.events(), "reset")
    first = {talker.topic: talker.n + 1 for talker in talkers}
    outside = made(Outsider, broker.port, "load/#")
    taken_again(talkers)
    end(talkers)
    for ear in ears:
        ear.wait(lambda ear=ear: wait_last(ear, talkers), "the last ones")
        assert ear.events() == ["down", "up", "reset"]
        for talker in talkers:
            got = first_times(ear.messages(), talker.topic)
            assert in_order(got)
            assert {text for text in talker.taken if int(text) >= first[talker.topic]} <= set(got)
    assert outside.messages
    # So is who comes back with a cursor from before.
    assert TopicWs(one, ["load/#"], before).briefs(1) == ["reset"]


def test_culvert_starts_and_ends_without_its_broker(culvert, made):
    """What waits for it is bounded, whatever clients try; it comes when it comes."""
    broker = made(Broker)
    one = node(culvert, broker.port, of_bus="publish_timeout = 1s\npublish_max = 100\n", env=QUIET)
    early = TopicWs(one, ["load/#"])
    assert sorted(early.briefs(2)) == ["bus", "subscribed"]
    assert [brief(message) for message in TopicPoll(one, ["load/#"]).poll()] == []
    watch = Stopwatch()
    answer = Publisher(one).ask("load/a", "x")
    assert answer.status == 503 and 0.9 < watch.seconds < 4 * 1
    error, _ = early.ask(publish="load/a", data="x")
    assert error["event"] == "error" and "not known" in error["reason"]
    before = one.resident_bytes()
    talkers = [WsTalker(one, f"load/{i}", pause=0, padding="." * 20000) for i in range(12)]
    wait_until(lambda: sum(len(talker.failed) for talker in talkers) > 3000, "sixty megabytes to fail")
    assert one.resident_bytes() - before < 40 << 20
    end(talkers)
    broker.start()
    while (message := early.next()).get("event") != "bus":
        pass
    assert message["state"] == "up"
    assert Publisher(one).ask("load/a", "at last").status == 200
    assert early.briefs(1) == [("load/a", "at last")]
    broker.stop(signal.SIGTERM)
    assert early.briefs(1) == ["bus"]
    early.say(publish="load/a", data="x", ref="r")
    watch = Stopwatch()
    one.stop()
    assert watch.seconds < 4 * 2


# ---- the connection breaks ----


@pytest.mark.tsan
@BOTH
def test_a_connection_that_breaks_loses_nothing_while_the_session_is_kept(culvert, made, version):
    """Again and again, with publications and messages under way both ways; two workers."""
    broker = made(Broker).start()
    relay = made(Relay, broker.port)
    outside = made(Outsider, broker.port, "load/#")
    one = wait_up(node(culvert, relay.port, version))
    ears = [Listener(kind(one, ["load/#"])) for kind in (TopicWs, TopicSse, TopicPoll) for _ in range(2)]
    talkers = crowd_of_talkers(one)
    for cut in range(2):
        taken_again(talkers)
        relay.cut()
        for i in range(50):
            outside.publish("load/outside", str(50 * cut + i))
        ears[0].wait(lambda cut=cut: ears[0].events().count("up") > cut, "bus up")
    taken_again(talkers)
    end(talkers)
    assert not any(talker.failed for talker in talkers)
    wait_until(lambda: wait_last(outside, talkers), "the last ones outside")
    check_all(outside.messages, talkers)
    for ear in ears:
        ear.wait(lambda ear=ear: wait_last(ear, talkers), "the last ones")
        check_all(ear.messages(), talkers)
        assert first_times(ear.messages(), "load/outside") == [str(i) for i in range(100)]
        # A poll tells only what happens while it waits.
        assert ear.events() == ["down", "up"] * 2 or ear in ears[4:] and "reset" not in ear.events()


@BOTH
def test_publications_wait_for_a_broker_that_comes_back_in_time(culvert, made, version):
    broker = made(Broker).start()
    relay = made(Relay, broker.port)
    outside = made(Outsider, broker.port, "load/#")
    one = wait_up(node(culvert, relay.port, version, "publish_timeout = 30s\n"))
    ear = Listener(TopicWs(one, ["load/#"]))
    relay.shut()
    relay.cut()
    ear.wait(lambda: "down" in ear.events(), "bus down")
    talkers = [Poster(one, f"load/{i}", 2) for i in range(20)]
    wait_until(lambda: all(talker.n == 1 for talker in talkers), "all to wait")
    outside.publish("load/outside", "meanwhile")
    relay.open()
    for talker in talkers:
        talker.join()
        assert talker.taken == ["1", "2"]
    wanted = {(talker.topic, text) for talker in talkers for text in ("1", "2")} | {("load/outside", "meanwhile")}
    wait_until(lambda: set(outside.messages) == wanted, "all outside")
    ear.wait(lambda: set(ear.messages()) == wanted, "all here")
    assert ear.events() == ["down", "up"]


def test_the_second_term_waits_for_no_broker(culvert, made):
    """A POST and a publication over WebSocket that it has not taken: their clients see the end."""
    broker = made(Broker)
    one = node(culvert, broker.port, of_bus="publish_timeout = 5m\n", routes=route(more="close_timeout = 5m\n"))
    wire = one.http()
    wire.send(request("POST", url("/live", ["load/a"]), headers=[("Content-Length", "1")]) + b"x")
    ws = TopicWs(one, ["load/#"]).begin()
    ws.say(publish="load/a", data="x", ref=1)
    one.wait_quiet()
    one.signal(signal.SIGTERM)
    one.wait_log("draining")
    watch = Stopwatch()
    one.signal(signal.SIGTERM)
    assert one.wait_exit() == 0 and watch.seconds < 4 * 2
