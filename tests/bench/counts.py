# SPDX-License-Identifier: BSD-2-Clause
"""What does not depend on how busy the machine is: instructions and system calls of a message."""

import os
import re
import shutil
import signal
import time

import figures
from servers import Culvert, Haproxy, Nginx, Relay
from stream_servers import Session, SessionPoll, SessionSse

KINDS = (Culvert, Relay, Haproxy, Nginx)
SESSIONS = (Culvert, Session, SessionSse, SessionPoll)

COUNTED = (
    # name, options, role, two lengths in messages, bytes a unit; -T: over TLS
    ("echo, 1 connection", ["-c1"], "echo", (500, 3500), 1),
    ("echo, 64 connections", ["-c64"], "echo", (3000, 13000), 1),
    ("echo-16, 64 connections", ["-c64", "-k16"], "echo", (20000, 120000), 1),
    ("echo-tls, 64 connections", ["-c64", "-T"], "echo", (3000, 13000), 1),
    ("upload-16k, 16 connections", ["-supload", "-c16", "-b16384"], "sink", (2000, 12000), 16384),
    ("upload-128, 16 connections, per 16 KiB", ["-supload", "-c16", "-b128"], "sink", (2000, 12000), 16384),
    ("download, 16 connections, per 16 KiB", ["-sdownload", "-c16"], "source", (2000, 12000), 16384),
    ("churn", ["-schurn", "-c1"], "echo", (100, 500), 1),
)

COUNTED_SESSIONS = (
    ("echo, 1 connection", ["-c1"], "echo", (500, 3500), 1),
    ("echo, 64 connections", ["-c64"], "echo", (3000, 13000), 1),
    ("echo-16, 64 connections", ["-c64", "-k16"], "echo", (20000, 120000), 1),
)


def counted_run(bench, kind, wrapper, options, role, count, bytes_each):
    """One server under the wrapper, one load of so many messages. Returns (server, messages)."""
    server = kind(bench)
    tls = "-T" in options
    options = [option for option in options if option != "-T"]
    try:
        server.start(wrapper)
        if tls and role not in server.tls_ports:
            raise RuntimeError("-")
        got = bench.load(server, role, [*options, f"-u{count * bytes_each}", "-t60"], tls)
    finally:
        server.stop(signal.SIGINT if "strace" in wrapper else signal.SIGTERM, seconds=60)
    return server, got["units"] / bytes_each


def instructions(bench, kind, options, role, lengths, bytes_each):
    """User-space instructions of a message: the difference of two runs."""
    points = []
    for length in lengths:
        out = os.path.join(bench.folder, f"callgrind-{time.monotonic_ns()}")
        wrapper = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}.%p", "-q"]
        server, messages = counted_run(bench, kind, wrapper, options, role, length, bytes_each)
        with open(f"{out}.{server.pid(role)}") as file:
            points.append((messages, int(re.search(r"^(?:summary|totals): (\d+)", file.read(), re.M).group(1))))
    (n1, i1), (n2, i2) = points
    return (i2 - i1) / (n2 - n1)


def instruction_rows(bench, counted, kinds):
    rows = []
    for name, options, role, lengths, bytes_each in counted:
        row = [name, ""]
        for kind in kinds:
            try:
                if kind.missing():
                    raise RuntimeError("missing")
                row.append(f"{instructions(bench, kind, options, role, lengths, bytes_each):,.0f}")
            except (RuntimeError, OSError, AttributeError) as error:
                row.append(str(error).split("\n", 1)[0][:30])
        rows.append(row)
        if bench.quick and len(rows) == 2:
            break
    return rows


def run_instructions(bench):
    if not shutil.which("valgrind"):
        return "  missing: valgrind"
    return "\n\n".join(
        figures.table(["instructions per message", "", *(kind.name for kind in kinds)],
                      instruction_rows(bench, counted, kinds))
        for counted, kinds in ((COUNTED, KINDS), (COUNTED_SESSIONS, SESSIONS)))


def calls(bench, kind, options, role, lengths, bytes_each):
    """System calls of a message, by name: the difference of two runs."""
    points = []
    for length in lengths:
        out = os.path.join(bench.folder, f"strace-{time.monotonic_ns()}")
        wrapper = ["strace", "-f", "-c", "-o", f"{out}.%r" if kind is Relay else out]
        _, messages = counted_run(bench, kind, wrapper, options, role, length, bytes_each)
        with open(f"{out}.{role}" if kind is Relay else out) as file:
            found = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", file.read(), re.M)
        points.append((messages, {name: int(count) for count, name in found if name != "total"}))
    (n1, c1), (n2, c2) = points
    result = {name: (c2[name] - c1.get(name, 0)) / (n2 - n1) for name in c2}
    return {name: value for name, value in result.items() if value >= 0.005}


def call_rows(bench, counted, kinds):
    rows = []
    for name, options, role, lengths, bytes_each in counted:
        for kind in kinds:
            if kind.missing():
                continue
            try:
                found = calls(bench, kind, options, role, lengths, bytes_each)
            except (RuntimeError, OSError) as error:
                if str(error) != "-":
                    rows.append([name, kind.name, str(error).split("\n", 1)[0][:60]])
                continue
            text = "  ".join(f"{call} {value:.2f}" for call, value in sorted(found.items(), key=lambda x: -x[1]))
            rows.append([name, kind.name, f"{sum(found.values()):.2f}", text])
        if bench.quick and len(rows) >= 8:
            break
    return rows


def run_syscalls(bench):
    if not shutil.which("strace"):
        return "  missing: strace"
    rows = call_rows(bench, COUNTED, KINDS) + call_rows(bench, COUNTED_SESSIONS, SESSIONS[1:])
    return "\n".join(
        f"  {row[0]:38} {row[1]:14} {row[2]:>6}  {row[3] if len(row) > 3 else ''}" for row in rows)
