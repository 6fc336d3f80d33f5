# SPDX-License-Identifier: BSD-2-Clause
"""Topic routes in a service: limits, heartbeats, what is counted and logged, another configuration, the end."""

import json
import os
import signal

import pytest

from harness.admin import Admin
from harness.culvert import configuration
from harness.http import read_answer, request
from harness.topics import JSON, KINDS, STREAM, Publisher, TopicPoll, TopicSse, TopicWs, brief, payload, route, url
from harness.wait import Stopwatch, wait_until
from harness.ws import PING, upgrade_request

ON_ALL = pytest.mark.parametrize("kind", KINDS)
STREAMS = pytest.mark.parametrize("kind", ["ws", "sse"])
TRANSPORTS = {"ws": "websocket", "sse": "sse", "poll": "longpoll"}
ADMIN = "admin = 127.0.0.1:0"


def ask(c, kind, path="/live", source=None):
    """The status of a subscription, and the connection, which stays."""
    wire = c.wire(source=source)
    headers = [("Accept", STREAM if kind == "sse" else JSON)]
    wire.send(upgrade_request(path) if kind == "ws" else request("GET", path, headers=headers))
    return int(wire.read_until(b"\r\n").split(b" ")[1]), wire


def hold(c, kind, source=None):
    """A subscriber that stays; a poll waits."""
    options = {"source": source} if source else {}
    client = KINDS[kind](c, ["chat/+"], **options)
    if kind == "poll":
        client.poll()
        client.send()
        c.wait_quiet()
    else:
        client.begin()
    return client


# ---- limits ----


@ON_ALL
@pytest.mark.parametrize("limit, status", [
    ("connections_max = 2", 503), ("connections_per_ip = 2", 429), ("max_connections = 2", 503),
])  # fmt: skip
def test_connections_are_limited(culvert, kind, limit, status):
    """Those that are held: what is answered at once makes room at once. Who publishes is not counted."""
    server = limit if limit.startswith("max_") else ""
    c = culvert(route("poll_wait = 60s\n" + ("" if server else limit + "\n"), server=f"{server}\n{ADMIN}"))
    clients = [hold(c, kind), hold(c, "sse")]
    got, wire = ask(c, kind)
    assert got == status
    head = wire.read_until(b"\r\n\r\n").lower()
    assert b"retry-after: " in head and b"no-store" in head
    Publisher(c).put("sensors/a", "x")
    if "per_ip" in limit:
        assert ask(c, kind, source="127.0.0.2")[0] in (101, 200)
    clients[0].close()
    wait_until(lambda: ask(c, kind)[0] in (101, 200), "a free place")
    assert Admin(c).metrics().get("culvert_refusals_total", route="/live") >= 1


def test_polls_one_after_the_other_are_one(culvert):
    c = culvert(route("connections_max = 1\npoll_wait = 1s\n"))
    p, client = Publisher(c), TopicPoll(c, ["chat/+"]).begin()
    for i in range(50):
        client.send()
        p.put("chat/a", str(i))
        assert [one["data"] for one in client.receive()] == [str(i)]


# ---- life ----


def test_a_dead_client_is_cut(culvert):
    c = culvert(route("heartbeat = 1s\nheartbeat_timeout = 1s\n"))
    watch = Stopwatch()
    dead, alive = TopicWs(c, ["chat/+"]).begin(), TopicWs(c, ["chat/+"]).begin()
    while (got := dead.wire.recv_frame()).opcode != PING:
        assert got.payload.startswith(b'{"event":"cursor"')
    event = None
    while not event:
        while alive.read().get("event") != "cursor":
            pass
        event = next(iter(c.events("websocket")), None)
    assert (event["ended_by"], event["code"], event["reason"]) == ("client", "1006", "no answer to ping")
    assert watch.seconds < 4 * 2
    Publisher(c).put("chat/a", "x")
    assert alive.briefs(1) == [("chat/a", "x")]


@STREAMS
def test_heartbeats_may_be_off(culvert, kind):
    c = culvert(route("heartbeat = 0\n"))
    client = KINDS[kind](c, ["chat/+"]).begin()
    Publisher(c).put("sensors/a", "x")
    c.wait_quiet()
    Publisher(c).put("chat/a", "x")
    assert brief(client.read()) == ("chat/a", "x")


@ON_ALL
def test_who_has_gone_costs_nothing(culvert, kind):
    c = culvert(route("poll_wait = 60s\n"))
    Publisher(c).put("chat/a", "warm")
    hold(c, kind).close()
    c.wait_quiet()
    before, fds = c.stats(), c.fds()
    for _ in range(5):
        clients = [hold(c, kind) if kind != "poll" else TopicPoll(c, ["chat/+"], "e-1") for _ in range(10)]
        for i, client in enumerate(clients):
            client.wire.reset() if i % 2 else client.close()
    wait_until(lambda: c.fds() <= fds, "descriptors to be given back")
    wait_until(lambda: c.stats().live_bytes <= before.live_bytes + 4096, "memory to be given back")


# ---- what is told of it ----


@STREAMS
def test_an_access_line_tells_the_whole_story(culvert, kind):
    c = culvert(route())
    client = KINDS[kind](c, ["chat/+"]).begin()
    Publisher(c).put("chat/a", "é" * 50)
    said = len(json.dumps({"topic": "chat/a", "id": client.next()["id"], "data": "é" * 50}, ensure_ascii=False,
                          separators=(",", ":")).encode())  # fmt: skip
    heard = 0
    if kind == "ws":
        text = json.dumps({"subscribe": ["chat/b"]})
        client.wire.send_text(text)
        client.until("subscribed")
        heard = len(text)
        client.wire.leave(1001)
    client.close()
    event = c.wait_event(TRANSPORTS[kind])
    assert event["route"] == "/live" and event["target"] == "topics:" and event["client"].startswith("127.0.0.1:")
    assert (event["ended_by"], event["code"]) == ("client", "1001" if kind == "ws" else "1006")
    assert (event["in"], event["out"]) == (str(heard), str(said))


def test_a_poll_and_a_post_are_requests_in_the_log(culvert):
    c = culvert(route())
    Publisher(c).put("chat/a", "x")
    TopicPoll(c, ["chat/+"]).poll()
    lines = [c.wait_event("request", n) for n in (1, 2)]
    assert [(one["method"], one["status"], one["query"]) for one in lines] == [
        ("POST", "200", "topic=chat/a"), ("GET", "200", "topic=chat/+")]


@ON_ALL
def test_what_flows_is_counted_exactly(culvert, kind):
    c = culvert(route(server=ADMIN))
    admin, transport = Admin(c), TRANSPORTS[kind]
    p, client = Publisher(c), KINDS[kind](c, ["chat/+"])
    client.begin()
    for data in (b"x", b"\xff" * 1000, "é\n\"".encode(), b""):
        p.put("chat/a", data)
    p.put("sensors/a", "for nobody")
    got = client.messages(4)
    lengths = [len(json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode()) for one in got]
    admin.wait(4, "culvert_messages_total", route="/live", transport=transport, direction="out")
    metrics = admin.metrics()
    assert metrics.get("culvert_bytes_total", route="/live", transport=transport, direction="out") == sum(lengths)
    assert metrics.get("culvert_topic_published_total", route="/live") == 5
    assert metrics.get("culvert_topic_dropped_total", route="/live") == 0
    if kind == "ws":
        assert client.ask(publish="chat/none/x", data="")[0]["event"] == "error"
        for topic in ("chat/b", "sensors/b"):
            assert client.ask(publish=topic, data="")[0]["event"] == "ack"
        assert admin.metrics().get("culvert_messages_total", transport=transport, direction="in") == 3
        assert admin.metrics().get("culvert_topic_published_total", route="/live") == 7
    if kind != "poll":
        assert admin.metrics().get("culvert_bridges", route="/live", transport=transport) == 1
        client.close()
        admin.wait(0, "culvert_bridges", route="/live", transport=transport)
        assert admin.metrics().get("culvert_bridges_opened_total", route="/live", transport=transport) == 1


@STREAMS
def test_raw_payloads_are_counted_as_they_are(culvert, kind):
    c = culvert(route("payload = raw\n", server=ADMIN, publish="chat/a"))
    admin, p = Admin(c), Publisher(c)
    _, wire = ask(c, kind)
    wire.read_until(b"\r\n\r\n")
    wait_until(lambda: admin.metrics().get("culvert_bridges", route="/live") == 1, "it to be in")
    data = [b"text", b"two\nlines", b"\xff" * 300]
    for one in data:
        p.put("chat/a", one)
    admin.wait(3, "culvert_messages_total", route="/live", transport=TRANSPORTS[kind], direction="out")
    wanted = 4 + 9 + (300 if kind == "ws" else 400)
    assert admin.metrics().get("culvert_bytes_total", route="/live", direction="out") == wanted


@STREAMS
def test_losses_are_counted(culvert, kind):
    c = culvert(route("queue_messages = 5\nqueue_bytes = 64m\n", server=ADMIN))
    admin, p = Admin(c), Publisher(c)
    client = KINDS[kind](c, ["chat/+"], receive_buffer=4096).begin()
    for i in range(200):
        p.put("chat/a", f"{i} " + "x" * 100_000)
    last = p.put("chat/a", "end")
    dropped = came = 0
    while (message := client.next()).get("id") != last:
        dropped += message.get("count", 0)
        came += "id" in message
    assert came + dropped == 200 and dropped > 0
    assert admin.metrics().get("culvert_topic_dropped_total", route="/live") == dropped


# ---- another configuration ----


def reload(c, text):
    with open(c.conf_path + ".new", "w") as file:
        file.write(configuration(text))
    os.rename(c.conf_path + ".new", c.conf_path)
    done = len(c.log_lines(r"main reloaded$"))
    c.signal(signal.SIGHUP)
    c.wait_log(r"main reloaded$", done + 1)


@pytest.mark.tsan
@ON_ALL
def test_a_reload_is_for_who_comes_then(culvert, kind):
    c = culvert(route(server="workers = 2\nlisten = 127.0.0.1:0"))
    text = open(c.conf_path).read().replace("127.0.0.1:0", f"127.0.0.1:{c.port}")
    old = KINDS[kind](c, ["sensors/#"]).begin()
    Publisher(c).put("chat/a", "before", retain=1)
    reload(c, text.replace("sensors/#, chat/+", "news/#, chat/+"))
    assert Publisher(c).ask("sensors/a", "x").status == 403
    assert ask(c, kind, url("/live", ["sensors/a"]))[0] == 403
    # The bus is the same: its history, its values and who is there.
    new = KINDS[kind](c, ["news/#"]).begin()
    assert KINDS[kind](c, ["chat/+"]).briefs(2) == [("chat/a", "before", True), "subscribed"]
    Publisher(c).put("news/a", "x")
    assert new.briefs(1) == [("news/a", "x")]
    if kind == "ws":
        assert old.ask(subscribe=["news/a"])[0]["event"] == "error"
        old.say(publish="sensors/a", data="as when it came")
        assert old.briefs(1) == [("sensors/a", "as when it came")]
    reload(c, text)
    Publisher(c).put("sensors/b", "again")
    if kind != "poll":
        assert old.briefs(1) == [("sensors/b", "again")]


@pytest.mark.tsan
@ON_ALL
def test_a_reload_brings_another_bus(culvert, kind):
    c = culvert(route(server="workers = 2\nlisten = 127.0.0.1:0"))
    text = open(c.conf_path).read().replace("127.0.0.1:0", f"127.0.0.1:{c.port}")
    p = Publisher(c)
    p.put("chat/a", "on the first", retain=1)
    more = ("[bus second]\nhistory_messages = 2\n[route /second]\ntarget = topics:second\nsubscribe = #\npublish = #\n"
            "origins = any\n")  # fmt: skip
    reload(c, text + more)
    first, second = KINDS[kind](c, ["chat/+"]), KINDS[kind](c, ["chat/+"], path="/second")
    assert first.briefs(2) == [("chat/a", "on the first", True), "subscribed"]
    assert second.briefs(1) == ["subscribed"]
    sent = Publisher(c, "/second").put("chat/a", "on the second", retain=1)
    assert second.briefs(1) == [("chat/a", "on the second")]
    p.put("chat/a", "on the first")
    assert first.briefs(1) == [("chat/a", "on the first")]
    assert KINDS[kind](c, ["chat/+"], sent).briefs(1) == ["reset"]  # a cursor is one bus's
    # Without its route it rests, and comes back with what it knew.
    reload(c, text)
    assert ask(c, kind, "/second")[0] == 404
    reload(c, text + more)
    assert KINDS[kind](c, ["chat/+"], path="/second").briefs(2) == [("chat/a", "on the second", True), "subscribed"]


# ---- the end ----


@ON_ALL
def test_draining_tells_all_that_was_published(culvert, kind):
    c = culvert(route("poll_wait = 60s\nqueue_messages = 1000\nqueue_bytes = 64m\n", server="drain_timeout = 4s\nworkers = 2"))
    p = Publisher(c)
    client = KINDS[kind](c, ["chat/+"], receive_buffer=4096).begin()
    watch = Stopwatch()
    if kind == "poll":
        client.send()
        p.put("sensors/a", "of no interest")
        c.wait_quiet()
        c.signal(signal.SIGTERM)
        assert client.receive() == []
        assert client.asked.endswith("-1")
    else:
        for i in range(100):
            p.put("chat/a", f"{i} " + "x" * 50_000)
        c.signal(signal.SIGTERM)
        c.wait_log("draining")
        if kind == "ws":
            got, code, _ = client.closed()
            assert code == 1001
            client.wire.send_close(1001)
        else:
            got = client.closed()
        assert [payload(one).split(b" ")[0] for one in got] == [b"%d" % i for i in range(100)]
    client.close()
    assert c.wait_exit() == 0
    assert watch.seconds < 4 * 4


def test_who_comes_while_draining(culvert):
    c = culvert(route("close_timeout = 20s\n", server="drain_timeout = 30s"))
    stays = TopicWs(c, ["chat/+"]).begin()
    early = [c.http() for _ in range(4)]
    for one in early:  # their requests come later
        one.send(b"GET /li")
    c.wait_quiet()
    c.signal(signal.SIGTERM)
    got, code, _ = stays.closed()
    assert (got, code) == ([], 1001)
    rest = [upgrade_request("/live"), request("GET", "/live", headers=[("Accept", STREAM)]),
            request("GET", "/live", headers=[("Accept", JSON)])]  # fmt: skip
    for one, data in zip(early, rest):
        one.send(data[len(b"GET /li"):])
        assert read_answer(one).status == 503
    stays.wire.send_close(1001)
    stays.close()
    for one in early:
        one.close()
    assert c.wait_exit() == 0


def test_a_post_under_way_is_taken_while_draining(culvert):
    c = culvert(route(server="drain_timeout = 5s"))
    client = TopicSse(c, ["chat/+"]).begin()
    wire = c.http()
    wire.send(request("POST", "/live?topic=chat/a", headers=[("Content-Length", "4")], body=b"la"))
    c.wait_quiet()
    c.signal(signal.SIGTERM)
    c.wait_log("draining")
    wire.send(b"st")
    answer = read_answer(wire)
    assert answer.status == 200 and answer["connection"] == "close" and json.loads(answer.body)["id"]
    wire.close()
    assert [brief(one) for one in client.closed()] in ([("chat/a", "last")], [])  # it may have gone before
    assert c.wait_exit() == 0
