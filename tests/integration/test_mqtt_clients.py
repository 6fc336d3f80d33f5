# SPDX-License-Identifier: BSD-2-Clause
"""MQTT over WebSocket (MQTT 5.0 section 6): Paho through culvert to Mosquitto, and who is there by TCP."""

import sys
import time

import pytest
from harness import mqtt_functions as functions
from harness.child import spawn
from harness.mqtt_clients import VERSIONS, Message, Paho, mute, roomy_mosquitto, route, wait_lost
from harness.wait import Stopwatch

KEEP_ALIVE = 2  # seconds
WILL = Message("will", b"gone", 1, False)
each_version = pytest.mark.parametrize("version", VERSIONS, ids=["3.1.1", "5"])


@pytest.fixture
def broker(tmp_path):
    with roomy_mosquitto(tmp_path) as port:
        yield port


@pytest.fixture
def neighbour(broker):
    """A client that is there by TCP, and sees the wills."""
    with Paho(broker) as one:
        one.subscribe("will")
        yield one


@pytest.fixture
def through(culvert, broker):
    """Makes clients by WebSocket."""
    c = culvert(route(broker))
    made = []

    def make(**options):
        made.append(Paho(c.port, "/mqtt", **options))
        return made[-1]

    make.culvert = c
    yield make
    for one in made:
        one.close()


@each_version
def test_a_message_of_each_quality_of_service_comes_once(through, neighbour, version):
    functions.each_quality_of_service_comes_once(through(version=version), neighbour)


@each_version
@pytest.mark.parametrize("qos", functions.QUALITIES)
def test_a_large_payload_is_the_same_at_the_other_end(through, neighbour, version, qos):
    functions.large_payloads_are_the_same_at_the_other_end(through(version=version), neighbour, qos)


@each_version
def test_a_retained_message_waits_for_who_subscribes(through, neighbour, version):
    functions.retained_messages_wait_for_who_subscribes(through(version=version), neighbour)


@each_version
def test_the_will_of_who_is_cut_off_and_of_nobody_else(through, neighbour, version):
    left, stayed = (through(version=version, will=("will", who, 1)) for who in ("left", "stayed"))
    cut = through(version=version, will=WILL)
    left.close()
    cut.cut()
    wait_lost(cut)
    assert neighbour.wait_messages(1) == [WILL]
    stayed.publish("will", b"still here", 1)
    assert [message.payload for message in neighbour.wait_messages(2)] == [b"gone", b"still here"]


# A program of its own, to be killed; it says when it is connected.
KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from harness.mqtt_clients import Paho
one = Paho(int(sys.argv[2]), "/mqtt", version=int(sys.argv[3]), will=("will", b"gone", 1, False))
print("connected", flush=True)
one.lost.wait()
"""


@each_version
def test_the_will_of_who_is_killed(through, neighbour, request, version):
    arguments = [str(request.path.parent), str(through.culvert.port), str(version)]
    process = spawn([sys.executable, "-c", KILLED, *arguments], stdout=-1, text=True)
    try:
        assert process.stdout.readline() == "connected\n"
        watch = Stopwatch()
    finally:
        process.kill()
        process.communicate()
    assert neighbour.wait_messages(1) == [WILL]
    assert watch.seconds < 30  # not by the keep-alive, which is 60


def test_keep_alive_keeps_a_silent_client(through, neighbour, broker):
    both = [through(version=version, keepalive=KEEP_ALIVE, will=WILL) for version in VERSIONS]
    for one in both:
        one.subscribe("down")
    neighbour.subscribe("will/mute")
    with mute(broker, KEEP_ALIVE):
        # Until then nothing but PINGREQ and PINGRESP.
        neighbour.wait_messages(1, "will/mute")
    neighbour.publish("down", b"awake?")
    for one in both:
        assert one.wait_messages(1) == [Message("down", b"awake?", 0, False)]
        assert not one.lost.is_set()
    assert not neighbour.of(WILL.topic)


def test_properties_pass_as_they_are(through, neighbour):
    one = through()
    sent = {"UserProperty": [("colour", "grün"), ("colour", "rot")], "ContentType": "text/plain",
            "ResponseTopic": "answers/1", "CorrelationData": bytes(range(256)), "PayloadFormatIndicator": 1}
    one.subscribe("down")
    neighbour.subscribe("up")
    for who, other, topic in ((one, neighbour, "up"), (neighbour, one, "down")):
        who.publish(topic, "Grüße".encode(), 1, **sent)
        assert other.wait_messages(1)[0].payload.decode() == "Grüße"
        assert {name: getattr(other.properties[0], name) for name in sent} == sent


def test_the_heartbeat_of_culvert_and_a_silent_client(culvert, broker, neighbour):
    """Paho answers a PING with a PONG that is not masked."""
    c = culvert(route(broker, "heartbeat = 200ms\nheartbeat_timeout = 10s\n"))
    with Paho(c.port, "/mqtt", keepalive=60) as one:
        one.subscribe("down")
        time.sleep(2)
        neighbour.publish("down", b"awake?")
        assert one.wait_messages(1) == [Message("down", b"awake?", 0, False)]
    assert "not masked" not in c.log_text()
