# SPDX-License-Identifier: BSD-2-Clause
"""What is measured of topics and of MQTT that passes through, and beside what."""

from pushpin import Pushpin
from topic_servers import (
    BareFanout, CulvertBroker, CulvertBrokerJson, CulvertBytes, CulvertJson, CulvertPass, CulvertTopics, CulvertUnix,
    Mosquitto, NchanTopics, NginxPass)

BURST = 20
COUNTS = (100, 1000, 5000)


class TopicScenario:
    """
    kinds: the servers, each with what its clients are (topics' -s); the first culvert that is there is
    compared with the rest. upload: count clients publish, and one gets it all; else one publishes, and
    count clients get it. units: messages of a phase, all subscribers together. goals: by the name of a server.
    """

    def __init__(self, name, what, kinds, count, burst=1, upload=False, units=40000, goals=None):
        self.name = name
        self.what = what
        self.kinds = kinds
        self.count = count
        self.burst = burst
        self.upload = upload
        self.rounds = max(units // (count * burst), 4)
        self.goals = goals or {}


def fanouts():
    label = {"ws": "WebSockets", "sse": "EventSources", "poll": "long polls"}
    for kind in ("ws", "sse", "poll"):
        ours = {CulvertTopics: kind} if kind == "poll" else {CulvertTopics: kind, CulvertJson: kind}
        kinds = {**ours, NchanTopics: kind, BareFanout: "ask" if kind == "poll" else "raw"}
        if kind != "poll":
            kinds[Pushpin] = kind
        one = 0.70 if kind == "poll" else 0.85
        for count in COUNTS:
            goals = {"nchan": one} if kind == "poll" or count >= 1000 else {}
            yield TopicScenario(f"fanout-{kind}-{count}", f"one message at a time to {count:,} {label[kind]}",
                                kinds, count, goals=goals)
            goals = {"nchan": 0.70 if kind == "poll" else 0.25}
            yield TopicScenario(f"fanout-{kind}-{count}-burst", f"bursts of {BURST} to {count:,} {label[kind]}",
                                kinds, count, BURST, goals=goals)


def brokers():
    kinds = {CulvertBroker: "ws", CulvertBrokerJson: "ws", Mosquitto: "mqtt-ws"}
    for count in COUNTS:
        goals = {"mosquitto ws": 0.90} if count == 1000 else {}
        yield TopicScenario(f"broker-{count}", f"one at a time from a broker to {count:,} WebSockets", kinds,
                            count, goals=goals)
        yield TopicScenario(f"broker-{count}-burst", f"bursts of {BURST} from a broker to {count:,} WebSockets",
                            kinds, count, BURST)


def passes():
    """By the broker's TCP port, and once more by its unix socket."""
    goals = {"nginx+mosquitto ws": 0.90}
    ways = {"": (CulvertPass, CulvertBytes, NginxPass, Mosquitto), "-unix": (CulvertUnix, NginxPass)}
    for upload, name, what in ((True, "publish", "64 clients publish"), (False, "subscribe", "64 clients get")):
        for way, kinds in ways.items():
            for burst in (1, BURST):
                yield TopicScenario(
                    f"mqtt-{name}{way}{'-burst' if burst > 1 else ''}",
                    f"{what} QoS 0 messages over WebSocket, {burst} at a time", dict.fromkeys(kinds, "mqtt-ws"),
                    64, burst, upload, units=20000 * (1 if burst == 1 else 3), goals=goals)


TOPIC_SCENARIOS = (*fanouts(), *brokers(), *passes())
GROUPS = ("fanout", "broker", "mqtt")
