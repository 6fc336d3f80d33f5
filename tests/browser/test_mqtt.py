# SPDX-License-Identifier: BSD-2-Clause
"""
mqtt.js, in Chromium and in Node, through culvert to Mosquitto: on its own WebSocket, and on sessions of
contrib/js whatever carries them. The neighbour is Paho, past culvert by TCP.
"""

import functools

import pytest
from harness import mqtt_functions as functions
from harness.mqtt_clients import VERSIONS, Message, Paho, mute, roomy_mosquitto
from harness.wait import wait_until
from mqtt_js import CARRIERS, MqttJs, Node, Tab, configuration
from relay import Relay

KEEP_ALIVE = 2  # seconds
each_host = pytest.mark.parametrize("host", ["chromium", "node"], indirect=True)
each_version = pytest.mark.parametrize("version", VERSIONS, ids=["3.1.1", "5"])


def will(carrier, version=VERSIONS[-1]):
    return Message(f"will/{carrier}/{int(version)}", b"gone", 1, False)


@pytest.fixture
def broker(tmp_path):
    with roomy_mosquitto(tmp_path) as port:
        yield port


@pytest.fixture
def neighbour(broker):
    """It sees the wills."""
    with Paho(broker) as one:
        one.subscribe("will/#")
        yield one


@pytest.fixture
def nodes():
    """Starts processes of Node: each has plain clients, or others."""
    started = []

    def start(port):
        started.append(Node(port))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def host(request):
    """Makes what clients live in: the page, always the same one, or a process of Node."""
    if request.param == "node":
        return request.getfixturevalue("nodes")
    tab = request.getfixturevalue("tab")
    return functools.cache(lambda port: Tab(tab, port))


@each_host
@each_version
@pytest.mark.parametrize("carrier", ["plain", "sse", "longpoll"])
def test_all_that_mqtt_does(culvert, neighbour, host, broker, carrier, version):
    c = culvert(configuration(broker))
    one = MqttJs(host(c.port), carrier, version, will=will(carrier))
    functions.each_quality_of_service_comes_once(one, neighbour)
    for qos in functions.QUALITIES:
        functions.large_payloads_are_the_same_at_the_other_end(one, neighbour, qos)
    functions.retained_messages_wait_for_who_subscribes(one, neighbour)
    seen = one.seen
    assert (seen["connects"], seen["closes"], seen["errors"]) == (1, 0, []), seen
    assert seen["protocols"] == ([] if carrier == "plain" else ["mqtt"]), seen
    # Who takes his leave has no will.
    one.close()
    neighbour.publish("will/none")
    assert neighbour.wait_messages(1, "will/none") and not neighbour.of(will(carrier).topic)


@each_host
def test_properties_pass_as_they_are(culvert, neighbour, host, broker):
    c = culvert(configuration(broker))
    one = MqttJs(host(c.port), "sse")
    one.subscribe("down")
    neighbour.subscribe("up")
    pairs = [("colour", "grün"), ("colour", "rot")]
    one.publish("up", b"?", 1, contentType="text/plain", responseTopic="answers/1",
                userProperties={"colour": ["grün", "rot"]})
    neighbour.publish("down", b"!", 1, ContentType="text/plain", ResponseTopic="answers/2", UserProperty=pairs)
    assert neighbour.wait_messages(1, "up")
    up = neighbour.properties[0]
    assert (up.ContentType, up.ResponseTopic, up.UserProperty) == ("text/plain", "answers/1", pairs)
    assert one.wait_messages(1, "down")
    down = one.packets[0]["properties"]
    assert (down["contentType"], down["responseTopic"]) == ("text/plain", "answers/2")
    assert down["userProperties"] == {"colour": ["grün", "rot"]}


# ---- ends that nobody planned ----


@each_host
@each_version
def test_the_will_of_who_is_cut_off(culvert, neighbour, host, broker, version):
    with Relay(culvert(configuration(broker))) as relay:
        one = MqttJs(host(relay.port), "plain", version, will=will("plain"))
        relay.cut()
        assert neighbour.wait_messages(1) == [will("plain")]
        assert one.wait(lambda seen: seen["closes"] == 1, "the client to notice")["connects"] == 1


@each_host
def test_the_wills_of_who_is_killed(culvert, neighbour, host, broker):
    """A session's when nobody has come back for it; the keep-alive, which is 60 s, has no part in it."""
    c = culvert(configuration(broker, more="resume_window = 1s\n"))
    hosts, wills = [], []
    for carrier in CARRIERS:
        hosts.append(host(c.port))
        for version in VERSIONS:
            wills.append(will(carrier, version))
            MqttJs(hosts[-1], carrier, version, name=wills[-1].topic, will=wills[-1])
    assert not neighbour.messages
    for one in dict.fromkeys(hosts):
        one.kill()
    assert sorted(neighbour.wait_messages(len(wills))) == sorted(wills)


# ---- nobody says anything ----


def test_keep_alive_keeps_silent_clients(culvert, neighbour, broker, tab, nodes):
    """Beside culvert's own heartbeat, which is as short here."""
    c = culvert(configuration(broker, more="heartbeat = 1s\npoll_wait = 1s\n"))
    page, clients = Tab(tab, c.port), []
    for carrier in CARRIERS:
        node = nodes(c.port)
        for version in VERSIONS:
            one = will(carrier, version)
            clients += [MqttJs(where, carrier, version, name=one.topic, will=one, keepalive=KEEP_ALIVE)
                        for where in (page, node)]
    for one in clients:
        one.subscribe("down")
    with mute(broker, KEEP_ALIVE):
        # Until then nothing but PINGREQ and PINGRESP.
        neighbour.wait_messages(1, "will/mute")
    neighbour.publish("down", b"awake?")
    for one in clients:
        assert one.wait_messages(1) == [Message("down", b"awake?", 0, False)]
        seen = one.seen
        assert seen["connected"] and (seen["connects"], seen["closes"]) == (1, 0), seen
    assert [message.topic for message in neighbour.messages] == ["will/mute"]


def test_a_silence_longer_than_the_keep_alive_is_a_death_and_is_survived(culvert, neighbour, broker, nodes):
    """The broker gives up, and mqtt.js begins again."""
    with Relay(culvert(configuration(broker))) as relay:
        # What it opens during the silence is of no use: it shall not wait for that too long.
        one = MqttJs(nodes(relay.port), "sse", will=will("sse"), keepalive=KEEP_ALIVE,
                     reconnectPeriod=100, connectTimeout=1000)
        one.subscribe("down")
        relay.swallow()
        assert neighbour.wait_messages(1) == [will("sse")]
        relay.pass_again()
        neighbour.publish("down", b"while you were away", 1, retain=True)
        assert one.wait_messages(1, "down") == [Message("down", b"while you were away", 1, True)]
        assert one.seen["connects"] == 2


# ---- a line that is cut all the time ----

MANY = 200
EACH = 1000  # bytes
RATE = 150_000  # bytes per second, each way: there are some on the way when the line is cut
EVERY = 0.5  # seconds between cuts
CUTS = 4


@each_host
@pytest.mark.parametrize("carrier", [carrier for carrier in CARRIERS if carrier != "plain"])
def test_what_has_no_quality_of_service_comes_once_over_a_line_that_is_cut(culvert, neighbour, host, broker, carrier):
    """Neither side sends anything again: the session keeps the stream, and the broker notices nothing."""
    sent = [str(number).ljust(EACH, ".").encode() for number in range(MANY)]
    with Relay(culvert(configuration(broker)), rate=RATE, up_rate=RATE) as relay:
        one = MqttJs(host(relay.port), carrier, will=will(carrier))
        one.subscribe("down", 0)
        neighbour.subscribe("up", 0)
        with relay.cutting(EVERY):
            one.pour("up", MANY, EACH, 2)
            for data in sent:
                neighbour.publish("down", data)
            wait_until(lambda: relay.cuts >= CUTS, "the line to be cut")
        assert one.wait_messages(MANY, "down") and neighbour.wait_messages(MANY, "up")
        # What comes a second time would have come by then.
        one.publish("up", b"last", 1)
        neighbour.publish("down", b"last", 1)
        for messages in (one.wait_messages(MANY + 1, "down"), neighbour.wait_messages(MANY + 1, "up")):
            assert [message.payload for message in messages] == [*sent, b"last"]
        seen = one.seen
        assert (seen["connects"], seen["closes"]) == (1, 0), seen
        # A poll whose connection ends before the answer begins is repeated by Chromium itself.
        assert seen["interrupted"] >= 2 or (carrier == "longpoll" and isinstance(one.host, Tab)), seen
        assert not neighbour.of(will(carrier).topic)
