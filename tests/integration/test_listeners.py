# SPDX-License-Identifier: BSD-2-Clause
"""Where culvert listens and where it connects: IPv4, IPv6, unix sockets, names; the short form."""

import os
import signal
import socket
import stat

import pytest

from harness.culvert import run
from harness.peers import Recorder, Target, free_port
from harness.ws import Refused

ECHO = "[route /echo]\ntarget = echo:\n"


def talks(ws):
    ws.send_text("hello")
    return ws.recv_bytes(5) == b"hello"


# ---- listeners ----


def test_an_ipv6_listener(culvert):
    c = culvert("[server]\nlisten = [::1]:0\n" + ECHO)
    assert c.address[0] == "::1"
    assert talks(c.ws("/echo", host=f"[::1]:{c.port}"))


def test_a_listener_without_an_address_takes_both_families(culvert):
    port = free_port()
    c = culvert(f"[server]\nlisten = :{port}\n" + ECHO)
    for host in ("127.0.0.1", "127.1.2.3", "::1"):
        assert talks(c.ws("/echo", address=(host, port)))


def test_ipv4_clients_of_such_a_listener_are_logged_as_ipv4(culvert):
    port = free_port()
    c = culvert(f"[server]\nlisten = :{port}\n" + ECHO)
    c.ws("/echo", address=("127.0.0.1", port)).leave()
    assert c.wait_event("websocket")["client"].startswith("127.0.0.1:")


def test_several_listeners(culvert, tmp_path):
    path = tmp_path / "culvert.sock"
    c = culvert(f"[server]\nlisten = 127.0.0.1:0\nlisten = 127.0.0.2:0\nlisten = unix:{path}\n" + ECHO)
    assert len(c.addresses) == 3
    for address in c.addresses:
        assert talks(c.ws("/echo", address=address))


@pytest.mark.parametrize("mode", ["0600", "0666"])
def test_a_unix_listener_has_the_mode_that_socket_mode_says(culvert, tmp_path, mode):
    path = tmp_path / "culvert.sock"
    c = culvert(f"[server]\nlisten = unix:{path}\nsocket_mode = {mode}\n" + ECHO)
    assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)
    assert talks(c.ws("/echo", address=str(path)))


def test_a_unix_listener_is_0660_if_nothing_is_said(culvert, tmp_path):
    path = tmp_path / "culvert.sock"
    culvert(f"[server]\nlisten = unix:{path}\n" + ECHO)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_stale_socket_file_is_replaced_and_removed_at_the_end(culvert, tmp_path):
    path = tmp_path / "culvert.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert path.exists()
    c = culvert(f"[server]\nlisten = unix:{path}\n" + ECHO)
    assert talks(c.ws("/echo", address=str(path)))
    c.stop()
    assert not path.exists()


def test_a_socket_that_somebody_serves_is_left_alone(culvert, peer, tmp_path):
    path = tmp_path / "culvert.sock"
    peer(Recorder, str(path))
    c = culvert(f"[server]\nlisten = unix:{path}\n" + ECHO, ready=False)
    assert c.wait_exit() == 1
    c.expected_status = 1
    c.expect_error(r"culvert\.sock")
    assert c.log_lines(r"culvert\.sock")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))


def test_a_file_that_is_no_socket_is_left_alone(culvert, tmp_path):
    path = tmp_path / "culvert.sock"
    path.write_text("precious")
    c = culvert(f"[server]\nlisten = unix:{path}\n" + ECHO, ready=False)
    assert c.wait_exit() == 1
    c.expected_status = 1
    c.expect_error(r"culvert\.sock")
    assert path.read_text() == "precious"


def test_a_port_that_is_taken_is_a_failure_to_start(culvert, peer):
    taken = peer(Target)
    c = culvert(f"[server]\nlisten = 127.0.0.1:{taken.port}\n" + ECHO, ready=False)
    assert c.wait_exit() == 1
    c.expected_status = 1
    c.expect_error(str(taken.port))
    assert c.log_lines(f"{taken.port}.*in use")


# ---- targets ----


def test_a_unix_target(culvert, peer, tmp_path):
    target = peer(Recorder, str(tmp_path / "target.sock"))
    c = culvert(f"[route /x]\ntarget = {target.url}\n")
    ws = c.ws("/x")
    ws.send_text("through a file")
    target.wait_received(b"through a file")
    ws.leave()
    target.wait_ended("eof")


def test_an_ipv6_target(culvert, peer):
    target = peer(Recorder, host="::1")
    c = culvert(f"[route /x]\ntarget = {target.url}\n")
    c.ws("/x").send_text("six")
    target.wait_received(b"six")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_target_by_name_is_found_in_either_family(culvert, peer, host):
    """localhost stands for both; the target is in one of them."""
    target = peer(Recorder, host=host)
    c = culvert(f"[route /x]\ntarget = tcp://localhost:{target.port}\n")
    c.ws("/x").send_text("by name")
    target.wait_received(b"by name")


# ---- the command line's short form ----


def test_the_short_form_is_one_route_for_every_path(culvert, peer):
    target = peer(Recorder)
    port = free_port()
    c = culvert(args=[f"127.0.0.1:{port}", f"127.0.0.1:{target.port}"])
    for i, path in enumerate(("/", "/websockify", "/a/b")):
        ws = c.ws(path)
        ws.send_text("short")
        target.wait_received(b"short", i)
    assert c.http().ask(path="/").status == 426  # no files are served unless asked for


def test_the_short_form_serves_files_with_web(culvert, peer, tmp_path):
    target = peer(Recorder)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("<p>hello</p>")
    port = free_port()
    c = culvert(args=["--web", str(tmp_path / "web"), f"127.0.0.1:{port}", f"127.0.0.1:{target.port}"])
    answer = c.http().ask(path="/")
    assert answer.status == 200 and answer.body == b"<p>hello</p>"
    c.ws("/").send_text("and a websocket")
    target.wait_received(b"and a websocket")


def test_web_serves_files_beside_the_websocket(culvert, peer, tmp_path):
    target = peer(Recorder)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "vnc.html").write_text("<p>page</p>")
    c = culvert(f"[route /vnc/]\ntarget = {target.url}\nweb = {tmp_path}/web\n")
    assert c.http().ask(path="/vnc/vnc.html").body == b"<p>page</p>"
    assert c.http().ask(path="/vnc/other.html").status == 404
    c.ws("/vnc/").send_text("socket")
    target.wait_received(b"socket")


def test_s17_nothing_is_served_by_default(culvert):
    c = culvert(ECHO)
    for path in ("/", "/index.html", "/culvert.ini", "/healthz", "/metrics", "/status"):
        assert c.http().ask(path=path).status == 404


# ---- exit statuses and signals ----


def test_version_names_the_libraries():
    result = run("--version")
    assert result.returncode == 0
    assert "culvert 0." in result.stdout and "OpenSSL" in result.stdout and "libev" in result.stdout


def test_help_names_the_options():
    result = run("--help")
    assert result.returncode == 0
    for word in ("--check", "--dump", "--web", "--version", "-c"):
        assert word in result.stdout


@pytest.mark.parametrize("args", [["--nonsense"], ["one"], ["a", "b", "c"], ["-c"]], ids=" ".join)
def test_bad_usage_is_2(args):
    result = run(*args)
    assert result.returncode == 2
    assert result.stderr


def test_a_bad_configuration_is_78_and_names_the_line(tmp_path):
    path = tmp_path / "bad.ini"
    path.write_text("[server]\nlisten = 127.0.0.1:0\nworkers = none\n[route /x]\ntarget = gopher:\n")
    for args in (["-c", str(path)], ["--check", "-c", str(path)]):
        result = run(*args)
        assert result.returncode == 78
        assert f"{path}:3:" in result.stderr and f"{path}:5:" in result.stderr
        assert "workers" in result.stderr


def test_a_configuration_that_is_not_there_is_78_or_1(tmp_path):
    result = run("-c", str(tmp_path / "none.ini"))
    assert result.returncode in (1, 78) and "none.ini" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGUSR2], ids=["PIPE", "USR2"])
def test_signals_that_mean_nothing_do_not_end_it(culvert, number):
    c = culvert(ECHO)
    ws = c.ws("/echo")
    c.signal(number)
    assert talks(ws)
