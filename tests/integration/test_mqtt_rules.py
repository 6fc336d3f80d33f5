# SPDX-License-Identifier: BSD-2-Clause
"""The rules of MQTT routes, each in 3.1.1 and 5, in front of a mosquitto."""

import struct

import pytest
from harness.mqtt import (
    NOT_AUTHORIZED,
    PINGREQ,
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    RULES,
    V5,
    V311,
    Client,
    Direct,
    OverWebSocket,
    alias,
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
    string,
    told,
    witness,
)
from harness.peers import Recorder
from harness.wait import wait_until

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path) as port:
        yield port


# ---- what may be published ----

@BOTH
def test_what_is_allowed_passes(culvert, broker, version):
    c = start(culvert, broker, RULES)
    one = open_client(c, version, client_id="one", user="ann")
    assert one.subscribe("chat/+", "down/ann") == b"\0\0"
    one.publish("chat/a", b"hello", qos=1)
    kinds = {one.recv().kind, one.recv().kind}
    assert kinds == {PUBACK, PUBLISH}
    seen = witness(broker)
    one.publish("up/one/x/y", b"1")
    got = seen.recv()
    assert (got.topic, got.payload(V311)) == ("up/one/x/y", b"1")
    one.ping()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish_3_1_1_has_no_words(culvert, broker, qos):
    c = start(culvert, broker, RULES)
    seen = witness(broker)
    one = open_client(c)
    one.send(publish("chat/a", b"before"), publish("secret", b"x", qos), publish("chat/a", b"after"))
    assert seen.recv().payload(V311) == b"before"
    ends_with(one, b"")
    told(c, "publishing to a topic is not allowed")
    nothing_came(seen)
    assert c.log_lines(r"warn +mqtt route /mqtt: publishing to a topic is not allowed: secret")


def test_publish_5_qos_0_is_disconnected(culvert, broker):
    c = start(culvert, broker, RULES)
    seen = witness(broker)
    one = open_client(c, V5)
    one.publish("secret", b"x")
    ends_with(one, disconnect(V5, NOT_AUTHORIZED))
    nothing_came(seen)


@pytest.mark.parametrize("qos, kind", [(1, PUBACK), (2, PUBREC)])
def test_publish_5_is_answered_and_goes_on(culvert, broker, qos, kind):
    c = start(culvert, broker, RULES)
    seen = witness(broker)
    one = open_client(c, V5)
    one.publish("secret", b"x" * 100000, qos=qos, packet_id=7)
    one.expect(kind, struct.pack(">HBB", 7, NOT_AUTHORIZED, 0))
    # The identifier is free again.
    one.publish("chat/a", b"fine", qos=qos, packet_id=7)
    if qos == 2:
        one.expect(PUBREC)
        one.send(packet(PUBREL, struct.pack(">H", 7), 2))
    one.expect(PUBCOMP if qos == 2 else PUBACK)
    assert seen.recv().payload(V311) == b"fine"
    one.ping()
    nothing_came(seen)


def test_a_pubrel_for_what_was_refused_is_the_brokers_to_answer(culvert, broker):
    one = open_client(start(culvert, broker, RULES), V5)
    one.publish("secret", b"x", qos=2, packet_id=7)
    one.expect(PUBREC)
    one.send(packet(PUBREL, struct.pack(">H", 7), 2))
    assert one.expect(PUBCOMP).body[:2] == b"\0\7"
    one.ping()


def test_topic_aliases(culvert, tmp_path):
    with mosquitto(tmp_path, "allow_anonymous true\nmax_topic_alias 10\n") as port:
        c = start(culvert, port, RULES)
        seen = witness(port)
        one = open_client(c, V5)
        one.publish("chat/a", b"1", props=alias(3))
        one.publish("", b"2", props=alias(3))
        assert [seen.recv().topic for _ in range(2)] == ["chat/a", "chat/a"]
        # For the broker it still stands for chat/a; for the client it does not.
        one.publish("secret", b"3", qos=1, packet_id=1, props=alias(3))
        one.publish("", b"4", qos=1, packet_id=2, props=alias(3))
        one.publish("", b"5", qos=1, packet_id=3, props=alias(4))
        for number in (1, 2, 3):
            one.expect(PUBACK, struct.pack(">HBB", number, NOT_AUTHORIZED, 0))
        nothing_came(seen)
        one.publish("", b"6", props=alias(4))
        ends_with(one, disconnect(V5, NOT_AUTHORIZED))


@BOTH
def test_will(culvert, broker, version):
    c = start(culvert, broker, RULES)
    one = Client(OverWebSocket(c), version)
    one.send(connect(version, will=("secret", b"gone")))
    ends_with(one, connack(version, 0x87 if version == V5 else 5))
    told(c, "the topic of the will is not allowed")
    seen = witness(broker)
    two = open_client(c, version, will=("chat/a", b"gone"))
    two.publish("secret", b"x")
    two.ends()
    two.carrier.ws.close()
    assert seen.recv().payload(V311) == b"gone"


def test_none_is_nothing(culvert, broker):
    c = start(culvert, broker, "mqtt_publish = none\n")
    one = open_client(c, V5)
    assert one.subscribe("#", "$SYS/#") == b"\0\0"
    two = open_client(c, V5, client_id="two")
    two.publish("none", b"x")
    ends_with(two, disconnect(V5, NOT_AUTHORIZED))


# ---- what may be subscribed to ----


@BOTH
@pytest.mark.parametrize(
    "filters, codes",
    [
        (["secret"], [0x87]),
        (["#"], [0x87]),
        (["chat/a", "secret", "chat/b"], [0x80, 0x87, 0x80]),
        (["$share/g/secret"], [0x87]),
        (["$share/chat/secret", "$share/g/chat/#"], [0x87, 0x80]),
        (["$share//chat/a"], [0x87]),
        (["chat/a+"], [0x87]),
        (["down/bob"], [0x87]),
        (["down/+"], [0x87]),
        (["$SYS/#"], [0x87]),
    ],
)
def test_subscribe_is_refused_as_a_whole(culvert, broker, version, filters, codes):
    one = open_client(start(culvert, broker, RULES), version, user="ann")
    if version == V311:
        codes = [0x80] * len(codes)
    assert one.subscribe(*filters, packet_id=513) == bytes(codes)
    direct = Client(Direct(broker)).connect(client_id="direct")
    direct.send(publish("chat/a", b"x"), publish("chat/b", b"x"), publish("secret", b"x"))
    direct.ping()
    one.ping()  # nothing came before


@BOTH
def test_shared_subscriptions_are_judged_by_their_filter(culvert, broker, version):
    one = open_client(start(culvert, broker, RULES), version)
    assert one.subscribe("$share/group/chat/+") == b"\0"


@BOTH
def test_unsubscribe_passes(culvert, broker, version):
    one = open_client(start(culvert, broker, RULES), version)
    body = b"\0\5" + (b"\0" if version == V5 else b"") + string("secret")
    one.send(packet(10, body, 2))
    one.expect(11)


# ---- S19: who the client says it is ----


@pytest.mark.parametrize("name", ["+", "#", "a/b", "+/+", "", "a+"])
def test_s19_names_that_are_no_level_fill_nothing(culvert, broker, name):
    c = start(culvert, broker, RULES + "mqtt_versions = 5\n")
    seen = witness(broker)
    one = open_client(c, V5, client_id=name or "x", user=name)
    assert one.subscribe(f"down/{name or 'a'}") == b"\x87"
    assert one.subscribe("down/+") == b"\x87"
    if name:
        one.publish(f"up/{name}/x".replace("+", "a").replace("#", "a"), b"x", qos=1)
        one.expect(PUBACK, struct.pack(">HBB", 1, NOT_AUTHORIZED, 0))
    nothing_came(seen)


def test_s19_a_client_is_nobody_else(culvert, broker):
    c = start(culvert, broker, RULES)
    one = open_client(c, V5, client_id="one", user="ann")
    assert one.subscribe("down/bob") == b"\x87"
    one.publish("up/two/x", b"x", qos=1)
    one.expect(PUBACK, struct.pack(">HBB", 1, NOT_AUTHORIZED, 0))


def test_s19_a_second_connect_does_not_change_who_it_is(culvert, broker):
    c = start(culvert, broker, RULES)
    one = open_client(c, V5, client_id="one")
    one.send(connect(V5, client_id="two"), publish("up/two/x", b"x", version=V5))
    ends_with(one, disconnect(V5, PROTOCOL_ERROR))
    told(c, "a second CONNECT")


def test_s19_memory_is_flat(culvert, broker):
    """As a unit test a million times: here each is a connection."""
    c = start(culvert, broker, RULES + "mqtt_client_id_prefix = web-\n")

    def cycle():
        one = open_client(c, V5, client_id="one", user="ann")
        one.publish("chat/a", b"x" * 5000, props=alias(10))
        one.send(publish("secret", b"x", qos=1, version=V5))
        one.expect(PUBACK)
        one.carrier.ws.leave()

    def quiet():
        return wait_until(lambda: (s := c.stats()).live_bytes == c.stats().live_bytes and s, "it to be quiet")

    for _ in range(20):
        cycle()
    before = quiet().live_bytes
    for _ in range(100):
        cycle()
    wait_until(lambda: c.stats().live_bytes <= before + 4096, "the memory to be given back")


# ---- credentials and identifiers ----


@BOTH
def test_credentials_are_put_in(culvert, tmp_path, version):
    (tmp_path / "password").write_text("open sesame\n")
    rules = f"mqtt_username = web\nmqtt_password_file = {tmp_path}/password\n"
    with mosquitto(tmp_path, users={"web": "open sesame", "ann": "hers"}) as port:
        c = start(culvert, port, rules)
        open_client(c, version).ping()
        open_client(c, version, client_id="other", user="ann", password="wrong", will=("w", b"x")).ping()
        direct = Client(Direct(port), version)
        direct.send(connect(version, client_id="d"))
        assert direct.recv().body[1] != 0
        log = (tmp_path / "mosquitto.log").read_text()
        assert log.count("u'web'") == 2 and "u'ann'" not in log


@BOTH
def test_a_username_without_a_password_takes_the_clients_away(culvert, peer, version):
    target = peer(Recorder)
    c = start(culvert, target.port, "mqtt_username = web\n")
    one = Client(OverWebSocket(c), version)
    one.send(connect(version, user="ann", password="hers"), packet(PINGREQ))
    target.wait_received(connect(version, user="web") + packet(PINGREQ))


@BOTH
def test_client_id_prefix(culvert, peer, version):
    target = peer(Recorder)
    c = start(culvert, target.port, "mqtt_client_id_prefix = web-\n")
    props = b"\x11\0\0\0\1" if version == V5 else b""
    options = dict(user="ann", password=b"\0\xff", will=("w", b"\0"), clean=False, keep_alive=7, props=props)
    one = Client(OverWebSocket(c, piece=1), version)
    one.send(connect(version, client_id="one", **options))
    target.wait_received(connect(version, client_id="web-one", **options))


@BOTH
def test_a_prefix_asks_for_an_identifier(culvert, broker, version):
    c = start(culvert, broker, "mqtt_client_id_prefix = web-\n")
    one = Client(OverWebSocket(c), version)
    one.send(connect(version, client_id=""))
    ends_with(one, connack(version, 0x85 if version == V5 else 2))
    told(c, "a client identifier is needed here")


def test_a_prefix_keeps_sessions_apart(culvert, broker):
    c = start(culvert, broker, "mqtt_client_id_prefix = web-\n")
    device = Client(Direct(broker)).connect(client_id="device", clean=False)
    open_client(c, client_id="device", clean=False).ping()
    device.ping()


def test_the_prefix_is_part_of_the_identifier_in_filters(culvert, broker):
    c = start(culvert, broker, "mqtt_client_id_prefix = web-\nmqtt_subscribe = to/${client_id}\n")
    one = open_client(c, V5, client_id="one")
    assert one.subscribe("to/web-one") == b"\0"
    assert one.subscribe("to/one") == b"\x87"


# ---- versions ----


@pytest.mark.parametrize(
    "taken, sent, words",
    [
        ("3.1.1", connect(V5), connack(V5, 0x84)),
        ("5", connect(V311), connack(V311, 1)),
        ("5", connect(3, name="MQIsdp"), connack(V311, 1)),
        ("3.1.1", connect(6), connack(V311, 1)),
        ("3.1.1", connect(3, name="MQIsdp"), connack(V311, 1)),
        ("3.1.1", connect(4, name="AMQP"), b""),
    ],
)
def test_versions(culvert, broker, taken, sent, words):
    c = start(culvert, broker, f"mqtt_versions = {taken}\n")
    one = Client(OverWebSocket(c))
    one.send(sent)
    ends_with(one, words)
    open_client(c, V5 if taken == "5" else V311).ping()
