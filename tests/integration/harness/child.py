# SPDX-License-Identifier: BSD-2-Clause
"""Processes that do not outlive the tests, however those end."""

import ctypes
import signal
import subprocess

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def spawn(args, end=signal.SIGKILL, **options):
    """subprocess.Popen(), but the kernel sends the signal `end` when the parent is gone."""
    return subprocess.Popen(args, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, end), **options)
