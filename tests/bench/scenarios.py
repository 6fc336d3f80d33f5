# SPDX-License-Identifier: BSD-2-Clause
"""What is measured as CPU time, and beside what."""

from servers import Culvert, Culvert2, Haproxy, HaproxyWs, Nginx, Relay, Websockify
from stream_servers import (
    Bare, Nchan, NchanPoll, NchanPublish, NodeSse, Session, SessionPoll, SessionSse)

MEGABYTE = 1 << 20
GB = 1 << 30


class Scenario:
    """
    units: of the counting phase, half a second or so: what disturbs the machine is better met with
    many pairs than with long ones. per: units that make one of what is printed; scale: its unit in
    nanoseconds. base: what is compared with the peers. slow: websockify gets that part of the units.
    """

    def __init__(self, name, what, options, units, unit, peers, role="echo", per=1, scale=1e-3, goals=None,
                 tls=False, base=Culvert, slow=10):
        self.name = name
        self.what = what
        self.options = options
        self.units = units
        self.unit = unit
        self.peers = peers
        self.role = role
        self.per = per
        self.scale = scale
        self.goals = goals or {}
        self.tls = tls
        self.base = base
        self.slow = slow


TCP = (Relay, Haproxy, Nginx)
SCENARIOS = (
    Scenario("echo", "128 B, 64 connections, 1 in flight", ["-c64"], 24000, "us/message",
             (*TCP, Websockify), goals={"relay": 1.10}),
    Scenario("echo-16", "128 B, 64 connections, 16 in flight", ["-c64", "-k16"], 360000, "us/message",
             (*TCP, Websockify), goals={"relay": 1.20}),
    Scenario("echo-1000", "128 B, 1,000 connections, 1 in flight", ["-c1000"], 20000, "us/message",
             TCP, goals={"relay": 1.15}),
    Scenario("echo-2", "128 B, 64 connections, two workers against one", ["-c64"], 24000, "us/message",
             (Culvert,), base=Culvert2, goals={"culvert": 1.10}),
    Scenario("echo-tls", "128 B, 64 connections over TLS", ["-c64"], 18000, "us/message",
             (Haproxy, HaproxyWs), tls=True, goals={"haproxy": 0.95}),
    Scenario("download", "target to client, 16 connections", ["-sdownload", "-c16"], 700 * MEGABYTE, "s/GB",
             (*TCP, Websockify), role="source", per=GB, scale=1e-9, goals={"relay": 1.10}, slow=1),
    Scenario("upload-16k", "client to target, 16 KiB frames, 16 connections",
             ["-supload", "-c16", "-b16384"], 700 * MEGABYTE, "s/GB",
             (*TCP, Websockify), role="sink", per=GB, scale=1e-9, goals={"relay": 1.15}, slow=4),
    Scenario("upload-128", "client to target, 128 B frames, 16 connections",
             ["-supload", "-c16", "-b128"], 600 * MEGABYTE, "s/GB",
             TCP, role="sink", per=GB, scale=1e-9, goals={"relay": 1.80}),
    Scenario("churn", "connect, handshake, one message, close; 16 at once", ["-schurn", "-c16"], 5000,
             "us/cycle", (*TCP, HaproxyWs, Websockify), goals={"haproxy ws": 0.85}),
    Scenario("session-echo", "128 B, 64 sessions over WebSocket, 1 in flight", ["-c64"], 24000, "us/message",
             (Culvert,), base=Session, goals={"culvert": 1.30}),
    Scenario("session-echo-16", "128 B, 64 sessions over WebSocket, 16 in flight", ["-c64", "-k16"], 240000,
             "us/message", (Culvert,), base=Session, goals={"culvert": 1.30}),
    Scenario("sse-echo", "128 B up by POST and down by SSE, 64 sessions, 1 in flight", ["-c64"], 12000,
             "us/message", (Culvert,), base=SessionSse),
    Scenario("poll-echo", "128 B up by POST and down by long poll, 64 sessions, 1 in flight", ["-c64"], 9000,
             "us/message", (Culvert,), base=SessionPoll),
    Scenario("session-lines", "lines of 128 B, one each 5 ms to each of 64 sessions over WebSocket",
             ["-slines", "-c64"], 8000, "us/line", (SessionSse,), role="lines", base=Session),
    Scenario("sse-lines", "the same over SSE, acknowledged by POST", ["-slines", "-c64"], 8000, "us/line",
             (Nchan, NchanPublish, NodeSse), role="lines", base=SessionSse),
    Scenario("bare-lines", "the same to an EventSource that knows nothing of sessions", ["-slines", "-c64"], 8000,
             "us/line", (Nchan, NodeSse), role="lines", base=Bare),
    Scenario("poll-lines", "the same over long polls, an answer for each line", ["-slines", "-c64"], 8000,
             "us/line", (NchanPoll, NchanPublish), role="lines", base=SessionPoll),
)
