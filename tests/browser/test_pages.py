# SPDX-License-Identifier: BSD-2-Clause
"""Pages that speak the language of a service themselves: IRC by lines, DNS by lengths."""

import os

import pytest
from chromium import HERE
from harness.services import ircd, name_server
from harness.ws import BINARY, TEXT

GREETING = "Grüße aus Köln, 世界! 🌍👋🏽"


@pytest.fixture
def irc(tmp_path):
    with ircd(tmp_path) as port:
        yield port


@pytest.fixture
def dns(tmp_path):
    with name_server(tmp_path, "--host-record=www.culvert.test,192.0.2.7",
                     "--address=/many.culvert.test/192.0.2.8", "--local=/culvert.test/") as port:
        yield port


def configuration(name, port, *lines):
    return "\n".join([f"[route /{name}]\ntarget = tcp://127.0.0.1:{port}", *lines,
                      f"[route /]\ntarget = files:{os.path.join(HERE, 'pages')}\n"])


def join(ws, nick):
    """Into #culvert, as a program; returns when the channel's list of names has come."""
    ws.send_text(f"NICK {nick}")
    ws.send_text(f"USER {nick} 0 * :{nick}")
    wait_line(ws, " 376 ")
    ws.send_text("JOIN #culvert")
    wait_line(ws, " 366 ")


def wait_line(ws, mark):
    while True:
        one = ws.recv_data()
        line = one.payload.decode()
        assert one.fin and one.opcode == TEXT and "\n" not in line and "\r" not in line
        if mark in line:
            return line


def test_a_page_talks_in_an_irc_channel(culvert, chromium, irc):
    c = culvert(configuration("irc", irc, "framing = line", "messages = text"))
    other = c.ws("/irc")
    join(other, "bert")
    assert chromium.goto(url=c.url("/irc.html?nick=anna", "http")) == 200
    chromium.wait_for("state === 'joined'", "the page to join")
    wait_line(other, " JOIN :#culvert")
    chromium.fill(selector="#text", text=GREETING)
    chromium.press(key="Enter")
    assert wait_line(other, " PRIVMSG ").endswith(f" PRIVMSG #culvert :{GREETING}")
    answers = ["Tschüß! 👩‍💻", "ein ü allein: ü", "é" * 150]
    for text in answers:
        other.send_text(f"PRIVMSG #culvert :{text}")
    shown = [f"anna: {GREETING}"] + [f"bert: {text}" for text in answers]
    chromium.wait_for(f"document.querySelectorAll('#said li').length === {len(shown)}")
    assert chromium.evaluate(code="[...document.querySelectorAll('#said li')].map((li) => li.textContent)") == shown
    # A message is a line: no end is left in one, none is empty, none is a part of one.
    assert chromium.evaluate(code="lines.every((line) => /^(:\\S+|PING) [^\\r\\n]+$/.test(line))")
    chromium.evaluate(code="quit()")
    chromium.wait_for("state === 'closed 1000'", "the server to let it go")


@pytest.mark.parametrize("messages", ["binary", "base64"])
def test_a_page_asks_a_name_server(culvert, chromium, dns, messages):
    c = culvert(configuration("dns", dns, "framing = length16", f"messages = {messages}"))
    chromium.goto(url=c.url(f"/dns.html?{messages}", "http"))
    chromium.wait_for("window.state === 'open'")
    for name in ("www.culvert.test", "a.b.many.culvert.test", "none.culvert.test"):
        chromium.fill(selector="#name", text=name)
        chromium.press(key="Enter")
    chromium.wait_for("document.querySelectorAll('#found li').length === 3")
    found = chromium.evaluate(code="[...document.querySelectorAll('#found li')].map((li) => li.textContent)")
    assert sorted(found) == ["a.b.many.culvert.test: 192.0.2.8", "none.culvert.test: no such name",
                             "www.culvert.test: 192.0.2.7"]
    # What is no question ends that connection alone.
    ws = c.ws("/dns")
    ws.send_frame(BINARY, b"x")
    assert chromium.evaluate(code="window.state") == "open"
