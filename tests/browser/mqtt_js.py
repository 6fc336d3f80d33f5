# SPDX-License-Identifier: BSD-2-Clause
"""mqtt.js in a page or in Node, with the methods of harness.mqtt_clients' Paho."""

import base64
import json
import os
import subprocess

import paho.mqtt.client as paho
from chromium import HERE, need
from harness.child import spawn
from harness.culvert import ROOT
from harness.mqtt_clients import Message, route
from harness.wait import wait_until

CARRIERS = ["plain", "websocket", "sse", "longpoll"]


def configuration(port, server="", more=""):
    """A broker's route, and the page; server: keys of its section."""
    return f"""
        [server]
        drain_timeout = 100ms
        {server}
        {route(port, more)}
        [route /js/]
        target = files:{os.path.join(ROOT, 'contrib/js')}
        [route /mqttjs/]
        target = files:{os.path.join(need('mqtt'), 'dist')}
        [route /]
        target = files:{os.path.join(HERE, 'pages')}
        """


class Tab:
    """The page."""

    def __init__(self, chromium, port):
        self.chromium = chromium
        self.port = port
        assert chromium.goto(url=f"http://127.0.0.1:{port}/mqtt.html") == 200
        chromium.wait_for("window.clients !== undefined", "the page's module")

    def call(self, function, *args):
        return self.chromium.evaluate(code=f"clients.{function}(...{json.dumps(args)})")

    def kill(self):
        """The tab is closed."""
        self.chromium.renew()

    def close(self):
        pass


class Node:
    """A process."""

    def __init__(self, port):
        need("mqtt")
        self.port = port
        self.process = spawn(
            ["node", os.path.join(HERE, "mqtt_node.mjs")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def call(self, function, *args):
        self.process.stdin.write(json.dumps({"call": function, "args": args}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"Node ended with {self.process.wait()}"
        answer = json.loads(line)
        assert "error" not in answer, f"{function}{args[:2]}: {answer['error']}"
        return answer["result"]

    def kill(self):
        self.process.kill()
        self.process.communicate()

    close = kill


class MqttJs:
    """
    A client that is connected. version: 4 is 3.1.1. will: a Message with text. options: mqtt.js's own.
    """

    def __init__(self, host, carrier, version=paho.MQTTv5, name="one", will=None, **options):
        self.host = host
        self.name = name
        self.version = version
        if will:
            options["will"] = {**will._asdict(), "payload": will.payload.decode()}
        url = f"ws://127.0.0.1:{host.port}/mqtt"
        self._call("open", url, carrier, {"protocolVersion": int(version), **options})

    def _call(self, function, *args):
        return self.host.call(function, self.name, *args)

    def subscribe(self, topic, qos=2):
        assert self._call("subscribe", topic, qos) == [qos]

    def publish(self, topic, data=b"", qos=0, retain=False, **properties):
        options = {"qos": qos, "retain": retain, **({"properties": properties} if properties else {})}
        self._call("publish", topic, base64.b64encode(data).decode(), options)

    def pour(self, topic, count, length, apart):
        """Begins to send so many, each after so many ms, with QoS 0; they begin with their numbers."""
        self._call("pour", topic, count, length, apart)

    @property
    def packets(self):
        """The messages, with all that mqtt.js told about them."""
        return self._call("messages")

    @property
    def messages(self):
        return [Message(one["topic"], base64.b64decode(one["payload"]), one["qos"], one["retain"])
                for one in self.packets]

    def wait_messages(self, count, topic=None):
        try:
            wait_until(lambda: self._call("count", topic) >= count, f"{count} messages of {topic}", step=0.05)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; there: {self._call('count', None)}, seen: {self.seen}") from None
        return [message for message in self.messages if topic in (None, message.topic)]

    @property
    def seen(self):
        return self._call("seen")

    def wait(self, condition, what):
        """Until it holds for what was seen."""
        try:
            return wait_until(lambda: condition(seen := self.seen) and seen, what, step=0.05)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; seen: {self.seen}") from None

    def close(self):
        self._call("close")
