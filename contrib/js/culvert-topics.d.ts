// SPDX-License-Identifier: BSD-2-Clause
// Needs the `dom` library of TypeScript, for events and fetch.

import type {
  CulvertSocketOptions, FailureEvent, InterruptedDetail, ResumedDetail, Transport, TransportDetail,
} from "./culvert-socket.js";

export type { FailureEvent, InterruptedDetail, ResumedDetail, Transport, TransportDetail };

export interface TopicMessage {
  topic: string;
  /** Its place in the bus's order, for `since`. null: a retained value. */
  id: string | null;
  /** Text, or bytes where it is not UTF-8. */
  data: string | Uint8Array;
  /** It was kept by the bus, and is told because it is the latest. */
  retained: boolean;
}

export interface Published {
  /** null where the bus does not tell. */
  id: string | null;
}

export interface DroppedDetail {
  /** Messages that the server left out, because this client was too slow. */
  count: number;
}

export interface BusDetail {
  /** Whether the server has its broker. */
  state: "down" | "up";
}

export interface CulvertTopicsEventMap {
  open: Event;
  close: CloseEvent;
  error: FailureEvent;
  interrupted: CustomEvent<InterruptedDetail>;
  resumed: CustomEvent<ResumedDetail>;
  transport: CustomEvent<TransportDetail>;
  reset: CustomEvent<{}>;
  dropped: CustomEvent<DroppedDetail>;
  bus: CustomEvent<BusDetail>;
}

export interface CulvertTopicsOptions extends Pick<CulvertSocketOptions,
  "transports" | "WebSocket" | "fetch" | "headers" | "credentials" | "storage" | "attachLimit" | "heartbeatTimeout" |
  "headStart" | "climbInterval" | "page" | "clock" | "random"> {
  /** A cursor of an earlier CulvertTopics: what came after it, instead of retained values. */
  since?: string;
  /** ms from the beginning of a connection, or from the last of what it brings then, until it is subscribed. Default: 20,000. */
  openTimeout?: number;
  /** The route's `heartbeat`, in ms; 0 if it has none. Default: 25,000. */
  heartbeat?: number;
  /** The route's `poll_wait`, in ms. Default: 25,000. */
  pollWait?: number;
  /** ms over which clients come back when the server itself was lost. Default: 5,000. */
  reconnectSpread?: number;
  /** ms until publish() rejects. Default: 10,000. */
  publishTimeout?: number;
  /** What may wait to be published or acknowledged. Default: 1,000 messages, 4 MiB of topics and data. */
  publishQueue?: { count: number; bytes: number };
}

/** publish() did not succeed. */
export class PublishError extends Error {
  readonly name: "PublishError";
  /** It may have been published all the same: it was under way when the connection was lost. */
  readonly uncertain: boolean;
  /** Of an answer by HTTP, or 0. */
  readonly status: number;
}

/** Publishes and subscribes on a route with `target = topics:`, over one connection, on whatever transport gets through. */
export class CulvertTopics extends EventTarget {
  constructor(url: string | URL, options?: CulvertTopicsOptions);

  readonly url: string;
  /** Empty while there is no connection: none is kept while nothing is subscribed. */
  readonly transport: Transport | "";
  /** Where it is. undefined before it was subscribed to anything. */
  readonly cursor: string | undefined;

  /**
   * Calls fn with every message whose topic matches the MQTT filter, once if several filters of fn match. Returns a
   * function that ends it. Throws TypeError.
   */
  subscribe(filter: string, fn: (message: TopicMessage) => void): () => void;

  /** Resolves when the bus has it. Rejects with PublishError or TypeError. */
  publish(topic: string, data: string | ArrayBufferLike | ArrayBufferView, options?: { retain?: boolean }): Promise<Published>;

  /** For good. What is not acknowledged rejects. */
  close(): void;

  onopen: ((this: CulvertTopics, event: Event) => any) | null;
  onclose: ((this: CulvertTopics, event: CloseEvent) => any) | null;
  onerror: ((this: CulvertTopics, event: FailureEvent) => any) | null;
  oninterrupted: ((this: CulvertTopics, event: CustomEvent<InterruptedDetail>) => any) | null;
  onresumed: ((this: CulvertTopics, event: CustomEvent<ResumedDetail>) => any) | null;
  ontransport: ((this: CulvertTopics, event: CustomEvent<TransportDetail>) => any) | null;
  onreset: ((this: CulvertTopics, event: CustomEvent<{}>) => any) | null;
  ondropped: ((this: CulvertTopics, event: CustomEvent<DroppedDetail>) => any) | null;
  onbus: ((this: CulvertTopics, event: CustomEvent<BusDetail>) => any) | null;

  addEventListener<K extends keyof CulvertTopicsEventMap>(
    type: K,
    listener: (this: CulvertTopics, event: CulvertTopicsEventMap[K]) => any,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof CulvertTopicsEventMap>(
    type: K,
    listener: (this: CulvertTopics, event: CulvertTopicsEventMap[K]) => any,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}
