import { Deadline } from "../deadline.ts";
import { NetworkError } from "../errors.ts";
import { orAbort } from "../or-abort.ts";
import { Admission, type Refusal, refusals } from "./admission.ts";
import type { Iroh, NativeBiStream, NativeConnection, NativeEndpoint, NativeIncoming } from "./binding.ts";
import { closeCodes, irohError } from "./fault.ts";
import type { IrohListener } from "./listener.ts";
import type { IrohSettings } from "./settings.ts";
import type { IrohStream } from "./stream.ts";

/** What the acceptor needs of its node. */
export interface AcceptorOptions {
  readonly iroh: Iroh;
  readonly endpoint: NativeEndpoint;
  readonly settings: IrohSettings;
  /** Aborted when the node closes. */
  readonly signal: AbortSignal;
  /** The listener of an ALPN, if any. */
  readonly listenerOf: (alpn: string) => Listening | undefined;
  /** Whether a listener with endpoint ids of its own expects this one. */
  readonly isExpected: (peer: string) => boolean;
  /** Makes and pins the stream; `onClosed` is called once when it has ended. */
  readonly makeStream: (parts: ConnectionParts, listener: IrohListener, onClosed: () => void) => IrohStream;
}

/** Who takes the connections of an ALPN, and how many streams each has. */
export interface Listening {
  readonly listener: IrohListener;
  readonly streams: 1 | 2;
}

/** A connection with its first stream. */
export interface ConnectionParts {
  readonly connection: NativeConnection;
  readonly bi: NativeBiStream;
  /** Streams that its ALPN stands for. */
  readonly streams: 1 | 2;
}

/** Running totals of one node's incoming connections. */
export interface AcceptCounts {
  /** Streams handed to listeners. */
  readonly accepted: number;
  /** Handshakes that failed: wrong ALPN, broken off, too slow. */
  readonly failed: number;
  /** Packets answered with a QUIC Retry, to have the sender prove its address while many are pending. */
  readonly retried: number;
  /** Connections turned away, by reason. */
  readonly refused: Readonly<Record<Refusal, number>>;
}

/** Takes incoming connections, each on its own, so that a silent one holds up nobody. */
export class Acceptor {
  readonly admission: Admission;
  readonly #options: AcceptorOptions;
  #accepted = 0;
  #failed = 0;
  #retried = 0;
  readonly #refused: Record<Refusal, number> = {
    "too-many-pending": 0,
    "not-allowed": 0,
    "too-many-connections": 0,
    "unknown-alpn": 0,
    "no-stream": 0,
    "backlog-full": 0,
  };

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.admission = new Admission(options.settings);
  }

  counts(): AcceptCounts {
    return { accepted: this.#accepted, failed: this.#failed, retried: this.#retried, refused: { ...this.#refused } };
  }

  /** Runs until the endpoint closes; rejects when it breaks. */
  async run(): Promise<void> {
    for (;;) {
      const incoming = await this.#options.endpoint.acceptNext();
      if (incoming === null) return;
      this.#take(incoming).catch((error: unknown) => {
        if (this.#options.signal.aborted) return;
        this.#failed += 1;
        this.#options.settings.onAcceptError(irohError(error, "an incoming connection"));
      });
    }
  }

  async #take(incoming: NativeIncoming): Promise<void> {
    const from = await incoming.remoteAddr();
    // Behind a relay the id is known, and proven by the relay, before any handshake.
    if (from.endpointId !== undefined && !this.#mayConnect(from.endpointId)) {
      this.#count("not-allowed", from.endpointId);
      return incoming.refuse();
    }
    const source = from.endpointId ?? from.addr?.replace(/:\d+$/, "") ?? "unknown";
    const full = this.admission.begin(source);
    if (full !== undefined) {
      this.#count(full, source);
      return incoming.refuse();
    }
    try {
      if (this.admission.crowded && !(await incoming.remoteAddrValidated())) {
        this.#retried += 1;
        return await incoming.retry();
      }
      await this.#greet(await this.#handshake(incoming));
    } finally {
      this.admission.finish(source);
    }
  }

  #mayConnect(peer: string): boolean {
    return this.admission.allows(peer) || this.#options.isExpected(peer);
  }

  async #handshake(incoming: NativeIncoming): Promise<NativeConnection> {
    using deadline = this.#deadline();
    const { signal } = deadline;
    const accepting = await orAbort(incoming.accept(), signal, () => undefined);
    return await orAbort(accepting.connect(), signal, (late) =>
      this.#close(late, closeCodes.policy, "handshake-too-slow"),
    );
  }

  /** The peer's id is proven from here on; it may not have a stream yet. */
  async #greet(connection: NativeConnection): Promise<void> {
    const alpn = new TextDecoder().decode(this.#options.iroh.fromNative(connection.alpn()));
    const listening = this.#options.listenerOf(alpn);
    if (listening === undefined) return this.#refuse(connection, "unknown-alpn");
    const { listener, streams } = listening;
    const peer = connection.remoteId().toString();
    const refusal = this.admission.connect(peer, listener.allowedPeers);
    if (refusal !== undefined) return this.#refuse(connection, refusal);
    let stream: IrohStream | undefined;
    try {
      const bi = await this.#firstStream(connection, streams);
      if (bi === undefined) return this.#refuse(connection, "no-stream");
      const onClosed = (): void => this.admission.disconnect(peer);
      stream = this.#options.makeStream({ connection, bi, streams }, listener, onClosed);
    } finally {
      if (stream === undefined) this.admission.disconnect(peer);
    }
    if (listener.offer(stream)) {
      this.#accepted += 1;
      this.#options.settings.onAccepted(peer);
    } else {
      this.#refuse(connection, "backlog-full");
      stream.abort(new Error("backlog full"));
    }
  }

  /** Undefined when the peer sends nothing in time. An abandoned acceptBi would steal a later stream: the caller closes. */
  async #firstStream(connection: NativeConnection, streams: 1 | 2): Promise<NativeBiStream | undefined> {
    // Cannot take back what the handshake granted, but grants no more.
    connection.setMaxConcurrentUniStreams(0n);
    connection.setMaxConcurrentBiStreams(BigInt(streams));
    using deadline = this.#deadline();
    try {
      return await orAbort(connection.acceptBi(), deadline.signal, () => undefined);
    } catch (error) {
      if (deadline.signal.aborted) return undefined;
      throw error;
    }
  }

  #deadline(): Deadline {
    return new Deadline(this.#options.signal, this.#options.settings.acceptTimeoutMs);
  }

  #refuse(connection: NativeConnection, reason: Refusal): void {
    if (this.#options.signal.aborted) {
      this.#close(connection, closeCodes.shuttingDown, "shutting-down");
      return;
    }
    this.#count(reason, connection.remoteId().toString());
    const overload = reason === "too-many-connections" || reason === "backlog-full";
    this.#close(connection, overload ? closeCodes.overload : closeCodes.policy, reason);
  }

  #close(connection: NativeConnection, code: bigint, text: string): void {
    connection.close(code, this.#options.iroh.nativeText(text));
  }

  #count(reason: Refusal, peer: string): void {
    this.#refused[reason] += 1;
    const message = `${peer}: turned away, ${refusals[reason]}`;
    this.#options.settings.onAcceptError(new NetworkError("refused", { peer, message }));
  }
}
