# SPDX-License-Identifier: BSD-2-Clause
"""What idle connections take: memory, and CPU time."""

import resource
import subprocess

import figures
from servers import Culvert, Haproxy, HaproxyWs, Missing, Nginx, Relay, Websockify
from stream_servers import Session, SessionPoll, SessionSse


class Held:
    """Idle connections, while it lasts; parked: sessions that have lost theirs."""

    def __init__(self, bench, server, count, tls=False, seconds=1, role="echo", parked=False):
        command = bench.command(
            server, role,
            ["-spark" if parked else "-sidle", f"-c{count}", f"-t{seconds}", "-p", str(server.pid(role))], tls)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.line = figures.parse(self.process.stdout.readline())

    def __enter__(self):
        if not self.line:
            raise RuntimeError(self.process.stderr.read().strip())
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)


def bytes_per_connection(bench, kind, count, tls=False, role="echo", parked=False):
    """Between some idle connections, which have warmed it up, and count more; CPU while idle too."""
    server = bench.server(kind)
    pid = server.pid(role)
    with Held(bench, server, max(count // 10, 5), tls, 1, role, parked):
        before = figures.pss_bytes(pid)
        with Held(bench, server, count, tls, 3, role, parked) as held:
            after = figures.pss_bytes(pid)
    return (after - before) / count, held.line["cpu_ns"] / held.line["seconds"] / 1e3


def run_idle(bench):
    rows = []
    counts = {Websockify: 40}
    for tls, goal, kinds in (
        (False, 1024, (Culvert, Relay, Haproxy, HaproxyWs, Nginx, Websockify)),
        (True, 16384, (Culvert, Haproxy, HaproxyWs)),
    ):
        for kind in kinds[:1] if bench.alone else kinds:
            bench.stop()
            count = counts.get(kind, 2000)
            label = "idle-tls" if tls else "idle"
            try:
                each, idle = bytes_per_connection(bench, kind, count, tls)
            except Missing as error:
                rows.append([label, kind.name, "missing", "", "", "", str(error)])
                continue
            ours = kind is Culvert
            rows.append([label, kind.name, f"{count}", f"{each:,.0f}", f"{idle:.1f}",
                         f"<= {goal:,}" if ours else "",
                         ("met" if each <= goal else "missed") if ours else ""])
    return rows


def run_sessions(bench):
    """All that was sent is acknowledged. A session is parked as soon as it has had its message: so many
    at once have a carrier as are on their way, and what carriers took is used again."""
    rows = []
    for name, kind, parked, goal in (
        ("parked", Session, True, 1536),
        ("WebSocket", Session, False, None),
        ("SSE", SessionSse, False, None),
        ("long poll", SessionPoll, False, None),
    ):
        bench.stop()
        each, idle = bytes_per_connection(bench, kind, 2000, role="held", parked=parked)
        rows.append(["idle-sessions", name, "2000", f"{each:,.0f}", f"{idle:.1f}", f"<= {goal:,}" if goal else "",
                     ("met" if each <= goal else "missed") if goal else ""])
    return rows


def run_many(bench):
    """CPU time between heartbeats, and that of one heartbeat: a PING, and the PONG that answers it."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(9000, (limit - 500) // 2)  # a connection has two descriptors
    server = bench.server(Culvert)
    seconds = 3 if bench.quick else 10
    with Held(bench, server, count, seconds=seconds) as held:
        between = held.line["cpu_ns"] / held.line["seconds"] / 1e3
    with Held(bench, server, count, seconds=seconds + 2, role="beat") as held:
        beats = held.line["units"]
        each = held.line["cpu_ns"] / max(beats, 1) / 1e3
    few = "" if count == 9000 else f" (the limit of {limit} descriptors allows no more)"
    return (f"  {count:,} bridged connections{few}: {between:.1f} us of CPU a second between heartbeats; "
            f"{each:.1f} us for each of {beats:,.0f} heartbeats")
