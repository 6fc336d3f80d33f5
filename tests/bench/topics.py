# SPDX-License-Identifier: BSD-2-Clause
"""Topics that fan out, and MQTT that passes through: CPU time, latency and memory, side by side.

The subscribers of all servers of a scenario stay connected, and phases go round between them.
"""

import select
import statistics
import subprocess
import time

import figures
from pushpin import Pushpin
from servers import Missing
from topic_scenarios import BURST, TOPIC_SCENARIOS
from topic_servers import BareFanout, CulvertBroker, CulvertTopics, Mosquitto, NchanTopics

HEAD = ["scenario", "server", "us/message", "broker's", "culvert/it", "goal", "", "p50 us", "p99 us", "last p50", "last p99",
        "lost"]
PAIRS = 9
PAIRS_QUICK = 3
PHASE_SECONDS = 5
SCENARIO_SECONDS = 60
WARM_TRIES = 10
IDLE = 5000
IDLE_GOAL = 1024


class Clients:
    """Subscribers and publishers of a server, while it lasts."""

    def __init__(self, server, command):
        self.server = server
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        server.bench.started.append(self.process)
        self.read(70)

    def read(self, seconds):
        poll = select.poll()  # select() takes no descriptors over 1023, and Pushpin's backend has many
        poll.register(self.process.stdout, select.POLLIN)
        got = figures.parse(self.process.stdout.readline()) if poll.poll(seconds * 1000) else {}
        if not got:
            self.process.kill()
            words = self.process.stderr.read().strip()
            raise RuntimeError(f"{self.server.name}: {words or 'no figures'} {self.server.output()[-300:]}")
        return got

    def run(self, rounds, seconds=PHASE_SECONDS):
        try:
            self.process.stdin.write(f"{rounds} {seconds}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # read() tells why it is gone
        return self.read(seconds + 30)

    def warm(self):
        """Until a round has come to all: subscribing may take its time."""
        for _ in range(WARM_TRIES):
            time.sleep(0.2)
            if self.run(1)["lost"] == 0:
                return self.run(2)
        raise RuntimeError(f"{self.server.name}: no message comes to all subscribers")

    def close(self):
        """What has ended before has left a line in the pipe that nobody takes."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait(30)


def open_clients(bench, scenario, kind):
    server = bench.server(kind)
    if scenario.upload:
        command = server.upload_command(scenario.count, scenario.burst)
    else:
        command = server.command(scenario.kinds[kind], scenario.count, scenario.burst)
    clients = Clients(server, command)
    try:
        clients.warm()
    except RuntimeError:
        clients.close()
        raise
    return clients


def chosen(bench, scenario):
    """The first one, and those beside it that the command line asks for."""
    first, *peers = scenario.kinds
    if bench.peer:
        peers = [kind for kind in peers if kind.name == bench.peer]
    elif bench.alone:
        peers = [kind for kind in peers if kind.name in scenario.goals]
    return [first, *peers]


def reason(bench, error):
    return str(error).replace(bench.folder, "").split("\n", 1)[0][:140]


def connect(bench, scenario, absent):
    """Clients by server; absent gets why others are missing."""
    clients = {}
    for kind in chosen(bench, scenario):
        try:
            clients[kind] = open_clients(bench, scenario, kind)
        except (Missing, RuntimeError) as error:
            absent[kind] = reason(bench, error)
    return clients


def measure(bench, scenario, clients, absent):
    """What each phase found, by server: all servers in turn, every other time backwards. One that fails is
    absent from then on."""
    found = {kind: [] for kind in clients}
    rounds = max(scenario.rounds // (3 if bench.quick else 1), 2)
    began = time.monotonic()
    for i in range(PAIRS_QUICK if bench.quick else PAIRS):
        if i >= PAIRS_QUICK and time.monotonic() - began > SCENARIO_SECONDS:
            print(f"  {scenario.name}: a slow or busy machine, {i} pairs")
            break
        for kind in clients if i % 2 == 0 else reversed(clients):
            if kind in absent:
                continue
            try:
                found[kind].append(clients[kind].run(max(rounds // kind.slow, 2)))
            except RuntimeError as error:
                absent[kind] = reason(bench, error)
    return {kind: phases for kind, phases in found.items() if kind not in absent}


def cost(phase):
    return phase["cpu_ns"] / max(phase["units"], 1) / 1e3


def brokers(kind, phases):
    """What of it is that of the broker, where there is one behind: it was started first."""
    if not kind.broker_behind:
        return ""
    return f"{statistics.median(phase['cpu0_ns'] / max(phase['units'], 1) for phase in phases) / 1e3:.3f}"


def middle(phases, name):
    values = [phase[name] for phase in phases if name in phase]
    return f"{statistics.median(values):,.0f}" if values else ""


def row(scenario, base, kind, found):
    phases = found[kind]
    costs = [cost(phase) for phase in phases]
    ratio = goal_text = verdict = ""
    if base and kind is not base:
        interval = figures.median_interval([cost(a) / b for a, b in zip(found[base], costs)])
        ratio = f"{interval[0]:.2f} [{interval[1]:.2f}, {interval[2]:.2f}]"
        goal = scenario.goals.get(kind.name)
        verdict = figures.verdict(interval, goal) if goal else ""
    if kind.name in scenario.goals:
        goal_text = f"<= {scenario.goals[kind.name]:.2f}"
    lost = sum(phase["lost"] + phase["odd"] for phase in phases)
    return [scenario.name, kind.name, f"{figures.median_interval(costs)[0]:.3f}", brokers(kind, phases), ratio, goal_text, verdict,
            *(middle(phases, name) for name in ("p50_us", "p99_us", "last50_us", "last99_us")), f"{lost:.0f}"]


def run_scenario(bench, scenario):
    """Rows, and sentences on what is missing."""
    absent = {}
    clients = connect(bench, scenario, absent)
    try:
        found = measure(bench, scenario, clients, absent)
    finally:
        for each in clients.values():
            each.close()
    base = next((kind for kind in found if kind.name.startswith("culvert")), None)
    rows = [row(scenario, base, kind, found) for kind in found]
    rows += [[scenario.name, kind.name, "missing", *[""] * 9] for kind in absent]
    return rows, [f"{scenario.name}: {kind.name}: {why}" for kind, why in absent.items()]


# ---- idle subscribers ----


def bytes_per_subscriber(bench, kind, listening):
    """Between some subscribers, which have warmed it up, and IDLE more; each has had a message."""
    bench.stop()
    server = bench.server(kind)
    few = Clients(server, server.command(listening, IDLE // 10, 1))
    many = None
    try:
        few.warm()
        before = sum(figures.pss_bytes(pid) for pid in server.pids())
        many = Clients(server, server.command(listening, IDLE, 1))
        many.warm()
        time.sleep(1)
        return (sum(figures.pss_bytes(pid) for pid in server.pids()) - before) / IDLE
    finally:
        for clients in (few, many):
            if clients:
                clients.close()
        bench.stop()


def run_idle(bench):
    rows = []
    kinds = [(CulvertTopics, listening) for listening in ("ws", "sse", "poll")]
    if not bench.alone:
        kinds += [(NchanTopics, listening) for listening in ("ws", "sse", "poll")]
        kinds += [(CulvertBroker, "ws"), (Mosquitto, "mqtt-ws"), (Pushpin, "ws"), (BareFanout, "raw")]
    for kind, listening in kinds:
        ours = kind is CulvertTopics
        goal = f"<= {IDLE_GOAL:,}" if ours else ""
        try:
            each = bytes_per_subscriber(bench, kind, listening)
        except (Missing, RuntimeError) as error:
            rows.append([kind.name, listening, "missing", goal, reason(bench, error)])
            continue
        verdict = ("met" if each <= IDLE_GOAL else "missed") if ours else ""
        rows.append([kind.name, listening, f"{each:,.0f}", goal, verdict])
    return figures.table(["server", "subscribers", "bytes each", "goal", ""], rows)


# ---- all of it ----


def run(bench, only, report):
    rows, absent = [], {}
    for scenario in TOPIC_SCENARIOS:
        if only not in (None, scenario.name, scenario.name.split("-")[0]):
            continue
        began = time.monotonic()
        more, missing = run_scenario(bench, scenario)
        rows += more
        absent.update(dict.fromkeys(missing))
        print(f"  {scenario.name}: {scenario.what} ({time.monotonic() - began:.0f} s)", flush=True)
    if rows:
        report(f"Topics, messages of 100 bytes: CPU time of all processes of the server for each message that comes; "
               f"the ratio of culvert's, its median and the interval of the median. Latency from publishing, a "
               f"burst of {BURST} at once, to each message, and to the last one of all", figures.table(HEAD, rows))
        for each in absent:
            print(f"  missing: {each}")
    if only in (None, "idle-topics"):
        report(f"Idle subscribers ({IDLE:,} more; anonymous and shared PSS of the server's processes)", run_idle(bench))
