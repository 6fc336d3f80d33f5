# SPDX-License-Identifier: BSD-2-Clause
"""Topic routes whose bus is a mosquitto: several nodes, retained values, acknowledgements, and who does not get in."""

import pytest

from harness.peers import Recorder, free_port
from harness.topics import KINDS, Publisher, TopicSse, TopicWs
from harness.topics_load import Listener, Poster, WsTalker, in_order, of_topic
from harness.topics_mqtt import (
    VERSIONS,
    Broker,
    Outsider,
    Relay,
    bus,
    made,
    node,
    retained,
    route,
    wait_retained,
    wait_up,
)
from harness.wait import Stopwatch, wait_until
from harness.ws import Refused

BOTH = pytest.mark.parametrize("version", VERSIONS)


# ---- several nodes ----

CROSSING = route(subscribe="load/#, chat/+, quiet") + route("/cross", subscribe="+/a/#, load/+/b")


@BOTH
def test_what_any_node_publishes_reaches_the_subscribers_of_all(culvert, made, version):
    """Once, and in one order of each topic; /cross has filters that overlap with those of /live and each other."""
    broker = made(Broker).start()
    nodes = [wait_up(node(culvert, broker.port, version, routes=CROSSING)) for _ in range(2)]
    ears = {}
    for number, one in enumerate(nodes):
        for kind, make in KINDS.items():
            ears[number, kind] = Listener(make(one, ["load/#"]))
        ears[number, "cross"] = Listener(TopicWs(one, ["load/a/#", "+/a/b", "load/+/b"], path="/cross"))
    outside = made(Outsider, broker.port)
    talkers = []
    for one in nodes:
        talkers += [Poster(one, "load/a/b", 20), WsTalker(one, "load/a/b", 20), Poster(one, "load/c/b", 20)]
    for i in range(20):
        outside.publish("load/a/b", f"{i + 1}..")
    outside.publish("load/end/b", "end", qos=0)
    for talker in talkers:
        talker.join()
    for one in nodes:
        Poster(one, "load/end/b", 1).join()
    heard = {name: end_of(ear) for name, ear in ears.items()}
    first = heard[0, "ws"]
    for topic, count in (("load/a/b", 20 * 5), ("load/c/b", 20 * 2)):
        assert len(of_topic(first, topic)) == count
        assert {name: of_topic(one, topic) for name, one in heard.items()} == dict.fromkeys(
            heard, of_topic(first, topic)
        )
    assert in_order([text for text in of_topic(first, "load/a/b") if "." in text])
    assert all(ear.events() == [] for ear in ears.values())


def end_of(ear):
    """All that it has heard, when the three ends are there."""
    ear.wait(lambda: len(of_topic(ear.messages(), "load/end/b")) >= 3, "the ends")
    return ear.messages()


@BOTH
def test_qos_2_and_0_come_once_too(culvert, made, version):
    broker = made(Broker).start()
    outside = made(Outsider, broker.port, "load/#")
    for qos in (0, 2):
        one = wait_up(node(culvert, broker.port, version, f"qos = {qos}\n"))
        ear = Listener(TopicSse(one, ["load/#"]))
        WsTalker(one, f"load/{qos}", 50).join()
        outside.publish(f"load/{qos}", "end", qos=2)
        ear.wait(lambda: (f"load/{qos}", "end") in ear.messages(), "the end")
        assert of_topic(ear.messages(), f"load/{qos}") == [str(i) for i in range(1, 51)] + ["end"]
        wait_until(lambda: len(of_topic(outside.messages, f"load/{qos}")) == 51, "all outside")


# ---- retained values and $-topics ----


@BOTH
def test_retained_values_are_those_of_the_broker(culvert, made, version):
    """From before the start; removed and replaced by others; published by clients."""
    broker = made(Broker).start()
    outside = made(Outsider, broker.port)
    outside.publish("kept/a", "1", retain=True)
    outside.publish("kept/b", "1", retain=True)
    nodes = [node(culvert, broker.port, version) for _ in range(2)]
    for one in nodes:
        wait_retained(one, {"kept/a": "1", "kept/b": "1"}, "kept/#")
    ear = TopicWs(wait_up(nodes[0]), ["kept/#"])
    got = ear.briefs(3)
    assert sorted(got[:2]) == [("kept/a", "1", True), ("kept/b", "1", True)] and got[2] == "subscribed"
    outside.publish("kept/a", "", retain=True)
    outside.publish("kept/b", "2", retain=True)
    assert ear.briefs(2) == [("kept/a", ""), ("kept/b", "2")]
    assert Publisher(nodes[1]).ask("kept/c", "3", retain=1).status == 200
    assert ear.briefs(1) == [("kept/c", "3")]
    # MQTT 3.1.1 does not mark it as retained on a topic that had no value.
    new = {"kept/c": "3"} if version == "5" else {}
    for one in nodes:
        wait_retained(one, {"kept/b": "2", **new}, "kept/#")
    late = made(Outsider, broker.port, "kept/#")
    wait_until(lambda: sorted(late.messages) == [("kept/b", "2"), ("kept/c", "3")], "them at the broker")


@BOTH
@pytest.mark.parametrize("keeps", [True, False])
def test_values_that_change_while_culvert_is_cut_off(culvert, made, version, keeps):
    """Without its session (keeps) the broker tells only what is there, not what has gone."""
    broker = made(Broker).start()
    relay = made(Relay, broker.port)
    outside = made(Outsider, broker.port)
    for topic in ("same", "changed", "gone"):
        outside.publish(f"kept/{topic}", "1", retain=True)
    one = wait_up(node(culvert, relay.port, version, "" if keeps else "clean_start = yes\nqos = 0\n"))
    before = {"kept/same": "1", "kept/changed": "1", "kept/gone": "1"}
    wait_retained(one, before, "kept/#")
    ear = Listener(TopicWs(one, ["kept/#"]))
    relay.shut()
    relay.cut()
    ear.wait(lambda: "down" in ear.events(), "bus down")
    assert retained(one, "kept/#") == before
    outside.publish("kept/changed", "2", retain=True)
    outside.publish("kept/gone", "", retain=True)
    outside.publish("kept/new", "1", retain=True)
    relay.open()
    after = {"kept/same": "1", "kept/changed": "2", "kept/new": "1"}
    wait_retained(one, after, "kept/#")
    ear.wait(lambda: set(ear.messages()) >= {("kept/changed", "2"), ("kept/new", "1")}, "what is new")
    ear.wait(lambda: ear.events() == (["down", "up"] if keeps else ["down", "up", "reset"]), "the bus to be up")
    assert keeps == (("kept/gone", "") in ear.messages())
    if keeps or version == "5":
        assert ("kept/same", "1") not in ear.messages()


@BOTH
def test_only_a_route_that_lists_them_has_topics_of_the_broker_itself(culvert, made, version):
    broker = made(Broker, more="allow_anonymous true\nsys_interval 1\n").start()
    one = wait_up(node(culvert, broker.port, version, routes=route() + route("/sys", "$$SYS/broker/clients/#", "none")))
    assert TopicWs(one, ["$SYS/broker/clients/total"], path="/sys").next()["topic"] == "$SYS/broker/clients/total"
    ear = TopicWs(one, ["#"]).begin()
    for path, topic in (("/live", "$SYS/#"), ("/live", "$SYS/broker/clients/total"), ("/sys", "$SYS/broker/#"),
                        ("/sys", "#")):
        with pytest.raises(Refused) as refused:
            TopicWs(one, [topic], path=path)
        assert refused.value.status == 403
    live = TopicSse(one, ["$SYS/broker/clients/#"], path="/sys").begin()
    made(Outsider, broker.port)
    assert live.next()["topic"].startswith("$SYS/broker/clients/")
    made(Outsider, broker.port).publish("else", "1")
    assert ear.briefs(1) == [("else", "1")]


# ---- acknowledgements ----


@BOTH
def test_a_publication_is_acknowledged_when_the_broker_has_it(culvert, made, version):
    broker = made(Broker).start()
    relay = made(Relay, broker.port)
    outside = made(Outsider, broker.port, "ask/#")
    one = wait_up(node(culvert, relay.port, version, "publish_timeout = 20s\n"))
    ws = TopicWs(one, ["quiet"]).begin()
    relay.hold("down")
    post = Poster(one, "ask/post", 1)
    ws.say(publish="ask/ws", data="1", ref="r")
    wait_until(lambda: len(outside.messages) == 2, "both at the broker")
    assert ws.wire.is_open() and not ws.wire.buffer and post.taken == []
    relay.release()
    assert ws.next() == {"event": "ack", "ref": "r", "id": None}
    post.join()
    assert post.taken == ["1"]


@BOTH
def test_each_publication_is_under_way_at_once(culvert, made, version):
    """Also just after a message that came: no kernel waits for another one's delayed acknowledgement."""
    broker = made(Broker, more="allow_anonymous true\nset_tcp_nodelay true\n").start()
    one = wait_up(node(culvert, broker.port, version))
    watch = Stopwatch()
    Poster(one, "ask/post", 100, pause=0).join()
    assert watch.seconds < 100 * 0.02


@BOTH
def test_what_the_broker_does_not_acknowledge_in_time_has_failed(culvert, made, version):
    """And what waits for it is not more than publish_max."""
    broker = made(Broker).start()
    relay = made(Relay, broker.port)
    one = wait_up(node(culvert, relay.port, version, "publish_timeout = 2s\npublish_max = 5\n"))
    ws = TopicWs(one, ["quiet"]).begin()
    relay.hold("up")
    watch = Stopwatch()
    for ref in range(5):
        ws.say(publish="ask/ws", data="x", ref=str(ref))
    ws.say(publish="ask/ws", data="x", ref="one more")
    full = ws.next()
    assert (full["event"], full["ref"]) == ("error", "one more") and "too many" in full["reason"]
    answer = Publisher(one).ask("ask/post", "x")
    assert answer.status == 503 and answer["retry-after"] and b"too many" in answer.body
    late = [ws.next() for _ in range(5)]
    assert 1.5 < watch.seconds < 4 * 2
    assert sorted(one["ref"] for one in late) == list("01234")
    assert all(one["event"] == "error" and "not known" in one["reason"] for one in late)
    relay.release()
    wait_up(one)
    assert ws.ask(publish="ask/ws", data="x")[0]["event"] == "ack"


# ---- who does not get in, and who comes late ----


def test_a_broker_that_does_not_let_us_in_is_asked_again_and_not_too_often(culvert, made, peer, certs):
    """
    Wrong credentials, an authority that is not ours, silence after accept(), and nobody there. Another bus
    has no part in it.
    """
    users = "allow_anonymous false\n"
    tls = f"allow_anonymous true\ncertfile {certs.crt('server')}\nkeyfile {certs.key('server')}\n"
    secure = made(Broker, more=tls).start()
    ways = {"who": made(Relay, made(Broker, more=users).start().port), "tls": made(Relay, secure.port)}
    silent = peer(Recorder)
    gone = made(Relay, free_port())
    one = culvert(
        bus(ways["who"].port, "5", "username = nobody\n", name="who")
        + bus(ways["tls"].port, "5", f"tls_ca = {certs.crt('foreign_ca')}\n", scheme="mqtts", name="tls")
        + bus(silent.port, "3.1.1", "connect_timeout = 1s\n", name="silent")
        + bus(gone.port, "3.1.1", name="gone")
        + bus(secure.port, "5", f"tls_ca = {certs.crt('ca')}\n", scheme="mqtts", name="fine")
        + "".join(route(f"/{name}", name=name) for name in ("who", "tls", "silent", "gone", "fine"))
    )
    wait_up(one, "/fine")
    said = {"who": r"code 135 Not authorized", "tls": r"certificate verify failed", "silent": "no answer|timeout",
            "gone": ""}
    for name, why in said.items():
        one.wait_log(rf" warn +bus {name} (cannot connect to|no answer from) .*({why})", 2)
        assert TopicWs(one, ["x"], path=f"/{name}").briefs(2) == ["subscribed", "bus"]
    for count in (ways["who"].n_accepted, ways["tls"].n_accepted, len(silent.received), gone.n_accepted):
        assert 2 <= count < 12, (count, one.log_text())
    assert one.cpu_seconds() < 4


# ---- many ----


def test_a_thousand_subscribers_are_one_client_of_the_broker(culvert, made):
    """A worker's subscribers and those of the other; what it is subscribed to is what its routes allow."""
    broker = made(Broker, more="allow_anonymous true\nsys_interval 1\n").start()
    relay = made(Relay, broker.port)
    one = wait_up(node(culvert, relay.port))
    outside = made(Outsider, broker.port, "$SYS/broker/clients/connected", "$SYS/broker/subscriptions/count")
    ears = [TopicWs(one, ["many/#"]) for _ in range(1000)]
    for ear in ears:
        ear.begin()
    for text in "12345":
        outside.publish("many/a", text)
    for ear in ears:
        assert ear.briefs(5) == [("many/a", text) for text in "12345"]
    assert relay.n_accepted == 1
    # The other client is outside; it has two subscriptions, and culvert one.
    for topic, count in (("$SYS/broker/clients/connected", "2"), ("$SYS/broker/subscriptions/count", "3")):
        wait_until(lambda one=(topic, count): of_topic(outside.messages, one[0])[-1:] == [one[1]], topic)
