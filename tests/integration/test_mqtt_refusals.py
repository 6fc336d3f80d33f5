# SPDX-License-Identifier: BSD-2-Clause
"""What no MQTT client may say to a route with rules, how packets are cut, and the same over sessions."""

import struct
import time

import pytest
from harness.mqtt import (
    AUTH,
    CONNACK,
    DISCONNECT,
    MALFORMED,
    NOT_AUTHORIZED,
    PINGREQ,
    PINGRESP,
    PROTOCOL_ERROR,
    PUBACK,
    PUBLISH,
    RULES,
    SUBACK,
    TOO_LARGE,
    V5,
    V311,
    Client,
    OverSession,
    OverWebSocket,
    connack,
    connect,
    disconnect,
    ends_with,
    mosquitto,
    nothing_came,
    open_client,
    packet,
    publish,
    start,
    subscribe,
    told,
    witness,
)
from harness.peers import Recorder, Target
from harness.session import open_post, open_sse, open_ws
from harness.wait import wait_until

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path) as port:
        yield port


# ---- sizes, nonsense, and nothing at all ----


@BOTH
def test_packet_max(culvert, broker, version):
    c = start(culvert, broker, "mqtt_packet_max = 1000\n")
    one = open_client(c, version)
    seen = witness(broker)
    fits = publish("t", b"x", version=version)
    fits = publish("t", b"x" * (1000 - len(fits)), version=version)
    assert len(fits) == 1000
    one.send(fits)
    assert len(seen.recv().payload(V311)) > 900
    one.publish("t", b"x" * 1000)
    ends_with(one, disconnect(version, TOO_LARGE))
    told(c, "a packet is too large")
    nothing_came(seen)
    two = Client(OverWebSocket(c), version)
    two.send(connect(version, client_id="x" * 1000))
    ends_with(two, connack(V5, TOO_LARGE) if version == V5 else b"")


@BOTH
def test_what_is_collected_is_bounded(culvert, broker, version):
    c = start(culvert, broker, "mqtt_subscribe = #\nmqtt_publish = #\nmessage_max = 1k\n")
    one = open_client(c, version)
    one.publish("t", b"x" * 100000, qos=1)  # a payload is not collected
    one.expect(PUBACK)
    one.send(subscribe("x" * 1100, version=version))
    ends_with(one, disconnect(version, TOO_LARGE))


@BOTH
@pytest.mark.parametrize(
    "bad, reason",
    [
        (b"\xc0\x80\x80\x80\x80\1", MALFORMED),
        (b"\0\0", MALFORMED),
        (b"\x36\5\0\1a\0\1", MALFORMED),  # QoS 3
        (b"\x38\4\0\1a\0", MALFORMED),  # DUP with QoS 0
        (publish("a/+", b""), MALFORMED),
        (publish(b"\xff", b""), MALFORMED),
        (publish(b"a\0", b""), MALFORMED),
        (b"\x30\1\0", MALFORMED),
        (b"\x32\5\0\1a\0\0", PROTOCOL_ERROR),  # identifier 0
        (b"\x80\5\0\1\0\0\0", MALFORMED),  # flags
        (b"\x82\2\0\1", MALFORMED),
        (connect(), PROTOCOL_ERROR),
    ],
)
def test_malformed_packets(culvert, broker, version, bad, reason):
    c = start(culvert, broker, "mqtt_subscribe = #\nmqtt_publish = #\n")
    seen = witness(broker)
    one = open_client(c, version)
    one.send(publish("t", b"before", version=version), bad, publish("t", b"after", version=version))
    ends_with(one, disconnect(version, reason))
    assert seen.recv().payload(V311) == b"before"
    nothing_came(seen)
    assert c.wait_event()["ended_by"] == "culvert"


@BOTH
@pytest.mark.parametrize("first", [packet(PINGREQ), publish("t", b"x"), packet(AUTH), b"GET / HTTP/1.1\r\n"])
def test_the_first_packet_is_connect(culvert, peer, version, first):
    target = peer(Recorder)
    c = start(culvert, target.port, "mqtt_packet_max = 1m\n")
    one = Client(OverWebSocket(c), version)
    one.send(first, connect(version))
    ends_with(one, b"")
    told(c, "the first packet is no CONNECT")
    target.wait_ended()
    target.wait_received(b"")


def test_no_connect_in_time(culvert, peer):
    target = peer(Recorder)
    c = start(culvert, target.port, "mqtt_packet_max = 1m\nmqtt_connect_timeout = 300ms\n")
    one = Client(OverWebSocket(c))
    one.send(connect()[:-1])
    ends_with(one, b"")
    told(c, "no CONNECT in time")
    target.wait_received(b"")
    two = Client(OverWebSocket(c))
    two.send(connect())
    target.wait_received(connect(), 1)
    time.sleep(0.5)  # longer than the time that it does not have to keep any more
    two.send(packet(PINGREQ))
    target.wait_received(connect() + packet(PINGREQ), 1)


def test_unknown_packets_pass(culvert, peer):
    target = peer(Recorder)
    c = start(culvert, target.port, RULES)
    one = Client(OverWebSocket(c), V5)
    said = connect(V5) + packet(AUTH, b"\x18\0") + packet(13, b"?", 5) + packet(DISCONNECT, b"\4\0")
    one.send(said)
    target.wait_received(said)


# ---- cut and joined ----


@BOTH
@pytest.mark.parametrize("piece", [1, 2, 7, None])
def test_packets_in_pieces_and_many_in_one(culvert, broker, version, piece):
    c = start(culvert, broker, RULES + "mqtt_client_id_prefix = web-\nmqtt_packet_max = 64k\n")
    one = Client(OverWebSocket(c, piece=piece), version)
    seen = witness(broker)
    one.send(
        connect(version, client_id="one"),
        subscribe("chat/#", version=version, packet_id=1),
        subscribe("secret", version=version, packet_id=2),
        publish("chat/a", b"1", version=version, qos=1, packet_id=3),
        publish("up/web-one/x", b"2" * 300, version=version),
        packet(PINGREQ),
    )
    got = sorted(one.recv().kind for _ in range(6))
    assert got == sorted([CONNACK, SUBACK, SUBACK, PUBACK, PUBLISH, PINGRESP])
    assert [seen.recv().topic for _ in range(2)] == ["chat/a", "up/web-one/x"]


def test_answers_come_between_the_brokers_packets(culvert, peer):
    target = peer(Target)
    c = start(culvert, target.port, RULES)
    one = Client(OverWebSocket(c), V5)
    one.send(connect(V5))
    wire = target.accept()
    wire.read(len(connect(V5)))
    long = publish("chat/a", b"x" * 1000, version=V5)
    wire.send(packet(CONNACK, b"\0\0\0") + long[:500])
    one.expect(CONNACK)
    assert one.carrier.recv_bytes(500) == long[:500]
    one.send(subscribe("secret", version=V5), packet(PINGREQ))
    wire.read(2)
    wire.send(long[500:] + packet(PINGRESP))
    assert one.carrier.recv_bytes(len(long) - 500) == long[500:]
    one.expect(SUBACK, b"\0\1\0\x87")
    one.expect(PINGRESP)
    # The end too.
    wire.send(long[:500])
    assert one.carrier.recv_bytes(500) == long[:500]
    one.publish("secret", b"x")
    assert wire.read_to_end() == b""
    wire.send(long[500:] + packet(PINGRESP))
    ends_with(one, long[500:] + disconnect(V5, NOT_AUTHORIZED))


def test_a_broker_that_never_ends_its_packet_is_not_waited_for(culvert, peer):
    target = peer(Target)
    c = start(culvert, target.port, RULES + "close_timeout = 300ms\n")
    one = Client(OverWebSocket(c), V5)
    one.send(connect(V5))
    wire = target.accept()
    wire.send(packet(CONNACK, b"\0\0\0") + b"\x30\x7f")
    one.expect(CONNACK)
    assert one.carrier.recv_bytes(2) == b"\x30\x7f"
    one.publish("secret", b"x")
    assert one.ends() == (b"", 1000)
    wire.read(len(connect(V5)))


def test_refusals_that_nobody_reads_stop_the_client(culvert, broker):
    """Each costs the client little; what is kept of them is bounded by `buffer`."""
    c = start(culvert, broker, RULES + "buffer = 64k\n")
    one = open_client(c, V5)
    before = c.stats().live_bytes
    flood = publish("secret", b"", qos=1, version=V5) * 2000
    one.carrier.ws.sock.settimeout(2)
    with pytest.raises(TimeoutError):
        for _ in range(3000):
            one.carrier.ws.send_binary(flood)
    assert c.stats().live_bytes < before + 2 * 1024 * 1024


# ---- over sessions ----


def over(culvert, open_session):
    session = open_session(culvert, "/mqtt")
    if open_session is open_post:
        session.attach_poll()
    return Client(OverSession(session), V5)


@pytest.mark.parametrize("open_session", [open_ws, open_sse, open_post])
def test_rules_over_sessions(culvert, broker, open_session):
    c = start(culvert, broker, RULES + "mqtt_client_id_prefix = web-\n")
    seen = witness(broker)
    one = over(c, open_session).connect(client_id="one")
    assert one.subscribe("chat/a") == b"\0"
    assert one.subscribe("secret") == b"\x87"
    one.publish("secret", b"x", qos=1)
    one.expect(PUBACK, struct.pack(">HBB", 1, NOT_AUTHORIZED, 0))
    one.publish("up/web-one/x", b"fine")
    assert seen.recv().topic == "up/web-one/x"
    one.publish("secret", b"x")
    data, code = one.ends()
    assert (data, code) == (disconnect(V5, NOT_AUTHORIZED), 1000)
    one.carrier.session.answer_close()


@pytest.mark.parametrize("open_session", [open_sse, open_post])
def test_a_refused_connect_is_told_over_sessions(culvert, broker, open_session):
    c = start(culvert, broker, RULES)
    one = over(c, open_session)
    one.send(connect(V5, will=("secret", b"x")))
    assert one.ends() == (connack(V5, NOT_AUTHORIZED), 1000)


def test_a_packet_larger_than_the_window_is_taken(culvert, broker):
    """A half of it that waits to be decided must not wait for its own ACK."""
    c = start(culvert, broker, RULES + "buffer = 4k\n")
    one = over(c, open_ws).connect()
    whole = subscribe(*[f"chat/{'x' * 90}{i}" for i in range(70)], version=V5)
    assert len(whole) > 6000
    for at in range(0, len(whole), 2000):
        one.carrier.session.send(whole[at : at + 2000])
    assert one.expect(SUBACK).body[3:] == bytes(70)


def test_nothing_is_lost_or_repeated_when_a_session_is_cut(culvert, broker):
    c = start(culvert, broker, RULES)
    seen = witness(broker)
    session = open_ws(c, "/mqtt")
    one = Client(OverSession(session), V5).connect()
    for number in range(20):
        one.publish("chat/a", str(number).encode())
        one.send(publish("secret", b"x", qos=1, packet_id=number + 1, version=V5))
        if number % 5 == 0:
            session.cut()
            session.attach_ws()
    assert [seen.recv().payload(V311) for _ in range(20)] == [str(n).encode() for n in range(20)]
    for number in range(20):
        one.expect(PUBACK, struct.pack(">HBB", number + 1, NOT_AUTHORIZED, 0))


def test_a_reload_changes_the_rules_of_who_comes_after(culvert, broker):
    c = start(culvert, broker, "mqtt_subscribe = a\n")
    one = open_client(c, V5, client_id="one")
    assert one.subscribe("b") == b"\x87"
    with open(c.conf_path) as file:
        text = file.read()
    with open(c.conf_path, "w") as file:
        file.write(text.replace("mqtt_subscribe = a", "mqtt_subscribe = b"))
    c.signal(1)
    c.wait_log("main reloaded")
    # The worker's turn may come a moment later.
    wait_until(lambda: open_client(c, V5, client_id="two").subscribe("b") == b"\0", "the new rules")
    assert one.subscribe("b") == b"\x87"
