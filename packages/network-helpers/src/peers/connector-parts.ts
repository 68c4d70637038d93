import type { PeerEvent } from "./effects.ts";
import type { PeerOptions } from "./options.ts";

/** How messages go over a connection. */
export interface MessagePort<C, M> {
  /**
   * Delivers one message; only one at a time is on its way to a peer. A rejection means that the peer has not got it: the
   * connection is closed and the message tried again on the next. So what the peer may have got although no answer
   * came must be something it can hear twice, or the promise must resolve.
   */
  deliver(connection: C, message: M, options: { readonly signal: AbortSignal }): Promise<void>;
  /** What a message takes of the buffer, in bytes. */
  sizeOf(message: M): number;
}

/** What a PeerConnector connects to, and how. */
export interface PeerConnectorParts<C extends AsyncDisposable, M> {
  /** Times and limits; the defaults for what is left out. */
  readonly options?: Partial<PeerOptions>;
  /** Opens a connection; `peer` is whatever names one. */
  dial(peer: string, options: { readonly signal: AbortSignal }): Promise<C>;
  /** Needed for `PeerConnector.send`. */
  readonly messages?: MessagePort<C, M>;
  /** Rejects when the connection is of no use any more. May run beside a delivery or a use. Left out: no health checks. */
  check?(connection: C, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Settles when the connection has ended by itself. Left out: that shows at its next use, or health check. */
  ended?(connection: C): Promise<unknown>;
  /** Whether what a use rejected with means that its connection is broken; a NetworkError does unless told. */
  breaks?(error: unknown): boolean;
  /** Called at every event, for the log. */
  onEvent?(event: PeerEvent): void;
  /** A number from 0 up to but not including 1; `Math.random` unless told. */
  readonly random?: () => number;
  /** Milliseconds that never go back; `performance.now` unless told. */
  readonly now?: () => number;
}
