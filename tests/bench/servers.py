# SPDX-License-Identifier: BSD-2-Clause
"""The servers that are measured, each started on ports of its own, and what they lead to."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import figures

TOOLS = "build/bench"
ROLES = ("echo", "source", "sink", "upgrade", "lines")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_port(port, process, what, seconds=30):
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            pass
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with status {process.returncode}")
        if time.monotonic() > end:
            raise RuntimeError(f"{what} does not listen")
        time.sleep(0.02)


def pinned(cores):
    return lambda: os.sched_setaffinity(0, cores)


def kill(process, sig=signal.SIGTERM, seconds=10):
    """Ends a process that leads a session of its own, with its children. The signal is repeated: some
    miss the first one on their way into epoll_wait(). Children that lead sessions of their own (Pushpin's)
    are left to it unless it is killed."""
    end = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() >= end:
            sig = signal.SIGKILL
        children = figures.tree(process.pid)[1:] if sig == signal.SIGKILL else []
        os.killpg(process.pid, sig)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            pass
        for child in children:
            try:
                os.kill(child, sig)
            except ProcessLookupError:
                pass


class Missing(Exception):
    """A server that cannot be started; tells why."""


class Target:
    """tests/bench/target; ports: by role."""

    def __init__(self, folder, cores):
        self.counters = os.path.join(folder, "counters")
        self.process = subprocess.Popen(
            [f"{TOOLS}/target", self.counters],
            stdout=subprocess.PIPE, text=True, preexec_fn=pinned(cores), start_new_session=True,
        )
        line = self.process.stdout.readline()
        self.ports = {name: int(port) for name, port in re.findall(r"(\w+)=(\d+)", line)}


class Server:
    """
    speaks: raw, upgrade or ws (as load's -m). ports: by role, the plain ones; tls_ports: those with
    TLS, if any. Roles can also be told apart by path, if path_of_role is set.
    """

    name = ""
    speaks = "raw"
    path_of_role = False
    needs = ()  # programs or files without which it is missing

    def __init__(self, bench):
        self.bench = bench
        self.folder = os.path.join(bench.folder, f"{re.sub('[^a-z]+', '-', self.name)}{len(bench.started)}-{free_port()}")
        os.mkdir(self.folder)
        self.ports = {}
        self.tls_ports = {}
        self.processes = []

    @classmethod
    def missing(cls):
        """What it lacks, or None."""
        for need in cls.needs:
            if not (os.path.exists(need) if "/" in need else shutil.which(need)):
                return need
        return None

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def run(self, command, wrapper=(), cores=None):
        with open(os.path.join(self.folder, "output"), "ab") as log:
            process = subprocess.Popen(
                [*wrapper, *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=pinned(cores or self.bench.server_cores),
            )
        self.processes.append(process)
        self.bench.started.append(process)
        return process

    def wait(self):
        ports = [*self.ports.values(), *self.tls_ports.values()]
        for port in ports:
            process = self.processes[ports.index(port) if len(self.processes) == len(ports) else 0]
            wait_port(port, process, self.name)
        return self

    def start(self, wrapper=()):
        raise NotImplementedError

    def pid(self, role):
        """Of the process that serves this role."""
        return self.processes[0].pid

    def path(self, role):
        return f"/{role}" if self.path_of_role else "/"

    def options(self, role):
        """More that the load has to be told."""
        return []

    def output(self):
        """What the processes have written."""
        path = os.path.join(self.folder, "output")
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as file:
            return file.read()

    def stop(self, sig=signal.SIGTERM, seconds=10):
        for process in self.processes:
            kill(process, sig, seconds)


class Culvert(Server):
    name = "culvert"
    speaks = "ws"
    path_of_role = True
    workers = 1

    def start(self, wrapper=()):
        port, tls_port = free_port(), free_port()
        routes = "".join(
            f"[route /{role}]\ntarget = tcp://127.0.0.1:{target}\n"
            for role, target in self.bench.target.ports.items()
        )
        routes = routes.replace("[route /lines]", "[route /lines]\nframing = line\nmessages = text")
        # As echo, with heartbeats that a short measurement sees.
        routes += f"[route /beat]\ntarget = tcp://127.0.0.1:{self.bench.target.ports['echo']}\nheartbeat = 4s\n"
        # As echo, with sessions that wait until they have been measured.
        routes += f"[route /held]\ntarget = tcp://127.0.0.1:{self.bench.target.ports['echo']}\nresume_window = 10m\n"
        conf = self.write(
            "culvert.ini",
            f"[server]\nlisten = 127.0.0.1:{port}\nlisten = 127.0.0.1:{tls_port} tls\n"
            f"workers = {self.workers}\n"
            "[log]\nlevel = warn\naccess = no\n"
            f"[tls]\ncertificate = {self.bench.certificate}\nprivate_key = {self.bench.key}\n{routes}",
        )
        self.ports = dict.fromkeys((*ROLES, "beat", "held"), port)
        self.tls_ports = dict.fromkeys(ROLES, tls_port)
        self.run([self.bench.culvert, "-c", conf], wrapper,
                 self.bench.two_cores if self.workers == 2 else None)
        return self.wait()


class Culvert2(Culvert):
    """With two workers."""

    name = "2 workers"
    workers = 2


class Relay(Server):
    name = "relay"

    def start(self, wrapper=()):
        self.ports = {role: free_port() for role in ("echo", "source", "sink")}
        for role, port in self.ports.items():
            self.run([f"{TOOLS}/relay", str(port), str(self.bench.target.ports[role])],
                     [word.replace("%r", role) for word in wrapper])
        return self.wait()

    def pid(self, role):
        return self.processes[list(self.ports).index(role)].pid


class Haproxy(Server):
    name = "haproxy"
    needs = ("haproxy",)
    mode = "tcp"

    def section(self, role, port, tls):
        secure = f" ssl crt {self.bench.pem}" if tls else ""
        return (
            f"listen {role}{port}\n  bind 127.0.0.1:{port}{secure}\n"
            f"  server target 127.0.0.1:{self.bench.target.ports[role]}\n"
        )

    def start(self, wrapper=()):
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        text = (
            f"global\n  nbthread 1\n  maxconn {(descriptors - 200) // 2}\n"
            f"defaults\n  mode {self.mode}\n  timeout connect 10s\n  timeout client 1h\n"
            "  timeout server 1h\n  timeout tunnel 1h\n"
        )
        roles = ("upgrade",) if self.mode == "http" else ("echo", "source", "sink")
        for role in roles:
            self.ports[role], self.tls_ports[role] = free_port(), free_port()
            text += self.section(role, self.ports[role], False)
            text += self.section(role, self.tls_ports[role], True)
        if self.mode == "http":
            # The target is a WebSocket server then.
            self.ports["echo"], self.tls_ports["echo"] = self.ports["upgrade"], self.tls_ports["upgrade"]
        self.run(["haproxy", "-db", "-f", self.write("haproxy.cfg", text)], wrapper)
        return self.wait()


class HaproxyWs(Haproxy):
    """Reads the handshake and passes it on; from then on a tunnel."""

    name = "haproxy ws"
    mode = "http"
    speaks = "upgrade"


class Nginx(Server):
    name = "nginx"
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    needs = ("nginx", module)

    def start(self, wrapper=()):
        servers = ""
        for role in ("echo", "source", "sink"):
            self.ports[role] = free_port()
            servers += (
                f"  server {{ listen 127.0.0.1:{self.ports[role]} backlog=4096;"
                f" proxy_pass 127.0.0.1:{self.bench.target.ports[role]}; proxy_timeout 1h; }}\n"
            )
        conf = self.write(
            "nginx.conf",
            f"load_module {self.module};\ndaemon off;\nmaster_process off;\nworker_processes 1;\n"
            f"pid {self.folder}/pid;\nerror_log {self.folder}/error.log;\n"
            "events { worker_connections 10000; }\n"
            f"stream {{\n{servers}}}\n",
        )
        self.run(["nginx", "-p", self.folder, "-c", conf, "-e", f"{self.folder}/error.log"], wrapper)
        return self.wait()


class Websockify(Server):
    """One process for each connection."""

    name = "websockify"
    speaks = "ws"
    needs = ("websockify",)

    def start(self, wrapper=()):
        self.ports = {role: free_port() for role in ("echo", "source", "sink")}
        for role, port in self.ports.items():
            self.run(["websockify", f"127.0.0.1:{port}", f"127.0.0.1:{self.bench.target.ports[role]}"],
                     wrapper)
        return self.wait()

    def pid(self, role):
        return self.processes[list(self.ports).index(role)].pid

    def stop(self, sig=signal.SIGKILL, seconds=10):
        super().stop(signal.SIGKILL, seconds)  # TERM leaves it waiting for its children


PEERS = (Relay, Haproxy, HaproxyWs, Nginx, Websockify)
