# SPDX-License-Identifier: BSD-2-Clause
"""culvert as a process of its own, in a folder of its own."""

import os
import re
import signal
import subprocess
from contextlib import contextmanager

from .child import freeze, spawn
from .http import HttpClient
from .wait import DEADLINE, wait_until
from .ws import WsClient

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BINARY = os.path.abspath(os.path.join(ROOT, os.environ.get("CULVERT", "build/asan/culvert")))
VARIANT = os.path.basename(os.path.dirname(BINARY))

SANITIZER = re.compile(
    r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|"
    r"Assertion .* failed"
)
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def configuration(text):
    """What a test wrote, with a free port, one worker and no admin listener unless it says otherwise."""
    # Indented lines would continue the ones before.
    text = "\n".join(line.strip() for line in text.splitlines()) + "\n"
    if "[server]" not in text:
        text = "[server]\n" + text
    before, after = text.split("[server]\n", 1)
    section = after.split("\n[", 1)[0]
    added = ""
    if not re.search(r"^listen\s*=", section, re.M):
        added += "listen = 127.0.0.1:0\n"
    for key, value in (("workers", "1"), ("admin", "off"), ("drain_timeout", "5s")):
        if not re.search(rf"^{key}\s*=", section, re.M):
            added += f"{key} = {value}\n"
    return f"{before}[server]\n{added}{after}"


def environment(extra=None):
    env = dict(os.environ)
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "ignore_noninstrumented_modules=1:exitcode=99")
    env["CULVERT_STATS"] = "1"
    env.update(extra or {})
    return env


def run(*args, input=None, env=None, cwd=None):
    """culvert to its end, as for --check."""
    return subprocess.run(
        [BINARY, *args],
        input=input,
        env=environment(env),
        cwd=cwd,
        timeout=DEADLINE,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


class Event:
    """An access line: who ("1-42"), what ("websocket", "request") and its fields as attributes."""

    def __init__(self, line):
        self.line = line
        _, _, self.who, self.what = line.split(" ", 3)
        self.what = self.what.split(" ", 1)[0]
        self.fields = {}
        for name, value in FIELD.findall(line):
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            self.fields[name] = value

    def __getitem__(self, name):
        return self.fields[name]

    def __repr__(self):
        return self.line


class Stats:
    def __init__(self, line):
        for name, value in FIELD.findall(line):
            setattr(self, name, int(value))

    def __repr__(self):
        return repr(self.__dict__)


class Culvert:
    """
    Made with a configuration's text or with command-line arguments; start() waits until it listens.
    Clients made through it are closed before it is stopped.
    """

    def __init__(self, folder, text=None, args=None, env=None, wrapper=(), pass_fds=()):
        self.folder = str(folder)
        self.stderr_path = self.log_path = os.path.join(self.folder, "culvert.log")
        self.clients = []
        self.expected_errors = []
        self.expected_status = 0
        if text is not None:
            text = configuration(text)
            self.conf_path = os.path.join(self.folder, "culvert.ini")
            with open(self.conf_path, "w") as file:
                file.write(text)
            args = ["-c", self.conf_path]
            if file := re.search(r"^file\s*=\s*([^-\s]\S*)", text, re.M):
                self.log_path = os.path.join(self.folder, file.group(1))
        self.listens = len(re.findall(r"^listen\s*=", text, re.M)) if text is not None else 1
        self.command = [*wrapper, BINARY, *args]
        self.env = environment(env)
        self.pass_fds = pass_fds
        self.process = None

    def start(self, ready=True):
        with open(self.stderr_path, "wb") as log:
            self.process = spawn(
                self.command,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self.pass_fds,
            )
        self.pid = self.process.pid
        if ready:
            self.wait_ready()
        return self

    # ---- its log ----

    def log_text(self):
        """Standard error, and the file that [log] names, if it does."""
        text = ""
        for path in dict.fromkeys((self.stderr_path, self.log_path)):
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    text += file.read()
        return text

    def log_lines(self, pattern=""):
        """Complete lines that match the regular expression."""
        lines = self.log_text().split("\n")[:-1]
        return [line for line in lines if re.search(pattern, line)]

    def wait_log(self, pattern, count=1, timeout=DEADLINE):
        """The lines that match, as soon as there are count of them."""
        return wait_until(
            lambda: len(found := self.log_lines(pattern)) >= count and found,
            f"{count} log lines like {pattern!r}",
            timeout,
        )

    def events(self, what=""):
        return [Event(line) for line in self.log_lines(rf"^\S+ access \S+ {what}")]

    def wait_event(self, what="websocket", count=1):
        """The last of the first count access lines of a kind ("websocket", "request")."""
        return wait_until(
            lambda: len(found := self.events(what)) >= count and found[count - 1],
            f"{count} access lines of a {what}",
        )

    def expect_error(self, pattern):
        """Lines of level error that match are fine."""
        self.expected_errors.append(pattern)

    # ---- where it listens ----

    def wait_ready(self):
        def ready():
            assert self.process.poll() is None, f"culvert ended:\n{self.log_text()}"
            found = self.log_lines(r"\blistening on \S+")
            return len(found) >= self.listens and found

        self.addresses = []
        for line in wait_until(ready, "culvert to listen"):
            text = re.search(r'\blistening on ([^\s"]+)', line).group(1)
            if text.startswith("unix:"):
                self.addresses.append(text[len("unix:") :])
            else:
                host, port = text.rsplit(":", 1)
                self.addresses.append((host.strip("[]"), int(port)))

    @property
    def address(self):
        """The first one, made fit to connect to."""
        address = self.addresses[0]
        if address[0] in ("0.0.0.0", "::", "*", ""):
            return ("127.0.0.1", address[1])
        return address

    @property
    def port(self):
        return self.address[1]

    def url(self, path="/", scheme="ws"):
        host, port = self.address
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}"

    # ---- clients ----

    def keep(self, client):
        self.clients.append(client)
        return client

    def http(self, address=None, **options):
        return self.keep(HttpClient.open(address or self.address, **options))

    def wire(self, address=None, **options):
        """Connected, nothing sent yet."""
        return self.keep(WsClient.open(address or self.address, **options))

    def ws(self, path="/", address=None, subprotocols=(), headers=(), host="localhost", piece=None, **options):
        """A WebSocket that is open; Refused otherwise."""
        wire = self.wire(address, **options)
        return wire.upgrade(path, host, subprotocols, headers, piece)

    # ---- the process ----

    def signal(self, number):
        self.process.send_signal(number)

    @contextmanager
    def frozen(self):
        """What is sent meanwhile is all there when it looks."""
        freeze(self.process)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def stats(self):
        """Its own figures; the garbage of the moment is gone when nothing is under way."""
        before = len(self.log_lines(r"\bstats live_bytes="))
        self.signal(signal.SIGUSR2)
        return Stats(self.wait_log(r"\bstats live_bytes=", before + 1)[before])

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def workers(self):
        """Threads that serve connections; a sanitizer may have one of its own."""
        count = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            try:
                with open(f"/proc/{self.pid}/task/{task}/comm") as file:
                    count += file.read().startswith("worker-")
            except FileNotFoundError:
                pass  # it has just ended
        return count

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_quiet(self):
        """Until it does no more work: nobody's bytes are on their way through it."""
        seen = []

        def same_twice():
            seen.append(self.cpu_seconds())
            return len(seen) > 1 and seen[-1] == seen[-2]

        wait_until(same_twice, "culvert to be quiet", step=0.25)

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M).group(1)) * 1024

    def wait_exit(self, timeout=DEADLINE):
        return self.process.wait(timeout)

    def close_clients(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def stop(self):
        """Ends it, and asserts that all has been in order."""
        self.close_clients()
        alive = self.process.poll() is None
        try:
            if alive:
                self.signal(signal.SIGTERM)
            status = self.wait_exit()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("culvert did not end after TERM") from None
        log = self.log_text()
        report = SANITIZER.search(log)
        assert not report, f"a sanitizer or an assertion spoke up: {report.group()}"
        errors = [
            line
            for line in self.log_lines(r'^\S+ error |"level":"error"')
            if not any(re.search(pattern, line) for pattern in self.expected_errors)
        ]
        assert not errors, f"unexpected errors: {errors}"
        assert status == self.expected_status, f"exit status {status}"
