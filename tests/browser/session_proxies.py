# SPDX-License-Identifier: BSD-2-Clause
"""Proxies that are in a session's way."""

import contextlib
import os

from harness.peers import free_port
from harness.services import program, running

SQUID = """
http_port 127.0.0.1:{port}
cache deny all
memory_cache_shared off
netdb_filename none
pid_filename none
access_log none
cache_log stdio:/dev/null
coredump_dir none
pinger_enable off
dns_nameservers 127.0.0.1
shutdown_lifetime 0 seconds
visible_hostname localhost
"""


@contextlib.contextmanager
def squid(folder, text):
    """
    The port of a forward proxy; text: its rules. It writes no file, and is nobody from the start: a
    process that gives up root by itself is not ended with the test when that is killed.
    """
    port = free_port()
    conf = folder / "squid.conf"
    conf.write_text(SQUID.format(port=port) + text)
    nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with open(conf) as file:
        # By its descriptor, as nobody may not look into the folder.
        arguments = [program("squid"), "-N", "-d", "1", "-f", f"/dev/fd/{file.fileno()}"]
        with running(arguments, port, folder / "squid.log", pass_fds=[file.fileno()], **nobody):
            yield port
