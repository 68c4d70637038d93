import { type ChainTip, MiningServer } from "@adit/channels";
import {
  miningListener,
  type RewardScript,
  TemplateClient,
  type TemplateClientOptions,
  type TemplateEvent,
  templateProviderKeys,
  templateProviders,
  toOutboundLimits,
  toServerOptions,
} from "@adit/mining-shell";
import { aborted } from "@adit/network-helpers";
import type { RoleContext } from "@adit/role-kit";
import {
  fallbackKeys,
  listenerStatus,
  listenLimitKeys,
  moveTarget,
  type Network,
  type Served,
  toUpstreamPolicy,
} from "@adit/role-network";
import type { ShareStore } from "@adit/share-store";
import { BlockJournal } from "./block-journal.ts";
import { Blocks, type BlocksOptions } from "./blocks.ts";
import { ChainNodes } from "./burial/chain-nodes.ts";
import type { PoolConfig } from "./config.ts";
import type { JobDeclaration } from "./job-declaration.ts";
import { toPoolLimits } from "./limits.ts";
import { type PoolMetrics, poolMetrics } from "./metrics.ts";
import { Miners } from "./miners.ts";
import { ProvidersWork, Readiness } from "./readiness.ts";
import { outputConstraints, rewardOutputs } from "./reward.ts";
import { poolStatus } from "./status.ts";

/** What a {@link Pool} is made of; whoever opened network and store closes them. */
export interface PoolParts {
  readonly config: PoolConfig;
  readonly context: RoleContext<PoolConfig>;
  readonly network: Network;
  readonly store: ShareStore;
  readonly reward: RewardScript;
  /** Undefined for a pool without custom jobs. */
  readonly declaration: JobDeclaration | undefined;
  readonly extranonceStart: number;
}

const INDEX_SIZE = 3;
/** Channels that the pool's part of the extranonce tells apart. */
export const EXTRANONCE_INDEXES: number = 2 ** (8 * INDEX_SIZE);
const EXTRANONCE_SIZE = 20;
const TICK_MS = 1000;

/** One pool: its mining core, its template provider and its miners, and the order in which they start and stop. */
export class Pool {
  readonly #parts: PoolParts;
  readonly #server: MiningServer;
  readonly #blocks: Blocks;
  readonly #miners: Miners;
  readonly #metrics: PoolMetrics;
  readonly #readiness: Readiness;
  /** Aborts when there is a first job. */
  readonly #firstJob = new AbortController();
  #templates: TemplateClient | undefined;
  #served: Served | undefined;
  #toldTip: ChainTip | undefined;
  readonly #providersWork = new ProvidersWork();

  /** RangeError or BitcoinError when the config's tag or rates do not fit a coinbase. */
  constructor(parts: PoolParts) {
    const { config, context, network, store, reward, declaration } = parts;
    const { log, now } = context;
    this.#parts = parts;
    this.#server = miningServer(parts);
    this.#metrics = poolMetrics(context.metrics, {
      server: () => this.#server.status(),
      store: () => store.stats(),
      templateProviderUp: () => (this.#templates?.status().upstream.state === "connected" ? 1 : 0),
      templateAge: () => this.#templateAge(),
      judge: () => this.#blocks.judgeStatus,
    });
    this.#blocks = new Blocks({
      hashing: network.hashing,
      network: reward.network,
      store,
      journal: new BlockJournal(`${config.shareStorePath}-blocks`),
      metrics: this.#metrics,
      judges: blockJudges(parts),
      submit: (solution) => this.#templates?.submit(solution),
      log,
      now,
    });
    const { limits, ackIntervalSecs, supportedExtensions } = config;
    this.#miners = new Miners({
      server: this.#server,
      store,
      blocks: this.#blocks,
      declaration,
      metrics: this.#metrics,
      outbound: toOutboundLimits(config.limits, config),
      stalledWriteMs: limits.stalledWriteSecs * 1000,
      ackIntervalMs: ackIntervalSecs * 1000,
      extensions: supportedExtensions,
      log,
      now,
    });
    this.#readiness = new Readiness(context, () => this.#readyDetails());
  }

  /**
   * Serves until the context's signal aborts. Miners are let in once there is a first job. At the end the listeners stop,
   * shares are recorded and acknowledged, miners are sent away, and the template provider's connection goes last.
   */
  async run(): Promise<void> {
    const { context, network, config, reward } = this.#parts;
    const { signal } = context;
    await this.#blocks.restore();
    context.setStatus(() => this.#status());
    await using templates = new TemplateClient({
      network,
      ...providersOf(config),
      constraints: outputConstraints(reward),
      onEvent: (event) => this.#onTemplateEvent(event),
      onChange: () => this.#updateReadiness(),
      log: context.log,
      metrics: context.metrics,
      now: context.now,
    });
    this.#templates = templates;
    context.onReload([...templateProviderKeys, ...fallbackKeys], (changed) => templates.replace(providersOf(changed)));
    const ticking = setInterval(() => this.#tick(), TICK_MS);
    try {
      this.#updateReadiness();
      await aborted(AbortSignal.any([signal, this.#firstJob.signal]));
      if (!signal.aborted) await this.#serve();
    } finally {
      clearInterval(ticking);
      await this.#blocks[Symbol.asyncDispose]();
    }
  }

  async #serve(): Promise<void> {
    const { config, context, network, declaration } = this.#parts;
    const { signal } = context;
    await using served = await network.serve({
      settings: config,
      limits: config.limits,
      server: miningListener(config, declaration !== undefined),
      handler: (connection) => this.#miners.serve(connection),
      signal,
    });
    context.onReload(listenLimitKeys("limits"), ({ limits }) => served.setLimits(limits));
    const serveClients = (): void => {
      this.#served = served;
      this.#updateReadiness();
    };
    const declaring = declaration?.serve(signal, serveClients);
    if (declaring === undefined) serveClients();
    await aborted(signal);
    await this.#miners.drain(moveTarget(config.moveMinersTo));
    await declaring;
  }

  #onTemplateEvent(event: TemplateEvent): void {
    switch (event.type) {
      case "provider-connected":
        this.#providersWork.connected(this.#server.activeJobId);
        break;
      case "provider-lost":
        // The work of the one that takes its place comes in the same moment.
        if (event.isReplaced === true) break;
        this.#providersWork.lost();
        this.#miners.handle({ type: "template-source-lost" });
        break;
      case "template":
        this.#metrics.templates.inc({});
        this.#miners.handle(event);
        break;
      case "prev-hash":
        this.#metrics.prevHashes.inc({});
        this.#miners.handle(event);
        break;
      case "transaction-data":
      case "transaction-data-refused":
        // Answers to a question that a pool does not ask.
        return;
      default:
        event satisfies never;
    }
    // Miners first: their work is worth most in the first moments after a block.
    this.#blocks.handle(event);
    this.#tellTip();
    if (!this.#firstJob.signal.aborted && this.#server.activeJobId !== undefined) this.#firstJob.abort();
    this.#updateReadiness();
  }

  /** For a job-declarator server without nodes; a tip that is held back is told when miners are told of it. */
  #tellTip(): void {
    const { declaration, config } = this.#parts;
    const job = this.#server.activeJob;
    const height = job?.origin.height;
    if (declaration === undefined || job === undefined || height === undefined || job.tip === this.#toldTip) return;
    this.#toldTip = job.tip;
    const { prevHash, nbits, ntime } = job.tip;
    // The earliest time that the chain allows is not told by a template provider.
    declaration.setTip({ prevHash, height, nbits, minNtime: ntime - config.limits.ntimeWindowSecs });
  }

  #tick(): void {
    this.#miners.tick();
    this.#blocks.tick();
    this.#tellTip();
    this.#updateReadiness();
  }

  #updateReadiness(): void {
    const templates = this.#templates?.status();
    if (templates === undefined) return;
    this.#readiness.update({
      listening: this.#served !== undefined,
      working: this.#providersWork.isThere(this.#server.activeJobId),
      away: templates.away,
      durable: this.#parts.store.stats().durable,
    });
  }

  #readyDetails(): Record<string, unknown> {
    const { network, declaration } = this.#parts;
    const served = this.#served?.listeners() ?? [];
    const jds = declaration?.served?.listeners();
    return {
      listeners: served.map(listenerStatus),
      jds: jds === undefined ? null : { listeners: jds.map(listenerStatus) },
      authority_public_key: this.#served?.authorityPublicKey ?? null,
      endpoint_id: network.endpointId,
      ticket: served.find(({ ticket }) => ticket !== null)?.ticket ?? null,
      height: this.#server.status().activeJob?.height ?? null,
    };
  }

  #status(): unknown {
    const { network, store, declaration } = this.#parts;
    const templates = this.#templates?.status();
    if (templates === undefined) return {};
    return poolStatus({
      network: network.status(),
      server: this.#server.status(),
      templates,
      blocks: this.#blocks,
      store: store.stats(),
      jds: declaration?.status() ?? null,
    });
  }

  #templateAge(): number | undefined {
    const lastTemplateAt = this.#templates?.status().lastTemplateAt ?? null;
    return lastTemplateAt === null ? undefined : (this.#parts.context.now() - lastTemplateAt) / 1000;
  }
}

function providersOf({
  templateProviderType,
  fallback,
}: PoolConfig): Pick<TemplateClientOptions, "providers" | "policy"> {
  return { providers: templateProviders(templateProviderType.Sv2Tp), policy: toUpstreamPolicy(fallback) };
}

function miningServer({ config, network, reward, declaration, extranonceStart }: PoolParts): MiningServer {
  return new MiningServer({
    ...toServerOptions(config),
    limits: toPoolLimits(config.limits, config),
    hashing: network.hashing,
    extranonce: {
      totalSize: EXTRANONCE_SIZE,
      prefix: Uint8Array.of(config.serverId),
      indexSize: INDEX_SIZE,
      start: extranonceStart,
    },
    rewardOutputs: (template) => rewardOutputs(reward, template),
    coinbaseTag: config.poolSignature,
    customJobs: declaration?.policy ?? null,
  });
}

/** The pool's own nodes, else those of its job-declarator server; undefined when it has neither. */
function blockJudges({ config, reward }: PoolParts): BlocksOptions["judges"] {
  const nodes = config.bitcoinNode ?? config.jds?.bitcoinNode;
  if (nodes === undefined) return undefined;
  return { nodes: new ChainNodes({ ...nodes, network: reward.network }), maturity: config.blockMaturity };
}
