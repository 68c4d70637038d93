import {
  aborted,
  type ByteStream,
  Condition,
  type ConnectionInfo,
  type Listener,
  nextConnectionId,
  within,
} from "@adit/network-helpers";
import { describeError, lastAnswersMs, peerFields, type RoleContext } from "@adit/role-kit";
import type { Network } from "@adit/role-network";
import { Admission } from "./admission.ts";
import type { TranslatorConfig } from "./config.ts";
import type { MinerId, SessionId, TranslatorEffect, TranslatorInput } from "./effects.ts";
import type { TranslatorMetrics } from "./metrics.ts";
import { MinerConnection } from "./miner-connection.ts";
import type { TranslatorCore } from "./translator-core.ts";
import { UpstreamConnection } from "./upstream-connection.ts";
import type { UpstreamPlan, UpstreamState } from "./upstream-plan.ts";

/** What a {@link Translator} is made of. */
export interface TranslatorParts {
  readonly config: TranslatorConfig;
  readonly context: RoleContext;
  readonly network: Network;
  readonly core: TranslatorCore;
  readonly metrics: TranslatorMetrics;
  /** Called after whatever may have changed what the core says of itself. */
  readonly onChange: () => void;
}

/** The keys of the config that {@link Translator.setLimits} takes over. */
export const liveLimitKeys: readonly string[] = [
  "limits.max_miners",
  "limits.max_miners_per_source",
  "limits.new_miners_per_second",
  "limits.new_miners_burst",
  "limits.max_outbound_bytes",
];

/** The shell around the core: gives it what comes in, in the order it comes, and does what it says. */
export class Translator implements AsyncDisposable {
  readonly #parts: TranslatorParts;
  readonly #admission: Admission;
  #limits: TranslatorConfig["limits"];
  /** Their ids are connection ids, so that an operator's `disconnect` means one connection of the process. */
  readonly #miners = new Map<MinerId, { readonly peer: string; readonly connection: MinerConnection }>();
  readonly #running = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  readonly #upstreams = new Map<SessionId, UpstreamConnection>();
  readonly #answered: Condition;
  #isStopping = false;

  constructor(parts: TranslatorParts) {
    this.#parts = parts;
    this.#limits = parts.config.limits;
    this.#admission = new Admission(this.#limits);
    this.#answered = new Condition(() => parts.core.pendingSubmits === 0);
    this.#timer = setInterval(() => this.#dispatch({ type: "tick" }), 1000);
    parts.network.onDisconnect((id) => this.#disconnect(id));
  }

  /** Takes over the limits of {@link liveLimitKeys} for miners that connect from now on; nobody who is in has to leave. */
  setLimits(limits: TranslatorConfig["limits"]): void {
    this.#limits = limits;
    this.#admission.setLimits(limits);
  }

  /** Takes over other upstreams, or another order or policy. What is mined at stays until another has given work. */
  setUpstreams(plan: UpstreamPlan): void {
    if (!this.#isStopping) this.#dispatch({ type: "upstream-list-changed", plan });
  }

  /** Where the translator stands with its upstream, and the connection that is mined over, if there is one. */
  upstream(): UpstreamState & { readonly connection: ConnectionInfo | undefined } {
    const { session, upstream } = this.#parts.core;
    const connection = session === undefined ? undefined : this.#upstreams.get(session)?.connection;
    return { ...upstream, connection: connection?.info() };
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

  /**
   * Tries upstreams and mines at the best, until `signal` aborts. Then miners are not listened to any more, the answers to
   * their last shares are waited for, and upstreams are told goodbye.
   */
  async connect(): Promise<void> {
    const { config, context, core } = this.#parts;
    this.#dispatch({ type: "tick" });
    await aborted(context.signal);
    this.#isStopping = true;
    await within(lastAnswersMs(config), this.#answered.met());
    context.log.info({ unansweredShares: core.pendingSubmits }, "upstreams told goodbye");
    this.#dispatch({ type: "stop" });
  }

  /** Closes every miner after what was sent to it. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#miners.values()].map(({ connection }) => connection.close()));
    await Promise.all(this.#running);
  }

  async #serveMiner(stream: ByteStream): Promise<void> {
    const { maxLineBytes } = this.#parts.config.limits;
    const { maxOutboundBytes } = this.#limits;
    const miner = nextConnectionId();
    const connection = new MinerConnection(stream, {
      maxLineBytes,
      maxOutboundBytes,
      onLine: (line) => {
        if (!this.#isStopping) this.#dispatch({ type: "line", miner, line });
      },
    });
    this.#miners.set(miner, { peer: stream.peer, connection });
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

  /** Breaks a miner off because the operator says so. Null when there is none with this id, else its peer. */
  #disconnect(miner: MinerId): string | null {
    const found = this.#miners.get(miner);
    if (found === undefined) return null;
    const { peer, connection } = found;
    this.#parts.metrics.minersClosed("operator", 1);
    this.#parts.context.log.info({ miner, peer }, "miner disconnected by the operator");
    connection.abort(new Error("disconnected by the operator"));
    return peer;
  }

  #begin({ session, route, to }: Extract<TranslatorEffect, { readonly type: "begin-session" }>): void {
    const { config, network, context } = this.#parts;
    if (context.signal.aborted) return;
    const { supportedExtensions, requiredExtensions } = config;
    const connection = new UpstreamConnection({
      session,
      route,
      to,
      requestExtensions: [...new Set([...supportedExtensions, ...requiredExtensions])],
      requiredExtensions,
      network,
      say: (input) => this.#dispatch(input),
    });
    this.#upstreams.set(session, connection);
    this.#track(connection.run().finally(() => this.#upstreams.delete(session)));
  }

  #dispatch(input: TranslatorInput): void {
    for (const effect of this.#parts.core.handle(input, clock())) this.#perform(effect);
    this.#parts.onChange();
    this.#answered.check();
  }

  #perform(effect: TranslatorEffect): void {
    switch (effect.type) {
      case "send-line":
        return this.#miners.get(effect.to)?.connection.send(effect.line);
      case "close-miner":
        return this.#track(this.#miners.get(effect.miner)?.connection.close() ?? Promise.resolve());
      case "send-upstream":
      case "begin-session":
      case "end-session":
        return this.#performUpstream(effect);
      case "count":
        return this.#parts.metrics[effect.counter](effect.label, effect.by);
      case "log":
        return this.#parts.context.log[effect.level](peerFields(effect.fields), effect.event.replaceAll("-", " "));
      default:
        effect satisfies never;
    }
  }

  #performUpstream(effect: Extract<TranslatorEffect, { readonly session: SessionId }>): void {
    switch (effect.type) {
      case "begin-session":
        return this.#begin(effect);
      case "end-session":
        return this.#upstreams.get(effect.session)?.end();
      case "send-upstream":
        return this.#upstreams.get(effect.session)?.send(effect.message, effect.worker);
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
