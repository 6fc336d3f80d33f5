# SPDX-License-Identifier: BSD-2-Clause
"""Waiting for something to become true, with a deadline instead of a fixed sleep."""

import time

# What takes a moment on an idle machine has this long on a busy one.
DEADLINE = 30.0


def wait_until(predicate, what="the condition", timeout=DEADLINE, step=0.01):
    """Returns the first truthy result of predicate()."""
    end = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(step)


class Stopwatch:
    def __init__(self):
        self.start = time.monotonic()

    @property
    def seconds(self):
        return time.monotonic() - self.start
