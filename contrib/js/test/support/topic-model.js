// SPDX-License-Identifier: BSD-2-Clause
// A small server of topic routes, to test the client with, and the ways in which a proxy in front of it
// may spoil a transport.

import http from "node:http";
import { matcher } from "../../lib/topics/filters.js";
import { acceptUpgrade } from "./websocket.js";

const POLL = 20000;

const matchesAny = (filters, topic) => filters.some((filter) => matcher(filter)(topic.split("/")));

export class TopicModel {
  faults = [];
  requests = []; // {kind, filters, since}
  clients = new Set(); // {kind, filters, send(item)}
  history = []; // {topic, data | data64, number}
  kept = 1000; // of history
  retained = new Map();
  epoch = "e1";
  head = 0;
  taken = []; // publications, in the order in which they came
  // websocket: ok, refuse, hang, silent, or ms; sse: ok, refuse, hold-headers, hold-body; get: ok or a
  // status; post: ok, hang, or a status; ack: whether publications are acknowledged; denied: filters.
  behaviour = { websocket: "ok", sse: "ok", get: "ok", post: "ok", ack: true, denied: [], headers: {} };

  #server;
  #streams = new Set();

  constructor() {
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
    return `http://127.0.0.1:${this.port}/live`;
  }

  get cursor() {
    return `${this.epoch}-${this.head}`;
  }

  count(kind) {
    return this.requests.filter((request) => request.kind === kind).length;
  }

  // Cuts what is connected, as a crash does.
  cut() {
    for (const stream of this.#streams)
      stream.destroy();
    this.clients.clear();
  }

  async stop() {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  // As after a start.
  restart() {
    this.epoch = `e${Number(this.epoch.slice(1)) + 1}`;
    this.head = 0;
    this.history = [];
  }

  publish(topic, payload, { retain = false } = {}) {
    const content = typeof payload === "object" ? payload : { data: payload };
    const message = { topic, ...content, number: ++this.head };
    this.history.push(message);
    this.history = this.history.slice(-this.kept);
    if (retain)
      this.retained.set(topic, content);
    for (const client of [...this.clients])
      if (matchesAny(client.filters, topic))
        client.send(this.#item(message));
    return this.cursor;
  }

  event(item) {
    for (const client of [...this.clients])
      client.send(item);
  }

  beat() {
    for (const client of [...this.clients])
      client.cursor?.(this.cursor);
  }

  #item({ number, ...message }) {
    return { topic: message.topic, id: `${this.epoch}-${number}`, ...message };
  }

  #retainedOf(filters) {
    return [...this.retained].filter(([topic]) => matchesAny(filters, topic))
      .map(([topic, content]) => ({ topic, ...content, retained: true }));
  }

  // What comes before `subscribed`.
  #beginning(filters, since) {
    if (since === undefined)
      return this.#retainedOf(filters);
    const [epoch, number] = since.split("-");
    const oldest = this.head - this.history.length;
    if (epoch !== this.epoch || Number(number) < oldest)
      return [{ event: "reset" }, ...this.#retainedOf(filters)];
    return this.history.filter((message) => message.number > Number(number) && matchesAny(filters, message.topic))
      .map((message) => this.#item(message));
  }

  #refusedOf(filters) {
    return filters.find((filter) => this.behaviour.denied.includes(filter));
  }

  #read(request, kind) {
    const { searchParams } = new URL(request.url, "http://x");
    const filters = searchParams.getAll("topic");
    const since = searchParams.get("since") ?? undefined;
    this.requests.push({ kind, filters, since, headers: request.headers });
    if (kind !== "OPTIONS" && filters.length === 0)
      this.faults.push("a request for everything");
    return { filters, since, retain: searchParams.get("retain") === "1" };
  }

  // ---- WebSocket ----

  #upgrade(request, stream, head) {
    const place = this.#read(request, "websocket");
    const { websocket } = this.behaviour;
    stream.on("error", () => {});
    if (websocket === "hang")
      return;
    if (websocket === "refuse" || this.#refusedOf(place.filters)) {
      stream.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    setTimeout(() => this.#accept(request, stream, head, place), Number(websocket) || 0);
  }

  #accept(request, stream, head, { filters, since }) {
    const client = { kind: "websocket", filters: [...filters] };
    const peer = acceptUpgrade(request, stream, head, {
      message: (data, isText) => this.#message(client, isText ? JSON.parse(data) : null),
      close: (code) => {
        client.code = code;
        this.clients.delete(client);
        this.left = client;
      },
    });
    client.peer = peer;
    client.send = (item) => this.behaviour.websocket !== "silent" && peer.send(JSON.stringify(item));
    client.cursor = (cursor) => client.send({ event: "cursor", since: cursor });
    this.#begin(client, filters, since);
    this.clients.add(client);
  }

  #begin(client, filters, since) {
    for (const item of this.#beginning(filters, since))
      client.send(item);
    if (this.behaviour.unsubscribed)
      return;
    client.send({ event: "subscribed", topics: filters, since: this.cursor });
  }

  #message(client, message) {
    const { ref } = message ?? {};
    if (message?.subscribe)
      this.#subscribe(client, message.subscribe, ref);
    else if (message?.unsubscribe)
      client.filters = client.filters.filter((filter) => !message.unsubscribe.includes(filter));
    else if (message?.publish)
      this.#published(client, message);
    else
      this.faults.push("a message that is none");
    if (message?.unsubscribe?.length === 0)
      client.send({ event: "error", ref, reason: "nothing" });
  }

  #subscribe(client, filters, ref) {
    if (filters.length > 64)
      this.faults.push("too long a list");
    if (this.#refusedOf(filters)) {
      client.send({ event: "error", ref, reason: "not for you" });
      return;
    }
    client.filters.push(...filters.filter((filter) => !client.filters.includes(filter)));
    client.send({ event: "ack", ref, id: null });
    this.#begin(client, filters);
  }

  #published(client, { publish: topic, data, data64, retain, ref }) {
    this.taken.push(topic);
    if (topic.startsWith("no/")) {
      client.send({ event: "error", ref, reason: "not there" });
      return;
    }
    const id = this.publish(topic, data64 === undefined ? { data } : { data64 }, { retain });
    if (this.behaviour.ack)
      client.send({ event: "ack", ref, id });
  }

  // ---- HTTP ----

  #request(request, response) {
    const stream = request.headers.accept === "text/event-stream";
    const kind = request.method !== "GET" ? request.method : stream ? "sse" : "longpoll";
    const place = this.#read(request, kind);
    request.on("error", () => {});
    if (kind === "OPTIONS")
      this.#answer(response, 204);
    else if (kind === "POST")
      this.#post(request, response, place);
    else if (typeof this.behaviour.get === "number")
      this.#answer(response, this.behaviour.get, "refused");
    else if (this.#refusedOf(place.filters))
      this.#answer(response, 403, JSON.stringify({ status: 403, error: "not for you" }));
    else if (kind === "sse")
      this.#stream(response, place);
    else
      this.#poll(response, place);
  }

  #answer(response, status, text) {
    response.writeHead(status, { ...this.behaviour.headers });
    response.end(text);
  }

  async #post(request, response, { filters: [topic], retain }) {
    const parts = [];
    for await (const part of request)
      parts.push(part);
    const { post } = this.behaviour;
    this.taken.push(topic);
    if (post === "hang")
      return;
    if (typeof post === "number") {
      this.#answer(response, post, "refused");
      return;
    }
    const body = Buffer.concat(parts);
    const text = request.headers["content-type"].startsWith("text/plain");
    const id = this.publish(topic, text ? { data: body.toString() } : { data64: body.toString("base64") }, { retain });
    this.#answer(response, 200, JSON.stringify({ id }));
  }

  #stream(response, { filters, since }) {
    const { sse } = this.behaviour;
    if (sse === "refuse") {
      this.#answer(response, 406, "no streams here");
      return;
    }
    const write = (text) => sse === "ok" && response.write(text);
    const client = {
      kind: "sse", filters, response,
      send: (item) => write(`${item.id ? `id: ${item.id}\n` : ""}data: ${JSON.stringify(item)}\n\n`),
      cursor: (cursor) => write(`id: ${cursor}\n\n`),
    };
    response.on("close", () => this.clients.delete(client));
    if (sse !== "hold-headers") {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.flushHeaders();
    }
    this.#begin(client, filters, since);
    this.clients.add(client);
  }

  #poll(response, { filters, since }) {
    const answer = (messages) => {
      clearTimeout(timer);
      this.clients.delete(client);
      this.#answer(response, 200, JSON.stringify({ messages, since: this.cursor }));
    };
    const client = { kind: "longpoll", filters, send: (item) => answer([item]) };
    const messages = this.#beginning(filters, since);
    let timer = null;
    if (since === undefined || messages.length > 0) {
      answer(messages);
      return;
    }
    timer = setTimeout(() => answer([]), POLL);
    response.on("close", () => {
      clearTimeout(timer);
      this.clients.delete(client);
    });
    this.clients.add(client);
  }
}
