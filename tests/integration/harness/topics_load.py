# SPDX-License-Identifier: BSD-2-Clause
"""Who publishes without a pause, and who listens meanwhile, each on a thread of its own."""

import json
import threading
import time

from .topics import Publisher, TopicWs, brief
from .wait import wait_until


class Listener:
    """Reads a subscriber of harness.topics: heard has (topic, text), or the name of an event."""

    def __init__(self, subscriber):
        self.heard, self.failure = [], None
        self.subscriber = subscriber.begin()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                message = self.subscriber.next()
                if message.get("event") == "bus":
                    self.heard.append(message["state"])
                else:
                    self.heard.append(brief(message)[:2] if "topic" in message else message["event"])
        except (OSError, ValueError, EOFError, AssertionError) as failure:
            self.failure = failure

    def messages(self):
        return [one for one in list(self.heard) if isinstance(one, tuple)]

    def events(self):
        return [one for one in list(self.heard) if isinstance(one, str)]

    def wait(self, done, what):
        try:
            return wait_until(done, what)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; {self.failure!r}; {self.heard[-10:]}") from None


class Talker:
    """
    Publishes 1, 2, 3, … to its topic until end(), or count of them; taken and failed tell which of them
    were. padding: what each has behind its number.
    """

    def __init__(self, culvert, topic, count=None, path="/live", pause=0.002, padding=""):
        self.topic, self.count, self.path, self.pause, self.padding = topic, count, path, pause, padding
        self.taken, self.failed, self.failure = [], [], None
        self.n = 0
        self.ending = threading.Event()
        self.open(culvert)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.ending.is_set() and (self.count is None or self.n < self.count):
                self.step()
                time.sleep(self.pause)
            self.finish()
        except (OSError, ValueError, EOFError, AssertionError) as failure:
            self.failure = failure

    def next(self):
        """The number of the next one."""
        self.n += 1
        return str(self.n)

    def finish(self):
        pass

    def wait_taken(self, more=3):
        """From now on so many more are."""
        wanted = len(self.taken) + more
        wait_until(lambda: len(self.taken) >= wanted or self.failure, f"{self.topic} to be taken")
        assert self.failure is None, self.failure

    def end(self):
        self.ending.set()
        self.join()

    def join(self):
        self.thread.join(60)
        assert not self.thread.is_alive() and self.failure is None, self.failure
        assert len(self.taken) + len(self.failed) == self.n


class Poster(Talker):
    def open(self, culvert):
        self.publisher = Publisher(culvert, self.path)

    def step(self):
        number = self.next()
        answer = self.publisher.ask(self.topic, number + self.padding)
        assert answer.status in (200, 503), answer
        assert answer.status == 503 or json.loads(answer.body) == {"id": None}
        (self.taken if answer.status == 200 else self.failed).append(number)


class WsTalker(Talker):
    """Ten wait for their answer at most."""

    def open(self, culvert):
        self.ws = TopicWs(culvert, ["quiet"], path=self.path).begin()
        self.open_refs = set()

    def step(self):
        number = self.next()
        self.ws.say(publish=self.topic, data=number + self.padding, ref=number)
        self.open_refs.add(number)
        if len(self.open_refs) >= 10:
            self.answered()

    def answered(self):
        message = self.ws.next()
        if "ref" in message:
            self.open_refs.remove(message["ref"])
            (self.taken if message["event"] == "ack" else self.failed).append(message["ref"])

    def finish(self):
        while self.open_refs:
            self.answered()


def of_topic(messages, topic):
    return [text for one, text in list(messages) if one == topic]


def first_times(messages, topic):
    """In order, each where it came first."""
    return list(dict.fromkeys(of_topic(messages, topic)))


def in_order(texts):
    """They begin with numbers that grow."""
    numbers = [int(text.rstrip(".")) for text in texts]
    return numbers == sorted(numbers)
