# SPDX-License-Identifier: BSD-2-Clause
"""
What MQTT does for its users, between a client and a neighbour. Both have the methods of harness.mqtt_clients's
Paho; the client may be any other.
"""

from .mqtt_clients import Message, payload

QUALITIES = [0, 1, 2]
LARGE = 256 * 1024


def by_quality(messages):
    """Of two qualities of service, one may overtake the other."""
    return sorted(messages, key=lambda message: message.qos)


def each_quality_of_service_comes_once(one, neighbour, times=5):
    """Both ways at the same time."""
    sent = {way: [Message(f"{way}/{n}", payload(50 * n), qos, False) for n, qos in enumerate(QUALITIES * times)]
            for way in ("up", "down")}
    before = {who: len(who.messages) for who in (one, neighbour)}
    one.subscribe("down/#")
    neighbour.subscribe("up/#")
    for up, down in zip(sent["up"], sent["down"]):
        one.publish(*up)
        neighbour.publish(*down)
    # What comes a second time would have come by then.
    one.publish("up/last", qos=2)
    neighbour.publish("down/last", qos=2)
    for who, way in ((one, "down"), (neighbour, "up")):
        who.wait_messages(1, f"{way}/last")
        assert by_quality(who.messages[before[who]:])[:-1] == by_quality(sent[way])


def large_payloads_are_the_same_at_the_other_end(one, neighbour, qos):
    up, down = (Message(f"large/{way}/{qos}", payload(LARGE), qos, False) for way in ("up", "down"))
    one.subscribe(down.topic)
    neighbour.subscribe(up.topic)
    one.publish(*up)
    neighbour.publish(*down)
    assert neighbour.wait_messages(1, up.topic) == [up]
    assert one.wait_messages(1, down.topic) == [down]


def retained_messages_wait_for_who_subscribes(one, neighbour):
    """And go when an empty one takes their place."""
    kept = {way: Message(f"kept/{way}", payload(100), 1, True) for way in ("up", "down", "gone")}
    for who, way in ((one, "up"), (neighbour, "down"), (neighbour, "gone")):
        who.publish(*kept[way])
    one.publish("kept/gone", qos=1, retain=True)
    neighbour.subscribe("kept/up")
    assert neighbour.wait_messages(1, "kept/up") == [kept["up"]]
    one.subscribe("kept/+")
    assert one.wait_messages(1, "kept/down") == [kept["down"]]
    assert one.wait_messages(1, "kept/up") == [kept["up"]]
    one.publish("kept/gone", b"live")
    assert one.wait_messages(1, "kept/gone") == [Message("kept/gone", b"live", 0, False)]
