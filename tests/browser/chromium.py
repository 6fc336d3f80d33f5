# SPDX-License-Identifier: BSD-2-Clause
"""A page in Chromium, driven through driver.mjs."""

import json
import os
import signal
import subprocess

from harness.child import spawn
from harness.wait import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = os.path.join(HERE, "node_modules")


def need(module):
    """The folder of an npm package that package.json names."""
    path = os.path.join(MODULES, module)
    assert os.path.isdir(path), f"{module} is missing: run contrib/install-deps.sh test"
    return path


class Chromium:
    """Any command of driver.mjs is a method: page.goto(url=…), page.evaluate(code=…)."""

    def __init__(self, profile, *arguments):
        need("playwright-core")
        self.errors_path = f"{profile}.log"
        self.errors = open(self.errors_path, "w")
        self.process = spawn(
            ["node", os.path.join(HERE, "driver.mjs"), str(profile), *arguments],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
        )
        self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("Chromium ended:\n" + self.console())
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(f"{answer['error']}\n{self.console()}")
        return answer["result"]

    def __getattr__(self, command):
        def call(**options):
            self.process.stdin.write(json.dumps({"command": command, **options}) + "\n")
            self.process.stdin.flush()
            return self._answer()

        return call

    def console(self):
        with open(self.errors_path) as file:
            return file.read()

    def wait_for(self, code, what=None):
        """Until the expression is truthy in the page; returns its value."""
        return wait_until(lambda: self.evaluate(code=code), what or code, step=0.1)

    def wait_pixel(self, x, y, colour, tolerance=12):
        """Until the pixel of the page is about that colour."""
        seen = []

        def near():
            seen.append(self.pixel(x=x, y=y))
            return all(abs(a - b) <= tolerance for a, b in zip(seen[-1], colour))

        try:
            wait_until(near, f"the colour {colour} at {x},{y}", step=0.2)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; last seen {seen[-1]}\n{self.console()}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Chromium's own processes are in our session; none may outlive the test.
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.errors.close()
