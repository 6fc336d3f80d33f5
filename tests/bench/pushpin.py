# SPDX-License-Identifier: BSD-2-Clause
"""Pushpin, and the application that it asks for each subscriber, by way of zurl."""

import http.client
import http.server
import os
import threading
import time

from servers import free_port
from topic_servers import TopicServer

# Without its limit on messages a second.
PUSHPIN = """[global]
include={{libdir}}/internal.conf
rundir={folder}/run
ipc_prefix=bench-
port_offset=0
stats_connection_ttl=120
[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port={port}
logdir={folder}/log
log_level=1
client_buffer_size=8192
client_maxconn=9000
condure_bin=condure
zurl_bin=zurl
[proxy]
zurl_out_specs=ipc://{folder}/run/zurl-in
zurl_out_stream_specs=ipc://{folder}/run/zurl-in-stream
zurl_in_specs=ipc://{folder}/run/zurl-out
routesfile={folder}/routes
debug=false
set_x_forwarded_protocol=proto-only
sig_iss=pushpin
sig_key=bench
updates_check=off
[handler]
push_in_spec=ipc://{folder}/run/in
push_in_sub_specs=ipc://{folder}/run/in-sub
push_in_sub_connect=false
push_in_http_addr=127.0.0.1
push_in_http_port={control}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
stats_spec=ipc://{folder}/run/stats
command_spec=ipc://{folder}/run/command
message_rate=100000000
message_hwm=100000000
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
stats_subscription_ttl=60
stats_report_interval=10
stats_format=tnetstring
"""

ZURL = """[General]
instance_id=
in_spec=ipc://{folder}/run/zurl-in
in_stream_spec=ipc://{folder}/run/zurl-in-stream
out_spec=ipc://{folder}/run/zurl-out
in_req_spec=ipc://{folder}/run/zurl-req
ipc_file_mode=660
defpolicy=allow
allow=
deny=
max_open_requests=9000
buffer_size=200000
timeout=600
in_hwm=100000
out_hwm=100000
"""


class Grip(http.server.BaseHTTPRequestHandler):
    """What Pushpin asks for each subscriber: it is told to hold it, on which channel. It runs beside the
    load and is not counted."""

    protocol_version = "HTTP/1.1"

    def reply(self, kind, body, *headers):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply("text/event-stream", b"", ("Grip-Hold", "stream"), ("Grip-Channel", "bench"))

    def do_POST(self):
        """A WebSocket over HTTP: events in chunks."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not body.startswith(b"OPEN"):
            self.reply("application/websocket-events", b"")
            return
        control = b'c:{"type":"subscribe","channel":"bench"}'
        events = b"OPEN\r\nTEXT %x\r\n%s\r\n" % (len(control), control)
        self.reply("application/websocket-events", events, ("Sec-WebSocket-Extensions", "grip"))

    def log_message(self, *_):
        pass


class Backend(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_):
        """Pushpin is gone before it has its answer: the measurement is over."""


class Pushpin(TopicServer):
    """Its polls lose what comes between two of them unless the application keeps it: there is none that does."""

    name = "pushpin"
    needs = ("pushpin", "condure", "zurl")
    listening = {"ws": "/ws", "sse": "/sse"}
    publishing = "grip"
    slow = 10
    topic = "bench"

    def start(self, wrapper=()):
        self.backend = Backend(("127.0.0.1", 0), Grip)
        threading.Thread(target=self.backend.serve_forever, daemon=True).start()
        backend = self.backend.server_address[1]
        port, control = free_port(), free_port()
        self.ports = {"listen": port, "publish": control}
        self.write("routes", f"*,id=bench 127.0.0.1:{backend},over_http\n")
        for name in ("run", "log"):
            os.mkdir(os.path.join(self.folder, name))
        conf = self.write("pushpin.conf", PUSHPIN.format(folder=self.folder, port=port, control=control))
        zurl = self.write("zurl.conf", ZURL.format(folder=self.folder))
        self.run(["zurl", f"--config={zurl}"], wrapper)
        self.run(["pushpin", f"--config={conf}"], wrapper)
        return self.wait()

    def wait(self):
        """Its ports are open some time before it knows its routes."""
        super().wait()
        end = time.monotonic() + 20
        while True:
            asking = http.client.HTTPConnection("127.0.0.1", self.ports["listen"], timeout=20)
            try:
                asking.request("GET", self.listening["sse"])
                if asking.getresponse().status == 200:
                    return self
            except OSError:
                pass
            finally:
                asking.close()
            if time.monotonic() > end:
                raise RuntimeError("pushpin answers no request")
            time.sleep(0.1)

    def publish_path(self):
        return "/publish/"

    def stop(self, *arguments, **options):
        super().stop(*arguments, **options)
        if hasattr(self, "backend"):
            self.backend.shutdown()
