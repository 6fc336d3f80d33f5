# SPDX-License-Identifier: BSD-2-Clause
"""
The samples for Docker, Kubernetes, Prometheus and systemd. But for Prometheus none of them runs here:
what they would run is run, and what they say is held against the program and its configuration.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from urllib.parse import quote

import pytest
import yaml
from harness.culvert import BINARY, ROOT, run
from harness.http import HttpClient
from harness.loopback import own_network
from harness.peers import free_port
from harness.services import program, running
from harness.wait import wait_until

CONTRIB = os.path.join(ROOT, "contrib")


def read(*path):
    with open(os.path.join(CONTRIB, *path), encoding="utf-8") as file:
        return file.read()


def effective(path, env=None):
    """[server] as culvert understands it, and the path of each route."""
    done = run("--dump", "-c", str(path), env=env)
    assert done.returncode == 0, done.stderr
    section = done.stdout.split("[server]\n", 1)[1].split("\n[", 1)[0]
    pairs = [line.split(" = ", 1) for line in section.splitlines() if " = " in line]
    return pairs, re.findall(r"^\[route (\S+)\]$", done.stdout, re.M)


def seconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m|h)", text.strip()).groups()
    return float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


# ---- Docker ----


def instructions():
    """(stage, instruction, its text) without comments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", read("docker", "Dockerfile"), flags=re.M)
    stage = -1
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, rest = line.split(None, 1)
            stage += word == "FROM"
            yield stage, word, rest


def of(instruction, stage=1):
    return [rest for at, word, rest in instructions() if at == stage and word == instruction]


def exec_form(text):
    """As Docker reads it: JSON, behind options."""
    return json.loads(text[text.index("[") :])


def copied(stage):
    """(source, destination) of what comes from the sources."""
    for rest in of("COPY", stage):
        words = rest.split()
        if not words[0].startswith("--from"):
            for source in words[:-1]:
                yield source, words[-1]


def test_the_image_has_the_libraries_that_culvert_needs():
    libraries = re.findall(r"=> (/\S+)", subprocess.run(["ldd", BINARY], capture_output=True, text=True).stdout)
    assert len(libraries) > 5
    needed = set()
    for library in map(os.path.realpath, libraries):
        for path in (library, library.removeprefix("/usr")):
            owner = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True).stdout
            needed |= {line.split(":")[0] for line in owner.splitlines()}
    (command,) = [rest for rest in of("RUN") if "apt-get install" in rest]
    installed = set(command.split("--no-install-recommends")[1].split("&&")[0].split())
    # libc6 is in every Debian; the authorities are for tls:// targets.
    assert installed == needed - {"libc6"} | {"ca-certificates"}


def test_what_the_image_copies_is_there_and_enough_to_install(tmp_path):
    """In a folder that holds just that, culvert is built and installed. The objects are there already."""
    kept = [line[1:] for line in read("docker", "Dockerfile.dockerignore").splitlines() if line.startswith("!")]
    for stage in (0, 1):
        for source, destination in copied(stage):
            path = os.path.join(ROOT, source)
            assert os.path.exists(path), source
            assert any(source.rstrip("/") == name or source.startswith(name + "/") for name in kept), source
            if stage == 1:
                continue
            to = tmp_path / destination
            if os.path.isdir(path):
                shutil.copytree(path, to)
            else:
                to.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, to)
    assert os.path.basename(os.path.dirname(BINARY)) == "release"
    shutil.copytree(os.path.dirname(BINARY), tmp_path / "build" / "release")
    (command,) = [rest for rest in of("RUN", 0) if "make" in rest]
    command = command.replace("/image", str(tmp_path / "image"))
    done = subprocess.run(["bash", "-ec", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (program,) = [rest.split()[1] for rest in of("COPY") if rest.startswith("--from")]
    assert os.access(program.replace("/image", str(tmp_path / "image")), os.X_OK)


def test_the_image_runs_as_nobody_and_ends_on_term():
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", of("USER")[0])
    assert of("STOPSIGNAL") == ["SIGTERM"]
    pairs, _ = effective(os.path.join(CONTRIB, "docker", "culvert.ini"))
    assert [value for key, value in pairs if key == "listen"] == [f":{port}" for port in of("EXPOSE")[0].split()]
    assert seconds(dict(pairs)["drain_timeout"]) < 10  # what `docker stop` waits


def test_the_images_command_serves_and_its_healthcheck_tells(culvert, peer):
    """The health check passes only with the admin listener."""
    (_, installed), = [rest for rest in copied(1)]
    command = exec_form(of("ENTRYPOINT")[0]) + exec_form(of("CMD")[0])
    assert command == ["culvert", "-c", installed]
    check = exec_form(of("HEALTHCHECK")[0])
    with own_network():
        assert subprocess.run(check, capture_output=True).returncode != 0
        c = culvert(args=["-c", os.path.join(CONTRIB, "docker", "culvert.ini")], env={"CULVERT_TARGET": "echo:"})
        ws = c.ws("/")
        ws.send_text("contained")
        assert ws.recv_bytes(9) == b"contained"
        done = subprocess.run(check, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        c.stop()


# ---- Kubernetes ----


@pytest.fixture(scope="module")
def manifests():
    objects = list(yaml.safe_load_all(read("k8s", "sidecar.yaml")))
    for one in objects:
        assert one["apiVersion"] and one["kind"] and one["metadata"]["name"]
    by_kind = {one["kind"]: one for one in objects}
    assert set(by_kind) == {"ConfigMap", "Deployment", "Service", "NetworkPolicy"}
    return by_kind


@pytest.fixture(scope="module")
def pod(manifests):
    return manifests["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def sidecar(pod):
    return next(one for one in pod["containers"] if one["name"] == "culvert")


@pytest.fixture(scope="module")
def server(manifests, tmp_path_factory):
    path = tmp_path_factory.mktemp("k8s") / "culvert.ini"
    path.write_text(manifests["ConfigMap"]["data"]["culvert.ini"])
    return effective(path)[0]


def port_of(address):
    return int(address.rsplit(":", 1)[1].split()[0])


def test_the_pods_ports_and_probes_are_those_of_its_configuration(server, sidecar):
    ports = {port["name"]: port["containerPort"] for port in sidecar["ports"]}
    assert ports["websocket"] == port_of(dict(server)["listen"])
    admin = dict(server)["admin"]
    # The kubelet comes to the pod's address: loopback would not do.
    assert ports["admin"] == port_of(admin) and admin.startswith((":", "0.0.0.0", "[::]"))
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert sidecar[probe]["httpGet"] == {"path": path, "port": "admin"}


def slept(container):
    command = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command[0] == "sleep" and len(command) == 2
    return float(command[1])


def test_there_is_time_to_drain_and_the_service_outlives_it(server, pod, sidecar):
    (app,) = [one for one in pod["containers"] if one is not sidecar]
    drained = slept(sidecar) + seconds(dict(server)["drain_timeout"]) + 5  # close_timeout
    assert slept(app) >= drained
    assert pod["terminationGracePeriodSeconds"] > slept(app)


def test_the_pod_is_restricted(pod):
    """As the pod security standard of that name demands."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["runAsUser"] > 0
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]
        for mount in container["volumeMounts"]:
            assert mount["name"] in [volume["name"] for volume in pod["volumes"]]


def test_what_selects_the_pod_finds_it(manifests, pod, sidecar):
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    names = [port["name"] for port in sidecar["ports"]]
    assert all(port["targetPort"] in names for port in manifests["Service"]["spec"]["ports"])
    for rule in manifests["NetworkPolicy"]["spec"]["ingress"]:
        assert all(port["port"] in names for port in rule["ports"])
        # The admin port is not for everybody.
        assert "from" in rule or rule["ports"] == [{"port": "websocket"}]
    (volume,) = [one for one in pod["volumes"] if "configMap" in one]
    assert volume["configMap"]["name"] == manifests["ConfigMap"]["metadata"]["name"]


def probe(sidecar, name):
    """What the kubelet would ask, of the ports that the pod has; the status."""
    asked = sidecar[name]["httpGet"]
    (port,) = [port["containerPort"] for port in sidecar["ports"] if port["name"] == asked["port"]]
    with HttpClient.open(("127.0.0.1", port)) as client:
        return client.ask(path=asked["path"], host=f"127.0.0.1:{port}").status


def test_the_sidecar_bridges_its_service_and_drains(culvert, manifests, pod, sidecar, tmp_path):
    """Both containers as processes in a network of their own, as they have it in a pod."""
    conf = tmp_path / "culvert.ini"
    conf.write_text(manifests["ConfigMap"]["data"]["culvert.ini"])
    (app,) = [one for one in pod["containers"] if one is not sidecar]
    program_name = app["image"].split(":")[0]
    with own_network():
        arguments = [program(f"{program_name}-server"), *app["args"], "--dir", str(tmp_path)]
        with running(arguments, 6379, tmp_path / "app.log"):
            c = culvert(args=["-c", str(conf)])
            assert probe(sidecar, "livenessProbe") == probe(sidecar, "readinessProbe") == 200
            ws = c.ws("/redis")
            ws.send_text("PING\r\n")
            assert ws.recv_bytes(7) == b"+PONG\r\n"
            c.signal(signal.SIGTERM)
            assert ws.recv_close() == 1001  # not answered yet: the pod is still there
            assert probe(sidecar, "livenessProbe") == 200
            assert probe(sidecar, "readinessProbe") == 503
            ws.send_close(1001)
            ws.wait_closed()
            ws.close()
            assert c.wait_exit() == 0


# ---- Prometheus ----


def test_prometheus_scrapes_by_the_sample(culvert, tmp_path):
    """Debian's prometheus with the shipped files and a culvert at its default admin address; a shorter interval."""
    folder = tmp_path / "prometheus"
    shutil.copytree(os.path.join(CONTRIB, "prometheus"), folder)
    sample = folder / "prometheus.yml"
    sample.write_text(sample.read_text().replace("scrape_interval: 15s", "scrape_interval: 1s"))
    with own_network():
        c = culvert("[server]\nadmin = 127.0.0.1:9180\n[route /x]\ntarget = echo:\n")
        ws = c.ws("/x")
        ws.send_text("hello")
        assert ws.recv_bytes(5) == b"hello"
        arguments = [program("prometheus"), f"--config.file={sample}", f"--storage.tsdb.path={folder}/data",
                     "--web.listen-address=127.0.0.1:9090"]
        with running(arguments, 9090, tmp_path / "prometheus.log"):

            def asked(query):
                with HttpClient.open(("127.0.0.1", 9090)) as client:
                    answer = client.ask(path="/api/v1/query?query=" + quote(query))
                if answer.status == 503:
                    return None  # it has only begun to listen
                return [sample["value"][1] for sample in json.loads(answer.body)["data"]["result"]]

            wait_until(lambda: asked('up{job="culvert"}') == ["1"], "a scrape", step=0.2)
            assert asked('sum(culvert_bytes_total{route="/x"})') == ["10"]
            assert asked("culvert_ready") == ["1"]
            with HttpClient.open(("127.0.0.1", 9090)) as client:
                groups = json.loads(client.ask(path="/api/v1/rules").body)["data"]["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert len(rules) > 3 and not [rule for rule in rules if rule["health"] == "err"]


# ---- systemd ----


def unit(name):
    """{key: [values]} of a unit."""
    found = {}
    for line in read("systemd", name).splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    tool = shutil.which("systemd-analyze")
    assert tool, "systemd-analyze is missing: run contrib/install-deps.sh test"
    for name in ("culvert.service", "culvert.socket"):
        (tmp_path / name).write_text(read("systemd", name).replace("/usr/local/bin/culvert", BINARY))
    done = subprocess.run([tool, "verify", "--man=no", *map(str, tmp_path.iterdir())], capture_output=True, text=True)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "culvert" in line]
    assert not ours, ours
    done = subprocess.run([tool, "security", "--offline=yes", "--threshold=20", str(tmp_path / "culvert.service")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-500:]


def test_the_unit_waits_longer_than_culvert_drains():
    service = unit("culvert.service")
    pairs, _ = effective(os.path.join(ROOT, "conf", "minimal.ini"))
    assert float(service["TimeoutStopSec"][0]) > seconds(dict(pairs)["drain_timeout"]) + 5  # close_timeout
    assert service["RestartPreventExitStatus"] == ["2 78"]
    # What `make install` puts there is what the socket unit opens.
    assert unit("culvert.socket")["ListenStream"] == [dict(pairs)["listen"]]


def test_the_unit_starts_and_reloads_it(culvert, tmp_path):
    """Its commands, as systemd would run them with the socket that its unit opens."""
    service, (address,) = unit("culvert.service"), unit("culvert.socket")["ListenStream"]
    installed = tmp_path / "culvert.ini"
    shutil.copy(os.path.join(ROOT, "conf", "minimal.ini"), installed)
    command = shlex.split(service["ExecStart"][0])
    assert command[0] == "/usr/local/bin/culvert" and command[-1] == "/etc/culvert/culvert.ini"
    with own_network():
        host, port = address.rsplit(":", 1)
        with socket.create_server((host, int(port))) as sock:
            script = f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&{sock.fileno()}'
            c = culvert(args=[*command[1:-1], str(installed)], wrapper=["bash", "-c", script, "bash"],
                        pass_fds=[sock.fileno()])
            c.wait_log("was opened by the service manager")
            reload = service["ExecReload"][0].replace("$MAINPID", str(c.pid))
            subprocess.run(shlex.split(reload), check=True)
            c.wait_log(" main reloaded$")
            assert c.http((host, int(port))).ask(path="/").status in (426, 502)
            assert service["KillSignal"] == ["SIGTERM"]
            c.signal(signal.SIGTERM)
            assert c.wait_exit() == 0


def syscalls_of(group):
    text = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True).stdout
    names = set()
    for line in text.splitlines():
        word = line.strip()
        if word.startswith("@") and word != group:
            names |= syscalls_of(word)
        elif re.fullmatch(r"[a-z_0-9]+", word):
            names.add(word)
    return names


def test_culvert_does_nothing_that_its_unit_forbids(culvert, certs, tmp_path):
    """Its system calls, address families and mappings, traced while it serves every kind of client."""
    (tmp_path / "page.html").write_text("page")
    trace = tmp_path / "trace"
    target = free_port()
    c = culvert(
        f"[server]\nlisten = 127.0.0.1:0 tls\nlisten = unix:{tmp_path}/x.sock\nworkers = 2\n"
        f"[tls]\n{certs.section()}\n[route /]\ntarget = echo:\nweb = {tmp_path}\n"
        f"[route /none]\ntarget = tcp://nobody.invalid:{target}\nconnect_timeout = 1s\n",
        wrapper=["strace", "-f", "-qq", "-o", str(trace)],
    )
    ws = c.ws("/", tls=certs.client_context())
    ws.send_text("traced")
    assert ws.recv_bytes(6) == b"traced"
    assert c.http(f"{tmp_path}/x.sock").ask(path="/page.html").body == b"page"
    assert c.http(f"{tmp_path}/x.sock").ask(path="/none", headers=upgrade()).status in (502, 504)
    c.close_clients()
    # strace takes no TERM: it is culvert that is to end.
    (child,) = open(f"/proc/{c.pid}/task/{c.pid}/children").read().split()
    os.kill(int(child), 15)
    assert c.wait_exit() == 0
    lines = trace.read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if "execve(" in line)
    used = {m.group(1) for line in lines[begin + 1 :] if (m := re.match(r"\d+ +([a-z_0-9]+)\(", line))}
    assert {"openat2", "accept4", "epoll_wait"} <= used
    forbidden = used - (syscalls_of("@system-service") - syscalls_of("@privileged"))
    assert not forbidden
    text = "\n".join(lines)
    families = set(re.findall(r"\bsocket\((AF_\w+)", text))
    assert families <= set(unit("culvert.service")["RestrictAddressFamilies"][0].split())
    assert not re.search(r"PROT_WRITE\|PROT_EXEC", text)


def upgrade():
    from harness.ws import upgrade_headers

    return upgrade_headers()
