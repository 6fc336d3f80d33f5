# SPDX-License-Identifier: BSD-2-Clause
"""What a subscription begins with, on every transport: retained values, history, `subscribed`, and from then on all
that is published."""

import json

import pytest

from harness.http import read_answer
from harness.topics import KINDS, Publisher, TopicPoll, TopicSse, TopicWs, brief, number, route, url
from harness.ws import TEXT, frame, upgrade_request

ON_ALL = pytest.mark.parametrize("kind", KINDS)
OTHER_EPOCH = "0123456789abcdef-1"


def start(culvert, more="", **options):
    c = culvert(route(more, **options))
    return c, Publisher(c)


@ON_ALL
def test_without_since_come_retained_values_then_what_is_live(culvert, kind):
    c, p = start(culvert)
    p.put("sensors/a", "old", retain=1)
    p.put("sensors/b", "not kept")
    p.put("sensors/a", "kept", retain=1)
    last = p.put("chat/x", "kept too", retain=1)
    client = KINDS[kind](c, ["sensors/#"])
    assert client.briefs(2) == [("sensors/a", "kept", True), "subscribed"]
    assert client.since == last  # also of what its filter does not match
    ids = [p.put("sensors/a", "live"), p.put("sensors/b", "kept from now on", retain=1)]
    got = client.messages(2)
    assert [one["id"] for one in got] == ids
    assert [brief(one) for one in got] == [("sensors/a", "live"), ("sensors/b", "kept from now on")]


@ON_ALL
def test_since_brings_the_history_after_it_and_nothing_retained(culvert, kind):
    c, p = start(culvert)
    since = p.put("sensors/a", "0", retain=1)
    p.put("chat/x", "of no interest")
    ids = [p.put(f"sensors/{i}", str(i), retain=1) for i in range(1, 4)]
    client = KINDS[kind](c, ["sensors/#"], since)
    got = [client.next() for _ in range(4)]
    assert [brief(one) for one in got] == [("sensors/1", "1"), ("sensors/2", "2"), ("sensors/3", "3"), "subscribed"]
    assert [one["id"] for one in got[:3]] == ids and client.since == ids[-1]
    p.put("sensors/4", "live")
    assert client.briefs(1) == [("sensors/4", "live")]


@ON_ALL
def test_since_the_last_one_brings_nothing(culvert, kind):
    c, p = start(culvert)
    since = p.put("sensors/a", "0", retain=1)
    client = KINDS[kind](c, ["sensors/#"], since)
    if kind != "poll":  # which waits
        assert client.briefs(1) == ["subscribed"] and client.since == since
    else:
        client.send()
        p.put("sensors/a", "1")
        client.waiting = client.receive()
    if kind != "poll":
        p.put("sensors/a", "1")
    assert client.briefs(1) == [("sensors/a", "1")]


@ON_ALL
@pytest.mark.parametrize("since", ["too old", "other epoch", "nonsense", "not given yet"])
def test_a_cursor_that_cannot_be_followed_is_told_reset(culvert, kind, since):
    c, p = start(culvert, "[bus]\nhistory_messages = 3\n")
    first = p.put("sensors/kept", "kept", retain=1)
    for i in range(4):  # the second message is evicted
        last = p.put("sensors/a", str(i))
    cursors = {"other epoch": OTHER_EPOCH, "nonsense": "no.cursor_at-all",
               "not given yet": f"{first.rsplit('-', 1)[0]}-{number(last) + 1}"}
    client = KINDS[kind](c, ["sensors/#"], cursors.get(since, first))
    assert client.briefs(3) == ["reset", ("sensors/kept", "kept", True), "subscribed"]
    assert client.since == last
    p.put("sensors/b", "live")
    assert client.briefs(1) == [("sensors/b", "live")]


@ON_ALL
def test_reset_comes_only_if_a_message_after_it_was_evicted(culvert, kind):
    c, p = start(culvert, "[bus]\nhistory_messages = 3\n")
    ids = [p.put("sensors/a", str(i)) for i in range(5)]  # 0 and 1 are gone
    client = KINDS[kind](c, ["sensors/#"], ids[1])
    assert client.briefs(4) == [("sensors/a", "2"), ("sensors/a", "3"), ("sensors/a", "4"), "subscribed"]
    client = KINDS[kind](c, ["sensors/#"], ids[0])
    assert client.briefs(2) == ["reset", "subscribed"]
    before_all = f"{ids[0].rsplit('-', 1)[0]}-0"
    assert KINDS[kind](c, ["sensors/#"], before_all).briefs(1) == ["reset"]


@ON_ALL
def test_the_beginning_of_the_bus_is_a_cursor_too(culvert, kind):
    c, p = start(culvert)
    empty = KINDS[kind](c, ["sensors/#"]).begin().since
    assert number(empty) == 0
    p.put("sensors/a", "1", retain=1)
    assert KINDS[kind](c, ["sensors/#"], empty).briefs(2) == [("sensors/a", "1"), "subscribed"]


@ON_ALL
@pytest.mark.parametrize("history", ["history_messages = 0", "history_bytes = 0"])
def test_a_bus_without_history_knows_the_last_cursor(culvert, kind, history):
    c, p = start(culvert, f"[bus]\n{history}\n")
    p.put("sensors/a", "1", retain=1)
    since = p.put("sensors/a", "2", retain=1)
    if kind != "poll":
        assert KINDS[kind](c, ["sensors/#"], since).briefs(1) == ["subscribed"]
    p.put("sensors/a", "3")
    assert KINDS[kind](c, ["sensors/#"], since).briefs(3) == ["reset", ("sensors/a", "2", True), "subscribed"]


@ON_ALL
def test_a_route_without_retained_values_tells_none(culvert, kind):
    """The bus has one: it was published by another route."""
    c, p = start(culvert, "retain = no\n[route /other]\ntarget = topics:\nsubscribe = #\npublish = #\norigins = any\n")
    Publisher(c, "/other").put("sensors/a", "kept", retain=1)
    assert KINDS[kind](c, ["#"], path="/other").briefs(2) == [("sensors/a", "kept", True), "subscribed"]
    assert KINDS[kind](c, ["sensors/#"]).briefs(1) == ["subscribed"]
    assert KINDS[kind](c, ["sensors/#"], OTHER_EPOCH).briefs(2) == ["reset", "subscribed"]
    assert p.put("sensors/a", "x", retain=0)
    answer = p.ask("sensors/a", "x", retain=1)
    assert answer.status == 400 and b"retained" in answer.body
    ws = TopicWs(c, ["sensors/#"]).begin()
    assert ws.ask(publish="sensors/a", data="x", retain=True)[0]["event"] == "error"
    assert ws.ask(publish="sensors/a", data="x", retain=False)[1:] == ([],)


@ON_ALL
def test_an_empty_payload_removes_a_retained_value(culvert, kind):
    c, p = start(culvert)
    p.put("sensors/a", "kept", retain=1)
    p.put("sensors/b", "kept", retain=1)
    watching = KINDS[kind](c, ["sensors/#"]).begin()
    p.put("sensors/a", b"")  # not retained: changes nothing
    assert KINDS[kind](c, ["sensors/a"]).briefs(2) == [("sensors/a", "kept", True), "subscribed"]
    p.put("sensors/a", b"", retain=1)
    assert KINDS[kind](c, ["sensors/#"]).briefs(2) == [("sensors/b", "kept", True), "subscribed"]
    ws = TopicWs(c, ["sensors/#"]).begin()
    assert "id" in ws.ask(publish="sensors/b", data="", retain=True)[0]
    assert KINDS[kind](c, ["sensors/#"]).briefs(1) == ["subscribed"]
    # Who was there saw them as the messages that they are.
    assert watching.briefs(3) == [("sensors/a", ""), ("sensors/a", ""), ("sensors/b", "")]


@ON_ALL
def test_no_topic_is_the_whole_list(culvert, kind):
    c, p = start(culvert, subscribe="sensors/#, chat/+", publish="#")
    client = KINDS[kind](c)
    subscribed = client.next()
    if kind != "poll":
        assert subscribed["topics"] == ["sensors/#", "chat/+"]
    for topic in ("sensors", "else", "chat/a", "chat/a/b", "sensors/x/y"):
        p.put(topic, topic)
    assert client.briefs(3) == [("sensors", "sensors"), ("chat/a", "chat/a"), ("sensors/x/y", "sensors/x/y")]


@ON_ALL
def test_several_topics_and_each_message_once(culvert, kind):
    c, p = start(culvert)
    p.put("sensors/a/b", "kept", retain=1)
    filters = ["sensors/#", "sensors/a/+", "sensors/+/b", "chat/x", "sensors/#"]
    client = KINDS[kind](c, filters)
    assert client.briefs(1) == [("sensors/a/b", "kept", True)]
    assert client.next()["topics"] == filters
    ids = [p.put("sensors/a/b", "1"), p.put("chat/x", "2"), p.put("chat/y", "no"), p.put("sensors", "3")]
    assert [one["id"] for one in client.messages(3)] == [ids[0], ids[1], ids[3]]
    # From history too.
    assert KINDS[kind](c, filters, ids[0]).briefs(3) == [("chat/x", "2"), ("sensors", "3"), "subscribed"]


@ON_ALL
def test_a_cursor_is_told_each_heartbeat(culvert, kind):
    """A quiet filter on a busy bus keeps its place, though history has long gone on."""
    c, p = start(culvert, "heartbeat = 1s\npoll_wait = 1s\n[bus]\nhistory_messages = 2\n")
    client = KINDS[kind](c, ["chat/x"]).begin()
    if kind == "poll":
        client.send()
    for i in range(10):
        last = p.put("sensors/a", str(i))
    if kind == "poll":
        assert client.receive() == [] and client.asked == last
        since = client.asked
    else:
        message = client.read()
        while message["since"] != last:
            message = client.read()
        assert message == {"event": "cursor", "since": last}
        since = last
    client.close()
    p.put("chat/x", "not missed")
    assert KINDS[kind](c, ["chat/x"], since).briefs(2) == [("chat/x", "not missed"), "subscribed"]


def test_a_cursor_on_an_event_stream_is_no_event(culvert):
    c, p = start(culvert, "heartbeat = 1s\n")
    client = TopicSse(c, ["chat/x"]).begin()
    last = p.put("sensors/a", "x")
    assert client.block() == [("id", last)]
    client.close()
    # A browser sends what it has heard last, which wins over the since that its page has built in.
    p.put("chat/x", "1")
    client = TopicSse(c, ["chat/x"], OTHER_EPOCH, headers=[("Last-Event-ID", client.last_id)])
    assert client.briefs(2) == [("chat/x", "1"), "subscribed"]


def test_an_event_id_that_is_no_cursor_is_that_of_another_server(culvert):
    c, p = start(culvert)
    since = p.put("sensors/a", "x")
    for value in ("not a cursor", "x" * 65, "caf\xe9"):
        client = TopicSse(c, ["sensors/#"], since, headers=[("Last-Event-ID", value)])
        assert client.briefs(2) == ["reset", "subscribed"]
    client = TopicSse(c, ["sensors/#"], since, headers=[("Last-Event-ID", "")])
    assert client.briefs(1) == ["subscribed"]
    for kind in (TopicWs, TopicPoll):  # theirs is since
        other = kind(c, ["sensors/#"], OTHER_EPOCH) if kind is TopicPoll else kind(
            c, ["sensors/#"], OTHER_EPOCH, headers=[("Last-Event-ID", since)])
        assert other.briefs(2) == ["reset", "subscribed"]


@pytest.mark.tsan
@ON_ALL
def test_a_cursor_ahead_of_a_worker_waits(culvert, kind):
    """Who comes to another worker with what it has just been told misses nothing and gets nothing twice."""
    c, p = start(culvert, server="workers = 4")
    for i in range(60):
        since = p.put("sensors/a", str(i))
        client = KINDS[kind](c, ["sensors/#"], since)
        if kind == "poll":
            client.send()
        p.put("sensors/a", "next")
        if kind == "poll":
            client.waiting = client.receive()
        assert [one for one in client.briefs(1 if kind == "poll" else 2) if one != "subscribed"] == [
            ("sensors/a", "next")]
        client.close()


def test_a_poll_waits_and_is_answered_at_once(culvert):
    c, p = start(culvert, "poll_wait = 60s\n")
    client = TopicPoll(c, ["sensors/#"])
    assert client.poll() == []  # at once, without since
    client.send()
    p.put("chat/x", "of no interest")
    c.wait_quiet()
    assert client.wire.is_open() and not client.wire.buffer
    sent = p.put("sensors/a", "1")
    assert client.receive() == [{"topic": "sensors/a", "id": sent, "data": "1"}] and client.asked == sent


def test_what_a_waiting_poll_does_not_want_is_not_missed(culvert):
    c, p = start(culvert, "[bus]\nhistory_messages = 2\n")
    client = TopicPoll(c, ["chat/x"]).begin()
    client.send()
    for i in range(10):
        p.put("sensors/a", str(i))
    p.put("chat/x", "wanted")
    assert [one["data"] for one in client.receive()] == ["wanted"]


def test_a_poll_gets_as_much_as_a_queue_holds(culvert):
    c, p = start(culvert, "queue_messages = 10\nqueue_bytes = 4k\n")
    client = TopicPoll(c, ["sensors/#"]).begin()
    for i in range(25):
        p.put("sensors/a", str(i))
    got = [client.poll() for _ in range(3)]
    assert [len(one) for one in got] == [10, 10, 5]
    assert [one["data"] for one in sum(got, [])] == [str(i) for i in range(25)]
    for _ in range(5):
        p.put("sensors/a", "x" * 3000)
    p.put("sensors/a", "x" * 10000)  # more than that by itself
    assert [len(client.poll()) for _ in range(3)] == [2, 2, 2]


def test_a_poll_gets_all_retained_values_at_once(culvert):
    """There is no way to ask for the rest."""
    c, p = start(culvert, "queue_messages = 10\n")
    topics = [f"sensors/{i}" for i in range(100)]
    for topic in topics:
        p.put(topic, "kept", retain=1)
    got = TopicPoll(c, ["sensors/#"]).poll()
    assert sorted(one["topic"] for one in got) == sorted(topics)


def test_polls_follow_each_other_on_a_connection(culvert):
    c, p = start(culvert, "poll_wait = 1s\n")
    client = TopicPoll(c, ["sensors/#"]).begin()
    for i in range(20):
        client.send()
        p.put("sensors/a", str(i))
        assert [one["data"] for one in client.receive()] == [str(i)]
    assert client.poll() == []


def test_what_comes_with_the_handshake_is_said_too(culvert):
    c, _ = start(culvert)
    watching = TopicWs(c, ["sensors/#"]).begin()
    wire = c.wire()
    said = [frame(TEXT, json.dumps({"publish": "sensors/a", "data": str(i)})) for i in range(3)]
    wire.send(upgrade_request(url("/live", ["chat/x"])) + b"".join(said))
    assert read_answer(wire).status == 101
    assert watching.briefs(3) == [("sensors/a", "0"), ("sensors/a", "1"), ("sensors/a", "2")]
