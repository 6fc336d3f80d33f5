# SPDX-License-Identifier: BSD-2-Clause
"""Servers from Debian's packages, each a process of its own on a free port of loopback."""

import contextlib
import os
import shutil
import socket
import subprocess

from .child import spawn
from .peers import free_port
from .wait import wait_until
from .wire import connect


def program(name):
    # Some are in sbin, which not everybody has in PATH.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert path, f"{name} is missing: run contrib/install-deps.sh test"
    return path


def answers(port):
    try:
        connect(("127.0.0.1", port)).close()
        return True
    except ConnectionRefusedError:
        return False


@contextlib.contextmanager
def running(args, port, log_path, **options):
    """The process, as soon as it takes connections."""
    with open(log_path, "wb") as log:
        process = spawn(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
    try:

        def up():
            with open(log_path, errors="replace") as file:
                assert process.poll() is None, f"{args[0]} ended:\n{file.read()}"
            return answers(port)

        wait_until(up, args[0])
        yield process
    finally:
        process.kill()
        process.wait()


NGIRCD = """
[Global]
Name = irc.test
Info = for tests
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = Grüß Gott
[Options]
DNS = no
Ident = no
PAM = no
[Limits]
MaxConnectionsIP = 0
"""


@contextlib.contextmanager
def ircd(folder):
    """The port of an ngircd."""
    port = free_port()
    conf = folder / "ngircd.conf"
    conf.write_text(NGIRCD.format(port=port))
    with running([program("ngircd"), "-n", "-f", str(conf)], port, folder / "ngircd.log"):
        yield port


@contextlib.contextmanager
def name_server(folder, *records):
    """The port of a dnsmasq that knows these records (its own options) and asks nobody."""
    port = free_port()
    args = [program("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=root", "--pid-file=", "--log-facility=-", "--bind-interfaces", "--listen-address=127.0.0.1",
            f"--port={port}", *records]
    with running(args, port, folder / "dnsmasq.log"):
        yield port


@contextlib.contextmanager
def redis_server(folder, *options):
    """(port, process) of a redis-server."""
    port = free_port()
    args = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", str(folder), *options]
    with running(args, port, folder / "redis.log") as process:
        yield port, process


@contextlib.contextmanager
def ssh_agent(folder, comment):
    """The path of an ssh-agent's socket; it holds one Ed25519 key."""
    path, key = f"{folder}/agent.sock", f"{folder}/key"
    process = spawn([program("ssh-agent"), "-D", "-a", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.exists(path), "ssh-agent")
        subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key], check=True)
        subprocess.run([program("ssh-add"), "-q", key], env={**os.environ, "SSH_AUTH_SOCK": path}, check=True)
        yield path
    finally:
        process.terminate()
        process.wait()


def udp_socket(address="127.0.0.1", port=0):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock
