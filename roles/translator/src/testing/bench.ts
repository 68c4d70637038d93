import { MAX_TARGET, pureHashing, type ShareHashing, type Target } from "@adit/bitcoin";
import {
  type AcceptedShare,
  MiningClient,
  type MiningServer,
  type MiningServerOptions,
  type ServerInput,
} from "@adit/channels";
import type { MiningMessage } from "@adit/codec";
import { defaultUpstreamPolicy } from "@adit/network-helpers";
import { defaultSv1Limits } from "@adit/sv1";
import type { SessionId, TranslatorEffect, TranslatorInput, UpstreamSetup } from "../effects.ts";
import type { MinerRules } from "../miner-rules.ts";
import { TranslatorCore } from "../translator-core.ts";
import type { UpstreamPlan } from "../upstream-plan.ts";
import type { UpstreamRules } from "../upstream-rules.ts";
import { BenchMiner } from "./bench-miner.ts";
import { overTheWire, poolCore, prevHashOf, templateOf } from "./pool-core.ts";
import { routeTo } from "./route-to.ts";

/** The bench's clock at the start, in unix milliseconds. */
export const START = 1_700_000_000_000;

/** A translator that wants an upstream has dialled within this time. */
const LONGEST_REST_S = 120;

/** A core as in a role without config, with jitter that always draws the middle. */
export function coreWith(
  plan: UpstreamPlan,
  { miners, upstream, hashing = pureHashing }: Pick<BenchOptions, "miners" | "upstream" | "hashing"> = {},
): TranslatorCore {
  return new TranslatorCore({
    miners: {
      sharesPerMinute: 6,
      startHashrate: 100,
      enableVardiff: true,
      keepaliveMs: 52_000,
      extranonce2Size: 8,
      limits: defaultSv1Limits,
      hashing,
      ...miners,
    },
    upstream: {
      aggregateChannels: true,
      extranonce2Size: miners?.extranonce2Size ?? 8,
      maxPastJobs: undefined,
      hashing,
      random: () => 0.5,
      ...upstream,
    },
    plan,
  });
}

/** What a bench may be made with; the rest is as in a role without config. */
export interface BenchOptions {
  readonly miners?: Partial<MinerRules>;
  readonly upstream?: Partial<UpstreamRules>;
  readonly setup?: Partial<UpstreamSetup>;
  readonly pool?: Partial<MiningServerOptions>;
  readonly hashing?: ShareHashing;
}

/** A pool's core behind a translator's core behind miners, with a clock in place of sockets. Messages go over the wire format. */
export class Bench {
  readonly core: TranslatorCore;
  readonly miners = new Map<number, BenchMiner>();
  /** Every message that went to the pool, and every effect of the translator. */
  readonly upward: { readonly message: MiningMessage; readonly worker: string | undefined }[] = [];
  readonly effects: TranslatorEffect[] = [];
  readonly recorded: AcceptedShare[] = [];
  readonly rejected: string[] = [];
  readonly options: BenchOptions;
  /** Sees what the translator sees of the pool, and nothing of the translator. */
  observer = new MiningClient();
  pool: MiningServer;
  now = START;
  connection = 0;
  /** The session that the translator waits in, or has with the pool. */
  session: SessionId = 0;
  #isDialled = false;
  #lastMiner = 0;
  #lastTemplate = 0;
  #tip = 0xa0;

  constructor(options: BenchOptions = {}) {
    this.options = options;
    this.pool = this.#newPool(1);
    this.core = coreWith(
      {
        routes: [routeTo(0)],
        policy: { ...defaultUpstreamPolicy, holdDownMs: 0 },
      },
      options,
    );
    this.input({ type: "tick" });
  }

  /** Starts a pool in place of the last one: no connection, another prefix, its first job. */
  restartPool(serverId: number): void {
    this.pool = this.#newPool(serverId);
    this.#lastTemplate = 0;
    this.newTip(false);
  }

  /** Connects the translator to the pool, as soon as it dials; not at all when it does not, as without miners it may. */
  connect(): void {
    for (let seconds = 0; !this.#isDialled; seconds += 1) {
      if (seconds > LONGEST_REST_S) return;
      this.tick();
    }
    this.connection += 1;
    this.observer = new MiningClient();
    const setup = { userIdentity: "account", fixedVersion: false, namesWorkers: true, ...this.options.setup };
    const extensions = new Set(setup.namesWorkers ? [2] : []);
    this.pooled({ type: "connected", connection: this.connection, flags: 0, extensions });
    this.input({ type: "session-up", session: this.session, setup });
  }

  /** Cuts the connection to the pool. */
  disconnect(): void {
    const { connection } = this;
    this.connection += 1;
    this.input({ type: "session-down", session: this.session, reason: "cut" });
    this.pooled({ type: "disconnected", connection });
  }

  /** A miner's connection that has sent nothing. */
  dial(name = "account.worker", options: { versionRolling?: boolean; extranonceSubscribe?: boolean } = {}): BenchMiner {
    this.#lastMiner += 1;
    const miner = new BenchMiner(this, { id: this.#lastMiner, name, ...options });
    this.miners.set(miner.id, miner);
    this.input({ type: "miner-connected", miner: miner.id, peer: `192.0.2.1:${miner.id}` });
    return miner;
  }

  /** A miner that has subscribed and authorized. */
  join(name?: string, options?: { versionRolling?: boolean; extranonceSubscribe?: boolean }): BenchMiner {
    const miner = this.dial(name, options);
    miner.start();
    return miner;
  }

  /** Gives the translator an input, and does what it says. */
  input(input: TranslatorInput): readonly TranslatorEffect[] {
    const effects = this.core.handle(input, this.now);
    this.effects.push(...effects);
    for (const effect of effects) this.#perform(effect);
    return effects;
  }

  /** Gives the pool an input, and does what it says. */
  pooled(input: ServerInput): void {
    for (const effect of this.pool.handle(input, this.now)) {
      if (effect.type === "send" && effect.to.includes(this.connection)) this.fromPool(effect.message);
      if (effect.type === "reject-share") this.rejected.push(effect.errorCode);
      if (effect.type !== "record-share") continue;
      this.recorded.push(effect.share);
      this.pooled({ type: "share-recorded", share: effect.share, result: "recorded" });
    }
  }

  /** A message from the pool, the real one's or one that only a test sends. */
  fromPool(message: MiningMessage): void {
    const received = overTheWire(message);
    this.observer.handle(received, this.now);
    this.input({ type: "upstream-message", session: this.session, message: received });
  }

  /** A new template; on a new tip unless told otherwise. */
  newTip(another = true): void {
    this.#lastTemplate += 1;
    if (another) this.#tip += 1;
    const templateId = BigInt(this.#lastTemplate);
    this.pooled({ type: "template", template: templateOf(this.#lastTemplate, true) });
    this.pooled({ type: "prev-hash", prevHash: prevHashOf(templateId, this.#tip, this.now) });
  }

  /** A new template on the same tip. */
  newWork(): void {
    this.#lastTemplate += 1;
    this.pooled({ type: "template", template: templateOf(this.#lastTemplate, false) });
  }

  /** Lets time pass, a second at a time. */
  tick(seconds = 1): void {
    for (let second = 0; second < seconds; second += 1) {
      this.now += 1000;
      this.input({ type: "tick" });
      this.pooled({ type: "tick" });
    }
  }

  /** A target that is good enough for every channel the pool has open. */
  get upstreamTarget(): Target {
    let hardest = MAX_TARGET;
    for (const { activeJob } of this.observer.channels.values()) {
      if (activeJob !== undefined && activeJob.target < hardest) hardest = activeJob.target;
    }
    return hardest;
  }

  /** The messages of one name that went to the pool. */
  sent<Name extends MiningMessage["name"]>(name: Name): readonly Extract<MiningMessage, { name: Name }>[] {
    return this.upward.flatMap(({ message }) =>
      message.name === name ? [message as Extract<MiningMessage, { name: Name }>] : [],
    );
  }

  #perform(effect: TranslatorEffect): void {
    if (effect.type === "send-line") this.miners.get(effect.to)?.receive(effect.line);
    if (effect.type === "close-miner") this.miners.get(effect.miner)?.closedFor(effect.reason);
    if (effect.type === "begin-session") {
      this.session = effect.session;
      this.#isDialled = true;
    }
    if (effect.type === "end-session" && effect.session === this.session) this.#isDialled = false;
    if (effect.type !== "send-upstream") return;
    const { message, worker } = effect;
    this.upward.push({ message, worker });
    if (message.name === "OpenExtendedMiningChannel") this.observer.openExtended(message);
    this.pooled({ type: "message", connection: this.connection, message: overTheWire(message), worker });
  }

  #newPool(serverId: number): MiningServer {
    return poolCore(serverId, { ...(this.options.hashing && { hashing: this.options.hashing }), ...this.options.pool });
  }
}

/** A bench whose pool has work and whose translator is connected. */
export function connectedBench(options: BenchOptions = {}): Bench {
  const bench = new Bench(options);
  bench.newTip();
  bench.connect();
  return bench;
}
