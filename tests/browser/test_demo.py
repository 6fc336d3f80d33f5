# SPDX-License-Identifier: BSD-2-Clause
"""The page of `make demo` in Chromium."""

import os
import signal
import subprocess

import pytest
from chromium import Chromium
from harness.child import spawn
from harness.culvert import BINARY, ROOT
from harness.peers import free_port
from harness.wait import DEADLINE


class Demo:
    """contrib/demo/run.sh, as `make demo` runs it, on free ports."""

    def __init__(self):
        self.port, calc = free_port(), free_port()
        self.process = spawn(
            [os.path.join(ROOT, "contrib/demo/run.sh"), BINARY],
            end=signal.SIGTERM,  # so that it ends what it has started
            env={**os.environ, "CULVERT_DEMO_PORT": str(self.port), "CULVERT_DEMO_CALC_PORT": str(calc)},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
        )
        said = ""
        while "Ctrl-C ends it" not in said:
            line = self.process.stdout.readline()
            assert line, f"run.sh has ended: {said}"
            said += line
        self.url = f"http://127.0.0.1:{self.port}/"
        assert self.url in said

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(DEADLINE)


@pytest.fixture
def demo():
    one = Demo()
    yield one
    one.stop()


def connect(chromium, demo, route):
    assert chromium.goto(url=demo.url) == 200
    chromium.clickOn(selector=f"label:has(input[value='{route}'])")
    chromium.clickOn(selector="#connect")
    chromium.wait_for("document.getElementById('state').dataset.state === 'open'", "the page to connect")


def wait_frame(chromium, direction, content):
    """A row of the page's log for a frame that went "out" or came "in"."""
    chromium.wait_for(
        f"[...document.querySelectorAll('#log tr.{direction}')].some((row) => row.innerText.includes({content!r}))",
        f"{content!r} in the log",
    )


def test_the_demo_page_echoes_and_shows_the_close_code(chromium, demo):
    connect(chromium, demo, "/echo")
    chromium.fill(selector="#message", text="there and back again")
    chromium.clickOn(selector="#send")
    wait_frame(chromium, "out", "there and back again")
    wait_frame(chromium, "in", "there and back again")
    chromium.wait_for("document.getElementById('received').innerText !== '0 B'", "the counter")
    chromium.fill(selector="#close-code", text="4001")
    chromium.clickOn(selector="#close")
    chromium.wait_for("!document.getElementById('ending').hidden", "the ending")
    assert chromium.text(selector="#end-code") == "4001"
    assert chromium.text(selector="#end-clean") == "wasClean: true"


def test_the_demo_page_talks_to_a_tcp_service(chromium, demo):
    connect(chromium, demo, "/calc")
    chromium.fill(selector="#message", text="2^64")
    chromium.clickOn(selector="#send")
    wait_frame(chromium, "in", "18446744073709551616")
    chromium.fill(selector="#message", text="quit")
    chromium.clickOn(selector="#send")
    chromium.wait_for("!document.getElementById('ending').hidden", "the ending")
    assert chromium.text(selector="#end-code") == "1000"


def test_the_demo_page_measures_a_burst(chromium, demo):
    connect(chromium, demo, "/echo")
    chromium.clickOn(selector="#burst")
    chromium.wait_for("document.getElementById('burst-result').classList.contains('done')", "the burst")
    assert "there and back" in chromium.text(selector="#burst-result")


def test_the_demo_page_shows_that_culvert_has_stopped(chromium, demo):
    connect(chromium, demo, "/echo")
    demo.stop()
    chromium.wait_for("!document.getElementById('ending').hidden", "the ending")
    assert chromium.text(selector="#end-code") == "1001"


@pytest.mark.parametrize("transport", ["websocket", "sse", "longpoll"])
def test_the_demo_page_loses_its_carrier_and_nothing_else(chromium, demo, transport):
    assert chromium.goto(url=demo.url) == 200
    chromium.select(selector="#transport", value=transport)
    chromium.clickOn(selector="#connect")
    chromium.wait_for("document.getElementById('state').dataset.state === 'open'", "the page to connect")
    for n in range(1, 4):
        lost = "once" if n == 1 else f"{n} times"
        chromium.clickOn(selector="#cut")
        chromium.wait_for(f"document.getElementById('carriers-summary').innerText.includes('lost {lost}')", "the loss")
        chromium.fill(selector="#message", text=f"after cut {n}")
        chromium.clickOn(selector="#send")
        wait_frame(chromium, "in", f"after cut {n}")
    chromium.fill(selector="#burst-count", text="5000")
    chromium.clickOn(selector="#burst")
    chromium.clickOn(selector="#cut")
    chromium.wait_for("document.getElementById('burst-result').classList.contains('done')", "the burst")
    assert "there and back" in chromium.text(selector="#burst-result")
    assert chromium.evaluate(code="document.querySelectorAll('#timeline .loss').length") >= 4
    chromium.clickOn(selector="#close")
    chromium.wait_for("!document.getElementById('ending').hidden", "the ending")
    assert chromium.text(selector="#end-code") == "1000"
    assert chromium.text(selector="#end-clean") == "wasClean: true"


@pytest.fixture
def two_pages(tmp_path, demo):
    with Chromium(tmp_path / "one") as one, Chromium(tmp_path / "two") as two:
        for page in (one, two):
            assert page.goto(url=demo.url) == 200
            page.wait_for("!document.getElementById('live').hidden", "what pages share")
        yield one, two


def say(page, name, words):
    page.fill(selector="#chat-name", text=name)
    page.fill(selector="#chat-text", text=words)
    page.press(key="Enter")


def wait_said(page, name, words):
    said = f"{name} {words}"
    page.wait_for(f"document.getElementById('chat-lines').innerText.includes({said!r})", f"{said!r} in the chat")


def test_demo_pages_share_a_chat(two_pages):
    ada, bob = two_pages
    say(ada, "ada", "Is anybody there?")
    say(bob, "bob", "On the other page.")
    for page in two_pages:
        wait_said(page, "ada", "Is anybody there?")
        wait_said(page, "bob", "On the other page.")
    ada.clickOn(selector="#live-cut")
    say(bob, "bob", "after the cut")
    wait_said(ada, "bob", "after the cut")
    for page in two_pages:
        assert page.evaluate(code="document.querySelectorAll('#chat-lines li').length") == 3
    assert "lost once" in ada.text(selector="#live-state")


def test_demo_pages_share_a_sensor(two_pages):
    points = "document.getElementById('chart-line').getAttribute('points').split(' ').length"
    values = []
    for page in two_pages:
        page.wait_for(f"{points} >= 6", "a chart that moves")
        values.append((float(page.text(selector="#chart-least")), float(page.text(selector="#chart-most"))))
    assert all(0 < least <= most < 40 for least, most in values)
    # The one that measures goes; the other goes on.
    two_pages[0].goto(url="about:blank")
    seen = two_pages[1].evaluate(code=points)
    two_pages[1].wait_for(f"{points} >= {seen + 4}", "the chart to go on")
