# SPDX-License-Identifier: BSD-2-Clause
"""Topic routes at their corners: what waits while a client subscribes, polls that are passed by, cursors that overlap."""

import itertools
import re
import time

import pytest

from harness.topics import KINDS, Publisher, TopicPoll, TopicWs, brief, number, route, url

SMALL = {"receive_buffer": 4096}
FILL = "x" * 60_000


# ---- polls ----


def test_a_poll_that_the_bus_passes_by_is_not_reset(culvert):
    """History has lost what it waits for nothing of: it was there all the time."""
    c = culvert(route("poll_wait = 2s\n[bus]\nhistory_messages = 5\n"))
    publisher = Publisher(c)
    poll = TopicPoll(c, ["chat/quiet"])
    assert poll.poll() == []
    poll.send()
    time.sleep(0.2)
    last = [publisher.put("sensors/busy", str(i)) for i in range(20)][-1]
    assert poll.receive() == []
    assert poll.asked == last
    poll.send()
    time.sleep(0.2)
    for i in range(20):
        publisher.put("sensors/busy", str(i))
    last = publisher.put("chat/quiet", "at last")
    assert [brief(one) for one in poll.receive()] == [("chat/quiet", "at last")]
    assert poll.asked == last


# ---- since ----


@pytest.mark.parametrize("kind", KINDS)
def test_a_doubled_since_is_400(culvert, kind):
    c = culvert(route())
    accept = {"ws": None, "sse": "text/event-stream", "poll": "application/json"}[kind]
    path = url(topics=["chat/a"], since="a-1") + "&since=a-2"
    if accept is None:
        with pytest.raises(Exception, match="400"):
            c.ws(path)
        return
    assert c.http().ask("GET", path, headers=[("Accept", accept)]).status == 400


def test_history_that_an_older_filter_did_not_bring(culvert):
    """Filters that overlap: what the older one has not told, since it began later, the younger one tells."""
    c = culvert(route())
    publisher = Publisher(c)
    ids = [publisher.put("chat/a", str(i)) for i in range(4)]
    client = TopicWs(c, ["chat/+"]).begin()
    publisher.put("chat/a", "4")
    assert brief(client.next()) == ("chat/a", "4")
    client.begun = False
    client.say(subscribe=["chat/a"], since=ids[1])
    assert client.briefs(3) == [("chat/a", "2"), ("chat/a", "3"), "subscribed"]
    client.say(unsubscribe=["chat/+"])
    client.say(subscribe=["chat/a"], since=ids[0])
    client.begun = False
    assert client.briefs(2) == [("chat/a", "1"), "subscribed"]
    publisher.put("chat/a", "5")
    assert client.briefs(1) == [("chat/a", "5")]


# ---- what waits while a client subscribes ----


def test_what_waits_goes_before_what_is_subscribed_to_meanwhile(culvert):
    """Else `subscribed` would move the cursor past what was not sent yet."""
    c = culvert(route("queue_bytes = 16m\nqueue_messages = 1000\n"))
    publisher = Publisher(c)
    client = TopicWs(c, ["chat/a"], **SMALL).begin()
    for i in range(150):
        publisher.put("chat/a", f"{i} {FILL}")
    client.say(subscribe=["sensors/#"])
    time.sleep(0.3)
    publisher.put("sensors/a", "after")
    publisher.put("chat/a", "150 ")
    got = [client.next() for _ in range(153)]
    briefs = [brief(one) if "event" in one else one["data"].split(" ")[0] for one in got]
    assert briefs == [*map(str, range(150)), "subscribed", "after", "150"]


# ---- history that is long ----


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_history_comes_in_several_turns(culvert, kind):
    """More comparisons than one turn is given; all of it comes, in order, and a poll asks again."""
    c = culvert(route("poll_wait = 1s\n[bus]\nhistory_messages = 10000\n"))
    publisher = TopicWs(c, ["chat/end"]).begin()
    first = publisher.ask(publish="chat/hall", data="first")[0]["id"]
    for i in range(3000):
        publisher.say(publish="sensors/a" if i % 500 else "chat/hall", data=str(i))
    publisher.say(publish="chat/end", data="end")
    assert brief(publisher.next()) == ("chat/end", "end")
    client = KINDS[kind](c, ["chat/hall"] + [f"sensors/none/{i}" for i in range(150)], first)
    wanted = [str(i) for i in range(0, 3000, 500)]
    if kind == "poll":
        polls = [client.poll()]
        while number(client.asked) < number(first) + 3001:
            polls.append(client.poll())
        assert [one["data"] for poll in polls for one in poll] == wanted
        assert 2 < len(polls) < 10
    else:
        assert [one["data"] for one in client.until("subscribed")] == wanted
        assert number(client.since) == number(first) + 3001


# ---- many subscriptions at once ----


def test_many_subscriptions_in_one_breath(culvert):
    """More than may begin at the same time: the others wait for them, and so does what was sent behind them."""
    c = culvert(route())
    client = TopicWs(c, ["chat/a"]).begin()
    for i in range(60):
        client.say(subscribe=[f"sensors/{i}"])
    client.say(publish="sensors/59", data="x")
    got = [client.next() for _ in range(61)]
    assert [one["topics"] for one in got[:60]] == [[f"sensors/{i}"] for i in range(60)]
    assert brief(got[60]) == ("sensors/59", "x")


def test_many_subscriptions_of_a_client_that_reads_nothing(culvert):
    c = culvert(route("queue_bytes = 16m\nqueue_messages = 1000\n"))
    publisher = Publisher(c)
    client = TopicWs(c, ["chat/a"], **SMALL).begin()
    for i in range(150):
        publisher.put("chat/a", FILL)
    for i in range(60):
        client.say(subscribe=[f"sensors/{i}"])
    client.say(publish="sensors/59", data="x")
    time.sleep(0.5)
    got = [client.next() for _ in range(150 + 61)]
    assert [one["topics"] for one in got[150:210]] == [[f"sensors/{i}"] for i in range(60)]
    assert brief(got[210]) == ("sensors/59", "x")


# ---- TLS ----


@pytest.mark.parametrize("kind", ["ws", "sse"])
def test_a_slow_client_over_tls_gets_all_in_order(culvert, certs, kind):
    """Records that the socket did not take are offered again, among them those of events in between."""
    server = f"listen = 127.0.0.1:0\nlisten = 127.0.0.1:0 tls\n[tls]\n{certs.section()}\n"
    c = culvert(route("queue_bytes = 16m\nqueue_messages = 1000\nheartbeat = 1s\n", server))
    publisher = Publisher(c)
    client = KINDS[kind](c, ["chat/a"], address=c.addresses[1], tls=certs.client_context(), **SMALL).begin()
    for size in (60_000, 10):
        for i in range(150):
            publisher.put("chat/a", f"{i} {'x' * size}")
        time.sleep(1.2)
        assert [one["data"].split(" ")[0] for one in client.messages(150)] == [str(i) for i in range(150)]


# ---- many filters ----


@pytest.mark.parametrize("kind", ["ws", "sse", "poll"])
def test_many_filters_that_look_at_everything_get_each_value_once(culvert, kind):
    c = culvert(route(subscribe="#, $x/#", publish="#, $x/#"))
    p = Publisher(c)
    topics = [f"t{i}/x{i % 60}" for i in range(300)] + ["$x/x1", "other", "t1/x1/deep", "a/b/c"]
    for topic in topics:
        p.put(topic, topic, retain=1)
    filters = [f"+/x{i}" for i in range(50)] + ["t1/x1", "t7/#", "a/+/c", "$x/+", "t59/x59"]
    client = KINDS[kind](c, filters)
    got = [message["topic"] for message in client.until("subscribed")]
    expected = {topic for topic in topics if re.fullmatch(r"t\d+/x[1-4]?\d|t7/x7|\$x/x1|a/b/c|t59/x59", topic)}
    assert len(got) == len(set(got)) and set(got) == expected


def test_filters_that_are_all_alike_get_each_value_once(culvert):
    """To ask them together would take longer than one after the other."""
    c = culvert(route(subscribe="#", publish="#"))
    p = Publisher(c)
    deep = "/".join("a" * 12)
    topics = [f"{deep}/{i}" for i in range(300)] + ["b/1", "c/1"]
    for topic in topics:
        p.put(topic, topic, retain=1)
    alike = ["/".join(levels) + "/zz" for levels in itertools.islice(itertools.product("a+", repeat=12), 35)]
    poll = TopicPoll(c, ["a/#"] * 15 + alike + ["b/+"])
    got = [message["topic"] for message in poll.poll()]
    assert len(got) == 301 and set(got) == set(topics) - {"c/1"}
