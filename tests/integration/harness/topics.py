# SPDX-License-Identifier: BSD-2-Clause
"""Clients of topic routes: over a WebSocket, an event stream or polls, read strictly and alike."""

import base64
import json
import re
from urllib.parse import quote

from .http import HttpClient, read_answer, read_head, request
from .wait import DEADLINE, Stopwatch
from .ws import CLOSE, PING, PONG, TEXT, parse_close

CURSOR = re.compile(r"[A-Za-z0-9._-]{1,64}")
STREAM, JSON = "text/event-stream", "application/json"
EVENTS = {
    "subscribed": {"event", "topics", "since"},
    "cursor": {"event", "since"},
    "reset": {"event"},
    "dropped": {"event", "count"},
    "bus": {"event", "state"},
    "ack": {"event", "ref", "id"},
}


def url(path="/live", topics=(), since=None, **more):
    """The path with its query, in which + needs no escape and # does."""
    pairs = [("topic", one) for one in topics]
    pairs += [("since", since)] if since is not None else []
    pairs += more.items()
    query = "&".join(f"{key}={quote(str(value), safe='/+$')}" for key, value in pairs)
    return f"{path}?{query}" if query else path


def number(cursor):
    return int(cursor.rsplit("-", 1)[1])


def payload(message):
    assert ("data" in message) != ("data64" in message), message
    if "data" in message:
        return message["data"].encode()
    data = base64.b64decode(message["data64"], validate=True)
    try:
        data.decode()
    except UnicodeDecodeError:
        return data
    raise AssertionError(f"text as data64: {message}")


def check(message):
    """A message from the server says what PROTOCOL.md lets it say, and nothing else."""
    event = message.get("event")
    if event == "error":
        assert set(message) - {"ref"} == {"event", "reason"}, message
    elif event is not None:
        assert set(message) == EVENTS[event], message
    else:
        payload(message)
        rest = set(message) - {"data", "data64"}
        assert rest == {"topic", "id"} or (rest == {"topic", "retained"} and message["retained"] is True), message
    for name in ("id", "since"):
        assert message.get(name) is None or CURSOR.fullmatch(message[name]), message
    return message


def brief(message):
    """What the order of messages is told by: the name of an event, or (topic, payload), or with True."""
    if "event" in message:
        return message["event"]
    return (message["topic"], payload(message).decode(), *([True] if "retained" in message else []))


class Subscriber:
    """next(): the next message but for cursors, which move since as ids and `subscribed` do."""

    def __init__(self):
        self.since = None
        self.begun = False
        self.cursors = 0

    def take(self, message):
        """True for what a test is to see."""
        check(message)
        if message.get("event") == "subscribed":
            self.begun, self.since = True, message["since"]
        elif message.get("event") == "cursor":
            self.since = message["since"]
            self.cursors += 1
            return False
        elif self.begun and message.get("id") and "event" not in message:
            # Ids grow; a client that has begun sees none twice.
            assert number(message["id"]) > number(self.since), (message, self.since)
            self.since = message["id"]
        return True

    def next(self):
        watch = Stopwatch()
        while not self.take(message := self.read()):
            assert watch.seconds < DEADLINE, "nothing but cursors"
        return message

    def briefs(self, n):
        return [brief(self.next()) for _ in range(n)]

    def until(self, event):
        """All up to an event, which is not among them."""
        got = []
        while (message := self.next()).get("event") != event:
            got.append(message)
        return got

    def begin(self):
        self.until("subscribed")
        return self

    def messages(self, n):
        """The next n published ones, and nothing but them."""
        got = [self.next() for _ in range(n)]
        assert not [one for one in got if "event" in one], got
        return got


class TopicWs(Subscriber):
    name = "ws"

    def __init__(self, culvert, topics=(), since=None, path="/live", **options):
        super().__init__()
        self.wire = culvert.ws(url(path, topics, since), **options)

    def read(self):
        got = self.wire.recv_data()
        assert got.opcode == TEXT and got.fin, got
        return json.loads(got.payload)

    def say(self, **request):
        self.wire.send_text(json.dumps(request))

    def ask(self, ref="r", **request):
        """The answer to a request, and what came before it."""
        self.say(ref=ref, **request)
        before = []
        while "ref" not in (message := self.next()):
            before.append(message)
        assert message["ref"] == ref
        return message, before

    def closed(self):
        """Reads to the Close: (what came, code, reason)."""
        got = []
        while (frame := self.wire.recv_frame()).opcode != CLOSE:
            if frame.opcode == PING:
                self.wire.send_frame(PONG, frame.payload)
            elif frame.opcode == TEXT and self.take(message := json.loads(frame.payload)):
                got.append(message)
        return (got, *parse_close(frame.payload))

    def close(self):
        self.wire.close()


class TopicSse(Subscriber):
    """last_id: what a browser's EventSource would send."""

    name = "sse"

    def __init__(self, culvert, topics=(), since=None, path="/live", headers=(), **options):
        super().__init__()
        self.last_id = None
        self.wire = culvert.http(**options)
        self.wire.send(request("GET", url(path, topics, since), headers=[("Accept", STREAM), *headers]))
        self.answer = read_head(self.wire)
        assert self.answer.status == 200, self.answer
        assert self.answer["content-type"] == STREAM
        assert self.answer["cache-control"] == "no-store, no-transform"
        assert self.answer["x-accel-buffering"] == "no"

    def block(self):
        """The lines of the next event as (name, value)."""
        block = self.wire.read_until(b"\n\n")[:-2].decode()
        lines = [line.partition(": ") for line in block.split("\n")]
        assert all(colon for _, colon, _ in lines) and "\r" not in block, block
        lines = [(name, value) for name, _, value in lines]
        self.last_id = dict(lines).get("id", self.last_id)
        return lines

    def read(self):
        lines = self.block()
        if [name for name, _ in lines] == ["id"]:  # no event: it moves the cursor
            return {"event": "cursor", "since": lines[0][1]}
        fields = dict(lines)
        assert set(fields) <= {"id", "data"} and len(fields) == len(lines), lines
        message = json.loads(fields["data"])
        wanted = message["since"] if message.get("event") == "subscribed" else message.get("id")
        assert fields.get("id") == wanted, lines
        return message

    def closed(self):
        """All to the end."""
        got = []
        try:
            while True:
                message = self.read()
                if self.take(message):
                    got.append(message)
        except EOFError:
            assert not self.wire.buffer, bytes(self.wire.buffer)
        self.close()
        return got

    def close(self):
        self.wire.close()


class TopicPoll(Subscriber):
    """One poll after the other. The end of the first answer stands for `subscribed`."""

    name = "poll"

    def __init__(self, culvert, topics=(), since=None, path="/live", **options):
        super().__init__()
        self.topics, self.path = topics, path
        self.waiting = []
        self.asked = since
        self.wire = culvert.http(**options)
        self.answer = None

    def send(self):
        self.wire.send(request("GET", url(self.path, self.topics, self.asked), headers=[("Accept", JSON)]))

    def receive(self):
        self.answer = read_answer(self.wire)
        assert self.answer.status == 200, self.answer
        assert self.answer["content-type"] == JSON
        assert self.answer["cache-control"] == "no-store, no-transform"
        assert self.answer["x-accel-buffering"] == "no"
        body = json.loads(self.answer.body)
        assert set(body) == {"messages", "since"} and CURSOR.fullmatch(body["since"])
        self.asked = body["since"]
        return body["messages"]

    def poll(self):
        self.send()
        return self.receive()

    def read(self):
        while not self.waiting:
            self.waiting = self.poll()
            if not self.begun:
                self.waiting.append({"event": "subscribed", "topics": list(self.topics), "since": self.asked})
        return self.waiting.pop(0)

    def close(self):
        self.wire.close()


KINDS = {"ws": TopicWs, "sse": TopicSse, "poll": TopicPoll}


class Publisher:
    """Publishes by POST, on one connection of its own."""

    def __init__(self, culvert, path="/live"):
        self.path = path
        self.wire = HttpClient.open(culvert.address)
        culvert.keep(self.wire)

    def ask(self, topic, data=b"", retain=None, headers=()):
        data = data.encode() if isinstance(data, str) else data
        more = {} if retain is None else {"retain": retain}
        headers = [*headers, ("Content-Length", str(len(data)))]
        return self.wire.ask("POST", url(self.path, [topic], **more), headers=headers, body=data)

    def put(self, topic, data=b"", retain=None):
        """Its id."""
        answer = self.ask(topic, data, retain)
        assert answer.status == 200, answer
        assert answer["content-type"] == JSON and answer["cache-control"] == "no-store, no-transform"
        said = json.loads(answer.body)
        assert set(said) == {"id"} and CURSOR.fullmatch(said["id"]), said
        return said["id"]


def well(culvert):
    """Whichever workers there are, they serve."""
    for _ in range(4):
        client = TopicWs(culvert, ["chat/+"]).begin()
        Publisher(culvert).put("chat/a", "well")
        while brief(client.next()) != ("chat/a", "well"):
            pass
        client.close()


def route(more="", server="", subscribe="sensors/#, chat/+", publish="sensors/#, chat/+", path="/live"):
    """A configuration of one topic route; more: lines of it, or sections after it."""
    lists = f"subscribe = {subscribe}\npublish = {publish}\n".replace("$", "$$")
    return f"[server]\n{server}\n[route {path}]\ntarget = topics:\n{lists}origins = any\n{more}\n"
