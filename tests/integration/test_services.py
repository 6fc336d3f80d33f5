# SPDX-License-Identifier: BSD-2-Clause
"""Services that speak in messages, through `framing`: IRC and Redis by lines, DNS and ssh-agent by lengths."""

import asyncio
import base64
import ipaddress
import struct

import pytest
import websockets
from harness.services import ircd, name_server, redis_server, ssh_agent
from harness.wait import DEADLINE

GREETING = "Grüße aus Köln, 世界! 🌍👋🏽"


@pytest.fixture
def irc(tmp_path):
    with ircd(tmp_path) as port:
        yield port


@pytest.fixture
def dns(tmp_path):
    long = ",".join("x" * 250 for _ in range(12))
    with name_server(tmp_path, "--host-record=www.culvert.test,192.0.2.7,2001:db8::7",
                     "--txt-record=long.culvert.test," + long) as port:
        yield port


# ---- IRC ----


class Chatter:
    """Sends lines without their ends, and asserts that each message is one whole line."""

    def __init__(self, ws, nick):
        self.ws = ws
        self.nick = nick

    async def lines_until(self, mark):
        """The lines up to the one that holds mark."""
        lines = []
        while not lines or mark not in lines[-1]:
            line = await asyncio.wait_for(self.ws.recv(), DEADLINE)
            assert isinstance(line, str) and line and "\n" not in line and "\r" not in line
            if line.startswith("PING "):
                await self.ws.send("PONG " + line[5:])
            lines.append(line)
        return lines

    async def enter(self, channel):
        await self.ws.send(f"NICK {self.nick}")
        await self.ws.send(f"USER {self.nick} 0 * :{self.nick}")
        lines = await self.lines_until(" 376 ")  # the end of the message of the day
        assert any(line.endswith("Grüß Gott") for line in lines)
        await self.ws.send(f"JOIN {channel}")
        await self.lines_until(f" 366 {self.nick} {channel} ")

    async def say(self, channel, text):
        await self.ws.send(f"PRIVMSG {channel} :{text}")

    async def heard(self, channel):
        line = (await self.lines_until(f" PRIVMSG {channel} :"))[-1]
        return line.split("!", 1)[0][1:], line.split(" :", 1)[1]


def test_two_clients_meet_in_an_irc_channel(culvert, irc):
    c = culvert(f"[route /irc]\ntarget = tcp://127.0.0.1:{irc}\nframing = line\nmessages = text\n")

    async def talk():
        async with websockets.connect(c.url("/irc")) as a, websockets.connect(c.url("/irc")) as b:
            anna, bert = Chatter(a, "anna"), Chatter(b, "bert")
            await anna.enter("#köln")
            await bert.enter("#köln")
            await anna.lines_until(" JOIN :#köln")  # bert's
            for text in (GREETING, "kurz", "é" * 200):
                await anna.say("#köln", text)
                assert await bert.heard("#köln") == ("anna", text)
            # One message of two lines, with an end of its own, is two commands and not three.
            await bert.ws.send("PRIVMSG #köln :eins\r\nPRIVMSG #köln :zwei\r\n")
            assert [await anna.heard("#köln") for _ in range(2)] == [("bert", "eins"), ("bert", "zwei")]
            await bert.ws.send("QUIT :tschüß")
            assert "tschüß" in (await anna.lines_until(" QUIT "))[-1]
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(b.recv(), DEADLINE)
            assert b.close_code == 1000  # the server has ended it

    asyncio.run(asyncio.wait_for(talk(), 2 * DEADLINE))


def test_an_irc_line_in_fragments_is_one_command(culvert, irc):
    c = culvert(f"[route /irc]\ntarget = tcp://127.0.0.1:{irc}\nframing = line\nmessages = text\n")

    async def talk():
        async with websockets.connect(c.url("/irc")) as ws:
            carl = Chatter(ws, "carl")
            await ws.send(["NI", "CK", " ca", "rl"])  # an iterable goes out as fragments
            await ws.send(["USER carl 0 * :ca", "rl"])
            await carl.lines_until(" 376 ")

    asyncio.run(asyncio.wait_for(talk(), DEADLINE))


# ---- DNS ----


def question(name, kind, number):
    """A message of RFC 1035 section 4, without the length that TCP wants before it."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


A, TXT, AAAA = 1, 16, 28


def test_a_name_server_is_asked_over_a_websocket(culvert, dns):
    """TCP carries DNS with 16 bits of length before each message (RFC 1035 section 4.2.2)."""
    c = culvert(f"[route /dns]\ntarget = tcp://127.0.0.1:{dns}\nframing = length16\n")

    async def talk():
        async with websockets.connect(c.url("/dns")) as ws:
            asked = [("www.culvert.test", A), ("www.culvert.test", AAAA), ("none.culvert.test", A),
                     ("long.culvert.test", TXT)]
            for number, (name, kind) in enumerate(asked):
                await ws.send(question(name, kind, number))
            answers = {}
            while len(answers) < len(asked):
                answer = await asyncio.wait_for(ws.recv(), DEADLINE)
                assert isinstance(answer, bytes)
                answers[struct.unpack(">H", answer[:2])[0]] = answer
            assert answers[0].endswith(ipaddress.ip_address("192.0.2.7").packed)
            assert answers[1].endswith(ipaddress.ip_address("2001:db8::7").packed)
            assert answers[2][3] & 15 in (3, 5)  # no such name, or no server to ask for it
            assert len(answers[3]) > 12 * 250  # more than UDP would carry

    asyncio.run(asyncio.wait_for(talk(), DEADLINE))


# ---- ssh-agent ----


def string(data):
    return struct.pack(">I", len(data)) + data


@pytest.mark.parametrize("messages", ["binary", "base64"])
def test_an_ssh_agent_is_asked_over_a_websocket(culvert, tmp_path, messages):
    """Its messages have 32 bits of length before them. With base64 the client sends and gets text alone."""
    identities, identities_answer, sign, sign_response = 11, 12, 13, 14

    async def talk(url):
        async with websockets.connect(url) as ws:

            async def send(data):
                await ws.send(base64.b64encode(data).decode() if messages == "base64" else data)

            async def receive():
                data = await asyncio.wait_for(ws.recv(), DEADLINE)
                assert isinstance(data, str if messages == "base64" else bytes)
                return base64.b64decode(data, validate=True) if messages == "base64" else data

            await send(bytes([identities]))
            answer = await receive()
            assert answer[:5] == struct.pack(">BI", identities_answer, 1)
            (length,) = struct.unpack(">I", answer[5:9])
            key = answer[9 : 9 + length]
            assert answer[9 + length :] == string("für Tests".encode())
            for n in (1, 100, 1000, 30000):  # all are under way at once
                await send(bytes([sign]) + string(key) + string(b"x" * n) + bytes(4))
            signatures = [await receive() for _ in range(4)]
            for signature in signatures:
                assert signature[:1] == bytes([sign_response]) and len(signature) == 1 + 4 + (4 + 11 + 4 + 64)
            assert len(set(signatures)) == 4

    with ssh_agent(tmp_path, "für Tests") as path:
        c = culvert(f"[route /agent]\ntarget = unix:{path}\nframing = length32\nmessages = {messages}\n")
        asyncio.run(asyncio.wait_for(talk(c.url("/agent")), DEADLINE))


# ---- Redis, a line at a time ----


def test_redis_answers_each_line_with_a_line(culvert, tmp_path):
    """Its inline commands are lines, and so are answers that are no bulk strings."""
    with redis_server(tmp_path) as (port, _):
        c = culvert(f"[route /redis]\ntarget = tcp://127.0.0.1:{port}\nframing = line\nmessages = text\n")

        async def talk():
            async with websockets.connect(c.url("/redis")) as ws:
                for line, answer in (("PING", "+PONG"), ('SET gruß "Tschüß 🌍"', "+OK"), ("STRLEN gruß", ":13"),
                                     ("NONSENSE", "-ERR unknown command"), ("", None), ("INCR n\nINCR n\n", ":1")):
                    await ws.send(line)
                    if answer is not None:
                        assert (await asyncio.wait_for(ws.recv(), DEADLINE)).startswith(answer)
                assert await asyncio.wait_for(ws.recv(), DEADLINE) == ":2"

        asyncio.run(asyncio.wait_for(talk(), DEADLINE))
