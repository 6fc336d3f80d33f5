# SPDX-License-Identifier: BSD-2-Clause
"""
What culvert costs: CPU time of the server's process for each unit of work, side by side with a bare
relay and with other servers, as ratios within pairs that run right after each other. Nothing here
passes or fails by time.

The server is pinned to the first CPU, what puts it under load and what it leads to on another.
"""

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import counts
import figures
import memory
import servers
import topics
import wirebytes
from scenarios import SCENARIOS
from servers import Culvert, Missing, Target, Websockify
from topic_scenarios import GROUPS, TOPIC_SCENARIOS

PAIRS = 9
PAIRS_GOAL = 15  # with a peer that there is a goal for
PAIRS_QUICK = 3
SCENARIO_SECONDS = 60  # on a slow machine there are fewer pairs, but PAIRS_QUICK


# Beside them: what is measured in another way.
OTHERS = ("wire", "idle", "idle-sessions", "idle-topics", "many", "slow-reader", "instructions", "syscalls")


class Bench:
    def __init__(self, arguments, folder):
        cpus = sorted(os.sched_getaffinity(0))
        self.folder = folder
        self.quick = arguments.quick
        self.alone = arguments.alone
        self.peer = arguments.peer
        self.culvert = os.path.abspath(arguments.culvert)
        self.server_cores = {cpus[0]}
        self.load_cores = {cpus[1]} if len(cpus) > 1 else self.server_cores
        # Two workers have a core each only where two are left for the rest.
        self.two_cores = {cpus[0], cpus[1]} if len(cpus) > 3 else self.server_cores
        if len(cpus) > 3:
            self.load_cores = {cpus[2], cpus[3]}
        self.make_certificate()
        self.target = Target(folder, self.load_cores)
        self.running = {}
        self.started = []  # every process of a server
        self.absent = {}
        os.sched_setaffinity(0, self.load_cores)

    def make_certificate(self):
        self.certificate, self.key, self.pem = (
            os.path.join(self.folder, name) for name in ("server.crt", "server.key", "server.pem"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", self.key, "-out", self.certificate, "-subj", "/CN=localhost", "-days", "2"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(self.pem, "w") as pem:
            for path in (self.certificate, self.key):
                with open(path) as file:
                    pem.write(file.read())

    # ---- servers ----

    def server(self, kind):
        """One that runs already, or a new one; Missing tells why there is none."""
        if kind.name in self.absent:
            raise Missing(self.absent[kind.name])
        if kind not in self.running:
            need = kind.missing()
            server = kind(self)
            try:
                if need:
                    raise RuntimeError(f"{need} is not installed")
                self.running[kind] = server.start()
            except RuntimeError as error:
                server.stop()
                words = f"{error} {server.output().strip()[-200:]}".split("\n")
                self.absent[kind.name] = words[-1] if server.processes else str(error)
                raise Missing(self.absent[kind.name]) from None
        return self.running[kind]

    def stop(self):
        for server in self.running.values():
            server.stop()
        self.running.clear()

    def close(self):
        """Also what was interrupted on its way out."""
        self.running.clear()
        for process in [*self.started, self.target.process]:
            servers.kill(process, signal.SIGKILL)

    # ---- load ----

    def command(self, server, role, options, tls=False):
        port = (server.tls_ports if tls else server.ports)[role]
        return [f"{servers.TOOLS}/load", "-m", server.speaks, "-P", server.path(role),
                "-n", self.target.counters, *server.options(role), *(["-T"] if tls else []), *options, str(port)]

    def load(self, server, role, options, tls=False):
        """The line of figures, as a dictionary."""
        command = self.command(server, role, ["-p", str(server.pid(role)), *options], tls)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=180)
        if done.returncode != 0:
            raise RuntimeError(f"{server.name}: {done.stderr.strip()}\n{server.output()[-2000:]}")
        return figures.parse(done.stdout)


# ---- CPU time ----


def one_run(bench, scenario, kind):
    """CPU time of one unit."""
    server = bench.server(kind)
    units = scenario.units // (3 if bench.quick else 1)
    if kind is Websockify:
        units //= scenario.slow
    got = bench.load(
        server, scenario.role,
        [*scenario.options, f"-w{units // 3}", f"-u{units}", "-t4"], scenario.tls)
    if got["units"] == 0:
        raise RuntimeError(f"{server.name}: nothing came through")
    return got["cpu_ns"] * scenario.per * scenario.scale / got["units"]


def pairs_of(kind, scenario):
    if kind is Websockify:
        return PAIRS_QUICK  # so far off that they do
    return PAIRS_GOAL if kind.name in scenario.goals else PAIRS


def run_scenario(bench, scenario):
    """Rows of the table: culvert with each peer. A round makes a pair with each, right beside each
    other with the one that there is a goal for; every other round goes backwards."""
    kinds, rows = [], []
    peers = [kind for kind in scenario.peers
             if (not bench.alone or kind.name in scenario.goals) and bench.peer in (None, kind.name)]
    for kind in sorted(peers, key=lambda kind: kind.name not in scenario.goals):
        try:
            bench.server(kind)
            kinds.append(kind)
        except Missing as error:
            rows.append([scenario.name, scenario.unit, "", kind.name, "missing", "", "", str(error)])
    samples = {kind: [] for kind in (scenario.base, *kinds)}
    began = time.monotonic()
    for i in range(PAIRS_QUICK if bench.quick else PAIRS_GOAL):
        if i >= PAIRS_QUICK and time.monotonic() - began > SCENARIO_SECONDS:
            print(f"  {scenario.name}: a slow or busy machine, {i} pairs")
            break
        order = [scenario.base, *(kind for kind in kinds if i < pairs_of(kind, scenario))]
        if len(order) == 1:
            break
        for kind in order if i % 2 == 0 else reversed(order):
            samples[kind].append(one_run(bench, scenario, kind))
    ours = samples[scenario.base]
    measured = []
    for kind in kinds:
        theirs = samples[kind]
        interval = figures.median_interval([a / b for a, b in zip(ours, theirs)])
        goal = scenario.goals.get(kind.name)
        measured.append([
            scenario.name, scenario.unit, f"{figures.median_interval(ours)[0]:.3f}", kind.name,
            f"{figures.median_interval(theirs)[0]:.3f}",
            f"{interval[0]:.2f} [{interval[1]:.2f}, {interval[2]:.2f}]",
            f"<= {goal:.2f}" if goal else "", figures.verdict(interval, goal) if goal else "",
        ])
    return measured + rows


# ---- a slow reader ----


def run_slow(bench):
    """p99 of the round trips of 1,000 connections, without and with one more that reads slowly what
    is poured at it."""
    server = bench.server(Culvert)
    units = 8000 if bench.quick else 60000
    options = ["-c1000", f"-w{units // 3}", f"-u{units}"]
    without, beside = [], []
    for i in range(PAIRS_QUICK if bench.quick else PAIRS):
        for slow in (False, True) if i % 2 == 0 else (True, False):
            more = ["-S", server.path("source")] if slow else []
            (beside if slow else without).append(bench.load(server, "echo", [*options, *more])["p99_us"])
    ratio = figures.median_interval([b / a for a, b in zip(without, beside)])
    return (f"  p99 of 1,000 round trips: {figures.median_interval(without)[0]:.0f} us without, "
            f"{figures.median_interval(beside)[0]:.0f} us with a slow reader; "
            f"ratio {ratio[0]:.2f} [{ratio[1]:.2f}, {ratio[2]:.2f}]")


# ---- all of it ----


def report(title, text):
    print(f"\n{title}\n{text}", flush=True)


def run_all(bench, only):
    head = ["scenario", "unit", "culvert", "peer", "its", "ratio", "goal", ""]
    rows = []
    print()
    for scenario in SCENARIOS:
        if only and scenario.name != only:
            continue
        began = time.monotonic()
        rows += run_scenario(bench, scenario)
        print(f"  {scenario.name}: {scenario.what} ({time.monotonic() - began:.0f} s)", flush=True)
    if rows:
        report("CPU time of the server for each unit; the ratio is culvert's to the peer's, its median and the "
               "interval of the median", figures.table(head, rows))
    if not only or only == "slow-reader":
        report("A slow reader", run_slow(bench))
    if not only or only == "wire":
        report("Bytes on the wire for each message of 128 bytes (TCP payload; segments carry 52 bytes of headers "
               "more with IPv4 and timestamps; the load's requests have the least of headers, a browser's more)",
               figures.table(wirebytes.HEAD, wirebytes.run_wire(bench)))
    if not only or only == "idle":
        report("Idle bridged connections (anonymous PSS of the process; relay, haproxy and nginx as TCP)",
               figures.table(["", "server", "held", "bytes each", "CPU us/s", "goal", ""], memory.run_idle(bench)))
    if not only or only == "idle-sessions":
        report("Idle sessions (anonymous PSS of the process, the target's connection with them)",
               figures.table(["", "", "held", "bytes each", "CPU us/s", "goal", ""], memory.run_sessions(bench)))
    bench.stop()
    topics.run(bench, only, report)
    bench.stop()
    if not only or only == "many":
        report("Many idle connections", memory.run_many(bench))
    bench.stop()
    if not only or only == "instructions":
        report("Instructions in user space (callgrind)", counts.run_instructions(bench))
    if not only or only == "syscalls":
        report("System calls for each message (strace)", counts.run_syscalls(bench))


def heading(bench):
    print(f"culvert bench: {figures.machine()}")
    print(f"  {figures.first_line(bench.culvert, '--version')}; TCP with {figures.congestion_control()}")
    for name, package in (("haproxy", "haproxy"), ("nginx", "nginx"), ("websockify", "websockify"),
                          ("nchan", "libnginx-mod-nchan"), ("node", "nodejs"), ("mosquitto", "mosquitto"),
                          ("pushpin", "pushpin")):
        print(f"  {name} {figures.package_version(package) or 'missing'}")
    pairs = PAIRS_QUICK if bench.quick else f"{PAIRS}, or {PAIRS_GOAL} where there is a goal,"
    print(f"  server on CPU {sorted(bench.server_cores)}, load and target on CPU {sorted(bench.load_cores)}; "
          f"{pairs} interleaved pairs")
    if bench.load_cores == bench.server_cores:
        print("  one CPU only: server and load share it")


def main():
    names = [scenario.name for scenario in (*SCENARIOS, *TOPIC_SCENARIOS)] + [*GROUPS, *OTHERS]
    parser = argparse.ArgumentParser(description="What culvert costs, beside other servers.")
    parser.add_argument("--quick", action="store_true", help=f"{PAIRS_QUICK} pairs of short phases")
    parser.add_argument("--alone", action="store_true", help="only beside what there is a goal for")
    parser.add_argument("--only", metavar="NAME", choices=names, help=" ".join(names))
    parser.add_argument("--peer", metavar="NAME", help="beside this server alone, as the tables name it")
    parser.add_argument("--culvert", default=os.environ.get("CULVERT", "build/release/culvert"))
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000) if hard > 0 else 20000, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="culvert-bench-") as folder:
        bench = Bench(arguments, folder)
        try:
            heading(bench)
            run_all(bench, arguments.only)
        finally:
            bench.close()
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
