# SPDX-License-Identifier: BSD-2-Clause
"""
The recipes of README.md, each run as it stands there: pasted into a shell, in a network of its own
where the ports that they name are free. `culvert` is the build that is tested.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from chromium import MODULES, need
from harness.child import spawn
from harness.culvert import BINARY, ROOT, SANITIZER, environment
from harness.loopback import own_network
from harness.wait import DEADLINE, wait_until
from harness.wire import connect
from harness.ws import Refused, WsClient

with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
    README = file.read()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(language, text=README):
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def recipe(title):
    """The shell commands below a heading: there is one block."""
    section = README.split(f"\n### {title}\n", 1)[1].split("\n#", 1)[0]
    (commands,) = blocks("sh", section)
    return commands


# A client that is not at the address of the proxies, which are believed.
ELSEWHERE = "127.0.0.9"


class Recipe:
    """A shell that was given the commands, with all that they started."""

    def __init__(self, folder, commands, wrapper=()):
        self.folder = folder
        self.log_path = os.path.join(folder, "recipe.log")
        with open(self.log_path, "wb") as log:
            self.process = spawn(
                [*wrapper, "bash"], cwd=folder, env=recipe_environment(folder), stdin=subprocess.PIPE,
                stdout=log, stderr=log, start_new_session=True,
            )
        self.process.stdin.write(commands.encode())
        self.process.stdin.close()

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def wait_log(self, pattern):
        return wait_until(lambda: re.search(pattern, self.log(), re.M), f"{pattern!r} in\n{self.log()}")

    def wait_done(self):
        """For a recipe that comes to an end by itself."""
        assert self.process.wait(2 * DEADLINE) == 0, self.log()
        return self.log()

    def wait_port(self, port, host="127.0.0.1"):
        def up():
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(ConnectionRefusedError):
                connect((host, port)).close()
                return True

        wait_until(up, f"port {port} to be listened on")

    def close(self):
        """Ctrl-C, and no mercy for who does not care about it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, AssertionError):
                os.killpg(self.process.pid, number)
                wait_until(self.is_over, "the recipe's end", timeout=5 if number != signal.SIGKILL else DEADLINE)
        self.process.wait()
        assert not SANITIZER.search(self.log()), self.log()

    def is_over(self):
        self.process.poll()
        try:
            os.killpg(self.process.pid, 0)
            return False
        except ProcessLookupError:
            return True


def recipe_environment(folder):
    """culvert is the one that is tested; sudo, where it is missing, is what root needs of it: nothing."""
    programs = os.path.join(folder, "bin")
    os.mkdir(programs)
    os.symlink(BINARY, os.path.join(programs, "culvert"))
    if not shutil.which("sudo"):
        path = os.path.join(programs, "sudo")
        with open(path, "w") as file:
            file.write('#!/bin/sh\nexec "$@"\n')
        os.chmod(path, 0o755)
    # Another make's flags are not the recipes' business.
    path = f"{programs}:{os.environ['PATH']}"
    return environment({"PATH": path, "HOME": folder, "DEBIAN_FRONTEND": "noninteractive"})


@pytest.fixture
def network():
    with own_network():
        yield


@pytest.fixture
def run(network, tmp_path, request):
    """Starts a recipe in a folder that holds what the recipes use of the sources."""
    started = []
    for name in ("contrib", "conf"):
        shutil.copytree(os.path.join(ROOT, name), tmp_path / name)
    os.symlink(MODULES, tmp_path / "node_modules")

    def start(title, prepare="", wrapper=()):
        started.append(Recipe(str(tmp_path), prepare + without_installing(recipe(title)), wrapper))
        return started[-1]

    yield start
    for one in started:
        one.close()
        sys.stderr.write(one.log())


def without_installing(commands):
    """
    Installing is left out where all is there: it needs a network, and the lock that others hold. What
    nobody has installed is what the recipe, and install-deps.sh, lack.
    """
    kept = []
    for line in commands.splitlines(keepends=True):
        if line.startswith("sudo apt-get install --no-install-recommends "):
            for package in line.split()[4:]:
                assert is_installed(package), f"{package} is missing: run contrib/install-deps.sh test"
        elif line.startswith("npm install --no-save "):
            need(line.split()[3])
        else:
            kept.append(line)
    return "".join(kept)


def is_installed(package):
    if package == "npm":  # which may come from elsewhere
        return shutil.which("npm")
    state = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
                           stdout=subprocess.PIPE, text=True).stdout
    return state == "installed"


@contextlib.contextmanager
def websocket(port, path="/", host="localhost", source=None, **options):
    """Open; who stands behind, started at the same time, may not be there at first."""
    address = ("127.0.0.1", port)

    def answered():
        wire = WsClient.open(address, source=source)
        try:
            return wire.upgrade(path, host, **options)
        except Refused as refused:
            wire.close()
            if refused.status not in (502, 503):
                raise
        except (EOFError, ConnectionResetError):  # a proxy of TCP has no other way to say it
            wire.close()

    ws = wait_until(answered, f"a WebSocket on port {port}", step=0.1)
    try:
        yield ws
    finally:
        ws.leave()


# ---- the recipes ----


def test_vnc_in_the_browser(run, chromium):
    shell = run("VNC in the browser")
    shell.wait_port(5909)
    shell.wait_port(6080)
    assert chromium.goto(url="http://localhost:6080/vnc.html?autoconnect=1") == 200
    chromium.wait_for("document.documentElement.classList.contains('noVNC_connected')", "noVNC to connect")
    chromium.wait_for("/@.* - noVNC$/.test(document.title)", "the desktop's name")
    chromium.wait_for("[...document.querySelectorAll('canvas')].some((c) => c.width >= 640)", "the desktop")


def test_many_desktops_and_a_token_for_each(run):
    shell = run("Many desktops, and a token for each")
    shell.wait_port(6080)
    for port, token in ((5901, "8fd2c1"), (5902, "b40e77")):
        with socket.create_server(("127.0.0.1", port)) as desktop:
            with websocket(6080, f"/websockify?token={token}") as ws:
                connection, _ = desktop.accept()
                connection.sendall(b"RFB 003.008\n")
                assert ws.recv_bytes(12) == b"RFB 003.008\n"
                connection.close()
    with pytest.raises(Refused, match="404"), websocket(6080, "/websockify?token=none"):
        pass


def test_a_terminal_in_the_browser(run, chromium):
    shell = run("A terminal in the browser")
    shell.wait_port(7681)
    shell.wait_port(7680)
    assert chromium.goto(url="http://localhost:7680/") == 200
    chromium.wait_for("socket.readyState === 1", "the WebSocket")
    screen = (
        "Array.from({length: 24}, (_, i) => terminal.buffer.active.getLine(i).translateToString(true)).join('\\n')"
    )
    chromium.type(text="echo $((6 * 7)) gr\u00fc\u00dfe; tty\n")
    chromium.wait_for(f"/^42 gr\u00fc\u00dfe$/m.test({screen})", "the answer")
    chromium.wait_for(f"/^.dev.pts.[0-9]+$/m.test({screen})", "a terminal of its own")
    chromium.type(text="exit\n")
    chromium.wait_for(f"/closed: 1000/.test({screen})", "the end")


def test_a_log_in_the_browser_and_in_curl(run):
    output = run("A log in the browser, and in curl").wait_done()
    assert output.startswith("retry: 1000\n") or "\nretry: 1000\n" in output
    assert "event: open" in output and output.count("event: text") >= 2


def test_topics_who_publishes_and_everybody_who_listens(run):
    output = run("Topics: who publishes, and everybody who listens").wait_done()
    assert len(re.findall(r'^\{"id":"[0-9a-f]{16}-\d+"\}$', output, re.M)) == 2
    assert re.search(r'^data: \{"topic":"sensors/kitchen","data":"21.5","retained":true\}\n\n'
                     r'id: \S+-1\ndata: \{"event":"subscribed","topics":\["sensors/\+"\],"since":"\S+-1"\}$',
                     output, re.M)
    assert re.search(r'^id: \S+-2\ndata: \{"topic":"sensors/kitchen","id":"\S+-2","data":"21.7"\}$', output, re.M)
    assert '{"messages":[{"topic":"sensors/kitchen","data":"21.5","retained":true}],"since":' in output


def test_mqtt_devices_and_dashboards(run):
    output = run("MQTT devices and dashboards").wait_done()
    output = re.sub(r"\d{10}: .*\n", "", output)  # the broker's lines may come in the middle
    assert re.search(r"^sensors/hall 21\.5$", output, re.M)


def test_a_line_protocol_irc(run):
    shell = run("A line protocol: IRC")
    shell.wait_port(8080)
    with websocket(8080, "/irc") as ws, websocket(8080, "/irc") as other:
        def hear(who, pattern):
            while True:
                text = who.recv_data().payload.decode()
                assert "\n" not in text
                if text.startswith("PING "):
                    who.send_text(text.replace("PING", "PONG", 1))
                if re.search(pattern, text):
                    return text

        for who, name in ((ws, "me"), (other, "you")):
            who.send_text(f"NICK {name}")
            who.send_text(f"USER {name} 0 * :{name}")
            hear(who, rf"^:irc\.localhost 001 {name} ")
            who.send_text("JOIN #culvert")
            hear(who, r" 366 ")
        ws.send_text("PRIVMSG #culvert :caf\u00e9 au lait")
        assert hear(other, "PRIVMSG").endswith(" PRIVMSG #culvert :caf\u00e9 au lait")
    with pytest.raises(Refused), websocket(8080, "/irc", headers=[("Origin", "https://evil.example.org")]):
        pass


def test_redis(run):
    assert re.search(r"^\+OK\r?\n\$5\r?\nhello\r?$", run("Redis").wait_done(), re.M)


# nginx as Debian's service runs it, but in the foreground, and with files that are gone afterwards.
NGINX_SERVICE = """
set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/log/nginx
cp -a /etc/nginx /run/etc-nginx
mount --bind /run/etc-nginx /etc/nginx
nginx -g 'daemon off;' &
until [ -s /run/nginx.pid ]; do sleep 0.1; done
set +e
"""


def test_behind_nginx(run):
    if subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("without a file system of its own it would change the machine's nginx")
    shell = run("Behind nginx", NGINX_SERVICE, ["unshare", "--mount"])
    shell.wait_port(8080)
    # The reload takes a moment: until then Debian's own page answers.
    wait_until(lambda: is_answered(80), "nginx to be reloaded", step=0.1)
    headers = [("Origin", "http://localhost"), ("X-Forwarded-For", "192.0.2.7")]
    with websocket(80, "/echo", headers=headers, source=ELSEWHERE) as ws:
        ws.send_text("through nginx")
        assert ws.recv_bytes(13) == b"through nginx"
    with pytest.raises(Refused, match="403"), websocket(80, "/echo", headers=[("Origin", "http://evil.example.org")]):
        pass
    # nginx adds the address that it saw itself, and that is who the client is; not who it says to be.
    shell.wait_log(r"websocket route=/echo client=127\.0\.0\.9\b")


def is_answered(port):
    wire = WsClient.open(("127.0.0.1", port))
    try:
        wire.upgrade("/echo").leave()
        return True
    except Refused:
        return False
    finally:
        wire.close()


def test_behind_haproxy(run):
    shell = run("Behind HAProxy")
    for port in (8000, 8001, 8080, 8081):
        shell.wait_port(port)
    for port in (8000, 8001):
        headers = [("Origin", f"http://localhost:{port}")]
        with websocket(port, "/echo", headers=headers, host=f"localhost:{port}", source=ELSEWHERE) as ws:
            ws.send_text("through HAProxy")
            assert ws.recv_bytes(15) == b"through HAProxy"
            local = ws.sock.getsockname()
        # The PROXY header tells the port too.
        told = f"{local[0]}:{local[1]}" if port == 8001 else local[0]
        shell.wait_log(rf"websocket route=/echo client={re.escape(told)}\b")


def test_wss_with_a_certificate_of_your_own(run):
    assert "b'over TLS'\n" in run("wss:// with a certificate of your own").wait_done()


def test_a_unix_socket(run):
    shell = run("A unix socket")
    shell.wait_port(8080)
    with websocket(8080) as ws:
        ws.send_text("6*7\n")
        assert ws.recv_bytes(3) == b"42\n"


def test_check_a_configuration(run):
    assert "[route /]\n" in run("Check a configuration").wait_done()


# ---- and the rest of what is printed ----


@pytest.mark.parametrize("number", range(len(blocks("ini"))))
def test_each_configuration_is_one(tmp_path, number):
    text = blocks("ini")[number]
    if "[server]" not in text:
        text = "[server]\nlisten = 127.0.0.1:8080\n" + text
    done = subprocess.run([BINARY, "--check", "-c", "-"], input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def test_each_recipe_is_run_here():
    """Those that need what no test can have are told apart, in the section after the recipes."""
    section = README.split("\n## Recipes\n", 1)[1].split("\n## ", 1)[0]
    with open(__file__, encoding="utf-8") as file:
        run = set(re.findall(r'run\("([^"]+)"', file.read()))
    for part in section.split("\n### ")[1:]:
        title, text = part.split("\n", 1)
        assert title in run or not blocks("sh", text), f"no test runs {title!r}"


def test_each_file_that_is_named_is_there():
    for path in re.findall(r"\]\(([\w./-]+)\)", README) + re.findall(r"\b(?:contrib|conf)/[\w./-]+\w", README):
        assert os.path.exists(os.path.join(ROOT, path)), path
