# SPDX-License-Identifier: BSD-2-Clause
"""Culvert as it is spoken to otherwise than by a plain WebSocket, and the servers beside it."""

import os

from servers import Culvert, Server, free_port


class Spoken(Culvert):
    """The process that serves plain WebSockets, too: two processes would differ by where their memory
    lies."""

    def start(self, wrapper=()):
        if wrapper:
            return super().start(wrapper)
        plain = self.bench.server(Culvert)
        self.ports, self.tls_ports, self.processes = plain.ports, plain.tls_ports, plain.processes
        return self

    def output(self):
        return self.bench.server(Culvert).output()


class Session(Spoken):
    name = "session"
    speaks = "session"


class SessionSse(Spoken):
    name = "session-sse"
    speaks = "session-sse"


class SessionPoll(Spoken):
    name = "session-poll"
    speaks = "session-poll"


class Bare(Spoken):
    """An EventSource that knows nothing of sessions."""

    name = "bare-sse"
    speaks = "eventsource"


class Nchan(Server):
    """Its lines are published by POST; the publisher is in the load, on connections of its own."""

    name = "nchan"
    speaks = "eventsource"
    path_of_role = True
    module = "/usr/lib/nginx/modules/ngx_nchan_module.so"
    needs = ("nginx", module)

    def start(self, wrapper=()):
        port = free_port()
        self.ports = {"lines": port}
        conf = self.write(
            "nginx.conf",
            f"load_module {self.module};\nuser root;\ndaemon off;\nworker_processes 1;\n"
            f"pid {self.folder}/pid;\nerror_log {self.folder}/error.log;\n"
            "events { worker_connections 10000; }\n"
            "http {\n  access_log off;\n  keepalive_requests 100000000;\n  nchan_shared_memory_size 64M;\n"
            f"  server {{\n    listen 127.0.0.1:{port} backlog=4096;\n"
            "    location ~ ^/publish/(.+)$ {\n      nchan_publisher;\n      nchan_channel_id $1;\n"
            "      nchan_message_buffer_length 100;\n      nchan_message_timeout 10s;\n    }\n"
            "    location ~ ^/lines/(.+)$ {\n      nchan_subscriber eventsource longpoll;\n"
            "      nchan_channel_id $1;\n    }\n  }\n}\n",
        )
        self.run(["nginx", "-p", self.folder, "-c", conf, "-e", f"{self.folder}/error.log"], wrapper)
        return self.wait()

    def path(self, role):
        return f"/{role}/"

    def options(self, role):
        return ["-U", "/publish/"]


class NchanPoll(Nchan):
    name = "nchan-poll"
    speaks = "longpoll"


class NchanPublish(Nchan):
    """What the POSTs alone cost."""

    name = "nchan-post"
    speaks = "publish"


class NodeSse(Server):
    name = "node"
    speaks = "eventsource"
    needs = ("node",)

    def start(self, wrapper=()):
        self.ports = {"lines": free_port()}
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sse_server.js")
        self.run(["node", script, str(self.ports["lines"]), str(self.bench.target.ports["lines"])], wrapper)
        return self.wait()
