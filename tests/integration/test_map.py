# SPDX-License-Identifier: BSD-2-Clause
"""`target = map:FILE`: a token picks the target, by a file that changes while connections go on."""

import os
import re
import signal
import threading

import pytest

from harness.culvert import configuration, run
from harness.http import read_answer
from harness.peers import Echo, Recorder, Target, TlsTarget, refusing_port
from harness.wait import wait_until
from harness.ws import Refused, frame, upgrade_headers, upgrade_request

# In none of these tests may one of them come out again: see secret().
SECRET = "tHe-SeCrEt"


def secret(name=""):
    return f"{SECRET}-{name}"


def text_of(entries):
    return "".join(f"{token}: {target}\n" for token, target in entries.items())


class Map:
    """The file, and the ways in which people write it."""

    def __init__(self, folder):
        self.path = os.path.join(str(folder), "tokens")

    def write(self, entries):
        """In place."""
        with open(self.path, "w") as file:
            file.write(entries if isinstance(entries, str) else text_of(entries))

    def replace(self, entries):
        """Beside it, and renamed over it."""
        with open(self.path + ".new", "w") as file:
            file.write(entries if isinstance(entries, str) else text_of(entries))
        os.rename(self.path + ".new", self.path)

    def append(self, entries):
        with open(self.path, "a") as file:
            file.write(text_of(entries))


@pytest.fixture
def tokens(tmp_path):
    return Map(tmp_path)


@pytest.fixture
def mapped(culvert, tokens):
    """culvert with a map of these entries at /x; no token comes out of it."""
    started = []

    def start(entries, more="", workers=1):
        tokens.write(entries)
        started.append(
            culvert(
                f"[server]\nworkers = {workers}\n[log]\nlevel = debug\n"
                f"[route /x]\ntarget = map:{tokens.path}\nclose_timeout = 500ms\n{more}\n"
            )
        )
        return started[-1]

    yield start
    for c in started:
        assert SECRET not in c.log_text()


def ask(c, token, **options):
    return c.ws(f"/x?token={token}", **options)


def status(c, query, **options):
    """Of an upgrade: 101, or the answer's."""
    try:
        c.ws(f"/x{query}", **options).close()
        return 101
    except Refused as refused:
        assert SECRET not in repr(refused)
        return refused.status


def reaches(c, token, target):
    ws = ask(c, token)
    conn = target.accept()
    ws.send_binary(b"up")
    assert conn.read(2) == b"up"
    conn.send(b"down")
    assert ws.recv_bytes(4) == b"down"
    return ws, conn


# ---- choosing ----


def test_the_token_picks_the_target(mapped, peer, tmp_path):
    one, two, unix = peer(Target), peer(Target, host="::1"), peer(Target, path=str(tmp_path / "target"))
    c = mapped(
        {
            secret(1): f"127.0.0.1:{one.port}",
            secret(2): f"tcp://[::1]:{two.port}",
            secret(3): unix.url,
            secret(4): "echo:",
            secret(5): f"unix_socket:{unix.path}",
            secret(6): f"localhost:{one.port}",
        }
    )
    for name, target in ((1, one), (2, two), (3, unix), (5, unix), (6, one)):
        ws, _ = reaches(c, secret(name), target)
        ws.leave()
    ws = ask(c, secret(4))
    ws.send_text("echo")
    assert ws.recv_bytes(4) == b"echo"
    assert one.nobody_came() and two.nobody_came() and unix.nobody_came()


def test_the_access_line_shows_the_target_and_not_the_token(mapped, peer):
    target = peer(Target)
    c = mapped({secret(): f"127.0.0.1:{target.port}"})
    ws, _ = reaches(c, secret(), target)
    ws.close()
    event = c.wait_event("websocket")
    assert event["target"] == f"127.0.0.1:{target.port}"
    assert event["route"] == "/x"


def test_a_token_is_decoded_once(mapped):
    c = mapped({secret("a+b&c=%41"): "echo:", "52:54:00:12:34:56": "echo:"})
    assert status(c, f"?token={secret('a+b%26c=%2541')}") == 101
    assert status(c, f"?%74oken={secret('a%2Bb%26c%3D%2541')}&other=1") == 101
    assert status(c, f"?token={secret('a+b%26c=%41')}") == 404
    assert status(c, "?token=52:54:00:12:34:56") == 101


def test_tls_targets_are_checked_by_the_names_in_the_map(mapped, peer, certs):
    good, wrong = peer(TlsTarget, certs.server_context()), peer(TlsTarget, certs.server_context("wrong_name"))
    plain = peer(Target)
    c = mapped(
        {
            secret(1): f"tls://localhost:{good.port}",
            secret(2): f"tls://localhost:{wrong.port}",
            secret(3): f"tls://127.0.0.1:{good.port}",
            secret(4): f"127.0.0.1:{plain.port}",
        },
        f"tls_ca = {certs.crt('ca')}",
    )
    for name in (1, 3, 1):
        result = []
        thread = threading.Thread(target=lambda: result.append(good.accept()))
        thread.start()
        ws = ask(c, secret(name))
        thread.join()
        ws.send_binary(b"over TLS")
        assert result[0].read(8) == b"over TLS"

        def refuse():
            try:
                wrong.accept()
            except OSError:
                result.append("refused")

        thread = threading.Thread(target=refuse)
        thread.start()
        assert status(c, f"?token={secret(2)}") == 502
        thread.join()
        assert result[1] == "refused"
    assert c.log_lines("hostname mismatch")
    reaches(c, secret(4), plain)


def test_tls_verify_no_holds_for_a_map_too(mapped, peer, certs):
    target = peer(TlsTarget, certs.server_context("wrong_name"))
    c = mapped({secret(): f"tls://localhost:{target.port}"}, "tls_verify = no")
    thread = threading.Thread(target=target.accept)
    thread.start()
    assert status(c, f"?token={secret()}") == 101
    thread.join()


def test_a_target_that_refuses_is_a_502(mapped):
    held, port = refusing_port()
    c = mapped({secret(): f"127.0.0.1:{port}"})
    assert status(c, f"?token={secret()}") == 502
    assert c.log_lines(rf" warn .* target 127.0.0.1:{port}: ")
    held.close()


def test_what_comes_before_the_101_reaches_the_target_in_order(mapped, peer):
    target = peer(Recorder)
    c = mapped({secret(): f"127.0.0.1:{target.port}"})
    wire = c.wire()
    wire.send(upgrade_request(f"/x?token={secret()}") + b"".join(frame(2, b"%d " % i) for i in range(100)))
    wait_until(lambda: target.received and target.received[0].count(b" ") == 100, "all that was sent ahead")
    assert bytes(target.received[0]) == b"".join(b"%d " % i for i in range(100))


# ---- refusing ----


def test_missing_and_unknown_tokens_get_the_same_404(mapped):
    c = mapped({secret(): "echo:"})
    answers = set()
    for query in (
        "",
        "?",
        "?token",
        "?token=",
        "?token=unknown",
        "?Token=" + secret(),
        "?token=" + secret().lower(),
        "?token=" + secret()[:-1],
        "?token=" + secret() + "x",
        "?token=" + secret() + "%20",
        "?token=%20" + secret(),
        "?token=" + "x" * 128,
        "?token=" + "x" * 129,
        "?token=" + "x" * 7000,
        "?token=%C3%A4",
        "?token=%0A",
    ):
        wire = c.wire()
        wire.send(upgrade_request(f"/x{query}"))
        answer = read_answer(wire)
        assert answer.status == 404, query
        answers.add((answer.body, *((k, v) for k, v in answer.headers if k != "date")))
        wire.wait_closed()
    assert len(answers) == 1
    assert "no such target" in repr(answers) and "no-store" in repr(answers)
    assert len(c.log_lines("refused: no token, or an unknown one")) == 16


def test_what_follows_a_refused_upgrade_is_no_request(mapped):
    c = mapped({secret(): "echo:"})
    wire = c.wire()
    wire.send(upgrade_request("/x?token=unknown") + upgrade_request(f"/x?token={secret()}"))
    assert wire.read_to_end(reset_is_end=True).count(b"HTTP/1.1 ") == 1


def test_a_doubled_token_is_a_400(mapped):
    c = mapped({secret(): "echo:"})
    assert status(c, f"?token={secret()}&token={secret()}") == 400
    assert status(c, f"?token={secret()}&%74oken=x") == 400
    assert status(c, f"?token={secret()}%4") == 400
    assert status(c, f"?token={secret()}%00") == 400


@pytest.mark.parametrize("token", [secret(), "unknown", ""])
def test_nothing_is_told_of_tokens_before_the_rest_is_right(mapped, token):
    """Who may not ask, or asks wrongly, gets the same answer with any token."""
    c = mapped({secret(): "echo:"}, "transports = websocket")
    assert status(c, f"?token={token}", headers=[("Origin", "http://elsewhere.example")]) == 403
    answers = [
        c.http().ask(path=f"/x?token={token}"),
        c.http().ask("POST", path=f"/x?token={token}"),
        c.http().ask(path=f"/x?token={token}", headers=[("Accept", "text/event-stream")]),
        c.http().ask(path=f"/x?token={token}", headers=[("Upgrade", "h2c"), ("Connection", "Upgrade")]),
        c.http().ask(path=f"/x?token={token}", headers=upgrade_headers()[:-1]),
    ]
    assert [answer.status for answer in answers] == [426, 405, 406, 400, 426]


def test_s12_tokens_are_in_no_log_and_no_answer(mapped, tokens):
    c = mapped({secret(): "echo:", secret("dead"): "unix:/nowhere"})
    for query in ("", "&token=x", "%00", "x"):
        for accept in ("*/*", "application/json"):
            answer = c.http().ask(
                path=f"/x?token={secret()}{query}", headers=[*upgrade_headers(), ("Accept", accept)]
            )
            assert SECRET not in repr(answer.headers) + repr(answer.body)
    assert status(c, f"?token={secret('dead')}") == 502
    tokens.replace(f"{secret()}: echo:\n{secret()}: echo:\n{secret()} nothing\n{secret()}: nothing\n")
    assert status(c, f"?token={secret()}x") == 404
    c.wait_log("the targets of before stay")  # the fixture looks for the token in the log


# ---- the file changes ----

WAYS = ["write", "replace"]


@pytest.mark.parametrize("way", WAYS)
def test_a_new_token_works_at_once(mapped, tokens, way):
    """For the first who uses it, however soon after another has looked."""
    c = mapped({})
    entries = {}
    for i in range(30):
        assert status(c, f"?token={secret(i)}") == 404
        entries[secret(i)] = "echo:"
        getattr(tokens, way)(entries)
        assert status(c, f"?token={secret(i)}") == 101
    for i in range(30, 60):
        tokens.append({secret(i): "echo:"})
        assert status(c, f"?token={secret(i)}") == 101


@pytest.mark.parametrize("way", WAYS)
def test_a_removed_token_is_soon_unknown(mapped, tokens, way):
    c = mapped({secret(1): "echo:", secret(2): "echo:"})
    ws = ask(c, secret(1))
    getattr(tokens, way)({secret(2): "echo:"})
    wait_until(lambda: status(c, f"?token={secret(1)}") == 404, "the token to be unknown")
    assert status(c, f"?token={secret(2)}") == 101
    ws.send_text("still there")
    assert ws.recv_bytes(11) == b"still there"


@pytest.mark.parametrize("way", WAYS)
def test_a_running_connection_keeps_its_target(mapped, tokens, peer, way):
    before, after = peer(Target), peer(Target)
    c = mapped({secret(): f"127.0.0.1:{before.port}"})
    ws, conn = reaches(c, secret(), before)
    getattr(tokens, way)({secret(): f"127.0.0.1:{after.port}"})

    def is_led_elsewhere():
        other = ask(c, secret())
        other.leave()
        return not after.nobody_came()

    wait_until(is_led_elsewhere, "the token to lead elsewhere")
    ws.send_binary(b"more")
    assert conn.read(4) == b"more"
    conn.send(b"and more")
    assert ws.recv_bytes(8) == b"and more"
    ws.leave()
    event = wait_until(lambda: [e for e in c.events("websocket") if e["in"] == "6"], "its access line")[0]
    assert event["target"].endswith(f":{before.port}")


def test_two_changes_in_one_moment_are_both_seen(mapped, tokens):
    """Of the same length, so that only the content differs."""
    c = mapped({secret("a"): "echo:"})
    for _ in range(20):
        for name in "bca":
            tokens.write({secret(name): "echo:"})
            assert status(c, f"?token={secret(name)}") == 101


def test_a_change_that_keeps_size_and_times_is_seen(mapped, tokens):
    c = mapped({secret("a"): "echo:"})
    st = os.stat(tokens.path)
    assert status(c, f"?token={secret('b')}") == 404
    with open(tokens.path + ".new", "w") as file:
        file.write(text_of({secret("b"): "echo:"}))
    os.utime(tokens.path + ".new", ns=(st.st_atime_ns, st.st_mtime_ns))
    os.rename(tokens.path + ".new", tokens.path)
    assert status(c, f"?token={secret('b')}") == 101


BROKEN = {
    "mistakes": f"{secret(1)}: echo:\n{secret(2)}\n{secret(3)}: nowhere\n",
    "half a line": f"{secret(1)}: echo:\n{secret(2)}: tcp://loc",
    "too large": "#\n" * (4 << 20) + "#",
    "binary": "\0" * 100,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_changes_nothing(mapped, tokens, kind):
    c = mapped({secret(1): "echo:", secret(2): "echo:"})
    ws = ask(c, secret(1))
    tokens.replace(BROKEN[kind])
    for _ in range(5):
        assert status(c, f"?token={secret(3)}") == 404  # looks at the file each time
        assert status(c, f"?token={secret(2)}") == 101
    warning = c.wait_log(r" warn .*the targets of before stay")
    assert len(warning) == 1
    assert f"{tokens.path}:{2 if kind in ('mistakes', 'half a line') else 1 if kind == 'binary' else 0}" in warning[0]
    tokens.replace({secret(3): "echo:"})
    assert status(c, f"?token={secret(3)}") == 101
    ws.send_text("all along")
    assert ws.recv_bytes(9) == b"all along"
    assert len(c.log_lines(" warn ")) == 1


def test_a_file_that_vanishes_changes_nothing(mapped, tokens):
    c = mapped({secret(1): "echo:"})
    ws = ask(c, secret(1))
    os.unlink(tokens.path)
    for _ in range(5):
        assert status(c, f"?token={secret(2)}") == 404
        assert status(c, f"?token={secret(1)}") == 101
    assert len(c.log_lines(r" warn .*the targets of before stay.*No such file")) == 1
    tokens.write({secret(2): "echo:"})
    assert status(c, f"?token={secret(2)}") == 101
    assert status(c, f"?token={secret(1)}") == 404
    ws.send_text("all along")
    assert ws.recv_bytes(9) == b"all along"


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_changes_nothing_and_holds_nobody_up(mapped, tokens, kind):
    c = mapped({secret(1): "echo:"})
    os.unlink(tokens.path)
    if kind == "pipe":
        os.mkfifo(tokens.path)
    elif kind == "folder":
        os.mkdir(tokens.path)
    else:
        os.symlink("/dev/zero", tokens.path)
    assert status(c, f"?token={secret(2)}") == 404
    assert status(c, f"?token={secret(1)}") == 101
    assert len(c.log_lines(r" warn .*not a regular file")) == 1


def test_a_link_that_is_turned_round_is_a_change(mapped, tokens, tmp_path):
    """As containers' volumes do it."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokens").write_text(text_of({secret(name): "echo:"}))
    c = mapped({})
    os.unlink(tokens.path)
    os.symlink("data/tokens", tokens.path)
    for name in "abab":
        os.symlink(name, tmp_path / "data.new")
        os.rename(tmp_path / "data.new", tmp_path / "data")
        assert status(c, f"?token={secret(name)}") == 101
        wait_until(lambda: status(c, f"?token={secret('ba'['ab'.index(name)])}") == 404, "the other one to go")


@pytest.mark.tsan
def test_four_workers_look_up_while_the_file_is_replaced(mapped, tokens):
    """A token that is in all of the files always works; some who ask leave at once."""
    c = mapped({secret("kept"): "echo:", secret(0): "echo:"}, workers=4)
    stop = threading.Event()
    failures = []

    def talk(number):
        try:
            while not stop.is_set():
                ws = ask(c, secret("kept"))
                ws.send_text("hello")
                assert ws.recv_bytes(5) == b"hello"
                ws.reset()
                wire = c.wire()
                wire.send(upgrade_request(f"/x?token={secret('unknown')}"))
                if number % 2:
                    wire.reset()
                else:
                    assert read_answer(wire).status == 404
                    wire.close()
        except Exception as failure:  # told by the main thread
            failures.append(failure)

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for i in range(1, 51):
        if i % 10 == 0:
            c.signal(signal.SIGHUP)
        if i % 10 == 5:
            tokens.replace(f"{secret()} broken\n")
        tokens.replace({secret("kept"): "echo:", **{secret(j): "echo:" for j in range(i, i + 200)}})
        assert status(c, f"?token={secret(i + 199)}") == 101
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    wait_until(lambda: status(c, f"?token={secret(49)}") == 404, "the first ones to go")


def test_reading_again_and_again_leaves_nothing_behind(mapped, tokens):
    c = mapped({secret(j): "echo:" for j in range(1000)})

    def read_often():
        for i in range(100):
            tokens.replace({secret(i): "echo:", **{secret(j): "echo:" for j in range(1000, 1999)}})
            ask(c, secret(i)).leave()
            tokens.replace(f"{secret()} broken\n")
            assert status(c, f"?token={secret('unknown')}") == 404
            c.close_clients()
        tokens.replace({secret(j): "echo:" for j in range(1000, 2000)})
        ask(c, secret(1999)).leave()
        wait_until(lambda: c.stats().connections == 0, "all to end")
        return c.stats()

    rounds = [read_often() for _ in range(4)]
    assert rounds[3].fds == rounds[0].fds
    # 50 bytes a reading would be 10,000; tables of libraries grow once with the descriptors.
    assert abs(rounds[3].live_bytes - rounds[1].live_bytes) < 4096, rounds


def test_a_reload_reads_the_map_and_refuses_a_broken_one(mapped, tokens, peer):
    target = peer(Target)
    c = mapped({secret(1): f"127.0.0.1:{target.port}"})
    ws, conn = reaches(c, secret(1), target)
    tokens.replace({secret(2): "echo:"})
    c.signal(signal.SIGHUP)
    c.wait_log("main reloaded")
    assert status(c, f"?token={secret(1)}") == 404
    assert status(c, f"?token={secret(2)}") == 101
    tokens.replace(f"{secret()} broken\n")
    c.expect_error(rf"target: {tokens.path}:1: expected|not reloaded")
    c.signal(signal.SIGHUP)
    c.wait_log(rf" error .*target: {tokens.path}:1: expected")
    assert status(c, f"?token={secret(2)}") == 101
    ws.send_binary(b"more")
    assert conn.read(4) == b"more"


# ---- S11 ----


def test_s11_no_text_of_a_client_becomes_a_target(mapped, peer, tmp_path):
    there = peer(Recorder)
    unix = peer(Recorder, path=str(tmp_path / "there"))
    host = f"127.0.0.1:{there.port}"
    c = mapped({secret(): "echo:", "other": "echo:"})
    for token in (
        host,
        f"tcp://{host}",
        f"x: {host}",
        f"x%0Ay: {host}",
        f"{secret()}%0A{host}",
        f"{secret()}: {host}",
        unix.url,
        unix.path,
        "../../../../etc/passwd",
        "/etc/passwd",
        "${HOME}",
        "${TARGET:-" + host + "}",
        "map:/etc/passwd",
        "files:/",
        "echo:",
        "*",
        "#",
        "%25",
    ):
        escaped = re.sub("[ #{}]", lambda m: "%%%02X" % ord(m.group()), token)
        assert status(c, f"?token={escaped}") == 404, token
        if secret() not in token:  # a query is logged, but for what a key calls secret
            assert status(c, f"?target={escaped}") == 404, token
    for query in (f"?token={secret()}&target={host}", f"?target=tcp://{host}&token={secret()}"):
        ws = c.ws(f"/x{query}", host=host, headers=[("X-Token", host), ("X-Forwarded-Host", host)])
        ws.send_text("echo")
        assert ws.recv_bytes(4) == b"echo"
    assert there.received == [] and unix.received == []


def test_s11_variables_in_a_map_are_not_expanded(culvert, tokens, peer):
    target = peer(Recorder)
    tokens.write("x: ${TARGET}\n")
    c = culvert(
        f"[route /x]\ntarget = map:{tokens.path}\n", ready=False, env={"TARGET": f"127.0.0.1:{target.port}"}
    )
    c.expected_status = 78
    assert c.wait_exit() == 78


# ---- the configuration ----


def test_check_names_the_maps_file_and_lines(tmp_path, tokens):
    tokens.write(f"{secret(1)}: echo:\n\n{secret(2)}: nowhere\n{secret(1)}: echo:\n")
    conf = tmp_path / "culvert.ini"
    conf.write_text(configuration("[route /x]\ntarget = map:tokens\n"))
    line = conf.read_text().split("\n").index("target = map:tokens") + 1
    for option in ("--check", "--dump"):
        result = run(option, "-c", str(conf))
        assert result.returncode == 78
        first, second = result.stderr.splitlines()
        assert first.startswith(f"{conf}:{line}: [route /x] target: {tokens.path}:3: expected HOST:PORT")
        assert second == f"{conf}:{line}: [route /x] target: {tokens.path}:4: the same token as in line 1"
        assert SECRET not in result.stderr + result.stdout


def test_a_start_with_a_broken_map_is_refused(culvert, tokens):
    tokens.write("no target\n")
    c = culvert(f"[route /x]\ntarget = map:{tokens.path}\n", ready=False)
    c.expected_status = 78
    assert c.wait_exit() == 78
    assert f"{tokens.path}:1: " in c.log_text()


@pytest.mark.parametrize("what", ["missing", "folder", "pipe"])
def test_a_map_that_cannot_be_read_is_a_mistake(tmp_path, tokens, what):
    if what == "folder":
        os.mkdir(tokens.path)
    elif what == "pipe":
        os.mkfifo(tokens.path)
    conf = tmp_path / "culvert.ini"
    conf.write_text(configuration("[route /x]\ntarget = map:tokens\n"))
    result = run("--check", "-c", str(conf))
    assert result.returncode == 78
    assert tokens.path in result.stderr and "[route /x] target: " in result.stderr


def test_dump_can_be_read_again(tmp_path, tokens):
    tokens.write({secret(): "echo:"})
    conf = tmp_path / "culvert.ini"
    conf.write_text(configuration("[route /x]\ntarget = map:tokens\n"))
    first = run("--dump", "-c", str(conf))
    assert first.returncode == 0
    assert f"target = map:{tokens.path}\n" in first.stdout and SECRET not in first.stdout
    second = run("--dump", "-c", "-", input=first.stdout, cwd="/")
    assert second.stdout == first.stdout


def test_a_map_on_the_command_line(culvert, tokens, peer):
    target = peer(Echo)
    tokens.write({"desk": f"127.0.0.1:{target.port}"})
    c = culvert(args=["127.0.0.1:0", f"map:{tokens.path}"])
    ws = c.ws("/websockify?token=desk")
    ws.send_text("hello")
    assert ws.recv_bytes(5) == b"hello"
    assert status(c, "?token=other") == 404


def test_two_routes_with_maps_of_their_own(culvert, tokens, peer, tmp_path):
    one, two = peer(Target), peer(Target)
    tokens.write({"desk": f"127.0.0.1:{one.port}"})
    other = tmp_path / "other"
    other.write_text(f"desk: 127.0.0.1:{two.port}\n")
    c = culvert(f"[route /x]\ntarget = map:{tokens.path}\n[route /y]\ntarget = map:{other}\nframing = line\n")
    reaches(c, "desk", one)
    ws = c.ws("/y?token=desk")
    ws.send_text("a line")
    assert two.accept().read(7) == b"a line\n"
