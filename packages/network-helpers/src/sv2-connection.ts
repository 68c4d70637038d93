import {
  CodecError,
  type DialectMessage,
  dialect,
  type ExtensionsNegotiationMessage,
  type Frame,
  messageSets,
  type Protocol,
  type RequestExtensions,
  type SetupConnection,
  type SetupConnectionSuccess,
  type Tlv,
} from "@adit/codec";
import { TokenBucket } from "@adit/token-bucket";
import { GRACE_MS, within } from "./deadline.ts";
import { NetworkError } from "./errors.ts";
import type { ConnectionInfo, FrameConnection } from "./frame-connection.ts";
import { iterateOnce } from "./once.ts";

/** A message as it came. SetupConnection, RequestExtensions and their answers never appear here. */
export interface Received<P extends Protocol> {
  /** The message. Its byte fields are views: copy what outlives the next pull. */
  readonly message: DialectMessage<P>;
  /** The TLV fields behind it, those of extensions that were negotiated. */
  readonly tlvs: readonly Tlv[];
}

/** The receiving half of a connection, owned by itself (requirement A11). Disposing it says that it is not read again. */
export interface Sv2Reader<P extends Protocol> extends AsyncDisposable {
  /** As {@link Sv2Connection.messages}. */
  readonly messages: AsyncIterable<Received<P>>;
}

/** The sending half of a connection, owned by itself (requirement A11). Disposing it sends what is written and no more. */
export interface Sv2Writer<P extends Protocol> extends AsyncDisposable {
  /** As {@link Sv2Connection.write}. */
  write(message: DialectMessage<P>, tlvs?: readonly Tlv[]): Promise<void>;
  /** As {@link Sv2Connection.writeFrames}. */
  writeFrames(frames: readonly Uint8Array[]): Promise<void>;
}

/**
 * A connection on which the handshake and SetupConnection are done: typed messages of one sub-protocol, the same whatever
 * carries the bytes (requirement A1). Disposing it is graceful: flush, end, and after two seconds at the latest abort.
 */
export interface Sv2Connection<P extends Protocol> extends AsyncDisposable {
  /** Number of the connection, unique within this process. */
  readonly id: number;
  /** The other side, for logs. */
  readonly peer: string;
  /** The sub-protocol. */
  readonly protocol: P;
  /** What the client asked for. */
  readonly setup: SetupConnection;
  /** What the server granted. */
  readonly accepted: SetupConnectionSuccess;
  /** Extensions both sides agreed on. A client's set is complete; a server's fills when the client asks for extensions. */
  readonly extensions: ReadonlySet<number>;
  /** Metadata and counters as of now. */
  info(): ConnectionInfo;
  /**
   * One message a pull, so pulling slowly is backpressure. Ends when the peer ends cleanly or this side disposes the
   * connection; throws a NetworkError otherwise, and the connection is broken then. Iterate once.
   */
  readonly messages: AsyncIterable<Received<P>>;
  /** Sends a message. Resolves when the transport is ready for more. Throws CodecError for values that do not fit. */
  write(message: DialectMessage<P>, tlvs?: readonly Tlv[]): Promise<void>;
  /** Sends frames that `dialect(protocol).encode` made, in one write: e.g. one job encoded once for many connections. */
  writeFrames(frames: readonly Uint8Array[]): Promise<void>;
  /** Two halves for two owners. The connection ends when both are disposed. May be called once. */
  split(): { readonly reader: Sv2Reader<P>; readonly writer: Sv2Writer<P> };
  /** Breaks the connection now; pending reads and writes reject with `reason`. */
  abort(reason: Error): void;
}

/** What a TypedConnection starts from. */
export interface TypedConnectionOptions<P extends Protocol> {
  readonly frames: FrameConnection;
  /** The frames' iterator, from which SetupConnection's part has been pulled. */
  readonly incoming: AsyncIterator<Frame, undefined>;
  readonly protocol: P;
  readonly setup: SetupConnection;
  readonly accepted: SetupConnectionSuccess;
  /** Negotiated already; a server's grows. */
  readonly extensions: Set<number>;
  /** What a server answers RequestExtensions with; null on a client. */
  readonly server: { readonly supported: readonly number[]; readonly required: readonly number[] } | null;
}

/** Frames a peer may send that nobody knows, and how many more each second (one a minute). */
const UNKNOWN_FRAMES = { burst: 10, perSecond: 1 / 60 };

/** The Sv2Connection over a FrameConnection; takes it over. */
export class TypedConnection<P extends Protocol> implements Sv2Connection<P> {
  readonly id: number;
  readonly peer: string;
  readonly protocol: P;
  readonly setup: SetupConnection;
  readonly accepted: SetupConnectionSuccess;
  readonly messages: AsyncIterable<Received<P>>;
  readonly #options: TypedConnectionOptions<P>;
  readonly #frames: FrameConnection;
  readonly #unknown = new TokenBucket(UNKNOWN_FRAMES, performance.now());
  #conversing = false;
  #disposed = false;
  #halves = 0;

  constructor(options: TypedConnectionOptions<P>) {
    this.#options = options;
    this.#frames = options.frames;
    this.id = options.frames.info().id;
    this.peer = options.frames.peer;
    this.protocol = options.protocol;
    this.setup = options.setup;
    this.accepted = options.accepted;
    this.messages = iterateOnce("a connection's messages", {
      next: () => this.#next(),
      return: async () => ({ done: true, value: undefined }),
    });
  }

  get extensions(): ReadonlySet<number> {
    return this.#options.extensions;
  }

  info(): ConnectionInfo {
    return this.#frames.info();
  }

  async write(message: DialectMessage<P>, tlvs?: readonly Tlv[]): Promise<void> {
    await this.#frames.writer.write(dialect(this.protocol).encode(message, tlvs));
  }

  writeFrames(frames: readonly Uint8Array[]): Promise<void> {
    return this.#frames.writer.writeAll(frames);
  }

  split(): { readonly reader: Sv2Reader<P>; readonly writer: Sv2Writer<P> } {
    if (this.#halves > 0) throw new Error("a connection can be split once");
    this.#halves = 2;
    return {
      reader: { messages: this.messages, [Symbol.asyncDispose]: this.#halfDisposal(async () => true) },
      writer: {
        write: (message, tlvs) => this.write(message, tlvs),
        writeFrames: (frames) => this.writeFrames(frames),
        [Symbol.asyncDispose]: this.#halfDisposal(() => within(GRACE_MS, this.#frames.writer.end())),
      },
    };
  }

  abort(reason: Error): void {
    this.#frames.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#frames[Symbol.asyncDispose]();
  }

  #halfDisposal(finish: () => Promise<boolean>): () => Promise<void> {
    let disposing: Promise<void> | undefined;
    const dispose = async (): Promise<void> => {
      // A flush that fails has broken the connection, which whoever reads is told.
      const finished = finish().catch(() => false);
      if (--this.#halves === 0) await this[Symbol.asyncDispose]();
      else await finished;
    };
    return () => (disposing ??= dispose());
  }

  async #next(): Promise<IteratorResult<Received<P>, undefined>> {
    try {
      for (;;) {
        const next = await this.#options.incoming.next();
        if (next.done === true) return next;
        const received = await this.#receive(next.value);
        if (received !== undefined) return { done: false, value: received };
      }
    } catch (cause) {
      if (this.#disposed) return { done: true, value: undefined };
      const error = protocolFault(cause, this.peer);
      this.abort(error);
      throw error;
    }
  }

  /** The message in a frame, or nothing when it was not for the caller. */
  async #receive(frame: Frame): Promise<Received<P> | undefined> {
    const decoded = dialect(this.protocol).decode(frame);
    if (decoded.kind !== "message") {
      this.#ignore();
      return undefined;
    }
    const { message, tlvs } = decoded;
    const sender = senderOf(this.protocol, message.name);
    const { server, extensions } = this.#options;
    if (sender === (server === null ? "client" : "server"))
      throw this.#violation(`${message.name} is not for it to send`);
    if (isNegotiation(message)) {
      await this.#negotiate(message);
      return undefined;
    }
    if (message.name.startsWith("SetupConnection")) throw this.#violation(`a second ${message.name}`);
    const missing = server?.required.filter((extension) => !extensions.has(extension)) ?? [];
    if (missing.length > 0) throw this.#violation(`required extensions were not negotiated: ${missing.join(", ")}`);
    this.#conversing = true;
    return { message, tlvs: tlvs.filter((tlv) => extensions.has(tlv.extensionType)) };
  }

  async #negotiate(message: ExtensionsNegotiationMessage): Promise<void> {
    const { server, extensions } = this.#options;
    // A late answer to a client that has gone on without extensions, or a question after the time for it.
    if (server === null || message.name !== "RequestExtensions" || this.#conversing) {
      this.#ignore();
      return;
    }
    const answer = answerExtensions(message, server);
    if (answer.name === "RequestExtensionsSuccess") {
      extensions.clear();
      for (const extension of answer.supportedExtensions) extensions.add(extension);
    }
    await this.#frames.writer.write(dialect("mining").encode(answer));
  }

  /** Frames nobody knows are ignored (spec 3.4.1), but not without end. */
  #ignore(): void {
    if (!this.#unknown.take(performance.now())) throw this.#violation("too many frames that nobody knows");
  }

  #violation(what: string): NetworkError {
    const message = `${this.peer}: ${what}; the peer is disconnected`;
    return new NetworkError("protocol-violation", { peer: this.peer, message });
  }
}

/** The server's answer to RequestExtensions (extension 0x0001, section 4). */
function answerExtensions(
  { requestId, requestedExtensions }: RequestExtensions,
  server: { readonly supported: readonly number[]; readonly required: readonly number[] },
): ExtensionsNegotiationMessage {
  const requested = new Set(requestedExtensions);
  const supportedExtensions = [...requested].filter((extension) => server.supported.includes(extension));
  const unsupportedExtensions = [...requested].filter((extension) => !server.supported.includes(extension));
  const requiredExtensions = server.required.filter((extension) => !requested.has(extension));
  const noneSupported = requested.size > 0 && supportedExtensions.length === 0;
  return requiredExtensions.length > 0 || noneSupported
    ? { name: "RequestExtensionsError", requestId, unsupportedExtensions, requiredExtensions }
    : { name: "RequestExtensionsSuccess", requestId, supportedExtensions };
}

/** Whatever went wrong while a message was read, as a NetworkError. */
export function protocolFault(cause: unknown, peer: string): Error {
  if (cause instanceof NetworkError) return cause;
  if (!(cause instanceof CodecError)) return cause instanceof Error ? cause : new Error(String(cause));
  const message = `${peer}: ${cause.message}; the peer is disconnected`;
  return new NetworkError("protocol-violation", { peer, message, cause });
}

function isNegotiation(message: { readonly name: string }): message is ExtensionsNegotiationMessage {
  return message.name in messageSets.extensions_negotiation.rows;
}

function senderOf(protocol: Protocol, name: string): "client" | "server" | "both" {
  const rows = [messageSets[protocol], messageSets.common, messageSets.extensions_negotiation];
  return rows.map((set) => set.rows[name]?.sender).find((sender) => sender !== undefined) ?? "both";
}
