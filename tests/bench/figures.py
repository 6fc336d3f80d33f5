# SPDX-License-Identifier: BSD-2-Clause
"""Figures: what the operating system tells, medians with their intervals, and tables."""

import os
import re
import statistics
import subprocess
from math import comb


def median_interval(values):
    """(median, low, high): order statistics that hold the median with 95 % where there are enough
    of them; the 2nd and the 8th of nine."""
    values = sorted(values)
    n = len(values)
    outside, skip = 0.0, 0
    while skip < (n - 1) // 2:
        outside += 2 * comb(n, skip) / 2**n
        if outside > 0.05:
            break
        skip += 1
    skip = max(skip - 1, 0)
    return statistics.median(values), values[skip], values[n - 1 - skip]


def verdict(interval, goal):
    _, low, high = interval
    if high <= goal:
        return "met"
    return "missed" if low > goal else "straddles"


# ---- what load prints ----


def parse(line):
    return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", line)}


# ---- processes ----


def tree(pid):
    """The process and its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(name))
            except OSError:
                pass
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def pss_bytes(pid):
    """Proportional resident memory of a process and its descendants, without files: the share of those
    changes with every process that maps them, too, and not with connections. Shared memory counts: nchan
    keeps its channels there."""
    total = 0
    for each in tree(pid):
        try:
            with open(f"/proc/{each}/smaps_rollup") as file:
                total += sum(int(kilobytes) for kilobytes in re.findall(
                    r"^Pss_(?:Anon|Shmem):\s+(\d+)", file.read(), re.M)) * 1024
        except OSError:
            pass
    return total


# ---- the machine ----


def first_line(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
        return done.stdout.strip().split("\n")[0]
    except (OSError, subprocess.TimeoutExpired):
        return ""


def package_version(name):
    return first_line("dpkg-query", "-W", "-f=${Version}", name)


def congestion_control():
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as file:
        return file.read().strip()


def machine():
    with open("/proc/cpuinfo") as file:
        info = file.read()
    model = re.search(r"^model name\s*:\s*(.*)", info, re.M)
    release = os.uname()
    load = os.getloadavg()
    return (
        f"{model.group(1) if model else release.machine}, {os.cpu_count()} CPUs, "
        f"{release.sysname} {release.release}; load average at the beginning {load[0]:.2f}"
    )


# ---- tables ----


def table(head, rows):
    rows = [head, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:])]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    return "\n".join(lines)
