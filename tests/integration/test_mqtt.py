# SPDX-License-Identifier: BSD-2-Clause
"""Routes to an MQTT broker, without any rule: a pump with MQTT's subprotocols, in front of a mosquitto."""

import queue
import time

import paho.mqtt.client as paho
import pytest
from harness.mqtt import CONNACK, V5, V311, Client, OverSession, OverWebSocket, connect, mosquitto, packet
from harness.peers import Recorder
from harness.session import open_sse, open_ws
from harness.wait import DEADLINE, Stopwatch
from harness.ws import PING, PONG, Refused


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path) as port:
        yield port


def start(culvert, port, more="", scheme="mqtt"):
    return culvert(f"[route /mqtt]\ntarget = {scheme}://127.0.0.1:{port}\n{more}")


class Device:
    """paho's client over WebSocket."""

    def __init__(self, culvert, client_id, protocol=paho.MQTTv311):
        self.got, self.connected = queue.Queue(), queue.Queue()
        self.client = paho.Client(client_id, transport="websockets", protocol=protocol)
        self.client.ws_set_options(path="/mqtt")
        self.client.on_connect = lambda *args: self.connected.put(args[3])
        self.client.on_message = lambda client, data, message: self.got.put((message.topic, message.payload))
        self.subscribed = queue.Queue()
        self.client.on_subscribe = lambda *args: self.subscribed.put(args[2])
        self.client.connect(*culvert.address, keepalive=60)
        self.client.loop_start()
        assert int(getattr(code := self.connected.get(timeout=DEADLINE), "value", code)) == 0

    def subscribe(self, topic, qos=1):
        self.client.subscribe(topic, qos)
        self.subscribed.get(timeout=DEADLINE)

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
def test_a_device_and_a_dashboard(culvert, broker, protocol):
    c = start(culvert, broker, "subprotocols_required = yes\n")
    dashboard, device = Device(c, "dashboard", protocol), Device(c, "device", protocol)
    try:
        dashboard.subscribe("sensors/+/temperature")
        large = bytes(range(256)) * 2048
        device.client.publish("sensors/1/temperature", b"21.5", qos=1)
        device.client.publish("sensors/2/humidity", b"60", qos=1)
        device.client.publish("sensors/2/temperature", large, qos=1)
        assert dashboard.got.get(timeout=DEADLINE) == ("sensors/1/temperature", b"21.5")
        assert dashboard.got.get(timeout=DEADLINE) == ("sensors/2/temperature", large)
        assert dashboard.got.empty()
    finally:
        device.stop()
        dashboard.stop()


def test_over_tls(culvert, tmp_path, certs):
    with mosquitto(tmp_path, tls=certs) as port:
        c = start(culvert, port, f"tls_ca = {certs.crt('ca')}\n", "mqtts")
        Client(OverWebSocket(c)).connect().ping()


@pytest.mark.parametrize("rules", ["", "mqtt_publish = chat/#\nmqtt_client_id_prefix = web-\n"])
def test_a_broker_on_a_unix_socket(culvert, tmp_path, rules):
    path = tmp_path / "broker.sock"
    c = culvert(f"[route /mqtt]\ntarget = mqtt+unix:{path}\n{rules}")
    with pytest.raises(Refused) as refused:
        c.ws("/mqtt", subprotocols=["mqtt"])
    assert refused.value.status == 502
    with mosquitto(tmp_path, f"listener 0 {path}\nallow_anonymous true\n"):
        one, two = Client(OverWebSocket(c), V5).connect(client_id="one"), Client(OverWebSocket(c)).connect()
        assert two.subscribe("chat/#") == b"\0"
        one.publish("chat/a", bytes(range(256)) * 1024)
        assert two.recv().payload(V311) == bytes(range(256)) * 1024
    for client in (one, two):
        assert client.ends() == (b"", 1000)
        client.carrier.ws.send_close()
    assert len(c.wait_log(f"access .*target=mqtt.unix:{path} ended_by=target", 2)) == 2


def test_subprotocols(culvert, broker):
    c = start(culvert, broker)
    assert c.ws("/mqtt", subprotocols=["x", "mqttv3.1", "mqtt"]).subprotocol == "mqttv3.1"
    assert c.ws("/mqtt", subprotocols=["mqtt"]).subprotocol == "mqtt"
    assert c.ws("/mqtt").subprotocol is None


def test_a_client_of_something_else_can_be_refused(culvert, broker):
    c = start(culvert, broker, "subprotocols_required = yes\n")
    with pytest.raises(Refused) as refused:
        c.ws("/mqtt", subprotocols=["chat"])
    assert refused.value.status == 400


def test_mqtt_3_1_passes_where_nobody_looks(culvert, broker):
    client = Client(OverWebSocket(start(culvert, broker)))
    client.send(connect(3, name="MQIsdp"))
    assert client.expect(CONNACK).body[1] == 0


def test_frames_say_nothing(culvert, broker):
    c = start(culvert, broker)
    one = Client(OverWebSocket(c, piece=1)).connect(client_id="one")
    assert one.subscribe("a/#") == b"\0"
    many = Client(OverWebSocket(c), V5)
    many.send(connect(V5, client_id="many"), packet(12), packet(12))
    many.expect(CONNACK)
    many.ping()
    many.expect(13)
    many.publish("a/b", b"x" * 1000)
    got = one.recv()
    assert (got.topic, got.payload(V311)) == ("a/b", b"x" * 1000)


def test_text_is_closed_with_1003(culvert, peer):
    target = peer(Recorder)
    c = start(culvert, target.port)
    ws = c.ws("/mqtt", subprotocols=["mqtt"])
    ws.send_binary(b"\xc0\0")
    ws.send_text("no packet")
    ws.expect_close(1003)
    assert c.wait_event()["reason"] == "MQTT comes in binary messages"
    target.wait_received(b"\xc0\0")


@pytest.mark.parametrize("open_session", [open_ws, open_sse])
def test_text_ends_a_session_too(culvert, peer, open_session):
    session = open_session(start(culvert, peer(Recorder).port), "/mqtt")
    session.send("no packet")
    assert session.recv_to_close()[1] == 1003


@pytest.mark.parametrize("open_session", [open_ws, open_sse])
def test_over_sessions(culvert, broker, open_session):
    client = Client(OverSession(open_session(start(culvert, broker), "/mqtt")), V5).connect()
    assert client.subscribe("a/+") == b"\0"
    client.publish("a/b", b"x")
    assert client.recv().payload(V5) == b"x"


# ---- who lives ----


def test_a_silent_client_that_answers_pings_stays(culvert, broker):
    """MQTT's keep-alive is the broker's care: here it is longer than all of the test."""
    c = start(culvert, broker, "heartbeat = 200ms\nheartbeat_timeout = 400ms\n")
    client = Client(OverWebSocket(c)).connect(keep_alive=3600)
    watch = Stopwatch()
    while watch.seconds < 1.5:
        got = client.carrier.ws.recv_frame()
        assert got.opcode == PING
        client.carrier.ws.send_frame(PONG, got.payload)
    client.ping()


def test_a_dead_client_is_cut_before_the_broker_would(culvert, broker):
    c = start(culvert, broker, "heartbeat = 200ms\nheartbeat_timeout = 400ms\n")
    client = Client(OverWebSocket(c)).connect(keep_alive=3600)
    watch = Stopwatch()
    assert client.carrier.ws.recv_frame().opcode == PING
    event = c.wait_event()
    assert (event["ended_by"], event["reason"]) == ("client", "heartbeat timeout")
    assert watch.seconds < 8


def test_a_broker_that_ends_a_silent_client_is_heard(culvert, broker):
    """It waits for one and a half of the client's keep-alive; pongs are nothing to it."""
    c = start(culvert, broker, "heartbeat = 200ms\n")
    client = Client(OverWebSocket(c)).connect(keep_alive=1)
    ends = time.monotonic() + DEADLINE
    while (got := client.carrier.ws.recv_frame()).opcode == PING and time.monotonic() < ends:
        client.carrier.ws.send_frame(PONG, got.payload)
    assert got.opcode == 8
    client.carrier.ws.send_close()
    assert c.wait_event()["ended_by"] == "target"


def test_idle_timeout_counts_data_alone(culvert, broker):
    c = start(culvert, broker, "heartbeat = 100ms\nidle_timeout = 600ms\n")
    client = Client(OverWebSocket(c)).connect(keep_alive=3600)
    while (got := client.carrier.ws.recv_frame()).opcode == PING:
        client.carrier.ws.send_frame(PONG, got.payload)
    assert got.opcode == 8
    client.carrier.ws.send_close(1008)
    assert c.wait_event()["reason"] == "idle timeout"


def test_a_broker_that_says_nothing_is_waited_for(culvert, peer):
    target = peer(Recorder)
    c = start(culvert, target.port)
    client = Client(OverWebSocket(c))
    client.send(connect())
    target.wait_received(connect())
    client.carrier.ws.leave()
