# SPDX-License-Identifier: BSD-2-Clause
"""Files from a directory: what is served, how, and what must never be (S17)."""

import email.utils
import hashlib
import os
import time

import pytest

from harness.http import read_answer, read_head, request
from harness.wait import wait_until

BIG = 20_000_000


@pytest.fixture
def www(tmp_path):
    """A directory to serve, with a secret beside it."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "www-other").mkdir()
    (tmp_path / "www-other" / "secret.txt").write_text("secret")
    root = tmp_path / "www"
    root.mkdir()
    (root / "index.html").write_text("<p>index")
    (root / "plain.txt").write_text("0123456789")
    (root / "empty.txt").write_text("")
    (root / "sub").mkdir()
    (root / "sub" / "index.html").write_text("<p>sub")
    (root / "sub" / "page.html").write_text("<p>page")
    (root / "bare").mkdir()
    return root


@pytest.fixture
def serve(culvert, www):
    """culvert with that directory at a path."""

    def start(path="/", **options):
        return culvert(f"[route {path}]\ntarget = files:{www}", **options)

    return start


def get(server, path, method="GET", **headers):
    client = server.http()
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return client.ask(method, path, headers=fields)


# ---- what is served ----


def test_file_with_its_headers(serve, www):
    answer = get(serve(), "/plain.txt")
    assert answer.status == 200
    assert answer.body == b"0123456789"
    assert answer["content-type"] == "text/plain; charset=utf-8"
    assert answer["content-length"] == "10"
    assert answer["x-content-type-options"] == "nosniff"
    assert answer["accept-ranges"] == "bytes"
    assert answer["etag"].startswith('"')
    modified = email.utils.parsedate_to_datetime(answer["last-modified"]).timestamp()
    assert modified == int(os.stat(www / "plain.txt").st_mtime)


@pytest.mark.parametrize(
    "name, media_type",
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.MJS", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.wasm", "application/wasm"),
        ("a.woff2", "font/woff2"),
        ("a.xyz", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_media_type(serve, www, name, media_type):
    (www / name).write_text("x")
    assert get(serve(), f"/{name}")["content-type"] == media_type


def test_empty_file(serve):
    answer = get(serve(), "/empty.txt")
    assert (answer.status, answer.body, answer["content-length"]) == (200, b"", "0")


def test_index_of_a_directory(serve):
    server = serve()
    for path, body in ("/", b"<p>index"), ("/sub/", b"<p>sub"):
        answer = get(server, path)
        assert (answer.status, answer.body) == (200, body)
        assert answer["content-type"] == "text/html; charset=utf-8"


def test_directory_without_an_index_is_not_listed(serve, www):
    (www / "bare" / "hidden-name.txt").write_text("x")
    answer = get(serve(), "/bare/")
    assert answer.status == 404
    assert b"hidden-name" not in answer.body


def test_directory_without_a_slash_is_redirected(serve):
    answer = get(serve(), "/sub?x=1&y=%41")
    assert answer.status == 301
    assert answer["location"] == "/sub/?x=1&y=%41"


def test_redirect_leads_through_the_route(serve):
    answer = get(serve("/files/"), "/files/sub")
    assert (answer.status, answer["location"]) == (301, "/files/sub/")


def test_redirect_holds_no_raw_bytes(serve, www):
    (www / "odd\r\nname").mkdir()
    answer = get(serve(), "/odd%0d%0aname")
    assert answer.status in (301, 400)
    assert answer["location"] in ("/odd%0d%0aname/", None)


def test_prefix_of_the_route_is_taken_off(serve):
    server = serve("/files/")
    assert get(server, "/files/plain.txt").body == b"0123456789"
    assert get(server, "/files/").body == b"<p>index"
    assert get(server, "/plain.txt").status == 404


def test_name_that_is_encoded(serve, www):
    (www / "grüße und mehr+%.txt").write_text("umlaut")
    answer = get(serve(), "/gr%C3%BC%C3%9Fe%20und%20mehr+%25.txt")
    assert (answer.status, answer.body) == (200, b"umlaut")


def test_what_is_not_there(serve):
    server = serve()
    for path in "/nothing", "/sub/nothing", "/plain.txt/", "/plain.txt/x", "/" + "x" * 300, "/x" * 3000:
        assert get(server, path).status == 404, path


def test_several_requests_on_one_connection(serve):
    client = serve().http()
    etag = client.ask(path="/plain.txt")["etag"]
    assert client.ask("HEAD", "/plain.txt").status == 200
    assert client.ask(path="/plain.txt", headers=[("If-None-Match", etag)]).status == 304
    assert client.ask(path="/nothing").status == 404
    assert client.ask(path="/plain.txt", headers=[("Range", "bytes=2-3")]).body == b"23"
    assert client.ask(path="/sub/page.html").body == b"<p>page"


def test_pipelined_requests_are_answered_in_order(serve):
    client = serve().http()
    client.send(request(path="/plain.txt") + request(path="/sub/page.html") + request(path="/"))
    bodies = [read_answer(client).body for _ in range(3)]
    assert bodies == [b"0123456789", b"<p>page", b"<p>index"]


def test_http_1_0(serve):
    client = serve().http()
    answer = client.ask(path="/plain.txt", version="1.0")
    assert answer.body == b"0123456789"
    assert client.read_to_end() == b""


def test_web_directory_beside_a_target(culvert, www):
    server = culvert(f"[route /]\ntarget = echo:\nweb = {www}")
    assert get(server, "/plain.txt").body == b"0123456789"
    ws = server.ws("/plain.txt")
    ws.send_binary(b"hello")
    assert ws.recv_bytes(5) == b"hello"


def test_web_directory_on_the_command_line(culvert, www):
    server = culvert(args=["--web", str(www), "127.0.0.1:0", "echo:"])
    assert get(server, "/sub/page.html").body == b"<p>page"
    assert get(server, "/..%2fsecret.txt").status == 400


# ---- methods ----


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
def test_other_methods(serve, method):
    answer = get(serve(), "/plain.txt", method)
    assert answer.status == 405
    assert {name.strip() for name in answer["allow"].split(",")} >= {"GET", "HEAD"}


def test_head_is_get_without_the_body(serve):
    server = serve()
    client = server.http()
    head = client.ask("HEAD", "/plain.txt")
    whole = client.ask("GET", "/plain.txt")
    drop = ("date",)
    assert [h for h in head.headers if h[0] not in drop] == [h for h in whole.headers if h[0] not in drop]
    assert head.status == 200
    assert client.ask("HEAD", "/nothing").status == 404
    assert client.ask("HEAD", "/sub").status == 301
    assert client.ask("GET", "/plain.txt").body == b"0123456789"


# ---- validators ----


def test_not_modified_by_tag(serve):
    server = serve()
    etag = get(server, "/plain.txt")["etag"]
    for value in etag, f'"x", {etag}', f"W/{etag}", "*":
        answer = get(server, "/plain.txt", If_None_Match=value)
        assert answer.status == 304, value
        assert answer["etag"] == etag
    assert get(server, "/plain.txt", If_None_Match='"x"').status == 200
    assert get(server, "/plain.txt", "HEAD", If_None_Match=etag).status == 304


def test_not_modified_by_date(serve):
    server = serve()
    modified = get(server, "/plain.txt")["last-modified"]
    before = email.utils.formatdate(email.utils.parsedate_to_datetime(modified).timestamp() - 1, usegmt=True)
    assert get(server, "/plain.txt", If_Modified_Since=modified).status == 304
    assert get(server, "/plain.txt", If_Modified_Since=before).status == 200
    assert get(server, "/plain.txt", If_Modified_Since="yesterday").status == 200
    # a tag decides alone
    assert get(server, "/plain.txt", If_Modified_Since=modified, If_None_Match='"x"').status == 200


def test_tag_follows_the_content(serve, www):
    server = serve()
    etag = get(server, "/plain.txt")["etag"]
    (www / "plain.txt").write_text("9876543210")
    os.utime(www / "plain.txt", ns=(time.time_ns(), time.time_ns() + 1000))
    answer = get(server, "/plain.txt", If_None_Match=etag)
    assert (answer.status, answer.body) == (200, b"9876543210")
    assert answer["etag"] != etag


def test_precondition_failed(serve):
    server = serve()
    etag = get(server, "/plain.txt")["etag"]
    assert get(server, "/plain.txt", If_Match='"x"').status == 412
    assert get(server, "/plain.txt", If_Match=etag).status == 200


# ---- ranges ----


@pytest.mark.parametrize(
    "value, body, content_range",
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=3-99999999999999999999999", b"3456789", "bytes 3-9/10"),
    ],
)
def test_range(serve, value, body, content_range):
    answer = get(serve(), "/plain.txt", Range=value)
    assert (answer.status, answer.body) == (206, body)
    assert answer["content-range"] == content_range
    assert answer["content-length"] == str(len(body))


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"])
def test_range_outside(serve, value):
    answer = get(serve(), "/plain.txt", Range=value)
    assert answer.status == 416
    assert answer["content-range"] == "bytes */10"


@pytest.mark.parametrize("value", ["bytes=0-1,4-5", "lines=0-3", "bytes=3-1", "bytes", "bytes=-", "bytes=a-b"])
def test_range_that_is_ignored(serve, value):
    answer = get(serve(), "/plain.txt", Range=value)
    assert (answer.status, answer.body) == (200, b"0123456789")


def test_if_range(serve):
    server = serve()
    whole = get(server, "/plain.txt")
    for value in whole["etag"], whole["last-modified"]:
        assert get(server, "/plain.txt", Range="bytes=0-1", If_Range=value).body == b"01"
    for value in '"x"', "W/" + whole["etag"], "Sun, 06 Nov 1994 08:49:37 GMT":
        answer = get(server, "/plain.txt", Range="bytes=0-1", If_Range=value)
        assert (answer.status, answer.body) == (200, b"0123456789"), value


# ---- S17: nothing from outside ----


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/sub/../plain.txt",
        "/./plain.txt",
        "/..",
        "/sub/..",
        "//secret.txt",
        "//plain.txt",
        "/sub//page.html",
        "/%2e%2e/secret.txt",
        "/%2E%2E/secret.txt",
        "/.%2e/secret.txt",
        "/%2e./secret.txt",
        "/%2e/plain.txt",
        "/..%2fsecret.txt",
        "/sub%2fpage.html",
        "/sub%2Fpage.html",
        "/%2fetc/passwd",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "/sub\\page.html",
        "/sub%5cpage.html",
        "/plain.txt%00.html",
        "/%",
        "/%2",
        "/%zz",
    ],
)
@pytest.mark.parametrize("route", ["/", "/files/"])
def test_s17_paths_that_could_lead_out(serve, path, route):
    answer = get(serve(route), route.rstrip("/") + path)
    assert answer.status == 400
    assert b"secret" != answer.body


@pytest.mark.parametrize("path", ["/%252e%252e/secret.txt", "/..%252fsecret.txt", "/%c0%ae%c0%ae/secret.txt", "/...", "/~root", "/ok/%09"])
def test_s17_paths_that_name_nothing(serve, path):
    assert get(serve(), path).status in (400, 404)


def test_s17_absolute_form_does_not_lead_out(serve):
    server = serve()
    client = server.http()
    answer = client.ask(path="http://localhost/../secret.txt")
    assert answer.status == 400


def test_s17_links_out_of_the_directory(serve, www, tmp_path):
    (www / "file-out.txt").symlink_to("../secret.txt")
    (www / "absolute-out.txt").symlink_to(tmp_path / "secret.txt")
    (www / "dir-out").symlink_to("..")
    (www / "sibling-out").symlink_to("../www-other")
    (www / "chain-out.txt").symlink_to("sub/chain.txt")
    (www / "sub" / "chain.txt").symlink_to("../../secret.txt")
    (www / "there-and-back.txt").symlink_to("../www/plain.txt")
    (www / "system").symlink_to("/etc")
    (www / "self").symlink_to("/proc/self/root")
    server = serve()
    for path in (
        "/file-out.txt",
        "/absolute-out.txt",
        "/dir-out/secret.txt",
        "/dir-out",
        "/sibling-out/secret.txt",
        "/chain-out.txt",
        "/there-and-back.txt",
        "/system/passwd",
        "/self/etc/passwd",
    ):
        answer = get(server, path)
        assert answer.status == 404, path


def test_s17_links_inside_of_the_directory(serve, www):
    (www / "file-in.txt").symlink_to("plain.txt")
    (www / "sub" / "up-in.txt").symlink_to("../plain.txt")
    (www / "dir-in").symlink_to("sub")
    server = serve()
    assert get(server, "/file-in.txt").body == b"0123456789"
    assert get(server, "/sub/up-in.txt").body == b"0123456789"
    assert get(server, "/dir-in/page.html").body == b"<p>page"


def test_s17_links_in_a_circle(serve, www):
    (www / "round.txt").symlink_to("about.txt")
    (www / "about.txt").symlink_to("round.txt")
    assert get(serve(), "/round.txt").status == 404


def test_s17_hidden_files(serve, www):
    (www / ".htpasswd").write_text("secret")
    (www / ".git").mkdir()
    (www / ".git" / "config").write_text("secret")
    (www / "sub" / ".env").write_text("secret")
    (www / ".well-known").mkdir()
    (www / ".well-known" / "thing").write_text("public")
    (www / ".well-known" / ".thing").write_text("secret")
    server = serve()
    for path in "/.htpasswd", "/%2ehtpasswd", "/.git/config", "/.git", "/.git/", "/sub/.env", "/.well-known/.thing":
        assert get(server, path).status == 404, path
    assert get(server, "/.well-known/thing").body == b"public"


def test_s17_only_regular_files(serve, www):
    os.mkfifo(www / "fifo.txt")
    assert get(serve(), "/fifo.txt").status == 404


def test_s17_nothing_is_served_by_default(culvert, www):
    server = culvert("[route /]\ntarget = echo:")
    for path in "/", "/index.html", "/culvert.ini", "/plain.txt":
        assert get(server, path).status == 426, path


def test_s17_errors_do_not_tell_where_the_directory_is(serve, www):
    (www / "file-out.txt").symlink_to("../secret.txt")
    server = serve()
    for path in "/nothing", "/file-out.txt", "/sub", "/bare/":
        answer = get(server, path)
        assert str(www).encode() not in answer.body + repr(answer.headers).encode()


# ---- big files ----


def write_big(www):
    content = os.urandom(1 << 20) * (BIG // (1 << 20) + 1)
    content = content[:BIG]
    (www / "big.bin").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_big_file_whole(serve, www):
    digest = write_big(www)
    answer = get(serve(), "/big.bin")
    assert len(answer.body) == BIG
    assert hashlib.sha256(answer.body).hexdigest() == digest


def test_big_file_to_a_slow_reader_takes_no_memory(serve, www):
    digest = write_big(www)
    server = serve()
    get(server, "/plain.txt")
    server.close_clients()
    before = server.stats().live_bytes
    client = server.http(receive_buffer=4096)
    client.send(request(path="/big.bin"))
    head = read_head(client)
    server.wait_quiet()
    assert server.stats().live_bytes - before < 400_000
    body = hashlib.sha256()
    left = int(head["content-length"])
    while left:
        piece = client.read(min(left, 10_000))
        body.update(piece)
        left -= len(piece)
    assert body.hexdigest() == digest
    assert client.ask(path="/plain.txt").body == b"0123456789"


def test_range_of_a_big_file(serve, www):
    write_big(www)
    content = (www / "big.bin").read_bytes()
    answer = get(serve(), "/big.bin", Range="bytes=1234567-9876543")
    assert answer.status == 206
    assert answer.body == content[1234567:9876544]


def test_small_request_is_served_while_a_big_file_goes_out(serve, www):
    write_big(www)
    server = serve()
    slow = server.http(receive_buffer=4096)
    slow.send(request(path="/big.bin"))
    read_head(slow)
    assert get(server, "/plain.txt").body == b"0123456789"


def test_file_that_shrinks_breaks_the_connection(serve, www):
    write_big(www)
    server = serve()
    client = server.http(receive_buffer=4096)
    client.send(request(path="/big.bin"))
    head = read_head(client)
    server.wait_quiet()
    os.truncate(www / "big.bin", 100)
    rest = client.read_to_end(reset_is_end=True)
    assert len(rest) < int(head["content-length"])
    server.wait_log("file broken off")


def test_client_that_leaves_gives_its_descriptors_back(serve, www):
    write_big(www)
    server = serve()
    before = server.fds()
    for how in "close", "reset":
        client = server.http(receive_buffer=4096)
        client.send(request(path="/big.bin"))
        read_head(client)
        getattr(client, how)()
    wait_until(lambda: server.fds() <= before, "files and connections to be closed")


def test_descriptors_after_every_kind_of_answer(serve, www):
    server = serve()
    client = server.http()
    assert client.ask(path="/nothing").status == 404
    before = server.fds()
    etag = client.ask(path="/plain.txt")["etag"]
    for path, method, headers in (
        ("/plain.txt", "GET", []),
        ("/plain.txt", "HEAD", []),
        ("/plain.txt", "GET", [("If-None-Match", etag)]),
        ("/plain.txt", "GET", [("If-Match", '"x"')]),
        ("/plain.txt", "GET", [("Range", "bytes=1-2")]),
        ("/plain.txt", "GET", [("Range", "bytes=99-")]),
        ("/empty.txt", "GET", []),
        ("/sub", "GET", []),
        ("/bare/", "GET", []),
        ("/nothing", "GET", []),
    ):
        client.ask(method, path, headers=headers)
    wait_until(lambda: server.fds() == before, "the files to be closed")
