# SPDX-License-Identifier: BSD-2-Clause
"""Listening sockets that a service manager has opened: systemd's socket units, sd_listen_fds(3)."""

import shutil
import signal
import socket
import threading

import pytest

from harness.peers import free_port
from harness.wire import connect
from harness.ws import WsClient, upgrade_request

ECHO = "[route /echo]\ntarget = echo:\n"


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    sock = socket.socket(family)
    sock.bind(address)
    sock.listen(128)
    return sock


def passing(sockets, pid="$$", count=None):
    """Options of Culvert: the sockets come as descriptors from 3 on, as a service manager has it."""
    numbers = [sock.fileno() for sock in sockets]
    # Out of the way first: a number may be one of those that are filled.
    moves = "".join(f" {100 + i}<&{fd}" for i, fd in enumerate(numbers))
    moves += "".join(f" {3 + i}<&{100 + i}" for i in range(len(numbers)))
    moves += "".join(f" {100 + i}<&-" for i in range(len(numbers)))
    closes = "".join(f" {fd}<&-" for fd in numbers if fd >= 3 + len(numbers))
    count = len(sockets) if count is None else count
    script = f'export LISTEN_PID={pid} LISTEN_FDS={count}; exec "$@"{moves}{closes}'
    return {"wrapper": ["bash", "-c", script, "bash"], "pass_fds": numbers}


def talks(ws):
    ws.send_text("hello")
    return ws.recv_bytes(5) == b"hello"


@pytest.fixture
def tcp():
    with listening() as sock:
        yield sock


def port_of(sock):
    return sock.getsockname()[1]


@pytest.mark.tsan
@pytest.mark.parametrize("workers", [1, 3])
def test_a_passed_socket_is_served(culvert, tcp, workers):
    port = port_of(tcp)
    c = culvert(f"[server]\nworkers = {workers}\nlisten = 127.0.0.1:{port}\n" + ECHO, **passing([tcp]))
    assert c.port == port
    assert c.log_lines(rf"127\.0\.0\.1:{port} was opened by the service manager")
    for _ in range(10):
        assert talks(c.ws("/echo"))
    assert not c.log_lines(" warn ")


def test_the_same_file_serves_without_the_service_manager(culvert):
    port = free_port()
    c = culvert(f"[server]\nlisten = 127.0.0.1:{port}\n" + ECHO)
    assert talks(c.ws("/echo", address=("127.0.0.1", port)))


def test_passed_sockets_stand_in_any_order_beside_others(culvert, tmp_path, certs):
    path = str(tmp_path / "unix.sock")
    with listening(socket.AF_UNIX, path) as unix, listening() as tls, listening(
        socket.AF_INET6, ("::1", 0)
    ) as six:
        c = culvert(
            f"[server]\nlisten = 127.0.0.1:0\nlisten = [::1]:{port_of(six)}\n"
            f"listen = 127.0.0.1:{port_of(tls)} tls\nlisten = unix:{path}\n"
            f"[tls]\n{certs.section()}\n{ECHO}",
            **passing([tls, unix, six]),
        )
        assert len(c.log_lines("was opened by the service manager")) == 3
        for address in (c.addresses[0], ("::1", port_of(six)), path):
            assert talks(c.ws("/echo", address=address))
        assert talks(c.ws("/echo", address=("127.0.0.1", port_of(tls)), tls=certs.client_context()))
        c.stop()
        # It is not ours to remove, and takes connections until somebody serves it again.
        connect(path).close()


def test_a_port_alone_takes_the_socket_of_all_addresses(culvert):
    with listening(socket.AF_INET6, ("::", 0)) as sock:
        c = culvert(f"[server]\nlisten = :{port_of(sock)}\n" + ECHO, **passing([sock]))
        for host in ("127.0.0.1", "::1"):
            assert talks(c.ws("/echo", address=(host, port_of(sock))))


def test_a_socket_that_no_line_stands_for_is_warned_about(culvert, tcp):
    with listening() as other:
        c = culvert(
            f"[server]\nlisten = 127.0.0.1:{port_of(tcp)}\n" + ECHO, **passing([other, tcp], count=3)
        )
        assert c.wait_log(rf" warn .*127\.0\.0\.1:{port_of(other)} was passed, but no listen= has it")
        assert c.wait_log(" warn .*descriptor 5 was passed, but is no listening socket")
        assert talks(c.ws("/echo"))


def test_more_sockets_than_workers_are_warned_about(culvert):
    """Each worker accepts on one of them: who the kernel gives to the rest would wait for ever."""
    socks = [socket.socket() for _ in range(3)]
    try:
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("127.0.0.1", port_of(socks[0]) if sock is not socks[0] else 0))
            sock.listen(16)
        text = f"listen = 127.0.0.1:{port_of(socks[0])}\n" + ECHO
        c = culvert("[server]\nworkers = 2\n" + text, **passing(socks))
        assert c.wait_log(r" warn .*3 sockets were passed for 127\.0\.0\.1:\d+, and there are 2 workers")
        enough = culvert("[server]\nworkers = 3\n" + text, **passing(socks))
        assert not enough.log_lines(" warn ")
    finally:
        for sock in socks:
            sock.close()


def test_variables_that_are_meant_for_another_process_are_ignored(culvert, tcp):
    """As a parent's that came down through the environment."""
    c = culvert(
        f"[server]\nlisten = 127.0.0.1:{port_of(tcp)}\n" + ECHO, ready=False, **passing([tcp], pid="1")
    )
    assert c.wait_exit() == 1
    c.expected_status = 1
    c.expect_error("in use")
    assert c.log_lines("in use") and not c.log_lines("service manager")


def first_answer(address):
    """Connects, asks, and waits for as long as it takes until somebody answers."""
    wire = WsClient.open(address)
    wire.send(upgrade_request("/echo"))
    return wire


@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_is_refused_while_culvert_is_restarted(culvert, tcp, workers):
    """Clients come all the time; who comes while nobody serves waits, and is served by the next one."""
    c = culvert(
        f"[server]\nworkers = {workers}\nlisten = 127.0.0.1:{port_of(tcp)}\n" + ECHO, **passing([tcp])
    )
    address = ("127.0.0.1", port_of(tcp))
    stopped = threading.Event()
    refused = []

    def come():
        while not stopped.wait(0.05):
            try:
                connect(address).close()
            except OSError as error:
                refused.append(error)

    coming = threading.Thread(target=come)
    coming.start()
    try:
        for _ in range(3):
            c.stop()
            waiting = c.keep(first_answer(address))
            c.start()
            assert talks(waiting.upgraded())
            waiting.leave()
    finally:
        stopped.set()
        coming.join()
    assert not refused


def test_who_is_served_hears_of_the_stop_and_who_comes_then_waits(culvert, tcp):
    c = culvert(f"[server]\nlisten = 127.0.0.1:{port_of(tcp)}\n" + ECHO, **passing([tcp]))
    early = c.ws("/echo")
    assert talks(early)
    c.signal(signal.SIGTERM)
    assert early.recv_close() == 1001
    # culvert waits for the answer to its close, and takes nobody in the meantime.
    late = c.keep(first_answer(("127.0.0.1", port_of(tcp))))
    early.send_close(1001)
    assert c.wait_exit() == 0
    c.start()
    assert talks(late.upgraded())


def test_systemd_socket_activate_starts_it(culvert, tmp_path):
    """systemd's own tool: it listens, and starts culvert when the first client comes."""
    tool = shutil.which("systemd-socket-activate")
    assert tool, "systemd-socket-activate is missing: run contrib/install-deps.sh test"
    port = free_port()
    c = culvert(
        f"[server]\nlisten = 127.0.0.1:{port}\n" + ECHO,
        ready=False,
        wrapper=[tool, "--listen", f"127.0.0.1:{port}", "--fdname", "web", *activated_environment()],
    )
    c.wait_log("Listening on 127")
    wire = c.keep(first_answer(("127.0.0.1", port)))
    c.wait_ready()
    assert c.log_lines("was opened by the service manager")
    assert talks(wire.upgraded())


def activated_environment():
    """systemd-socket-activate passes on no variable that it is not told of."""
    names = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "CULVERT_STATS")
    return [option for name in names for option in ("--setenv", name)]
