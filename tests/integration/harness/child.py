# SPDX-License-Identifier: BSD-2-Clause
"""Processes that do not outlive the tests, however those end."""

import ctypes
import os
import signal
import subprocess

from .wait import wait_until

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def spawn(args, end=signal.SIGKILL, **options):
    """subprocess.Popen(), but the kernel sends the signal `end` when the parent is gone."""
    return subprocess.Popen(args, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, end), **options)


def freeze(process):
    """None of its threads runs any more, until a SIGCONT: the signal alone returns before they have stopped."""
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: set(thread_states(process.pid)) == {"T"}, "all threads to stop")


def thread_states(pid):
    for task in os.scandir(f"/proc/{pid}/task"):
        try:
            with open(os.path.join(task.path, "stat")) as stat:
                yield stat.read().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended meanwhile
