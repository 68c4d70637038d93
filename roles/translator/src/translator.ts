import { REQUIRES_FIXED_VERSION, WORKER_HASHRATE_TRACKING, workerTlvs } from "@adit/codec";
import { type ByteStream, type Listener, type Sv2Connection, within } from "@adit/network-helpers";
import { describeError, peerFields, peerText, type RoleContext } from "@adit/role-kit";
import { isNegotiation, keepConnected, type Network, Outbound, type UpstreamState } from "@adit/role-network";
import { Admission } from "./admission.ts";
import type { TranslatorConfig, TranslatorUpstream } from "./config.ts";
import type { MinerId, TranslatorEffect, TranslatorInput } from "./effects.ts";
import type { TranslatorMetrics } from "./metrics.ts";
import { MinerConnection } from "./miner-connection.ts";
import type { TranslatorCore } from "./translator-core.ts";

/** What a {@link Translator} is made of. */
export interface TranslatorParts {
  readonly config: TranslatorConfig;
  readonly context: RoleContext;
  readonly network: Network;
  readonly core: TranslatorCore;
  readonly metrics: TranslatorMetrics;
}

/** How long shares on their way upstream may take when the translator stops, in milliseconds. */
const FLUSH_MS = 2000;
/** Bytes that may wait for an upstream: some ten thousand shares. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** The shell around the core: gives it what comes in, in the order it comes, and does what it says. */
export class Translator implements AsyncDisposable {
  readonly #parts: TranslatorParts;
  readonly #admission: Admission;
  readonly #miners = new Map<MinerId, MinerConnection>();
  readonly #running = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #upstream: Outbound<"mining"> | undefined;
  #closeUpstream: ((reason: string) => void) | undefined;
  #state: UpstreamState = { state: "connecting" };
  #lastMiner = 0;
  #wanted: (() => void) | undefined;

  constructor(parts: TranslatorParts) {
    this.#parts = parts;
    this.#admission = new Admission(parts.config.limits);
    this.#timer = setInterval(() => this.#dispatch({ type: "tick" }), 1000);
  }

  /** Where the translator stands with its upstream. */
  get state(): UpstreamState {
    return this.#state;
  }

  /** Takes miners until the listener stops. */
  async serve(listener: Listener): Promise<void> {
    for await (const stream of listener.streams) {
      const refusal = this.#admission.enter(stream.peer, clock());
      if (refusal === undefined) this.#track(this.#serveMiner(stream));
      else {
        this.#parts.metrics.minersClosed(refusal, 1);
        this.#parts.context.log.debug({ peer: stream.peer, reason: refusal }, "miner refused");
        stream.abort(new Error(`refused: ${refusal}`));
      }
    }
  }

  /** Keeps an upstream connected until `signal` aborts: the first that can be reached, in the config's order. */
  async connect(onState: (state: UpstreamState) => void): Promise<void> {
    const { upstreams } = this.#parts.config;
    let at = 0;
    await keepConnected({
      signal: this.#parts.context.signal,
      idle: () => this.#untilWanted(),
      onState: (state) => {
        this.#state = state;
        onState(state);
      },
      attempt: async (connected) => {
        const upstream = upstreams[at % upstreams.length];
        if (upstream === undefined) return;
        let worked = false;
        try {
          await this.#serveUpstream(upstream, () => {
            worked = true;
            connected();
          });
        } finally {
          if (!worked || !this.#parts.core.trustsUpstream) at += 1;
        }
      },
    });
  }

  /** Closes every miner after what was sent to it. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#miners.values()].map((miner) => miner.close()));
    await Promise.all(this.#running);
  }

  /** Pools close a connection without channels after a while. Until there is a miner, there is no need for another. */
  #untilWanted(): Promise<void> | undefined {
    if (this.#miners.size > 0) return undefined;
    const { signal, log } = this.#parts.context;
    log.info("upstream let go; it is dialled again when a miner comes");
    return new Promise((resolve) => {
      this.#wanted = () => resolve();
      signal.addEventListener("abort", this.#wanted, { once: true });
    });
  }

  async #serveMiner(stream: ByteStream): Promise<void> {
    const { limits } = this.#parts.config;
    this.#lastMiner += 1;
    const miner = this.#lastMiner;
    const connection = new MinerConnection(stream, {
      maxLineBytes: limits.maxLineBytes,
      maxOutboundBytes: limits.maxOutboundBytes,
      onLine: (line) => this.#dispatch({ type: "line", miner, line }),
    });
    this.#miners.set(miner, connection);
    this.#wanted?.();
    this.#dispatch({ type: "miner-connected", miner, peer: stream.peer });
    const fault = await connection.run();
    this.#miners.delete(miner);
    this.#admission.leave(stream.peer);
    if (fault !== undefined) {
      const reason = "code" in fault && fault.code === "line-too-long" ? "line-too-long" : "connection-broken";
      this.#parts.metrics.minersClosed(reason, 1);
      this.#parts.context.log.debug(
        { miner, peer: stream.peer, error: describeError(fault) },
        "miner connection broken",
      );
    }
    this.#dispatch({ type: "miner-gone", miner });
  }

  async #serveUpstream(upstream: TranslatorUpstream, connected: () => void): Promise<void> {
    const { config, context, network } = this.#parts;
    const { supportedExtensions, requiredExtensions } = config;
    const requestExtensions = [...new Set([...supportedExtensions, ...requiredExtensions])];
    // Rolling the version is wanted but not required: miners can do without, and each job says whether it may be done.
    const hello = { protocol: "mining", flags: 0, requestExtensions, requiredExtensions } as const;
    await using connection = await network.dial(upstream, hello, { signal: context.signal });
    const stop = (): void => this.#closeUpstream?.("stopping");
    const ended = new Promise<string>((resolve) => {
      this.#closeUpstream = resolve;
    });
    context.signal.addEventListener("abort", stop, { once: true });
    let reason = "the upstream ended the connection";
    try {
      this.#upstream = new Outbound(connection, {
        maxWaitingBytes: MAX_WAITING_BYTES,
        tlvByteOrder: upstream.tlvByteOrder,
      });
      this.#dispatch({ type: "upstream-up", setup: setupOf(connection, upstream) });
      connected();
      const asked = await Promise.race([this.#read(connection), ended]);
      if (asked !== undefined) throw new Error(asked);
    } catch (error) {
      reason = peerText(error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      context.signal.removeEventListener("abort", stop);
      await within(FLUSH_MS, this.#upstream?.flushed() ?? Promise.resolve());
      this.#upstream = undefined;
      this.#closeUpstream = undefined;
      if (!context.signal.aborted) this.#dispatch({ type: "upstream-down", reason });
    }
  }

  async #read(connection: Sv2Connection<"mining">): Promise<undefined> {
    for await (const { message } of connection.messages) {
      if (!isNegotiation(message)) this.#dispatch({ type: "upstream-message", message });
    }
  }

  #dispatch(input: TranslatorInput): void {
    for (const effect of this.#parts.core.handle(input, clock())) this.#perform(effect);
  }

  #perform(effect: TranslatorEffect): void {
    switch (effect.type) {
      case "send-line":
        return this.#miners.get(effect.to)?.send(effect.line);
      case "close-miner":
        return this.#track(this.#miners.get(effect.miner)?.close() ?? Promise.resolve());
      case "send-upstream":
        return this.#upstream?.send(effect.message, workerTlvs(effect.worker));
      case "close-upstream":
        return this.#closeUpstream?.(effect.reason);
      case "count":
        return this.#parts.metrics[effect.counter](effect.label, effect.by);
      case "log":
        return this.#parts.context.log[effect.level](peerFields(effect.fields), effect.event);
      default:
        effect satisfies never;
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }
}

/** Milliseconds that never run backwards, whatever the wall clock does, and read as unix time. */
function clock(): number {
  return performance.timeOrigin + performance.now();
}

function setupOf(connection: Sv2Connection<"mining">, { userIdentity }: TranslatorUpstream) {
  return {
    userIdentity,
    fixedVersion: (connection.accepted.flags & REQUIRES_FIXED_VERSION) !== 0,
    namesWorkers: connection.extensions.has(WORKER_HASHRATE_TRACKING),
  };
}
