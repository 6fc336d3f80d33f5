# SPDX-License-Identifier: BSD-2-Clause
"""Servers that one publication fans out from, and ways for MQTT to a broker."""

from servers import TOOLS, Server, free_port

TOPIC = "bench/raw"


class TopicServer(Server):
    """
    listening: what its subscribers can be, as topics' -s says, with the path that they ask for.
    publishing: what its publishers are, as -m says.
    """

    listening = {}
    publishing = "post"
    topic = TOPIC
    headers = ()
    broker_behind = False
    slow = 1  # gets that part of the rounds

    def pids(self):
        return [process.pid for process in self.processes]

    def listen_path(self, kind):
        return self.listening[kind]

    def publish_path(self):
        return "/"

    def burst_options(self, burst):
        """Posts of a burst come at once, each on a connection of its own; other publishers send their
        burst in one piece."""
        return ["-j", str(burst)] if self.publishing == "post" else ["-k", str(burst)]

    def command(self, kind, count, burst):
        command = [f"{TOOLS}/topics", "-s", kind, "-P", self.listen_path(kind), "-c", str(count),
                   "-m", self.publishing, "-U", self.publish_path(), "-q", str(self.ports["publish"]),
                   "-t", self.topic, *self.burst_options(burst), *self.headers]
        for pid in self.pids():
            command += ["-p", str(pid)]
        return [*command, str(self.ports[kind] if kind in self.ports else self.ports["listen"])]


# ---- culvert ----

CULVERT_TOPICS = """
[route /live]
target = topics:
subscribe = bench/raw
publish = bench/raw
payload = raw
retain = no
origins = any
heartbeat = {heartbeat}
poll_wait = {heartbeat}
[route /json]
target = topics:
subscribe = bench/json
publish = bench/json
retain = no
origins = any
heartbeat = {heartbeat}
poll_wait = {heartbeat}
"""


class CulvertTopics(TopicServer):
    """On the memory bus; only the payload goes to a WebSocket or an EventSource."""

    name = "culvert"
    listening = {"ws": "/live", "sse": "/live", "poll": "/live"}
    headers = ("-H", "Accept: application/json")  # a poll is asked for by it
    bus = "memory:"

    def command(self, kind, count, burst):
        command = super().command(kind, count, burst)
        if kind != "poll":
            command.remove("-H")
            command.remove(self.headers[1])
        return command

    def write_conf(self, port):
        """A publisher's connection outlives the phases of the other servers."""
        return self.write(
            "culvert.ini",
            f"[server]\nlisten = 127.0.0.1:{port}\nworkers = 1\nadmin = off\n"
            "header_timeout = 10m\n[log]\nlevel = warn\naccess = no\n"
            f"[bus]\nurl = {self.bus}\n{CULVERT_TOPICS.format(heartbeat='10m')}")

    def listen_path(self, kind):
        return f"{self.listening[kind]}?topic={self.topic}"

    def publish_path(self):
        return f"{self.listening['ws']}?topic={self.topic}"

    def start(self, wrapper=()):
        port = free_port()
        self.ports = {"listen": port, "publish": port}
        self.run([self.bench.culvert, "-c", self.write_conf(port)], wrapper)
        return self.wait()


class CulvertJson(CulvertTopics):
    """The same process, and another route, with the topic and an id around the payload."""

    name = "culvert json"
    listening = {"ws": "/json", "sse": "/json", "poll": "/json"}
    topic = "bench/json"

    def start(self, wrapper=()):
        other = self.bench.server(CulvertTopics)
        self.ports, self.processes = other.ports, other.processes
        return self

    def output(self):
        return self.bench.server(CulvertTopics).output()


# ---- Mosquitto ----


def start_mosquitto(server):
    """A broker with a TCP listener on ports["broker"] and one for WebSockets on ports["broker-ws"]."""
    server.ports["broker"], server.ports["broker-ws"] = free_port(), free_port()
    conf = server.write(
        "mosquitto.conf",
        "user root\npersistence false\nlog_type error\nlog_dest stderr\nallow_anonymous true\n"
        "max_queued_messages 10000\n"
        f"listener {server.ports['broker']} 127.0.0.1\n"
        f"listener {server.ports['broker-ws']} 127.0.0.1\nprotocol websockets\n"
        f"listener 0 {server.folder}/broker.sock\n")
    server.run(["mosquitto", "-c", conf])


class Mosquitto(TopicServer):
    """Its own listener for WebSockets: each subscriber is a client of the broker."""

    name = "mosquitto ws"
    needs = ("mosquitto",)
    listening = {"mqtt-ws": "/mqtt"}
    publishing = "mqtt"

    def start(self, wrapper=()):
        start_mosquitto(self)
        self.ports.update({"mqtt-ws": self.ports["broker-ws"], "publish": self.ports["broker"]})
        return self.wait()

    def upload_command(self, count, burst):
        """So many publish by WebSocket, and one client of the broker's TCP listener gets it all."""
        command = [f"{TOOLS}/topics", "-s", "mqtt", "-m", "mqtt-ws", "-U", "/mqtt", "-q",
                   str(self.ports["mqtt-ws"]), "-t", self.topic, "-j", str(count), "-k", str(burst)]
        for pid in self.pids():
            command += ["-p", str(pid)]
        return [*command, str(self.ports["broker"])]


class CulvertBroker(CulvertTopics):
    """With Mosquitto behind, where the publisher is too. Both are counted."""

    name = "culvert+broker"
    broker_behind = True
    needs = ("mosquitto",)
    publishing = "mqtt"

    def start(self, wrapper=()):
        start_mosquitto(self)
        self.wait()
        self.bus = f"mqtt://127.0.0.1:{self.ports['broker']}"
        port = free_port()
        self.ports.update({"listen": port, "publish": self.ports["broker"]})
        self.run([self.bench.culvert, "-c", self.write_conf(port)], wrapper)
        return self.wait()


class CulvertBrokerJson(CulvertBroker):
    name = "culvert+broker json"
    listening = {"ws": "/json", "sse": "/json", "poll": "/json"}
    topic = "bench/json"

    def start(self, wrapper=()):
        other = self.bench.server(CulvertBroker)
        self.ports, self.processes = other.ports, other.processes
        return self

    def output(self):
        return self.bench.server(CulvertBroker).output()


# ---- MQTT through a proxy ----


class CulvertPass(Mosquitto):
    """WebSockets to the broker's TCP listener. Both are counted."""

    name = "culvert"
    broker_behind = True
    target = "target = mqtt://127.0.0.1:{port}\n"  # {folder}/broker.sock is the same one's

    def start(self, wrapper=()):
        start_mosquitto(self)
        Server.wait(self)
        port = free_port()
        self.ports.update({"mqtt-ws": port, "publish": self.ports["broker"]})
        conf = self.write(
            "culvert.ini",
            f"[server]\nlisten = 127.0.0.1:{port}\nworkers = 1\nadmin = off\n"
            "[log]\nlevel = warn\naccess = no\n"
            f"[route /mqtt]\n{self.target.format(port=self.ports['broker'], folder=self.folder)}origins = any\nheartbeat = 10m\n")
        self.run([self.bench.culvert, "-c", conf], wrapper)
        return self.wait()


class CulvertBytes(CulvertPass):
    """The same without a look at the packets."""

    name = "culvert tcp"
    target = "target = tcp://127.0.0.1:{port}\nsubprotocols = mqtt\n"


class CulvertUnix(CulvertPass):
    """WebSockets to the broker's unix socket, which its WebSocket listener cannot be on."""

    name = "culvert unix"
    target = "target = mqtt+unix:{folder}/broker.sock\n"


class NginxPass(Mosquitto):
    """To the broker's listener for WebSockets. Both are counted."""

    name = "nginx+mosquitto ws"
    broker_behind = True
    needs = ("mosquitto", "nginx")

    def start(self, wrapper=()):
        start_mosquitto(self)
        Server.wait(self)
        port = free_port()
        self.ports.update({"mqtt-ws": port, "publish": self.ports["broker"]})
        conf = self.write(
            "nginx.conf",
            "user root;\ndaemon off;\nworker_processes 1;\n"
            f"pid {self.folder}/pid;\nerror_log {self.folder}/error.log;\n"
            "events { worker_connections 19000; }\n"
            f"http {{\n  access_log off;\n  server {{\n    listen 127.0.0.1:{port} backlog=4096;\n"
            f"    location / {{\n      proxy_pass http://127.0.0.1:{self.ports['broker-ws']};\n"
            "      proxy_http_version 1.1;\n      proxy_set_header Upgrade $http_upgrade;\n"
            "      proxy_set_header Connection upgrade;\n      proxy_read_timeout 1h;\n    }\n  }\n}\n")
        self.run(["nginx", "-p", self.folder, "-c", conf, "-e", f"{self.folder}/error.log"], wrapper)
        return self.wait()


# ---- others ----


class NchanTopics(TopicServer):
    name = "nchan"
    module = "/usr/lib/nginx/modules/ngx_nchan_module.so"
    needs = ("nginx", module)
    listening = {"ws": "/live", "sse": "/live", "poll": "/poll"}

    def start(self, wrapper=()):
        port = free_port()
        self.ports = {"listen": port, "publish": port}
        conf = self.write(
            "nginx.conf",
            f"load_module {self.module};\nuser root;\ndaemon off;\nworker_processes 1;\n"
            f"pid {self.folder}/pid;\nerror_log {self.folder}/error.log;\n"
            "events { worker_connections 19000; }\n"
            "http {\n  access_log off;\n  keepalive_requests 100000000;\n  keepalive_timeout 1h;\n"
            "  nchan_shared_memory_size 64M;\n"
            f"  server {{\n    listen 127.0.0.1:{port} backlog=4096;\n"
            "    location = /publish {\n      nchan_publisher;\n      nchan_channel_id bench;\n"
            "      nchan_message_buffer_length 100;\n      nchan_message_timeout 10s;\n    }\n"
            "    location = /live {\n      nchan_subscriber websocket eventsource;\n"
            "      nchan_subscriber_first_message newest;\n      nchan_channel_id bench;\n    }\n"
            "    location = /poll {\n      nchan_subscriber longpoll;\n"
            "      nchan_subscriber_first_message newest;\n      nchan_channel_id bench;\n    }\n"
            "  }\n}\n")
        self.run(["nginx", "-p", self.folder, "-c", conf, "-e", f"{self.folder}/error.log"], wrapper)
        return self.wait()

    def publish_path(self):
        return "/publish"


class BareFanout(TopicServer):
    """One send() of the payload for each subscriber, and one recv() for each poll: the floor."""

    name = "bare send()"
    listening = {"raw": "/", "ask": "/"}
    publishing = "raw"

    def start(self, wrapper=()):
        self.ports = {"publish": free_port(), "listen": free_port()}
        self.run([f"{TOOLS}/fanout", str(self.ports["publish"]), str(self.ports["listen"])], wrapper)
        return self.wait()
