# SPDX-License-Identifier: BSD-2-Clause
"""Paho's client for both ways to a mosquitto: by WebSocket through culvert, and past it by TCP."""

import contextlib
import os
import socket
import threading
from collections import namedtuple

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from . import wire
from .mqtt import CONNACK, connect, mosquitto, packet
from .wait import DEADLINE, wait_until

SCHEME = "mqtt"  # of the routes' targets
VERSIONS = [paho.MQTTv311, paho.MQTTv5]


def roomy_mosquitto(folder):
    """A mosquitto that drops nothing for being too much: what a test misses was lost on its way."""
    return mosquitto(folder, "allow_anonymous true\nmax_queued_messages 0\n")


def route(port, more=""):
    return f"[route /mqtt]\ntarget = {SCHEME}://127.0.0.1:{port}\n{more}"


def payload(length):
    """No two of them are alike."""
    return os.urandom(length)


Message = namedtuple("Message", "topic payload qos retain")


class Paho:
    """
    A client that is connected. path: by WebSocket, at that path. A lost connection stays lost. will: a
    Message.
    """

    def __init__(self, port, path=None, version=paho.MQTTv5, keepalive=60, will=None):
        self.version = version
        self.messages = []
        self.properties = []  # of the messages
        self.answers = {}  # of SUBSCRIBE, by packet identifier: the reason codes
        self.connack = None
        self.lost = threading.Event()
        transport = "websockets" if path else "tcp"
        self.client = paho.Client(transport=transport, protocol=version, reconnect_on_failure=False)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: self.lost.set()
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda client, data, mid, reasons, *_: self.answers.update({mid: reasons})
        if path:
            self.client.ws_set_options(path)
        if will:
            self.client.will_set(*will)
        self.client.connect("127.0.0.1", port, keepalive)
        self.client.loop_start()
        wait_until(lambda: self.connack is not None or self.lost.is_set(), "CONNACK")
        assert self.connack == 0, f"CONNACK {self.connack}, lost: {self.lost.is_set()}"

    def _on_connect(self, client, data, flags, reason, properties=None):
        self.connack = reason

    def _on_message(self, client, data, message):
        self.properties.append(getattr(message, "properties", None))
        self.messages.append(Message(message.topic, message.payload, message.qos, bool(message.retain)))

    def subscribe(self, topic, qos=2):
        options = {"options": SubscribeOptions(qos=qos)} if self.version == paho.MQTTv5 else {"qos": qos}
        _, mid = self.client.subscribe(topic, **options)
        (reason,) = wait_until(lambda: self.answers.get(mid), f"SUBACK for {topic}")
        assert int(getattr(reason, "value", reason)) == qos

    def publish(self, topic, data=b"", qos=0, retain=False, **properties):
        """Returns when the broker has it, with QoS 0 when it is sent."""
        with_them = {}
        if properties:
            with_them["properties"] = Properties(PacketTypes.PUBLISH)
            for name, value in properties.items():
                setattr(with_them["properties"], name, value)
        info = self.client.publish(topic, data, qos, retain, **with_them)
        wait_until(info.is_published, f"{topic} to be published")

    def of(self, topic):
        """The messages of that topic, or all."""
        return [message for message in list(self.messages) if topic in (None, message.topic)]

    def wait_messages(self, count, topic=None):
        """The messages, those of that topic alone, as soon as there are so many."""

        def enough():
            return len(found := self.of(topic)) >= count and found

        try:
            return wait_until(enough, f"{count} messages of {topic}")
        except AssertionError as failure:
            there = [(message.topic, len(message.payload)) for message in self.messages][-20:]
            raise AssertionError(f"{failure}; lost: {self.lost.is_set()}, there: {there}") from None

    def cut(self):
        """The connection ends, without a DISCONNECT and without a Close."""
        with socket.socket(fileno=os.dup(self.client.socket().fileno())) as sock:
            sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def mute(port, keepalive):
    """
    A client that has promised signs of life and gives none; its will is of the topic will/mute. A broker
    looks for such ones every few seconds: when that will is there, it has looked at everybody.
    """
    hello = connect(client_id="", will=("will/mute", "gone"), keep_alive=keepalive)
    with wire.connect(("127.0.0.1", port)) as sock:
        sock.sendall(hello)
        assert sock.recv(4, socket.MSG_WAITALL) == packet(CONNACK, b"\0\0")
        yield


def wait_lost(one):
    assert one.lost.wait(DEADLINE), "the connection is still there"
