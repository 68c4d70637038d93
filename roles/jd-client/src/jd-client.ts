import {
  MiningShell,
  miningListener,
  rewardScript,
  TemplateClient,
  templateProviderKeys,
  templateProviderUpstream,
  toServerOptions,
} from "@adit/mining-shell";
import { aborted } from "@adit/network-helpers";
import type { RoleContext } from "@adit/role-kit";
import { listenLimitKeys, moveTarget, type Network, type Served, toUpstreamPolicy } from "@adit/role-network";
import { type JdClientConfig, listenerOf } from "./config.ts";
import type { JdClientInput, SessionId, UpstreamEffect } from "./core/effects.ts";
import { JdClientCore } from "./core/jd-client-core.ts";
import type { JdClientOptions, UpstreamRoute } from "./core/jd-client-options.ts";
import { type JdClientMetrics, jdClientMetrics } from "./metrics.ts";
import { UpstreamLink } from "./upstream-link.ts";
import { routesTo, upstreamName } from "./upstream-settings.ts";

/** What a {@link JdClient} is made of; whoever opened the network closes it. */
export interface JdClientParts {
  readonly config: JdClientConfig;
  readonly context: RoleContext<JdClientConfig>;
  readonly network: Network;
  /** First extranonce index of a channel, and first bytes of every extranonce in solo mining: random. */
  readonly extranonceStart: number;
  readonly soloExtranoncePrefix: Uint8Array;
}

const TICK_MS = 1000;

/** One jd-client: its core, its template provider, its upstreams and its miners, and the order in which they stop. */
export class JdClient {
  readonly #parts: JdClientParts;
  readonly #core: JdClientCore;
  readonly #routes: readonly UpstreamRoute[];
  readonly #metrics: JdClientMetrics;
  readonly #shell: MiningShell<JdClientInput, UpstreamEffect>;
  readonly #links = new Map<SessionId, UpstreamLink>();
  readonly #running = new Set<Promise<void>>();
  /** Aborts when there is work for miners. */
  readonly #hasWork = new AbortController();
  #templates: TemplateClient | undefined;
  #served: Served | undefined;
  #told: string | null | undefined;

  /** RangeError or BitcoinError when the config's signature or rates do not fit a coinbase. */
  constructor(parts: JdClientParts) {
    const { config, context } = parts;
    this.#parts = parts;
    const options = optionsOf(parts);
    this.#core = new JdClientCore(options, context.now());
    this.#routes = options.routes;
    this.#metrics = jdClientMetrics(context.metrics, () => this.#core.status());
    const { limits, ackIntervalSecs, supportedExtensions } = config;
    this.#shell = new MiningShell({
      core: this.#core,
      perform: (effect) => this.#perform(effect),
      onClose: (cause) => this.#metrics.connectionsClosed.inc({ cause }),
      outbound: { maxMessages: limits.maxOutboundMessages, maxBytes: limits.maxOutboundBytes },
      stalledWriteMs: limits.stalledWriteSecs * 1000,
      ackIntervalMs: ackIntervalSecs * 1000,
      extensions: supportedExtensions,
      log: context.log,
    });
  }

  /**
   * Serves until the context's signal aborts. Miners are let in once there is work. At the end the listeners stop, miners
   * are sent away, their shares go to the pool, and the template provider's connection goes last.
   */
  async run(): Promise<void> {
    const { context, network, config } = this.#parts;
    const { signal } = context;
    context.setStatus(() => this.#status());
    await using templates = new TemplateClient({
      network,
      upstream: templateProviderUpstream(config.templateProviderType.Sv2Tp),
      policy: toUpstreamPolicy(config.fallback),
      constraints: {
        name: "CoinbaseOutputConstraints",
        coinbaseOutputMaxAdditionalSize: config.coinbaseOutputMaxAdditionalSize,
        coinbaseOutputMaxAdditionalSigops: config.coinbaseOutputMaxAdditionalSigops,
      },
      onEvent: (event) => this.#feed(event),
      onChange: () => this.#updateReadiness(),
      log: context.log,
      metrics: context.metrics,
      now: context.now,
    });
    this.#templates = templates;
    context.onReload(templateProviderKeys, ({ templateProviderType }) =>
      templates.replace({
        upstream: templateProviderUpstream(templateProviderType.Sv2Tp),
        policy: toUpstreamPolicy(config.fallback),
      }),
    );
    const ticking = setInterval(() => this.#tick(), TICK_MS);
    try {
      this.#tick();
      await aborted(AbortSignal.any([signal, this.#hasWork.signal]));
      if (!signal.aborted) await this.#serve();
    } finally {
      clearInterval(ticking);
      for (const link of this.#links.values()) link.end();
      await Promise.all(this.#running);
    }
  }

  async #serve(): Promise<void> {
    const { config, context, network } = this.#parts;
    const { signal } = context;
    await using served = await network.serve({
      settings: listenerOf(config),
      limits: config.limits,
      // Miners of a jd-client declare no jobs of their own.
      server: miningListener(config, false),
      handler: (connection) => this.#shell.serve(connection),
      signal,
    });
    context.onReload(listenLimitKeys("limits"), ({ limits }) => served.setLimits(limits));
    this.#served = served;
    this.#updateReadiness();
    await aborted(signal);
    // A share is answered in the same moment in which it comes.
    await this.#shell.drain(() => Promise.resolve(), moveTarget(config.moveMinersTo));
  }

  #feed(input: JdClientInput): void {
    if (input.type === "connected" || input.type === "message" || input.type === "disconnected") return;
    this.#shell.handle(input);
    if (this.#core.isServing) this.#hasWork.abort();
    this.#updateReadiness();
  }

  #tick(): void {
    this.#shell.tick();
    if (this.#core.isServing) this.#hasWork.abort();
    this.#updateReadiness();
  }

  #perform(effect: UpstreamEffect): void {
    switch (effect.type) {
      case "begin-session":
      case "end-session":
      case "send-pool":
      case "send-jds":
        return this.#performOnLink(effect);
      case "submit-solution":
        return this.#templates?.submit(effect.solution);
      case "request-transaction-data":
        return this.#templates?.requestTransactionData(effect.templateId);
      case "count":
        return this.#metrics[effect.counter](effect.label, effect.by);
      case "reject-share":
        return this.#metrics.sharesRejected.inc({ error_code: effect.errorCode });
      default:
        return effect satisfies never;
    }
  }

  #performOnLink(effect: Extract<UpstreamEffect, { readonly session: SessionId }>): void {
    const link = this.#links.get(effect.session);
    switch (effect.type) {
      case "begin-session":
        return this.#begin(effect.session, effect.route);
      case "end-session":
        return link?.end();
      case "send-pool":
        return link?.toPool(effect.message, effect.worker);
      case "send-jds":
        return link?.toJds(effect.message);
      default:
        return effect satisfies never;
    }
  }

  #begin(session: SessionId, at: number): void {
    const { config, network } = this.#parts;
    const route = this.#routes[at];
    const entry = route === undefined ? undefined : config.upstreams[route.upstream];
    if (route === undefined || entry === undefined) return;
    const declaresTransactions = config.mode === "FULLTEMPLATE";
    const say = (input: JdClientInput): void => this.#feed(input);
    const link = new UpstreamLink({ session, entry, route, declaresTransactions, network, say });
    this.#links.set(session, link);
    const running = link.run().finally(() => {
      this.#links.delete(session);
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  #updateReadiness(): void {
    const { context } = this.#parts;
    const reason = this.#notReady();
    if (reason === this.#told) return;
    this.#told = reason;
    if (reason === null) context.ready(this.#readyDetails());
    else context.notReady(reason);
  }

  /** Why a miner that comes now gets no work; null when it does. */
  #notReady(): string | null {
    const away = this.#templates?.status().away ?? null;
    if (away !== null) return `no template provider: ${away}`;
    if (!this.#core.isServing) return "no work yet: waiting for a template, its prevhash, and a pool to mine for";
    return this.#served === undefined ? "about to listen" : null;
  }

  #readyDetails(): Record<string, unknown> {
    const { network } = this.#parts;
    const { mining_for: miningFor, height } = this.#core.status();
    return {
      listeners: network.status().listeners,
      authority_public_key: this.#served?.authorityPublicKey ?? null,
      endpoint_id: network.endpointId,
      ticket: this.#served?.listeners().find(({ ticket }) => ticket !== null)?.ticket ?? null,
      mining_for: miningFor,
      height,
    };
  }

  #status(): Record<string, unknown> {
    const { listeners, connections } = this.#parts.network.status();
    const templates = this.#templates?.status();
    return {
      ...this.#core.status(),
      template_provider: { state: templates?.upstream.state ?? "connecting", reason: templates?.away ?? null },
      listeners,
      connections,
    };
  }
}

function optionsOf({ config, network, extranonceStart, soloExtranoncePrefix }: JdClientParts): JdClientOptions {
  const { network: chain, coinbaseRewardScript, mode } = config;
  const scriptOf = (descriptor: string): Uint8Array => rewardScript({ descriptor, network: chain }).script;
  return {
    server: { ...toServerOptions(config), hashing: network.hashing, coinbaseTag: config.jdcSignature },
    mode: mode === "SOLOMINING" ? null : mode,
    upstreams: config.upstreams.map((entry, at) => ({
      name: upstreamName(entry, at),
      userIdentity: entry.userIdentity,
      expectedScript: entry.expectedRewardScript === undefined ? undefined : scriptOf(entry.expectedRewardScript),
    })),
    routes: config.upstreams.flatMap(routesTo),
    policy: toUpstreamPolicy(config.fallback),
    soloScript: scriptOf(coinbaseRewardScript),
    reservedExtranonceSize: config.reservedDownstreamRollableExtranonceSize,
    soloExtranoncePrefix,
    extranonceStart,
    outputSpace: {
      maxAdditionalSize: config.coinbaseOutputMaxAdditionalSize,
      maxAdditionalSigops: config.coinbaseOutputMaxAdditionalSigops,
    },
    tokenTimeoutMs: config.tokenTimeoutSecs * 1000,
    answerTimeoutMs: config.answerTimeoutSecs * 1000,
    soloAfterMs: config.soloAfterSecs * 1000,
    random: Math.random,
  };
}
