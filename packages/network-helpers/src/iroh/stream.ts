import type { ByteStream, StreamInfo } from "../byte-stream.ts";
import { within } from "../deadline.ts";
import { abortError, NetworkError } from "../errors.ts";
import { orAbort } from "../or-abort.ts";
import type { Iroh, NativeBiStream, NativeConnection, NativeEndpoint } from "./binding.ts";
import { closeCodeOf, closeCodes, irohError } from "./fault.ts";
import { receivesExcess, Watchdog } from "./liveness.ts";
import { endedHere, type QuicConnection, QuicStream } from "./quic-stream.ts";
import type { IrohSettings } from "./settings.ts";

/** The native objects of one stream, held together because the garbage collector closes each one it gets. */
export interface NativeParts {
  readonly endpoint: NativeEndpoint;
  readonly connection: NativeConnection;
  readonly bi: NativeBiStream;
}

/** What one stream is made with. */
export interface IrohStreamOptions {
  readonly iroh: Iroh;
  readonly parts: NativeParts;
  /** Whether the peer dialled. */
  readonly accepted: boolean;
  /** Streams that the connection's protocol name (ALPN) stands for; one when absent. */
  readonly streams?: 1 | 2;
  readonly settings: Pick<IrohSettings, "relay" | "liveness" | "closeTimeoutMs" | "writeStallMs">;
  /** Called once the QUIC connection has ended and nothing needs to be pinned any more. */
  readonly onClosed: (stream: IrohStream) => void;
}

/** The first bidirectional QUIC stream of one Iroh connection, and that connection with it, its second stream included. */
export class IrohStream implements ByteStream, QuicConnection {
  readonly iroh: Iroh;
  readonly peer: string;
  readonly source: AsyncIterable<Uint8Array>;
  /** Whether the peer dialled. */
  readonly accepted: boolean;
  readonly secondStream?: (options: { readonly signal: AbortSignal }) => Promise<ByteStream>;
  readonly #options: IrohStreamOptions;
  readonly #connection: NativeConnection;
  readonly #first: QuicStream;
  /** Both, once the second is there. */
  readonly #streams: QuicStream[];
  readonly #watchdog: Watchdog;
  readonly #since = Date.now();
  #abortReason: Error | undefined;
  #disposal: Promise<void> | undefined;
  #closed = false;
  #path: "direct" | "relay" | "unknown" = "unknown";
  #rttMs: number | null = null;

  constructor(options: IrohStreamOptions) {
    this.#options = options;
    this.iroh = options.iroh;
    this.accepted = options.accepted;
    this.#connection = options.parts.connection;
    this.peer = this.#connection.remoteId().toString();
    this.#watchdog = new Watchdog(options.settings.liveness, options.settings.relay !== "disabled", performance.now());
    this.#first = new QuicStream(this, options.parts.bi);
    this.#streams = [this.#first];
    this.source = this.#first.source;
    if (options.streams === 2) this.secondStream = ({ signal }) => this.#second(signal);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get abortReason(): Error | undefined {
    return this.#abortReason;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#first.write(bytes);
  }

  abort(reason: Error): void {
    if (this.#closed) return;
    this.#abortReason = reason;
    const { code, text } = closeCodeOf(reason);
    this.#close(code, text);
  }

  info(): StreamInfo {
    return this.#infoOf(this.#first);
  }

  /** Judges the connection by its counters and aborts it when the peer is dead, does not read, or fills other streams. */
  check(now: number): void {
    if (this.#connection.closeReason() !== null) {
      this.#options.onClosed(this);
      return;
    }
    const { udpRxBytes, udpRxDatagrams } = this.#connection.stats();
    const reason =
      this.#silence(udpRxDatagrams, now) ??
      this.#stall(now) ??
      this.#excess({ udpBytes: udpRxBytes, udpDatagrams: udpRxDatagrams });
    if (reason !== undefined) this.abort(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  /** `close` alone loses the last bytes: it overtakes them. Acknowledged ones the peer can read even after it. */
  async #end(): Promise<void> {
    if (this.#closed) return;
    await this.#ended(this.#streams);
    this.#close(closeCodes.normal, "");
  }

  /** Ends streams gracefully, as long as that may take. */
  async #ended(streams: readonly QuicStream[]): Promise<void> {
    await within(this.#options.settings.closeTimeoutMs, Promise.all(streams.map((stream) => stream.end())));
  }

  /** The dialler's call opens it, which the peer sees with its first byte; the acceptor's waits. Streams come in the order of opening. */
  async #second(signal: AbortSignal): Promise<ByteStream> {
    try {
      signal.throwIfAborted();
      const opening = this.accepted ? this.#connection.acceptBi() : this.#connection.openBi();
      const stream = new QuicStream(this, await orAbort(opening, signal, () => undefined));
      this.#streams.push(stream);
      return this.#asByteStream(stream);
    } catch (cause) {
      // An abandoned acceptBi would take a later stream: the connection is of no use any more.
      const error = signal.aborted
        ? abortError(signal, this.peer, "opening the second stream")
        : irohError(cause, this.peer);
      this.abort(error);
      throw error;
    }
  }

  #asByteStream(stream: QuicStream): ByteStream {
    return {
      peer: this.peer,
      source: stream.source,
      write: (bytes) => stream.write(bytes),
      abort: (reason) => this.abort(reason),
      info: () => this.#infoOf(stream),
      [Symbol.asyncDispose]: () => this.#ended([stream]),
    };
  }

  #infoOf({ bytesIn, bytesOut }: QuicStream): StreamInfo {
    const path = this.#connection.paths().find(({ isSelected }) => isSelected);
    if (path !== undefined) this.#path = path.isRelay ? "relay" : "direct";
    this.#rttMs = path?.rttMs ?? this.#connection.rtt() ?? this.#rttMs;
    return {
      transport: "iroh",
      peer: this.peer,
      endpointId: this.peer,
      path: this.#path,
      rttMs: this.#rttMs,
      since: this.#since,
      bytesIn,
      bytesOut,
    };
  }

  #close(code: bigint, text: string): void {
    if (this.#closed) return;
    this.#closed = true;
    // The only native call that never queues behind a pending one.
    this.#connection.close(code, this.iroh.nativeText(text));
    for (const stream of this.#streams) stream.failWrites(endedHere(this.peer));
    this.#options.onClosed(this);
  }

  #silence(datagrams: number, now: number): NetworkError | undefined {
    const verdict = this.#watchdog.look(datagrams, now);
    if (verdict === "dead") {
      const message = `${this.peer}: nothing heard for too long; the peer crashed, froze or lost its network, dial again`;
      return new NetworkError("timed-out", { peer: this.peer, message });
    }
    if (verdict === "probe") this.#probe();
    return undefined;
  }

  #probe(): void {
    try {
      this.#connection.sendDatagram(this.iroh.nativeText(""));
    } catch {
      // A peer may not take datagrams; its keep-alives still count.
    }
  }

  #stall(now: number): NetworkError | undefined {
    const { writeStallMs } = this.#options.settings;
    const stalled = this.#streams.some(({ writeStartedAt }) => now - (writeStartedAt ?? now) >= writeStallMs);
    if (!stalled) return undefined;
    const message = `${this.peer}: has not read for ${writeStallMs} ms; check the peer`;
    return new NetworkError("slow-consumer", { peer: this.peer, message });
  }

  #excess(udp: { readonly udpBytes: number; readonly udpDatagrams: number }): NetworkError | undefined {
    const streams = this.#options.streams ?? 1;
    const streamBytes = this.#streams.reduce((sum, { bytesIn }) => sum + bytesIn, 0);
    if (!receivesExcess({ ...udp, streamBytes, streams })) return undefined;
    const message = `${this.peer}: sends on streams nobody reads; ${streams} a connection ${streams === 1 ? "is" : "are"} allowed`;
    return new NetworkError("protocol-violation", { peer: this.peer, message });
  }
}
