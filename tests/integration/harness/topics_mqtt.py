# SPDX-License-Identifier: BSD-2-Clause
"""Topic routes on an MQTT broker: a mosquitto that goes and comes back, the way to it, who is there besides culvert."""

import contextlib
import signal
import socket
import subprocess
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .child import spawn
from .peers import free_port
from .services import answers, program
from .topics import Publisher, TopicPoll, brief
from .wait import DEADLINE, wait_until
from .wire import connect, linger_zero

# Nothing is dropped for being too much: what a test misses was lost on its way. Root stays root, as the
# files are in a folder of the test's own.
MOSQUITTO = """
per_listener_settings false
listener {port} 127.0.0.1
max_queued_messages 0
user root
log_dest stderr
"""
KEEPING = "persistence true\nautosave_interval 1\npersistence_location {folder}/\n"
VERSIONS = ["3.1.1", "5"]


class Broker:
    """A mosquitto on a port of its own. keeps: what it has acknowledged outlives stop()."""

    def __init__(self, folder, keeps=False, more="allow_anonymous true\nsys_interval 0\n"):
        self.port = free_port()
        self.process = None
        self.conf = folder / "mosquitto.conf"
        self.log = folder / "mosquitto.log"
        text = MOSQUITTO.format(port=self.port) + more
        self.conf.write_text(text + (KEEPING.format(folder=folder) if keeps else ""))

    def start(self):
        with open(self.log, "ab") as log:
            self.process = spawn([program("mosquitto"), "-c", str(self.conf)], stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=log)
        wait_until(self._is_up, "mosquitto")
        return self

    def _is_up(self):
        assert self.process.poll() is None, self.log.read_text()
        return answers(self.port)

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(DEADLINE)
        self.process = None

    def close(self):
        self.stop(signal.SIGKILL)


class Relay:
    """
    TCP to a port, with n_accepted connections so far. cut() resets them all; while it is shut new ones are
    refused; what goes a way that is held stays in the relay until release().
    """

    def __init__(self, target):
        self.target = target
        self.n_accepted = 0
        self.pairs = []
        self.ways = {"up": threading.Event(), "down": threading.Event()}
        self.release()
        self.listener = None
        self.port = free_port()
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def shut(self):
        """shutdown() wakes the thread in accept(), close() alone does not."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.n_accepted += 1
                self._relay(client)

    def _relay(self, client):
        try:
            server = connect(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        self.pairs.append((client, server))
        for one in (client, server):
            one.settimeout(None)
        for way, come, go in (("up", client, server), ("down", server, client)):
            threading.Thread(target=self._pump, args=(self.ways[way], come, go), daemon=True).start()

    def _pump(self, way, come, go):
        with contextlib.suppress(OSError):
            while data := come.recv(65536):
                way.wait()
                go.sendall(data)
        for one in (come, go):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def hold(self, way):
        self.ways[way].clear()

    def release(self):
        for way in self.ways.values():
            way.set()

    def cut(self):
        pairs, self.pairs = self.pairs, []
        for one in (sock for pair in pairs for sock in pair):
            with contextlib.suppress(OSError):
                linger_zero(one)
                one.shutdown(socket.SHUT_RDWR)
                one.close()

    def close(self):
        self.shut()
        self.cut()
        self.release()


# ---- who else is at the broker ----


class Outsider:
    """
    Paho's client. session: its name there; what comes at QoS 1 while it is away waits for it, and it comes
    back by itself.
    """

    def __init__(self, port, *filters, session=None):
        self.messages = []  # (topic, text)
        self.granted = threading.Event()
        self.filters = filters
        self.client = paho.Client(session or "", protocol=paho.MQTTv5)
        self.client.max_inflight_messages_set(100)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self.granted.set()
        self.client.on_message = self._on_message
        options = {}
        if session:
            options = {"clean_start": False, "properties": Properties(PacketTypes.CONNECT)}
            options["properties"].SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", port, 60, **options)
        self.client.loop_start()
        if filters:
            assert self.granted.wait(DEADLINE), "no SUBACK"

    def _on_connect(self, client, data, flags, reason, properties=None):
        if self.filters and not flags["session present"]:
            client.subscribe([(one, 1) for one in self.filters])

    def _on_message(self, client, data, message):
        self.messages.append((message.topic, message.payload.decode()))

    def publish(self, topic, text="", qos=1, retain=False):
        """Returns when the broker has it, with QoS 0 when it is sent."""
        info = self.client.publish(topic, text, qos, retain)
        wait_until(info.is_published, f"{topic} to be published")

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def made(tmp_path):
    """Makes what has a close(): made(Broker, …) in a folder of its own, made(Relay, …). The last is closed first."""
    things = []

    def make(kind, *args, **options):
        if kind is Broker:
            folder = tmp_path / f"broker{len(things)}"
            folder.mkdir()
            args = (folder, *args)
        things.append(kind(*args, **options))
        return things[-1]

    yield make
    for thing in reversed(things):
        thing.close()


# ---- culvert ----


def bus(port, version="5", more="", scheme="mqtt", name=""):
    """A [bus] section."""
    title = f"[bus {name}]" if name else "[bus]"
    return f"{title}\nurl = {scheme}://127.0.0.1:{port}\nmqtt_version = {version}\n{more}\n"


def route(path="/live", subscribe="#", publish="#", more="", name=""):
    return f"[route {path}]\ntarget = topics:{name}\nsubscribe = {subscribe}\npublish = {publish}\n{more}\n"


def node(culvert, port, version="5", of_bus="", routes=None, workers=2, **options):
    """A culvert whose bus is the broker at that port. It may be away."""
    server = f"[server]\nworkers = {workers}\ndrain_timeout = 1s\n"
    return culvert(server + bus(port, version, of_bus) + (routes or route()), **options)


def wait_up(one, path="/live", topic="up"):
    """Until it is connected and subscribed; it publishes for that."""
    publisher = Publisher(one, path)
    wait_until(lambda: publisher.ask(topic, "?").status == 200, "the bus to be up")
    return one


def retained(one, *filters, path="/live"):
    """What it holds for them: {topic: text}."""
    poll = TopicPoll(one, filters, path=path)
    values = [brief(message) for message in poll.poll()]
    poll.close()
    assert all(value[2:] == (True,) for value in values), values
    return {value[0]: value[1] for value in values}


def wait_retained(one, values, *filters, path="/live"):
    seen = []

    def same():
        seen[:] = [retained(one, *filters, path=path)]
        return seen[0] == values

    try:
        wait_until(same, f"the retained values {values}")
    except AssertionError as failure:
        raise AssertionError(f"{failure}; there are {seen[0]}") from None
