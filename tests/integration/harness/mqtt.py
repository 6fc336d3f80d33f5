# SPDX-License-Identifier: BSD-2-Clause
"""A mosquitto on a free port, MQTT's packets made by hand, and a client that reads them strictly."""

import contextlib
import struct
import subprocess

from .peers import free_port
from .services import program, running
from .wire import Wire

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)

V311, V5 = 4, 5

NOT_AUTHORIZED, TOO_LARGE, MALFORMED, PROTOCOL_ERROR = 0x87, 0x95, 0x81, 0x82

CONF = """
per_listener_settings false
listener {port} 127.0.0.1
persistence false
user root
log_type all
connection_messages true
"""


@contextlib.contextmanager
def mosquitto(folder, extra="allow_anonymous true\n", users=None, tls=None):
    """Its port. users: {name: password}, which makes it ask for them; tls: the Certificates that it shows one of."""
    port = free_port()
    conf = folder / "mosquitto.conf"
    text = CONF.format(port=port) + (extra if users is None else "allow_anonymous false\n")
    if users is not None:
        path = folder / "mosquitto.users"
        path.touch(mode=0o600)
        for name, password in users.items():
            subprocess.run([program("mosquitto_passwd"), "-b", str(path), name, password], check=True)
        text += f"password_file {path}\n"
    if tls is not None:
        text += f"certfile {tls.crt('server')}\nkeyfile {tls.key('server')}\n"
    conf.write_text(text)
    with running([program("mosquitto"), "-c", str(conf)], port, folder / "mosquitto.log"):
        yield port


# ---- packets ----


def length(n):
    out = bytearray()
    while True:
        n, digit = divmod(n, 128)
        out.append(digit | (0x80 if n else 0))
        if not n:
            return bytes(out)


def packet(kind, body=b"", flags=0):
    return bytes([kind << 4 | flags]) + length(len(body)) + body


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(data)) + data


def properties(version, data=b""):
    return length(len(data)) + data if version == V5 else b""


def connect(version=V311, client_id="c", user=None, password=None, will=None, clean=True, keep_alive=60, props=b"",
            name="MQTT", flags=0):
    """will: (topic, payload)."""
    flags |= (2 if clean else 0) | (4 if will else 0) | (0x80 if user is not None else 0)
    flags |= 0x40 if password is not None else 0
    body = string(name) + bytes([version, flags]) + struct.pack(">H", keep_alive)
    body += properties(version, props) + string(client_id)
    if will:
        body += properties(version) + string(will[0]) + string(will[1])
    if user is not None:
        body += string(user)
    if password is not None:
        body += string(password)
    return packet(CONNECT, body)


def publish(topic, payload=b"", qos=0, packet_id=1, version=V311, props=b"", retain=False, dup=False):
    body = string(topic) + (struct.pack(">H", packet_id) if qos else b"") + properties(version, props)
    payload = payload.encode() if isinstance(payload, str) else payload
    return packet(PUBLISH, body + payload, (8 if dup else 0) | qos << 1 | (1 if retain else 0))


def subscribe(*filters, packet_id=1, version=V311, qos=0, props=b""):
    body = struct.pack(">H", packet_id) + properties(version, props)
    return packet(SUBSCRIBE, body + b"".join(string(one) + bytes([qos]) for one in filters), 2)


def unsubscribe(*filters, packet_id=1, version=V311):
    body = struct.pack(">H", packet_id) + properties(version)
    return packet(UNSUBSCRIBE, body + b"".join(string(one) for one in filters), 2)


def alias(number):
    return b"\x23" + struct.pack(">H", number)


class Packet:
    def __init__(self, first, body):
        self.kind, self.flags, self.body = first >> 4, first & 15, body

    def __repr__(self):
        return f"<packet {self.kind} flags={self.flags} {self.body[:60]!r}>"

    @property
    def topic(self):
        (n,) = struct.unpack(">H", self.body[:2])
        return self.body[2 : 2 + n].decode()

    def payload(self, version):
        at = 2 + len(self.topic.encode()) + (2 if self.flags & 6 else 0)
        if version == V5:
            assert self.body[at] < 0x80
            at += 1 + self.body[at]
        return self.body[at:]


class Client:
    """
    Packets over something with send_bytes() and recv_bytes(n): a carrier of its own, so that the same
    is said over WebSocket and over sessions.
    """

    def __init__(self, carrier, version=V311):
        self.carrier, self.version = carrier, version

    def send(self, *packets):
        self.carrier.send_bytes(b"".join(packets))

    def recv(self):
        first = self.carrier.recv_bytes(1)[0]
        n = shift = 0
        while True:
            digit = self.carrier.recv_bytes(1)[0]
            n |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                break
        return Packet(first, self.carrier.recv_bytes(n) if n else b"")

    def expect(self, kind, body=None):
        got = self.recv()
        assert got.kind == kind, got
        assert body is None or got.body == body, got
        return got

    def connect(self, **options):
        """Connected: the CONNACK was a good one."""
        self.send(connect(self.version, **options))
        got = self.expect(CONNACK)
        assert got.body[1] == 0, got
        return self

    def subscribe(self, *filters, **options):
        self.send(subscribe(*filters, version=self.version, **options))
        return self.expect(SUBACK).body[3 if self.version == V5 else 2 :]

    def publish(self, topic, payload=b"", **options):
        self.send(publish(topic, payload, version=self.version, **options))

    def ends(self):
        """What culvert still says, and the code that it closes with."""
        return self.carrier.recv_to_close()

    def ping(self):
        """All that was sent before has been dealt with."""
        self.send(packet(PINGREQ))
        self.expect(PINGRESP)


class OverWebSocket:
    """piece: bytes of a frame."""

    def __init__(self, culvert, path="/mqtt", piece=None, subprotocols=("mqtt",), **options):
        self.ws = culvert.ws(path, subprotocols=subprotocols, **options)
        self.piece, self.buffer = piece, bytearray()

    def send_bytes(self, data):
        for at in range(0, len(data), self.piece or len(data)):
            self.ws.send_binary(data[at : at + (self.piece or len(data))])

    def recv_bytes(self, n):
        while len(self.buffer) < n:
            self.buffer += self.ws.recv_data().payload
        return self.taken(n)

    def taken(self, n):
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def recv_to_close(self):
        """What is left, and the close code."""
        data, code, _ = self.ws.recv_to_close()
        return self.taken(len(self.buffer)) + data, code


class OverSession:
    """A session of any carrier, as harness.session has them."""

    def __init__(self, session):
        self.session = session

    def send_bytes(self, data):
        self.session.send(data)

    def recv_bytes(self, n):
        return self.session.recv(n)

    def recv_to_close(self):
        return self.session.recv_to_close()


# ---- of routes with rules ----

RULES = "mqtt_publish = chat/+, up/${client_id}/#\nmqtt_subscribe = chat/#, down/${user}\n"


def start(culvert, port, rules=""):
    """A route /mqtt to the broker at port."""
    return culvert(f"[route /mqtt]\ntarget = mqtt://127.0.0.1:{port}\n{rules}")


def open_client(culvert, version=V311, **options):
    """Over WebSocket, connected."""
    return Client(OverWebSocket(culvert), version).connect(**options)


class Direct:
    """At the broker itself, where no rule holds."""

    def __init__(self, port):
        self.wire = Wire.open(("127.0.0.1", port))

    def send_bytes(self, data):
        self.wire.send(data)

    def recv_bytes(self, n):
        return self.wire.read(n)


def witness(port, *filters):
    """Sees all that reaches the broker."""
    seen = Client(Direct(port)).connect(client_id="witness")
    seen.subscribe(*(filters or ("#",)))
    return seen


def nothing_came(seen):
    seen.ping()


def connack(version, reason):
    return packet(CONNACK, bytes([0, reason, 0] if version == V5 else [0, reason]))


def disconnect(version, reason):
    return packet(DISCONNECT, bytes([reason, 0])) if version == V5 else b""


def ends_with(one, words):
    """Close code 1000 behind the words, or 1008 where MQTT has none."""
    assert one.ends() == (words, 1000 if words else 1008)
    one.carrier.ws.send_quietly(b"\x88\x80\0\0\0\0")


def told(culvert, reason, count=1):
    event = culvert.wait_event(count=count)
    assert (event["ended_by"], event["reason"]) == ("culvert", reason)
