import type { ByteStream, StreamInfo } from "../byte-stream.ts";
import { within } from "../deadline.ts";
import { NetworkError } from "../errors.ts";
import { iterateOnce } from "../once.ts";
import type {
  Iroh,
  NativeBiStream,
  NativeConnection,
  NativeEndpoint,
  NativeRecvStream,
  NativeSendStream,
} from "./binding.ts";
import { closeCodeOf, closeCodes, irohError } from "./fault.ts";
import { receivesExcess, Watchdog } from "./liveness.ts";
import { SendQueue } from "./send-queue.ts";
import type { IrohSettings } from "./settings.ts";

/** Bytes a stream moves and waits for; the native call costs 40 to 100 ns a byte on the main thread, so calls stay short. */
const READ_SIZE = 4_096;
const WRITE_SIZE = 8_192;
/** Queued bytes above which `write` waits, and at which it goes on. */
const HIGH_WATER = 256 * 1024;
const LOW_WATER = HIGH_WATER / 2;
/** Queued bytes at which a caller that does not await `write` loses the connection. */
const HARD_CAP = 4 * 1024 * 1024;

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
  readonly settings: Pick<IrohSettings, "relay" | "liveness" | "closeTimeoutMs" | "writeStallMs">;
  /** Called once the QUIC connection has ended and nothing needs to be pinned any more. */
  readonly onClosed: (stream: IrohStream) => void;
}

interface Waiter {
  resolve(): void;
  reject(reason: Error): void;
}

/** The one bidirectional QUIC stream of one Iroh connection, and that connection with it. */
export class IrohStream implements ByteStream {
  readonly peer: string;
  readonly source: AsyncIterable<Uint8Array>;
  /** Whether the peer dialled. */
  readonly accepted: boolean;
  readonly #options: IrohStreamOptions;
  readonly #connection: NativeConnection;
  readonly #send: NativeSendStream;
  readonly #receive: NativeRecvStream;
  readonly #watchdog: Watchdog;
  readonly #since = Date.now();
  readonly #queue = new SendQueue(WRITE_SIZE);
  #waiters: Waiter[] = [];
  #flushing: Promise<void> | undefined;
  #writeStartedAt: number | undefined;
  #writeFault: NetworkError | undefined;
  #lastPull: Promise<unknown> = Promise.resolve();
  #readOutcome: "open" | "ended" | Error = "open";
  #abortReason: Error | undefined;
  #disposal: Promise<void> | undefined;
  #closed = false;
  #path: "direct" | "relay" | "unknown" = "unknown";
  #rttMs: number | null = null;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(options: IrohStreamOptions) {
    this.#options = options;
    this.accepted = options.accepted;
    this.#connection = options.parts.connection;
    this.#send = options.parts.bi.send;
    this.#receive = options.parts.bi.recv;
    this.peer = this.#connection.remoteId().toString();
    this.#watchdog = new Watchdog(options.settings.liveness, options.settings.relay !== "disabled", performance.now());
    this.source = iterateOnce("a stream's source", {
      next: () => this.#next(),
      return: async () => ({ done: true, value: undefined }),
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    const fault = this.#abortReason ?? this.#writeFault ?? (this.#disposal && this.#endedHere());
    if (fault !== undefined) throw fault;
    if (this.#queue.bytes > HARD_CAP) {
      const message = `${this.peer}: ${this.#queue.bytes} bytes wait to be sent; the peer or its link is too slow, and writes must be awaited`;
      const reason = new NetworkError("slow-consumer", { peer: this.peer, message });
      this.abort(reason);
      throw reason;
    }
    this.#queue.push(bytes);
    this.#bytesOut += bytes.length;
    this.#flushing ??= this.#flush();
    if (this.#queue.bytes <= HIGH_WATER) return;
    await new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  abort(reason: Error): void {
    if (this.#closed) return;
    this.#abortReason = reason;
    const { code, text } = closeCodeOf(reason);
    this.#close(code, text);
  }

  info(): StreamInfo {
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
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    };
  }

  /** Judges the connection by its counters and aborts it when the peer is dead, does not read, or fills other streams. */
  check(now: number): void {
    if (this.#connection.closeReason() !== null) {
      this.#release();
      return;
    }
    const { udpRxBytes, udpRxDatagrams } = this.#connection.stats();
    const reason =
      this.#silence(udpRxDatagrams, now) ??
      this.#stall(now) ??
      this.#excess({ udpBytes: udpRxBytes, udpDatagrams: udpRxDatagrams, streamBytes: this.#bytesIn });
    if (reason !== undefined) this.abort(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  /** `close` alone loses the last bytes: it overtakes them. Acknowledged ones the peer can read even after it. */
  async #end(): Promise<void> {
    if (this.#closed) return;
    await within(
      this.#options.settings.closeTimeoutMs,
      this.#finish().catch(() => undefined),
    );
    this.#close(closeCodes.normal, "");
  }

  async #finish(): Promise<void> {
    // One turn, so that `#disposal` is set and no write joins the queue behind the last flush.
    await Promise.resolve();
    await this.#flushing;
    if (this.#writeFault !== undefined) return;
    await this.#send.finish();
    await this.#send.stopped();
  }

  /** Concurrent native writes are reordered, so one is in flight and the rest is merged behind it. Never rejects. */
  async #flush(): Promise<void> {
    // What the caller writes in this turn travels together.
    await Promise.resolve();
    try {
      while (this.#queue.bytes > 0 && !this.#closed) {
        this.#writeStartedAt = performance.now();
        await this.#send.writeAll(this.#options.iroh.toNative(this.#queue.take()));
        if (this.#queue.bytes <= LOW_WATER) this.#wake();
      }
    } catch (error) {
      this.#failWrites(irohError(error, this.peer));
    }
    this.#writeStartedAt = undefined;
    this.#flushing = undefined;
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  /** Reading goes on: what the peer sent before it closed is still there. */
  #failWrites(fault: NetworkError): void {
    this.#writeFault ??= fault;
    this.#queue.clear();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#abortReason ?? fault);
  }

  /** An abandoned native read eats the next bytes, so pulls wait for each other. */
  #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const pull = this.#lastPull.then(() => this.#pull());
    this.#lastPull = pull.catch(() => undefined);
    return pull;
  }

  async #pull(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#readOutcome === "open" && !this.#closed) {
      const chunk = await this.#read();
      if (chunk !== undefined) return { done: false, value: chunk };
    }
    if (this.#abortReason !== undefined) throw this.#abortReason;
    if (this.#readOutcome instanceof Error && this.#disposal === undefined) throw this.#readOutcome;
    return { done: true, value: undefined };
  }

  /** The first outcome stays: after a reset, a second native read would look like a clean end. */
  async #read(): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#receive.read(READ_SIZE);
      if (bytes.length === 0) this.#readOutcome = "ended";
      if (bytes.length === 0 || this.#closed || this.#disposal !== undefined) return undefined;
      this.#bytesIn += bytes.length;
      return this.#options.iroh.fromNative(bytes);
    } catch (error) {
      this.#readOutcome = irohError(error, this.peer);
      return undefined;
    }
  }

  #close(code: bigint, text: string): void {
    if (this.#closed) return;
    this.#closed = true;
    // The only native call that never queues behind a pending one.
    this.#connection.close(code, this.#options.iroh.nativeText(text));
    this.#failWrites(this.#endedHere());
    this.#release();
  }

  #release(): void {
    this.#options.onClosed(this);
  }

  #endedHere(): NetworkError {
    const message = `${this.peer}: this side has ended the stream; dial again if it is still wanted`;
    return new NetworkError("closed", { peer: this.peer, message });
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
      this.#connection.sendDatagram(this.#options.iroh.nativeText(""));
    } catch {
      // A peer may not take datagrams; its keep-alives still count.
    }
  }

  #stall(now: number): NetworkError | undefined {
    if (this.#writeStartedAt === undefined || now - this.#writeStartedAt < this.#options.settings.writeStallMs)
      return undefined;
    const message = `${this.peer}: has not read for ${this.#options.settings.writeStallMs} ms; check the peer`;
    return new NetworkError("slow-consumer", { peer: this.peer, message });
  }

  #excess(counters: Parameters<typeof receivesExcess>[0]): NetworkError | undefined {
    if (!receivesExcess(counters)) return undefined;
    const message = `${this.peer}: sends on streams nobody reads; one stream a connection is allowed`;
    return new NetworkError("protocol-violation", { peer: this.peer, message });
  }
}
