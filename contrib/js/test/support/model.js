// SPDX-License-Identifier: BSD-2-Clause
// A small server of the session protocol, to test the client with, and the ways in which a proxy in
// front of it may spoil a transport.

import { randomBytes } from "node:crypto";
import http from "node:http";
import { encode, decode, MEDIA_TYPE, packBody, readVarint, SUBPROTOCOL, Type } from "../../lib/frames.js";
import { echo, ModelSession } from "./model-session.js";
import { acceptUpgrade } from "./websocket.js";

const BODY_EXTRA = 65536;

const DEFAULTS = {
  window: 65536, resume: 10000, heartbeat: 20000, poll: 20000, spread: 1000, message_max: 1 << 20, protocol: "",
  transports: ["websocket", "sse", "longpoll"], target: echo, cuts: false,
};

export class Model {
  faults = [];
  sessions = new Map();
  requests = []; // {method, kind, at}
  // websocket: ok, refuse, hang, silent; sse: ok, refuse, hold-headers, hold-body; post: ok, hang, or
  // a status; a number for websocket delays it; postDelay delays a session; headers: what a refusal
  // carries.
  behaviour = { websocket: "ok", sse: "ok", longpoll: "ok", post: "ok", headers: {} };

  #server;
  #streams = new Set();

  constructor(options = {}) {
    this.options = { ...DEFAULTS, ...options };
    this.#server = http.createServer((request, response) => this.#request(request, response));
    this.#server.on("upgrade", (request, stream, head) => this.#upgrade(request, stream, head));
    this.#server.on("connection", (stream) => {
      this.#streams.add(stream);
      stream.on("close", () => this.#streams.delete(stream));
      stream.on("error", () => {});
    });
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    this.port = this.#server.address().port;
    return this;
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/r`;
  }

  get session() {
    return [...this.sessions.values()].at(-1);
  }

  // Cuts what is connected, as a crash does.
  cut() {
    for (const stream of this.#streams)
      stream.destroy();
  }

  async stop() {
    for (const session of this.sessions.values())
      session.carrier?.gone?.();
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  // Only this model's: sessions are not known any more.
  forget() {
    this.sessions.clear();
  }

  #create() {
    const session = new ModelSession(this, randomBytes(18).toString("base64url"));
    this.sessions.set(session.id, session);
    return session;
  }

  // ---- WebSocket ----

  #upgrade(request, stream, head) {
    const url = new URL(request.url, "http://x");
    const query = Object.fromEntries(url.searchParams);
    const behaviour = this.behaviour.websocket;
    this.requests.push({ kind: "websocket", at: performance.now(), query });
    stream.on("error", () => {});
    if (behaviour === "hang")
      return;
    if (behaviour === "refuse") {
      stream.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    if (!request.headers["sec-websocket-protocol"].split(", ").includes(SUBPROTOCOL))
      this.faults.push("culvert.v1 was not offered");
    if (typeof behaviour === "number")
      setTimeout(() => this.#accept(request, stream, head, query), behaviour);
    else
      this.#accept(request, stream, head, query);
  }

  #accept(request, stream, head, query) {
    let session = query.session ? this.sessions.get(query.session) : this.#create();
    const peer = acceptUpgrade(request, stream, head, {
      protocol: SUBPROTOCOL,
      message: (data, isText) => {
        if (isText)
          session.fault("a text message");
        else if (session?.carrier === carrier)
          session.frame(decode(new Uint8Array(data)), {});
      },
      close: (code) => this.#webSocketClosed(session, carrier, code),
    });
    const carrier = {
      kind: "websocket",
      ready: false,
      send: (frame) => this.behaviour.websocket !== "silent" && peer.send(encode(frame)),
      detach: () => peer.end(4409, "detached"),
    };
    if (!session) {
      peer.send(encode({ type: Type.CLOSE, code: 4404, reason: "gone" }));
      peer.end(4404, "gone");
      return;
    }
    if (!query.session)
      session.carrier = carrier;
    else if (session.attach("websocket", query, carrier) !== 200) {
      peer.end(4409, "detached");
      session = null;
      return;
    }
    carrier.send({ type: Type.OPEN, open: session.open });
    this.#start(session, carrier);
  }

  #start(session, carrier) {
    carrier.ready = true;
    const heartbeat = Number(session.attaches.at(-1)?.heartbeat ?? this.options.heartbeat);
    carrier.timer = setInterval(() => carrier.send({ type: Type.PING, payload: new Uint8Array(0) }), heartbeat);
    const { detach } = carrier;
    carrier.gone = () => clearInterval(carrier.timer);
    carrier.detach = () => {
      carrier.gone();
      detach();
    };
    session.feed();
  }

  #webSocketClosed(session, carrier, code) {
    carrier?.gone?.();
    if (!session)
      return;
    if (code === 1000 || code === 1001 || code === 1005)
      this.#end(session, code);
    session.lost(carrier);
  }

  #end(session, how) {
    session.ended = true;
    session.endedBy = how;
    this.sessions.delete(session.id);
    this.gone = session;
  }

  // ---- HTTP ----

  #request(request, response) {
    const url = new URL(request.url, "http://x");
    const query = Object.fromEntries(url.searchParams);
    const id = request.headers["culvert-session"];
    const kind = request.method !== "GET" ? request.method : request.headers.accept === MEDIA_TYPE ? "longpoll" : "sse";
    this.requests.push({ kind, at: performance.now(), query, headers: request.headers });
    request.on("error", () => {});
    if (request.method === "POST" && !id) {
      this.#open(request, response);
      return;
    }
    const refusal = this.behaviour.refuse;
    if (refusal) {
      this.#answer(response, refusal, "refused");
      return;
    }
    const session = this.sessions.get(id);
    if (!session) {
      this.#answer(response, 410, "the session is gone");
      return;
    }
    if (request.method === "DELETE") {
      this.#end(session, "DELETE");
      this.#answer(response, 204);
    } else if (request.method === "POST") {
      this.#post(session, request, response);
    } else if (kind === "sse") {
      this.#stream(session, query, response);
    } else {
      this.#poll(session, query, response);
    }
  }

  #answer(response, status, text) {
    response.writeHead(status, { "Content-Type": "text/plain", ...this.behaviour.headers });
    response.end(text);
  }

  async #body(request) {
    const parts = [];
    for await (const part of request)
      parts.push(part);
    return new Uint8Array(Buffer.concat(parts));
  }

  async #open(request, response) {
    const body = await this.#body(request).catch(() => null);
    if (!body || this.behaviour.post === "hang")
      return;
    if (typeof this.behaviour.post === "number") {
      this.#answer(response, this.behaviour.post, "refused");
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, this.behaviour.postDelay ?? 0));
    const session = this.#create();
    session.protocols = JSON.parse(Buffer.from(body)).protocols;
    response.writeHead(201, { "Content-Type": "application/json" });
    response.end(JSON.stringify(session.open));
  }

  async #post(session, request, response) {
    if (session.posting && !this.options.cuts)
      session.fault("two POSTs at a time");
    if (request.headers["content-type"] !== MEDIA_TYPE)
      session.fault("POST of another type");
    session.posting = true;
    response.on("close", () => response.writableFinished || session.postFailed());
    const body = await this.#body(request).catch(() => null);
    session.posting = false;
    if (typeof this.behaviour.post === "number") {
      session.postFailed();
      this.#answer(response, this.behaviour.post, "refused");
      return;
    }
    if (!body)
      return;
    if (body.length > this.options.window + BODY_EXTRA) {
      session.fault("a body that is too large");
      this.#answer(response, 413, "too large");
      return;
    }
    const { status, frames } = session.post(split(body));
    response.writeHead(status, { "Content-Type": MEDIA_TYPE });
    response.end(packBody(frames));
  }

  #stream(session, query, response) {
    if (this.behaviour.sse === "refuse") {
      this.#answer(response, 406, "no streams here");
      return;
    }
    const held = this.behaviour.sse !== "ok";
    const write = (text) => held || response.write(text);
    const carrier = {
      kind: "sse",
      ready: false,
      send: (frame) => write(eventOf(session, frame)),
      detach: () => {
        write("event: detached\ndata: {}\n\n");
        response.end();
      },
    };
    const status = session.attach("sse", query, carrier);
    if (status !== 200) {
      this.#answer(response, status, "detached");
      return;
    }
    response.on("close", () => {
      carrier.gone();
      session.lost(carrier);
    });
    if (this.behaviour.sse !== "hold-headers") {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.flushHeaders();
    }
    write(`retry: 1000\n\nevent: open\nid: ${session.id}.${session.acked}\ndata: ${JSON.stringify(session.open)}\n\n`);
    this.#start(session, carrier);
  }

  #poll(session, query, response) {
    const frames = [];
    let timer = null;
    const answer = (status) => {
      clearTimeout(timer);
      carrier.ready = false;
      session.lost(carrier);
      response.writeHead(status, { "Content-Type": MEDIA_TYPE });
      response.end(status === 200 ? packBody(session.pollFrames(frames).map(encode)) : undefined);
    };
    const carrier = {
      kind: "longpoll",
      ready: true,
      send: (frame) => frames.push(frame),
      flush: () => carrier.ready && (frames.length > 0 || session.consumed > session.ackTold) && answer(200),
      gone: () => clearTimeout(timer),
      detach: () => {
        clearTimeout(timer);
        carrier.ready = false;
        this.#answer(response, 409, "detached");
      },
    };
    const status = session.attach("longpoll", query, carrier);
    if (status !== 200) {
      carrier.ready = false;
      this.#answer(response, status, "detached");
      return;
    }
    response.on("close", () => {
      clearTimeout(timer);
      carrier.ready = false;
      session.lost(carrier);
    });
    timer = setTimeout(() => answer(204), Number(query.wait ?? this.options.poll));
    session.feed();
  }
}

function split(body) {
  const frames = [];
  for (let at = readVarint(body, 0); at; at = readVarint(body, at.end + at.value))
    frames.push(body.subarray(at.end, at.end + at.value));
  return frames;
}

function eventOf(session, frame) {
  const data = Buffer.from(frame.payload ?? []);
  switch (frame.type) {
    case Type.BINARY:
      return `event: binary\nid: ${session.id}.${frame.seq}\ndata: ${data.toString("base64")}\n\n`;
    case Type.TEXT:
      return `event: text\nid: ${session.id}.${frame.seq}\ndata: ${JSON.stringify(data.toString())}\n\n`;
    case Type.ACK:
      return `event: ack\ndata: {"ack":${frame.seq}}\n\n`;
    case Type.CLOSE:
      return `event: close\ndata: ${JSON.stringify({ code: frame.code, reason: frame.reason })}\n\n`;
    default:
      return "event: ping\ndata: {}\n\n";
  }
}
