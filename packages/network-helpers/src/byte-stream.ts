/** What a stream knows about itself (requirement A13). A snapshot: ask again for newer counts. */
export interface StreamInfo {
  /** What carries the bytes. */
  readonly transport: "tcp" | "iroh" | "memory";
  /** The other side: `host:port` or `[v6]:port` over TCP, the endpoint id over Iroh, a name in memory. */
  readonly peer: string;
  /** The peer's Iroh endpoint id as hex; null on other transports. */
  readonly endpointId: string | null;
  /** How Iroh reaches the peer right now; null on other transports. */
  readonly path: "direct" | "relay" | "unknown" | null;
  /** Round trip as the transport measures it, in milliseconds; null when it does not. */
  readonly rttMs: number | null;
  /** When the stream was opened, in unix milliseconds. */
  readonly since: number;
  /** Bytes that came out of `source`, transport overhead not counted. */
  readonly bytesIn: number;
  /** Bytes given to `write`, transport overhead not counted. */
  readonly bytesOut: number;
}

/**
 * A reliable, ordered byte stream. Whoever holds it owns it.
 *
 * Disposing it is the graceful end: what was written is delivered, the peer's `source` ends, bytes that still come in
 * are thrown away. It waits for that at most two seconds and then aborts. After it, a pending or later pull of `source`
 * ends, and a later `write` rejects with a `closed` NetworkError. Disposing twice is one disposal.
 */
export interface ByteStream extends AsyncDisposable {
  /** The other side, for logs. Never parse it. */
  readonly peer: string;
  /**
   * One chunk per pull, so reading slowly is backpressure. Ends when the peer finishes; throws a NetworkError when the
   * connection breaks. Iterate once: a second iteration throws. A chunk belongs to whoever pulled it, is never empty,
   * and is a plain `Uint8Array`. Leaving the loop early ends reading, not the stream.
   */
  readonly source: AsyncIterable<Uint8Array>;
  /**
   * Resolves when the transport is ready for more. Calls are delivered in the order they were made, awaited or not;
   * a caller that does not await piles up memory. The bytes must not be changed after the call.
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Breaks both directions now; pending and later reads and writes here reject with `reason`, and the peer's fail.
   * Idempotent: the first reason stays.
   */
  abort(reason: Error): void;
  /** Metadata and counters as of now. */
  info(): StreamInfo;
  /**
   * The connection's second stream, where its protocol name (ALPN) stands for two (docs/dual-stream.md); left out everywhere
   * else. The dialler opens it and must write first; the listener waits for it. `signal` covers that wait. To be called once.
   * Both streams share a connection: aborting one breaks both, and disposing the first waits for what was written to either.
   */
  readonly secondStream?: (options: { readonly signal: AbortSignal }) => Promise<ByteStream>;
}

/** Makes streams, in both roles. Settings of one transport are arguments of its constructor and nowhere else (A1). */
export interface Transport {
  /** What the streams of this transport report as their `transport`. */
  readonly kind: StreamInfo["transport"];
  /**
   * Opens a stream to `address` (its form is the transport's). Rejects with a NetworkError, among others `timed-out`
   * when `signal` aborts with a TimeoutError and `closed` when it aborts otherwise. `signal` covers the dialling only.
   */
  dial(address: string, options: { readonly signal: AbortSignal }): Promise<ByteStream>;
  /** Starts to listen. Rejects with a NetworkError. Aborting `signal` later stops the listener as disposing it does. */
  listen(address: string, options: { readonly signal: AbortSignal }): Promise<Listener>;
}

/**
 * Accepts streams. Disposing it stops accepting, ends `streams` and frees the address; streams already handed out live
 * on until their owners end them, those nobody has pulled yet are aborted.
 */
export interface Listener extends AsyncDisposable {
  /** Where a dialler reaches this listener, with the port the system chose. */
  readonly address: string;
  /**
   * Accepted streams, each owned by whoever pulls it. A peer that connects and says nothing does not hold up the ones
   * after it. Ends when the listener stops, whatever stopped it. Iterate once.
   */
  readonly streams: AsyncIterable<ByteStream>;
  /** The Iroh endpoint id a dialler needs; left out on other transports. */
  readonly endpointId?: string;
  /** The Iroh ticket as of now: endpoint id, relays and addresses in one text; left out on other transports. */
  readonly ticket?: string;
}
