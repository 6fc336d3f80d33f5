# SPDX-License-Identifier: BSD-2-Clause
"""HAProxy and nginx as processes of the test's own, in front of culvert or behind it."""

import os
import shutil
import subprocess

from .child import spawn
from .wait import wait_until
from .wire import connect


class Proxy:
    """ports: those that the configuration listens on; it is up when they answer."""

    def __init__(self, folder, ports, text):
        self.folder = os.path.join(str(folder), self.program)
        os.mkdir(self.folder)
        found = shutil.which(self.program, path=os.environ["PATH"] + ":/usr/sbin")
        assert found, f"{self.program} is missing: run contrib/install-deps.sh test"
        self.conf = os.path.join(self.folder, "conf")
        with open(self.conf, "w") as file:
            file.write(self.whole(text))
        self.output = os.path.join(self.folder, "output")
        with open(self.output, "wb") as output:
            self.process = spawn(
                [found, *self.arguments()], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        for port in ports:
            wait_until(lambda port=port: self._answers(port), f"{self.program} on port {port}")

    def _answers(self, port):
        assert self.process.poll() is None, open(self.output, errors="replace").read()
        try:
            connect(("127.0.0.1", port)).close()
            return True
        except ConnectionRefusedError:
            return False

    def close(self):
        self.process.kill()
        self.process.wait()


class Haproxy(Proxy):
    """text: listen sections."""

    program = "haproxy"

    def whole(self, text):
        return (
            "global\n  nbthread 1\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 10s\n"
            f"  timeout client 1m\n  timeout server 1m\n  timeout tunnel 1m\n{text}\n"
        )

    def arguments(self):
        return ["-db", "-f", self.conf]


class Nginx(Proxy):
    """text: an http or stream block; {folder} stands for a place to write to."""

    program = "nginx"

    def whole(self, text):
        return (
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
            "daemon off;\nmaster_process off;\nworker_processes 1;\n"
            f"pid {self.folder}/pid;\nerror_log {self.folder}/error.log;\n"
            "events { worker_connections 100; }\n" + text.replace("{folder}", self.folder)
        )

    def arguments(self):
        return ["-p", self.folder, "-c", self.conf, "-e", f"{self.folder}/error.log"]
