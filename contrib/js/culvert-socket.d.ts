// SPDX-License-Identifier: BSD-2-Clause
// Needs the `dom` library of TypeScript, as WebSocket's own types do.

export type Transport = "websocket" | "sse" | "longpoll";

/** What a carrier is on now, and was on before (empty at first). */
export interface TransportDetail {
  transport: Transport;
  previous: Transport | "";
}

export interface InterruptedDetail {
  /** For people, not for programs. */
  reason: string;
}

export interface ResumedDetail {
  transport: Transport;
  /** ms without a carrier. */
  after: number;
}

/** Why the socket failed, which WebSocket's `error` does not tell. */
export interface FailureEvent extends Event {
  readonly message: string;
}

export interface CulvertSocketEventMap {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
  interrupted: CustomEvent<InterruptedDetail>;
  resumed: CustomEvent<ResumedDetail>;
  transport: CustomEvent<TransportDetail>;
}

/** Any constructor like that of WebSocket: `ws`, undici's, the platform's. */
export type WebSocketConstructor = new (url: string, protocols?: string[]) => {
  readonly readyState: number;
  binaryType: any;
  onmessage: any;
  onclose: any;
  onerror: any;
  send(data: any): void;
  close(code?: number, reason?: string): void;
};

export type HeaderSource = Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);

export interface Clock {
  /** ms, from any beginning. */
  now(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: any): void;
}

export interface CulvertSocketOptions {
  /** Only these, the best first. Default: websocket, sse, longpoll. */
  transports?: Transport[];
  /** Where the platform has none. */
  WebSocket?: WebSocketConstructor;
  /** Where the platform has none, or to go another way. */
  fetch?: typeof fetch;
  /** Of every request but the WebSocket's, which takes none in browsers. A function is asked anew each time. */
  headers?: HeaderSource;
  /** As fetch has it. */
  credentials?: RequestCredentials;
  /** Where to remember which transport worked. Default: sessionStorage if there is one. null: nowhere but in memory. */
  storage?: Pick<Storage, "getItem" | "setItem"> | null;
  /** At most so many attaches in so many ms. Default: 10 in 10,000. */
  attachLimit?: { count: number; per: number };
  /** ms that a heartbeat may be late. Default: 10,000. */
  heartbeatTimeout?: number;
  /** ms until the socket must be open. Default: 20,000. */
  openTimeout?: number;
  /** ms that WebSocket has for itself before a POST tries as well. Default: 1,000. */
  headStart?: number;
  /** ms that the answer to close() may take while nothing moves. Default: 30,000. */
  closeTimeout?: number;
  /** ms between the first tries of moving up to WebSocket; doubled up to 5 minutes. Default: 10,000. */
  climbInterval?: number;
  /** What tells about the network and the page. Default: the globals. */
  page?: { window?: EventTarget; document?: EventTarget & { visibilityState: string } };
  /** For tests. */
  clock?: Clock;
  /** For tests: as Math.random. */
  random?: () => number;
}

/** A WebSocket that survives lost connections, on whatever transport gets through. */
export class CulvertSocket extends EventTarget implements WebSocket {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;

  constructor(url: string | URL, protocols?: string | string[], options?: CulvertSocketOptions);

  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  readonly url: string;
  readonly readyState: number;
  /** The subprotocol that the server chose of the application's. */
  readonly protocol: string;
  readonly extensions: string;
  /** Bytes that were sent and that the target has not taken. */
  readonly bufferedAmount: number;
  binaryType: BinaryType;

  /** Empty while there is no carrier. */
  readonly transport: Transport | "";

  onopen: ((this: WebSocket, event: Event) => any) | null;
  onmessage: ((this: WebSocket, event: MessageEvent) => any) | null;
  onerror: ((this: WebSocket, event: Event) => any) | null;
  onclose: ((this: WebSocket, event: CloseEvent) => any) | null;
  oninterrupted: ((this: CulvertSocket, event: CustomEvent<InterruptedDetail>) => any) | null;
  onresumed: ((this: CulvertSocket, event: CustomEvent<ResumedDetail>) => any) | null;
  ontransport: ((this: CulvertSocket, event: CustomEvent<TransportDetail>) => any) | null;

  send(data: string | ArrayBufferLike | Blob | ArrayBufferView): void;
  close(code?: number, reason?: string): void;

  /** No messages until resume(): the window then stops the server, and the target with it. */
  pause(): void;
  resume(): void;

  addEventListener<K extends keyof CulvertSocketEventMap>(
    type: K,
    listener: (this: CulvertSocket, event: CulvertSocketEventMap[K]) => any,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof CulvertSocketEventMap>(
    type: K,
    listener: (this: CulvertSocket, event: CulvertSocketEventMap[K]) => any,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

/** When to attach again; for models of many clients. It computes and does not wait. */
export class Schedule {
  constructor(options?: { random?: () => number; now?: () => number; limit?: { count: number; per: number } });
  configure(open: { resume: number; spread: number }): void;
  carried(): void;
  failed(how?: { lost?: boolean; retryAfter?: number }): void;
  delay(): number;
  earliest(): number;
  attaching(): void;
}
