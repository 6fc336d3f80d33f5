# SPDX-License-Identifier: BSD-2-Clause
"""Which topic a filter matches and which filter a list covers, against an oracle that tries every topic."""

import itertools
import random

import pytest

from harness.http import request
from harness.topics import JSON, KINDS, Publisher, TopicWs, brief, route, url
from harness.wire import Wire

LEVELS = ["", "a", "b", "$a", "$"]
TOPICS = ["/".join(levels) for n in range(1, 4) for levels in itertools.product(LEVELS, repeat=n) if any(levels) or n > 1]
FILTERS = [
    "#", "+", "+/#", "+/+", "+/+/+", "a", "a/#", "a/+", "a/+/#", "a/+/b", "a/b/#", "+/a", "+/a/#", "/", "//", "/#", "/+",
    "+/", "+//", "//+", "a/", "a//", "$a", "$a/#", "$a/+", "$a/+/#", "$/#", "$", "+/$a", "a/$a", "a/$a/#", "a/+/$", "b/b/b",
    "b/b/b/#", "b/b/+/#",
]  # fmt: skip


def matches(filter, topic):
    """By the words of MQTT 4.7, a level at a time from the left."""
    if topic.startswith("$") and filter[0] in "+#":
        return False

    def follow(f, t):
        if not f:
            return not t
        if f[0] == "#":
            return True
        if not t:
            return False
        return f[0] in ("+", t[0]) and (follow(f[1:], t[1:]) or f[1:] == ["#"] and not t[1:])

    return follow(filter.split("/"), topic.split("/"))


# A level that is in no filter stands for all others.
UNIVERSE = ["/".join(levels) for n in range(1, 6) for levels in itertools.product(["", "a", "b", "$a", "$", "z"], repeat=n)
            if any(levels) or n > 1]  # fmt: skip


def covered(wide, narrow, seen={}):
    for one in (wide, narrow):
        if one not in seen:
            seen[one] = {topic for topic in UNIVERSE if matches(one, topic)}
    return seen[narrow] <= seen[wide]


def status(c, method, path, headers=()):
    with Wire.open(c.address) as wire:
        wire.send(request(method, path, headers=[*headers, ("Content-Length", "0")] if method == "POST" else headers))
        return int(wire.read_until(b"\r\n").split(b" ")[1])


def test_the_oracle_itself():
    assert matches("a/#", "a") and matches("a/#", "a/b/c") and not matches("a/#", "ab")
    assert matches("+/+", "/") and not matches("+", "/") and not matches("#", "$a") and matches("$a/#", "$a")
    assert not covered("#", "$a/#") and covered("a/#", "a") and covered("+/#", "#") and not covered("a/+", "a/#")


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_told_what(culvert, kind):
    """Live, from history, and retained."""
    lists = "#, $a/#, $/#"
    c = culvert(route(f"[bus]\nhistory_messages = {2 * len(TOPICS)}\n", subscribe=lists, publish=lists))
    p = Publisher(c)
    start = KINDS[kind](c).begin().since
    clients = {one: KINDS[kind](c, [one]).begin() for one in FILTERS}
    both = KINDS[kind](c, FILTERS).begin()
    shuffled = random.Random(1).sample(TOPICS, len(TOPICS))
    for topic in shuffled:
        p.put(topic, topic, retain=1)
    for filter, client in {**clients, "all": both}.items():
        wanted = [topic for topic in shuffled if filter == "all" or matches(filter, topic)]
        if filter == "all":
            wanted = [topic for topic in wanted if any(matches(one, topic) for one in FILTERS)]
        assert client.briefs(len(wanted)) == [(topic, topic) for topic in wanted], filter
        if filter == "all":
            continue
        client.close()
        retained = KINDS[kind](c, [filter]).until("subscribed")
        assert sorted(map(brief, retained)) == sorted((topic, topic, True) for topic in wanted), filter
        if wanted:
            history = KINDS[kind](c, [filter], start).until("subscribed")
            assert list(map(brief, history)) == [(topic, topic) for topic in wanted], filter
    assert sorted(map(brief, KINDS[kind](c, FILTERS).until("subscribed"))) == sorted(
        (topic, topic, True) for topic in TOPICS if any(matches(one, topic) for one in FILTERS))


def test_what_a_list_covers(culvert):
    """Each filter as a list of its own."""
    routes = "\n".join(f"[route /{i}]\ntarget = topics:\nsubscribe = {one}\npublish = {one}\norigins = any\n".replace("$", "$$")
                       for i, one in enumerate(FILTERS))
    c = culvert(routes)
    clients = [TopicWs(c, path=f"/{i}").begin() for i in range(len(FILTERS))]
    asked = random.Random(2).sample(TOPICS, 30)
    for i, wide in enumerate(FILTERS):
        for narrow in FILTERS:
            answer = clients[i].ask(subscribe=[narrow])[0]["event"]
            assert answer == ("ack" if covered(wide, narrow) else "error"), (wide, narrow)
        for topic in asked:
            answer = clients[i].ask(publish=topic, data="")[0]["event"]
            assert answer == ("ack" if matches(wide, topic) else "error"), (wide, topic)
    # The same rules for requests.
    for i, narrow in itertools.product(range(0, len(FILTERS), 3), FILTERS[::2]):
        got = status(c, "GET", url(f"/{i}", [narrow]), [("Accept", JSON)])
        assert got == (200 if covered(FILTERS[i], narrow) else 403), (FILTERS[i], narrow)
    for i, topic in itertools.product(range(0, len(FILTERS), 3), asked):
        assert status(c, "POST", url(f"/{i}", [topic])) == (200 if matches(FILTERS[i], topic) else 403)
