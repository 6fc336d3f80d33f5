# SPDX-License-Identifier: BSD-2-Clause
"""
A network of three namespaces, for faults that loopback does not have:

    near (culvert) 10.77.1.2 ── 10.77.1.1 middle 10.77.2.1 ── 10.77.2.2 far

What the middle drops is dropped in silence. Namespaces bear this process's number, and go with close().
"""

import contextlib
import ctypes
import os
import subprocess

NEAR, FAR = "10.77.1.2", "10.77.2.2"
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def ip(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True)


def enter(path):
    """This thread's sockets are of that network from now on."""
    with open(path) as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Network:
    def __init__(self):
        self.made = []
        self.near, self.middle, self.far = (self._add(name) for name in ("near", "middle", "far"))
        self._join(self.near, NEAR, "10.77.1.1")
        self._join(self.far, FAR, "10.77.2.1")
        subprocess.run(["ip", "netns", "exec", self.middle, "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)

    def _add(self, name):
        name = f"culvert-{os.getpid()}-{name}"
        ip("netns", "add", name)
        self.made.append(name)
        ip("-n", name, "link", "set", "lo", "up")
        return name

    def _join(self, end, address, gateway):
        inner = end.rsplit("-", 1)[1]
        ip("-n", end, "link", "add", "eth0", "type", "veth", "peer", "name", inner, "netns", self.middle)
        ip("-n", end, "addr", "add", f"{address}/24", "dev", "eth0")
        ip("-n", self.middle, "addr", "add", f"{gateway}/24", "dev", inner)
        ip("-n", self.middle, "link", "set", inner, "up")
        self.link_up(end, gateway)

    # ---- faults ----

    def link_down(self, end):
        ip("-n", end, "link", "set", "eth0", "down")

    def link_up(self, end, gateway="10.77.1.1"):
        ip("-n", end, "link", "set", "eth0", "up")
        ip("-n", end, "route", "replace", "default", "via", gateway)

    def cut(self):
        """From now on the middle swallows all."""
        for address in (NEAR, FAR):
            ip("-n", self.middle, "route", "add", "blackhole", f"{address}/32")

    def heal(self):
        for address in (NEAR, FAR):
            ip("-n", self.middle, "route", "del", "blackhole", f"{address}/32")

    # ---- being there ----

    @contextlib.contextmanager
    def inside(self, name):
        """Sockets that are made here are of that namespace, and stay so."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        enter(f"/run/netns/{name}")
        try:
            yield
        finally:
            enter(f"/proc/self/fd/{home}")
            os.close(home)

    def wrapper(self):
        """Before culvert's command line: it lives near."""
        return ["nsenter", f"--net=/run/netns/{self.near}"]

    def close(self):
        for name in self.made:
            ip("netns", "del", name)
