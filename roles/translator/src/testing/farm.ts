import type { Target } from "@adit/bitcoin";
import {
  type AcceptedShare,
  MiningClient,
  type MiningServer,
  type MiningServerOptions,
  type ServerInput,
} from "@adit/channels";
import type { CommonMessage, MiningMessage } from "@adit/codec";
import { defaultUpstreamPolicy, type UpstreamPolicy } from "@adit/network-helpers";
import type { SessionId, TranslatorEffect, TranslatorInput } from "../effects.ts";
import type { TranslatorCore } from "../translator-core.ts";
import { coreWith, START } from "./bench.ts";
import { BenchMiner } from "./bench-miner.ts";
import { overTheWire, poolCore, prevHashOf, templateOf } from "./pool-core.ts";
import { routeTo } from "./route-to.ts";

/** What a farm may be made with. */
export interface FarmOptions {
  /** For each route, the pool it leads to; the first two pools, unless told. */
  readonly routes?: readonly number[];
  readonly aggregateChannels?: boolean;
  readonly policy?: Partial<UpstreamPolicy>;
  /** What the first pool is otherwise. */
  readonly firstPool?: Partial<MiningServerOptions>;
}

/** Ids of routes to a pool that another route leads to already begin here. */
const SECOND_WAY = 100;

/** A pool of a farm: it takes connections while it is up. */
export class FarmPool {
  isUp = true;
  readonly recorded: AcceptedShare[] = [];
  readonly rejected: string[] = [];
  readonly core: MiningServer;
  /** Sees what translators see of the pool. */
  readonly observer = new MiningClient();

  constructor(serverId: number, changes: Partial<MiningServerOptions>) {
    this.core = poolCore(serverId, changes);
  }
}

interface Connection {
  readonly session: SessionId;
  readonly pool: FarmPool;
}

/** A translator's core between miners and several pools on one chain, with a clock in place of sockets. */
export class Farm {
  readonly pools: readonly FarmPool[];
  readonly core: TranslatorCore;
  readonly effects: TranslatorEffect[] = [];
  readonly miners = new Map<number, BenchMiner>();
  now = START;
  readonly #policy: UpstreamPolicy;
  readonly #connections = new Map<SessionId, Connection>();
  readonly #dials: Extract<TranslatorEffect, { readonly type: "begin-session" }>[] = [];
  #template = 0;
  #tip = 0xa0;

  constructor(options: FarmOptions = {}) {
    const { routes = [0, 1], aggregateChannels = true, policy, firstPool = {} } = options;
    this.#policy = { ...defaultUpstreamPolicy, ...policy };
    const places = Array.from({ length: Math.max(1, ...routes) + 2 }, (_, at) => at);
    this.pools = places.map((at) => new FarmPool(at + 1, at === 0 ? firstPool : {}));
    this.core = coreWith(
      {
        routes: routes.map((pool, at) => routeTo(pool, routes.indexOf(pool) === at ? pool : SECOND_WAY + at)),
        policy: this.#policy,
      },
      { upstream: { aggregateChannels } },
    );
    this.newTip();
    this.tick();
  }

  get upstreamTarget(): Target {
    const targets = this.pools.flatMap(({ observer }) =>
      [...observer.channels.values()].flatMap(({ activeJob }) => (activeJob === undefined ? [] : [activeJob.target])),
    );
    return targets.reduce((hardest, target) => (target < hardest ? target : hardest));
  }

  /** The pool that is mined at, by the name of the route. */
  get inUse(): string | undefined {
    return this.core.status().upstream_routes.find(({ in_use: isInUse }) => isInUse)?.name;
  }

  pool(at: number): FarmPool {
    const pool = this.pools[at];
    if (pool === undefined) throw new Error(`there is no pool ${at}`);
    return pool;
  }

  /** Sessions that a pool has. */
  sessionsOf(at: number): readonly SessionId[] {
    return [...this.#connections.values()].flatMap(({ session, pool }) => (pool === this.pool(at) ? [session] : []));
  }

  /** A pool goes away, and takes no connection until it is back. */
  fail(at: number): void {
    this.pool(at).isUp = false;
    for (const session of this.sessionsOf(at)) this.cut(session);
  }

  /** A connection is cut. */
  cut(session: SessionId): void {
    this.#disconnect(session);
    this.input({ type: "session-down", session, reason: "cut" });
  }

  /** The config has another list: for each route, the pool it leads to and its id, if that is not the pool's number. */
  list(routes: readonly (number | { readonly pool: number; readonly id: number })[]): void {
    const plan = routes.map((one) => (typeof one === "number" ? routeTo(one) : routeTo(one.pool, one.id)));
    this.input({ type: "upstream-list-changed", plan: { routes: plan, policy: this.#policy } });
  }

  join(): BenchMiner {
    const id = this.miners.size + 1;
    const miner = new BenchMiner(this, { id, name: `account.${id}` });
    this.miners.set(id, miner);
    this.input({ type: "miner-connected", miner: id, peer: `192.0.2.1:${id}` });
    miner.start();
    return miner;
  }

  /** A new template on a new tip, for all pools at once. */
  newTip(): void {
    this.#template += 1;
    this.#tip += 1;
    const template = templateOf(this.#template, true);
    const prevHash = prevHashOf(template.templateId, this.#tip, this.now);
    for (const pool of this.pools) {
      this.#pooled(pool, { type: "template", template });
      this.#pooled(pool, { type: "prev-hash", prevHash });
    }
  }

  /** A message of a pool, as if it were its own. */
  say(session: SessionId, message: MiningMessage | CommonMessage): void {
    this.input({ type: "upstream-message", session, message });
  }

  /** Lets time pass, a second at a time. */
  tick(seconds = 1): void {
    for (let second = 0; second < seconds; second += 1) {
      this.now += 1000;
      this.input({ type: "tick" });
      for (const pool of this.pools) this.#pooled(pool, { type: "tick" });
    }
  }

  input(input: TranslatorInput): void {
    for (const effect of this.core.handle(input, this.now)) this.#perform(effect);
    for (let dial = this.#dials.shift(); dial !== undefined; dial = this.#dials.shift()) this.#dial(dial);
  }

  #perform(effect: TranslatorEffect): void {
    this.effects.push(effect);
    switch (effect.type) {
      case "send-line":
        return this.miners.get(effect.to)?.receive(effect.line);
      case "close-miner":
        return this.miners.get(effect.miner)?.closedFor(effect.reason);
      case "begin-session":
        this.#dials.push(effect);
        return;
      case "end-session":
        return this.#disconnect(effect.session);
      case "send-upstream":
        return this.#send(effect);
      default:
    }
  }

  /** A Reconnect's port is the place of the pool it leads to. */
  #dial({ session, route, to }: Extract<TranslatorEffect, { readonly type: "begin-session" }>): void {
    const pool = this.pool(to?.newPort ?? route.upstream);
    if (!pool.isUp) return this.input({ type: "session-down", session, reason: "refused" });
    this.#connections.set(session, { session, pool });
    this.#pooled(pool, { type: "connected", connection: session, flags: 0, extensions: new Set([2]) });
    const setup = { userIdentity: "account", fixedVersion: false, namesWorkers: true };
    this.input({ type: "session-up", session, setup });
  }

  #disconnect(session: SessionId): void {
    const connection = this.#connections.get(session);
    if (!this.#connections.delete(session) || connection === undefined) return;
    this.#pooled(connection.pool, { type: "disconnected", connection: session });
  }

  #send({ session, message, worker }: Extract<TranslatorEffect, { readonly type: "send-upstream" }>): void {
    const connection = this.#connections.get(session);
    if (connection === undefined) return;
    if (message.name === "OpenExtendedMiningChannel") connection.pool.observer.openExtended(message);
    this.#pooled(connection.pool, { type: "message", connection: session, message: overTheWire(message), worker });
  }

  #pooled(pool: FarmPool, input: ServerInput): void {
    for (const effect of pool.core.handle(input, this.now)) {
      if (effect.type === "send") for (const to of effect.to) this.#receive(pool, to, effect.message);
      if (effect.type === "close-connection") this.cut(effect.connection);
      if (effect.type === "reject-share") pool.rejected.push(effect.errorCode);
      if (effect.type !== "record-share") continue;
      pool.recorded.push(effect.share);
      this.#pooled(pool, { type: "share-recorded", share: effect.share, result: "recorded" });
    }
  }

  #receive(pool: FarmPool, session: SessionId, message: MiningMessage): void {
    if (this.#connections.get(session)?.pool !== pool) return;
    const received = overTheWire(message);
    pool.observer.handle(received, this.now);
    this.input({ type: "upstream-message", session, message: received });
  }
}
