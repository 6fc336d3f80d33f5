# SPDX-License-Identifier: BSD-2-Clause
"""The log: its two formats, its file and what becomes of it, lines that repeat, secrets in queries."""

import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import threading

import pytest

from harness.culvert import ROOT, run
from harness.http import request
from harness.peers import free_port
from harness.wait import wait_until
from harness.ws import Refused

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TEXT_LINE = re.compile(rf"{TIME.pattern} (error|warn|info|debug|access|stats) +\S+ \S.*")


def text_of(path):
    with open(path, "rb") as file:
        return file.read()


def objects(data):
    """The lines of a JSON log; each is an object by itself."""
    assert data.endswith(b"\n")
    lines = data.decode().split("\n")[:-1]  # strict: it must be UTF-8
    found = [json.loads(line) for line in lines]
    for one in found:
        assert TIME.fullmatch(one["time"]) and one["who"] and ("message" in one) != ("event" in one)
        assert one["level"] in ("error", "warn", "info", "debug", "access", "stats")
    return found


def stop_and_read(c):
    c.stop()
    return text_of(c.log_path)


# ---- JSON ----


def test_json_has_types(culvert):
    c = culvert("[log]\nformat = json\n[route /x]\ntarget = echo:\n")
    ws = c.ws("/x?a=1")
    ws.send_text("hello")
    ws.recv_bytes(5)
    ws.leave(4321)
    assert c.http().ask(path="/none?b=2").status == 404
    found = objects(stop_and_read(c))
    (bridged,) = [one for one in found if one.get("event") == "websocket"]
    (asked,) = [one for one in found if one.get("event") == "request"]
    assert bridged["level"] == asked["level"] == "access"
    assert re.fullmatch(r"\d+-\d+", bridged["who"])
    assert (bridged["code"], bridged["in"], bridged["out"]) == (4321, 5, 5)
    assert isinstance(bridged["duration"], float) and bridged["ended_by"] == "client"
    assert (asked["status"], asked["path"], asked["query"]) == (404, "/none", "b=2")
    assert isinstance(asked["bytes"], int) and isinstance(asked["duration"], float)
    assert {"level": "info", "who": "main", "message": "stopped"}.items() <= found[-1].items()


def test_json_is_valid_whatever_clients_send(culvert):
    c = culvert("[log]\nformat = json\nlevel = debug\n[route /x]\ntarget = echo:\n")
    targets = [bytes([b]) for b in range(1, 256) if b not in b"\r\n #?"]
    targets += [b"%ff", b"%00", b'"%22\\', b"\xc3\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"y" * 2000,
                b'"' * 2000, b"\xc3\xa9" * 1000, b"x" * 511 + b"\xc3\xa9"]
    for target in targets:
        with c.wire() as wire:
            wire.send(b"GET /" + target + b"?q=" + target + b" HTTP/1.1\r\nHost: localhost\r\n"
                      b"Origin: http://" + target[:300] + b"\r\nConnection: close\r\n\r\n")
            wire.read_to_end(reset_is_end=True)
    reason = 'a"b\\c\n\x01\x7f\x9b\u2028 é 😀'
    ws = c.ws("/x")
    ws.send_close(1000, reason)
    ws.recv_to_close()
    ws.wait_closed()
    c.wait_log('"event":"websocket"')
    found = objects(stop_and_read(c))
    asked = [one for one in found if one.get("event") == "request"]
    assert len(asked) == len(targets)
    assert all({"route", "client", "status", "bytes", "duration"} & one.keys() >= {"client", "status", "duration"}
               for one in asked)
    assert asked[targets.index(b"y" * 2000)]["path"] == "/" + "y" * 510
    assert [one["reason"] for one in found if one.get("event") == "websocket"] == [reason]


def test_text_is_lines_whatever_clients_send(culvert):
    c = culvert("[log]\nlevel = debug\n[route /x]\ntarget = echo:\n")
    ws = c.ws("/x")
    ws.send_close(1000, '" forged=1\n2026-01-01T00:00:00.000Z error  main forged')
    ws.recv_to_close()
    ws.wait_closed()
    c.wait_event()
    data = stop_and_read(c).decode()
    assert all(TEXT_LINE.fullmatch(line) for line in data.split("\n")[:-1])
    assert r'reason="\" forged=1\x0a2026' in data


@pytest.mark.parametrize("level, shown", [("error", 0), ("warn", 1), ("info", 2), ("debug", 3)])
def test_level_says_what_is_logged(culvert, level, shown):
    c = culvert(f"[server]\nlisten = 127.0.0.1:{(port := free_port())}\n[log]\nlevel = {level}\n"
                f"[route /x]\ntarget = tcp://127.0.0.1:{free_port()}\n", ready=False)
    wire = wait_until(lambda: connected(c, port), "culvert to listen")
    with pytest.raises(Refused):
        wire.upgrade("/x")
    event = c.wait_event("request")
    assert event["status"] == "502"  # an access line has no level
    c.stop()
    kinds = ["warn", "info", "debug"]
    assert [bool(c.log_lines(rf"^\S+ {kind} ")) for kind in kinds] == [i < shown for i in range(3)]


def connected(c, port):
    try:
        return c.wire(("127.0.0.1", port))
    except ConnectionRefusedError:
        assert c.process.poll() is None, c.log_text()
        return None


# ---- the file ----


def test_lines_go_to_the_file_alone(culvert):
    text = "[log]\nfile = culvert-own.log\n[route /x]\ntarget = echo:\n"
    c = culvert(text)
    c.ws("/x").leave()
    c.wait_event()
    c.stop()
    assert text_of(c.stderr_path) == b""
    assert os.stat(c.log_path).st_mode & 0o777 & ~0o640 == 0
    before = text_of(c.log_path)
    c.start(ready=False)
    c.wait_log("listening on", 2)
    c.stop()
    assert text_of(c.log_path).startswith(before) and len(text_of(c.log_path)) > len(before)


@pytest.mark.parametrize("kind", ["no directory", "a directory", "a FIFO without a reader"])
def test_a_file_that_cannot_be_opened_is_a_mistake(tmp_path, kind):
    path = tmp_path / "log"
    if kind == "no directory":
        path = tmp_path / "none" / "log"
    elif kind == "a directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    conf = tmp_path / "culvert.ini"
    conf.write_text(f"[server]\nlisten = 127.0.0.1:0\nadmin = off\n[log]\nfile = {path}\n[route /x]\ntarget = echo:\n")
    done = run("-c", str(conf))
    assert done.returncode == 78
    assert re.search(rf"culvert\.ini:5: \[log\] file: .*{tmp_path}/", done.stderr)


class Load:
    """Requests without an end, from several threads; each is one access line."""

    def __init__(self, c, threads=4):
        self.c = c
        self.asked = [0] * threads
        self.failures = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        try:
            while not self.over.is_set():
                http = self.c.http()
                for _ in range(20):
                    assert http.ask(path=f"/none/{number}").status == 404
                    self.asked[number] += 1
                http.close()
        except Exception as failure:  # told by the main thread
            self.failures.append(failure)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        assert self.failures == []


@pytest.mark.tsan
@pytest.mark.parametrize("form", ["text", "json"])
def test_rotation_under_load_loses_no_line(culvert, form):
    c = culvert(f"[server]\nworkers = 4\n[log]\nformat = {form}\nfile = own.log\n[route /x]\ntarget = echo:\n")
    fds = c.fds()
    rotated = []
    with Load(c) as load:
        for i in range(12):
            progress = sum(load.asked)
            rotated.append(f"{c.log_path}.{i}")
            os.rename(c.log_path, rotated[-1])
            c.signal(signal.SIGUSR1)
            wait_until(lambda: os.path.exists(c.log_path) and os.path.getsize(c.log_path), "the new file")
            wait_until(lambda: load.failures or sum(load.asked) > progress + 20, "more requests")
    c.close_clients()
    wait_until(lambda: c.fds() == fds, "no more descriptors than before")
    c.stop()
    data = [text_of(path) for path in (*rotated, c.log_path)]
    if form == "json":
        found = [one for part in data for one in objects(part)]
        paths = [one["path"] for one in found if one.get("event") == "request"]
    else:
        lines = b"".join(data).decode().split("\n")[:-1]
        assert all(TEXT_LINE.fullmatch(line) for line in lines)
        paths = [m[1] for line in lines if (m := re.search(r" access \S+ request .* path=(\S+)", line))]
    assert [paths.count(f"/none/{i}") for i in range(4)] == load.asked
    assert not re.search(b"lines were lost", b"".join(data))


def test_reopening_that_fails_keeps_the_old_file(culvert):
    c = culvert("[log]\nfile = own.log\n[route /x]\ntarget = echo:\n")
    c.expect_error(r" log cannot open ")
    old = c.log_path + ".1"
    os.rename(c.log_path, old)
    os.mkdir(c.log_path)
    c.signal(signal.SIGUSR1)
    wait_until(lambda: b" error  log cannot open " in text_of(old), "the error")
    assert c.http().ask(path="/none").status == 404
    wait_until(lambda: b" request " in text_of(old), "the access line")
    os.rmdir(c.log_path)
    c.signal(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(c.log_path), "the new file")
    assert c.http().ask(path="/none").status == 404
    c.wait_event("request")


def test_usr1_without_a_file_changes_nothing(culvert):
    c = culvert("[route /x]\ntarget = echo:\n")
    c.signal(signal.SIGUSR1)
    assert c.http().ask(path="/none").status == 404
    c.wait_event("request")


# ---- a disk that is full ----


@contextlib.contextmanager
def small_disk(path, size):
    os.mkdir(path)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path]).returncode != 0:
        pytest.skip("no file systems can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def check_recovered(c, asked):
    """Whole lines but for one that was torn; how many were lost is told, and right."""
    lines = text_of(c.log_path).decode().split("\n")
    assert lines.pop() == "" and "" not in lines
    whole = [line for line in lines if TEXT_LINE.fullmatch(line)]
    requests = [line for line in whole if re.search(r" request .* duration=\d+\.\d{3}$| main the log goes on$", line)]
    torn = [line for line in lines if line not in whole or " request " in line and line not in requests]
    assert len(torn) <= 1
    lost = sum(int(m[1]) for line in whole if (m := re.search(r" warn   log (\d+) lines were lost$", line)))
    assert lost > 0 and len(requests) + lost == asked


def ask(c, n):
    http = c.http()
    for _ in range(n):
        assert http.ask(path="/" + "x" * 60).status == 404
    http.close()
    return n


def test_a_full_disk_loses_lines_and_nothing_else(culvert, tmp_path):
    with small_disk(tmp_path / "disk", "16k"):
        c = culvert(f"[log]\nfile = {tmp_path}/disk/own.log\n[route /x]\ntarget = echo:\n")
        ballast = tmp_path / "disk" / "ballast"
        ballast.write_bytes(bytes(8192))
        asked = 0
        while os.statvfs(tmp_path / "disk").f_bavail > 0:
            asked += ask(c, 10)
        asked += ask(c, 50)  # the last page had room
        ws = c.ws("/x")
        ws.send_text("still here")
        assert ws.recv_bytes(10) == b"still here"
        full = os.path.getsize(c.log_path)
        asked += ask(c, 100)
        assert os.path.getsize(c.log_path) == full
        ballast.unlink()
        asked += ask(c, 3)
        c.wait_log("lines were lost")
        ws.leave()
        c.wait_event("websocket")
        c.stop()
        check_recovered(c, asked)


@pytest.mark.tsan
def test_a_limit_of_file_size_loses_lines_and_nothing_else(culvert):
    c = culvert("[server]\nworkers = 4\n[log]\nfile = own.log\n[route /x]\ntarget = echo:\n",
                wrapper=("prlimit", "--fsize=5000:unlimited"))
    with Load(c) as load:
        wait_until(lambda: load.failures or os.path.getsize(c.log_path) == 5000, "the limit")
        seen = sum(load.asked)
        c.signal(signal.SIGUSR1)  # a line of main's, whose signals are not blocked
        wait_until(lambda: load.failures or sum(load.asked) > seen + 100, "more requests")
        subprocess.run(["prlimit", "--pid", str(c.pid), "--fsize=unlimited"], check=True)
        wait_until(lambda: load.failures or c.log_lines("lines were lost"), "lines again")
    c.stop()
    check_recovered(c, sum(load.asked) + 1)


def test_a_device_that_takes_nothing_stops_nothing(culvert):
    c = culvert(f"[server]\nlisten = 127.0.0.1:{(port := free_port())}\n[log]\nfile = /dev/full\n"
                "[route /x]\ntarget = echo:\n", ready=False)
    wire = wait_until(lambda: connected(c, port), "culvert to listen")
    ws = wire.upgrade("/x")
    ws.send_text("hello")
    assert ws.recv_bytes(5) == b"hello"
    ws.leave()
    c.log_path = c.stderr_path  # the device is full of zeros for who reads it


def test_a_reader_that_stops_stops_nothing(culvert, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        c = culvert(f"[server]\nlisten = 127.0.0.1:{(port := free_port())}\n[log]\nfile = {path}\n"
                    "[route /x]\ntarget = echo:\n", ready=False)
        c.log_path = c.stderr_path
        wait_until(lambda: connected(c, port), "culvert to listen")
        c.addresses = [("127.0.0.1", port)]
        asked = ask(c, 1000)  # more than a pipe holds
        data = drain(reader)
        asked += ask(c, 1)
        data += wait_until(lambda: drain(reader), "lines again")
        c.stop()
        data += drain(reader)
    finally:
        os.close(reader)
    lost = sum(map(int, re.findall(rb"log (\d+) lines were lost\n", data)))
    assert data.count(b" request ") + lost == asked


def drain(fd):
    data = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(fd, 65536):
            data += piece
    return data


# ---- lines that repeat ----


def test_a_target_that_is_down_does_not_fill_the_log(culvert):
    c = culvert(f"[route /x]\ntarget = tcp://127.0.0.1:{free_port()}\n[route /y]\ntarget = unix:/none\n")

    def attempt(path):
        with pytest.raises(Refused):
            c.ws(path)

    for _ in range(60):
        attempt("/x")
    attempt("/y")
    c.wait_event("request", 61)  # of those none is left out
    assert len(c.log_lines(r" warn   \d+-\d+ route /x: target ")) <= 20  # 10, and 10 of another window
    assert c.log_lines(r" warn   \d+-\d+ route /y: target ")  # another kind
    summed = r" warn   log route /x: target .*: .* \(repeated (\d+) times within 10 s\)$"

    def look():
        c.http().ask(path="/none")  # the next line after the window tells
        return c.log_lines(summed)

    wait_until(look, "the sum", timeout=60, step=0.2)
    for _ in range(15):
        attempt("/x")
    c.stop()  # and so does the end
    suppressed = sum(int(re.search(summed, line)[1]) for line in c.log_lines(summed))
    assert suppressed + len(c.log_lines(r" warn   \d+-\d+ route /x: target ")) == 75


# ---- secrets ----

SECRET = "Zq7Xw9Vk"
SPELLINGS = [
    "token", "%74oken", "%54%4f%4B%45n", "TOKEN", "session", "ticket", "access_token", "api_key", "apikey", "key",
    "auth", "password", "passwd", "pwd", "secret", "sig", "signature", "jwt", "code", "credential", "credentials",
    "%2574oken", "a;token", "", "user[password]", "X-Amz-Security-Token",
]


@pytest.mark.parametrize("form", ["text", "json"])
def test_s12_secrets_in_queries_are_not_logged(culvert, form, tmp_path):
    c = culvert(f"[log]\nlevel = debug\nformat = {form}\n[route /x]\ntarget = echo:\n"
                f"[route /down]\ntarget = tcp://127.0.0.1:{free_port()}\n[route /files/]\ntarget = files:{tmp_path}\n")
    queries = [f"room=7&{key}={SECRET}&last=1" for key in SPELLINGS]
    queries += [f"token={SECRET}&x=%", f"{'x' * 490}=1&token={SECRET}", f"to=%2Fp%3Ftoken%3D{SECRET}",
                f"a=1;token={SECRET}", f"token={SECRET}={SECRET}", f"token%3D{SECRET}", f"{SECRET * 3}"]
    http = c.http()
    for query in queries:
        for path in ("/x", "/files/none", "/none"):
            answer = http.ask(path=f"{path}?{query}")
            if answer["connection"] == "close":
                http = c.http()
    c.ws(f"/x?token={SECRET}").leave()
    with pytest.raises(Refused):
        c.ws(f"/down?token={SECRET}")
    c.wire().send(b"GET /x?token=" + SECRET.encode() + b" HTTP/9.9\r\n\r\n")
    c.wire().send(b"GET /x?token=" + SECRET.encode())
    c.ws("/x").leave()
    log = stop_and_read(c).decode()
    assert SECRET not in log
    shown = "room=7&token=***&last=1"
    assert (f'"query":"{shown}"' if form == "json" else f" query={shown} ") in log


def test_queries_are_logged_if_there_is_one(culvert):
    c = culvert("[route /x]\ntarget = echo:\n")
    http = c.http()
    http.ask(path="/x")
    http.ask(path="/x?")
    http.ask(path="/x?room=7&lang=de%20at")
    c.wait_event("request", 3)
    assert [event.fields.get("query") for event in c.events("request")] == [None, None, "room=7&lang=de%20at"]


# ---- what the manual page says ----


def fields_in_the_code():
    """The names in all tables of struct log_field."""
    found = set()
    for path in glob.glob(os.path.join(ROOT, "src", "**", "*.c"), recursive=True):
        with open(path, encoding="utf-8") as file:
            for table in re.findall(r"struct log_field\s+\w+\[[^]]*\]\s*=\s*\{(.*?)\n\s*\};", file.read(), re.S):
                found |= set(re.findall(r'\.name\s*=\s*"(\w+)"', table))
    return found


def test_every_field_is_documented():
    names = fields_in_the_code()
    assert {"route", "ended_by", "query", "live_bytes"} <= names
    assert not names & {"time", "level", "who", "message", "event"}  # JSON's own
    with open(os.path.join(ROOT, "contrib", "man", "culvert.1"), encoding="utf-8") as file:
        logs = file.read().split(".Sh LOGS\n")[1].split("\n.Sh ")[0]
    documented = {name for line in re.findall(r"^\.It (.*)$", logs, re.M) for name in re.findall(r"Li (\w+)", line)}
    assert names - documented == set()
