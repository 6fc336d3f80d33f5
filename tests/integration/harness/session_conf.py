# SPDX-License-Identifier: BSD-2-Clause
"""Configurations for tests of sessions."""

# A session whose client is away is kept for as long as this when culvert stops.
SERVER = "[server]\ndrain_timeout = 100ms\n"
ECHO = f"{SERVER}[route /x]\ntarget = echo:\n"


def to(target, more="", server=SERVER):
    """One route; more: further lines of it, or sections after it."""
    return f"{server}[route /x]\ntarget = {target.url}\n{more}\n"
