import {
  MiningShell,
  miningListener,
  TemplateClient,
  templateProviderKeys,
  templateProviders,
  toOutboundLimits,
} from "@adit/mining-shell";
import { aborted, Condition, within } from "@adit/network-helpers";
import { lastAnswersMs, type RoleContext } from "@adit/role-kit";
import {
  checkRoutes,
  fallbackKeys,
  listenLimitKeys,
  moveTarget,
  type Network,
  type Served,
  toUpstreamPolicy,
  upstreamKeys,
} from "@adit/role-network";
import { type JdClientConfig, listenerOf } from "./config.ts";
import type { JdClientInput, UpstreamEffect } from "./core/effects.ts";
import { JdClientCore } from "./core/jd-client-core.ts";
import { type CoreParts, coreOptions } from "./core-options.ts";
import { type JdClientMetrics, jdClientMetrics } from "./metrics.ts";
import { UpstreamBook } from "./upstream-book.ts";
import { UpstreamLinks } from "./upstream-links.ts";
import { endpointsOf } from "./upstream-settings.ts";

/** What a {@link JdClient} is made of; whoever opened the network closes it. */
export interface JdClientParts extends CoreParts {
  readonly context: RoleContext<JdClientConfig>;
  readonly network: Network;
}

const TICK_MS = 1000;

/** One jd-client: its core, its template provider, its upstreams and its miners, and the order in which they stop. */
export class JdClient {
  readonly #parts: JdClientParts;
  readonly #core: JdClientCore;
  readonly #upstreams = new UpstreamBook();
  readonly #metrics: JdClientMetrics;
  readonly #shell: MiningShell<JdClientInput, UpstreamEffect>;
  readonly #links: UpstreamLinks;
  /** Whether pools have answered every share. */
  readonly #answered: Condition;
  /** Aborts when there is work for miners. */
  readonly #hasWork = new AbortController();
  #templates: TemplateClient | undefined;
  #served: Served | undefined;
  #told: string | null | undefined;

  /** RangeError or BitcoinError when the config's signature or rates do not fit a coinbase. */
  constructor(parts: JdClientParts) {
    const { config, context } = parts;
    this.#parts = parts;
    const options = coreOptions(parts, this.#upstreams.planOf(config));
    this.#core = new JdClientCore(options, context.now());
    this.#answered = new Condition(() => this.#core.pendingShares === 0);
    this.#metrics = jdClientMetrics(context.metrics, () => this.#core.status());
    this.#links = new UpstreamLinks({
      declaresTransactions: config.mode === "FULLTEMPLATE",
      network: parts.network,
      entryOf: (route) => this.#upstreams.entryOf(route),
      say: (input) => this.#feed(input),
      signal: context.signal,
    });
    const { limits, ackIntervalSecs, supportedExtensions } = config;
    this.#shell = new MiningShell({
      core: this.#core,
      perform: (effect) => this.#perform(effect),
      onClose: (cause) => this.#metrics.connectionsClosed.inc({ cause }),
      outbound: toOutboundLimits(config.limits, config),
      stalledWriteMs: limits.stalledWriteSecs * 1000,
      ackIntervalMs: ackIntervalSecs * 1000,
      extensions: supportedExtensions,
      log: context.log,
    });
  }

  /**
   * Serves until the context's signal aborts. Miners are let in once there is work. At the end the listeners stop, miners
   * are sent away, the answers to their last shares are waited for, upstreams are told goodbye, and the template provider's
   * connection goes last.
   */
  async run(): Promise<void> {
    const { context, network, config } = this.#parts;
    const { signal } = context;
    context.setStatus(() => this.#status());
    await using templates = new TemplateClient({
      network,
      providers: templateProviders(config.templateProviderType.Sv2Tp),
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
    context.onReload(upstreamKeys, (changed) => this.#setUpstreams(changed));
    context.onReload([...templateProviderKeys, ...fallbackKeys], ({ templateProviderType, fallback }) =>
      templates.replace({
        providers: templateProviders(templateProviderType.Sv2Tp),
        policy: toUpstreamPolicy(fallback),
      }),
    );
    const ticking = setInterval(() => this.#tick(), TICK_MS);
    try {
      this.#tick();
      await aborted(AbortSignal.any([signal, this.#hasWork.signal]));
      if (!signal.aborted) await this.#serve();
      this.#feed({ type: "stop" });
    } finally {
      clearInterval(ticking);
      await this.#links[Symbol.asyncDispose]();
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
    const since = performance.now();
    // A miner's share is answered in the same moment in which it comes.
    await this.#shell.drain(() => Promise.resolve(), moveTarget(config.moveMinersTo));
    await this.#lastAnswers(since);
  }

  /** Pools answer shares in batches, and jobs that were just declared have shares kept for them. */
  async #lastAnswers(stoppingSince: number): Promise<void> {
    const { context, config } = this.#parts;
    const until = stoppingSince + lastAnswersMs(config);
    await within(Math.max(0, until - performance.now()), this.#answered.met());
    context.log.info({ unansweredShares: this.#core.pendingShares }, "upstreams told goodbye");
  }

  /** Throws what is wrong with the upstreams of a config, and then changes nothing. */
  #setUpstreams(changed: JdClientConfig): void {
    if (this.#parts.config.mode === "SOLOMINING") {
      throw new Error("this process was started to mine for no pool: restart it to mine for one");
    }
    checkRoutes(this.#parts.network, changed.upstreams.flatMap(endpointsOf));
    this.#feed({ type: "upstream-list-changed", plan: this.#upstreams.planOf(changed) });
  }

  #feed(input: JdClientInput): void {
    if (input.type === "connected" || input.type === "message" || input.type === "disconnected") return;
    this.#shell.handle(input);
    this.#look();
  }

  #tick(): void {
    this.#shell.tick();
    this.#look();
  }

  /** Something may have changed that others wait for. */
  #look(): void {
    this.#answered.check();
    if (this.#core.isServing) this.#hasWork.abort();
    this.#updateReadiness();
  }

  #perform(effect: UpstreamEffect): void {
    switch (effect.type) {
      case "begin-session":
      case "end-session":
      case "send-pool":
      case "send-jds":
        return this.#links.perform(effect);
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
    const templates = this.#templates?.status();
    return {
      ...this.#core.status(),
      template_provider: { state: templates?.upstream.state ?? "connecting", reason: templates?.away ?? null },
      ...this.#parts.network.status(),
    };
  }
}
