# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/1.1 by hand: requests as bytes, answers taken apart strictly."""

from .wire import Wire


class Answer:
    def __init__(self, status, reason, headers, body=b""):
        self.status = status
        self.reason = reason
        self.headers = headers  # list of (lower-case name, value)
        self.body = body

    def all(self, name):
        return [value for key, value in self.headers if key == name.lower()]

    def __getitem__(self, name):
        """The value of the only header of that name; None if there is none."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} comes {len(values)} times"
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


def request(method="GET", path="/", host="localhost", headers=(), body=b"", version="1.1"):
    """A request as bytes. headers: pairs; host None leaves Host out."""
    lines = [f"{method} {path} HTTP/{version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def read_head(wire):
    head = wire.read_until(b"\r\n\r\n").decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    version, status, reason = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    headers = []
    for line in lines:
        name, value = line.split(":", 1)
        headers.append((name.lower(), value.strip()))
    names = [name for name, _ in headers]
    assert len(set(names)) == len(names), head  # culvert has no answer with a line twice
    return Answer(int(status), reason, headers)


def read_answer(wire, method="GET"):
    """A whole answer; its body ends where its framing says."""
    answer = read_head(wire)
    if method == "HEAD" or answer.status in (101, 204, 304):
        return answer
    if answer["transfer-encoding"] == "chunked":
        body = b""
        while size := int(wire.read_until(b"\r\n").split(b";")[0], 16):
            body += wire.read(size)
            assert wire.read(2) == b"\r\n"
        assert wire.read_until(b"\r\n") == b"\r\n"
        answer.body = body
    elif answer["content-length"] is not None:
        answer.body = wire.read(int(answer["content-length"]))
    else:
        answer.body = wire.read_to_end()
    return answer


class HttpClient(Wire):
    def ask(self, method="GET", path="/", **options):
        self.send(request(method, path, **options))
        return read_answer(self, method)
