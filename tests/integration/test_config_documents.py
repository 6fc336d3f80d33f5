# SPDX-License-Identifier: BSD-2-Clause
"""The configuration files that are shipped and the manual page agree with the table of keys."""

import glob
import os
import re
import shutil
import subprocess

import pytest

from harness.culvert import ROOT, run

SHIPPED = os.path.join(ROOT, "conf", "culvert.ini")
MINIMAL = os.path.join(ROOT, "conf", "minimal.ini")
PAGE = os.path.join(ROOT, "contrib", "man", "culvert.ini.5")

# As the table is meant to be, said once more: section, key.
KEYS = {
    "server": "listen workers socket_mode admin drain_timeout max_connections half_open_max "
    "trusted_proxies header_timeout header_max",
    "log": "level format access file",
    "tls": "certificate private_key client_ca client_verify min_version",
    "route": "target web subprotocols subprotocols_required messages framing origins "
    "origin_required heartbeat heartbeat_timeout idle_timeout connect_timeout close_timeout "
    "write_timeout message_timeout message_max buffer connections_max connections_per_ip "
    "transports resume_window reconnect_spread poll_wait "
    "send_proxy tls_verify tls_ca "
    "mqtt_packet_max mqtt_publish mqtt_subscribe mqtt_client_id_prefix mqtt_username "
    "mqtt_password_file mqtt_connect_timeout mqtt_versions "
    "subscribe publish payload retain queue_messages queue_bytes overflow",
    "bus": "url history_messages history_bytes retained_max retained_bytes client_id username password_file "
    "mqtt_version qos keep_alive connect_timeout publish_timeout publish_max clean_start "
    "session_expiry will_topic will_payload will_qos will_retain tls_verify tls_ca "
    "tls_certificate tls_private_key",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="module")
def generate(tmp_path_factory):
    """Runs contrib/man/generate.c, built by itself: it needs little more than src/conf."""
    binary = str(tmp_path_factory.mktemp("generate") / "generate")
    sources = glob.glob(os.path.join(ROOT, "src", "conf", "*.c"))
    sources += glob.glob(os.path.join(ROOT, "src", "base", "topic_*.c"))
    sources += [os.path.join(ROOT, "src", "base", name) for name in ("map.c", "siphash.c")]
    source = os.path.join(ROOT, "contrib", "man", "generate.c")
    flags = ["-D_GNU_SOURCE", "-I" + os.path.join(ROOT, "include"), "-o", binary]
    subprocess.run(
        [os.environ.get("CC", "cc"), *flags, source, *sources, "-linih", "-lm"], check=True
    )

    def output(mode, text=None):
        done = subprocess.run(
            [binary, mode], input=text, check=True, text=True, stdout=subprocess.PIPE
        )
        return done.stdout

    return output


def entries(text):
    """[(section, key, value)], commented-out lines included."""
    found, section = [], None
    for line in text.splitlines():
        match = re.match(r";?\[(\w+)", line)
        section = match[1] if match else section
        match = re.match(r";?(\w+) = ?(.*?) +; \S", line)
        if match:
            found.append((section, match[1], match[2]))
    return found


def test_shipped_file_is_generated(generate):
    assert read(SHIPPED) == generate("ini")


def test_manual_page_is_generated(generate):
    assert read(PAGE) == generate("man", read(PAGE + ".in"))


def test_shipped_file_holds_every_key_once():
    sections = {"defaults": "route"}
    held = sorted((sections.get(s, s), key) for s, key, _ in entries(read(SHIPPED)))
    assert held == sorted((s, key) for s, keys in KEYS.items() for key in keys.split())


def test_manual_page_names_every_key():
    named = re.findall(r"^\.It Ic (\w+) Li =", read(PAGE), re.M)
    assert sorted(named) == sorted(key for keys in KEYS.values() for key in keys.split())


@pytest.mark.parametrize("path", [SHIPPED, MINIMAL])
def test_files_are_valid(path):
    done = run("--check", "-c", path)
    assert (done.returncode, done.stderr) == (0, "")


def test_shipped_file_says_the_defaults(tmp_path):
    """With every key given as shipped, the result is that of a file that gives none of them."""
    bare = tmp_path / "bare.ini"
    bare.write_text(
        "[server]\nlisten = 127.0.0.1:8080\n[route /]\ntarget = tcp://127.0.0.1:5900\n"
    )
    shipped = run("--dump", "-c", SHIPPED)
    assert shipped.returncode == 0
    assert shipped.stdout == run("--dump", "-c", str(bare)).stdout


def put_certificates(certs, folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(certs.crt("server"), folder / f"{name}.crt")
        shutil.copy(certs.key("server"), folder / f"{name}.key")


def test_commented_part_is_valid_too(tmp_path, certs):
    """Once [tls] is taken into use and its files are there."""
    put_certificates(certs, tmp_path, "tls")
    text = re.sub(r"^;(?=\[tls\]|\w+ =)", "", read(SHIPPED), flags=re.M)
    assert "\n[tls]\ncertificate = " in text
    path = tmp_path / "culvert.ini"
    path.write_text(text.replace("/etc/culvert/", ""))
    done = run("--check", "-c", str(path))
    assert (done.returncode, done.stderr) == (0, "")


def test_dump_is_accepted_again(tmp_path):
    first = run("--dump", "-c", SHIPPED)
    path = tmp_path / "dump.ini"
    path.write_text(first.stdout)
    second = run("--dump", "-c", str(path))
    assert (second.returncode, second.stdout) == (0, first.stdout)


def test_check_tells_all_mistakes_with_their_lines(tmp_path):
    path = tmp_path / "bad.ini"
    path.write_text("[server]\nlisten = x\nworker = 1\n[route /]\ntarget = echo:\nheartbeat = 25\n")
    done = run("--check", "-c", str(path))
    assert done.returncode == 78
    found = re.findall(r"bad\.ini:(\d+): (\[[^]]*\] \w+):", done.stderr + done.stdout)
    assert found == [("2", "[server] listen"), ("3", "[server] worker"), ("6", "[route /] heartbeat")]


def test_examples_of_the_manual_page_are_valid(tmp_path, certs):
    """As they stand, but for a directory; the files that they name are there."""
    put_certificates(certs, tmp_path / "tls", "default", "chat", "internal-ca")
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", read(PAGE), re.M | re.S)
    maps = [block for block in blocks if block.startswith("# desks\n")]
    assert len(blocks) == 11 and len(maps) == 1
    (tmp_path / "desks").write_text(maps[0])
    (tmp_path / "broker-password").write_text("open sesame\n")
    for number, block in enumerate(block for block in blocks if block not in maps):
        path = tmp_path / f"{number}.ini"
        path.write_text(block.replace("/usr/share/novnc", "tls").replace("/etc/culvert/desks", "desks"))
        done = run("--check", "-c", str(path), env={"IRC_HOST": "irc"})
        assert (done.returncode, done.stderr) == (0, ""), block
