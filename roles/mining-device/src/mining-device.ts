import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChoicePlan, StreamInfo } from "@adit/network-helpers";
import { peerText, type RoleContext, type UpstreamSettings, upstreamSettings } from "@adit/role-kit";
import {
  type Attempt,
  checkRoutes,
  choiceReport,
  type DialledUpstream,
  type KeptConnection,
  keepConnected,
  type Network,
  RouteBook,
  reconnectReport,
  reconnectUpstream,
  toUpstreamPolicy,
  transportsTo,
  type UpstreamState,
} from "@adit/role-network";
import { type MiningDeviceConfig, numbered } from "./config.ts";
import type { Connect } from "./connection/connect.ts";
import type { HashingEngine } from "./hashing/hashing-engine.ts";
import { type MiningDeviceMetrics, miningDeviceMetrics } from "./metrics.ts";
import { ShareTally } from "./miner/share-tally.ts";
import { type ConnectionState, type ConnectionView, countStates, statusOf } from "./status.ts";
import type { Work } from "./work/work.ts";

/** What a device is made of. */
export interface MiningDeviceParts {
  readonly config: MiningDeviceConfig;
  readonly context: RoleContext;
  readonly engine: HashingEngine;
  readonly connect: Connect;
  readonly network: Pick<Network, "endpointId">;
}

interface Connection {
  readonly number: number;
  readonly user: string;
  readonly tally: ShareTally;
  state: ConnectionState;
  reason: string | null;
  work: Work | undefined;
  info: (() => StreamInfo) | undefined;
}

/** Pause between the first tries of two connections, in milliseconds: pools refuse a source that opens many at once. */
const START_INTERVAL_MS = 5;

/** Pools have a say in why a connection ended: a reason code of theirs may be in it, after the address of an Iroh node. */
const LONGEST_REASON = 512;

/** Keeps all connections up, each hashing when it can, and tells how they do. */
export class MiningDevice {
  readonly #parts: MiningDeviceParts;
  readonly #connections: readonly Connection[];
  readonly #book = new RouteBook<UpstreamSettings, "tcp" | "iroh">(transportsTo);
  readonly #kept = new Set<KeptConnection>();
  /** The ways to the upstream, by their ids. */
  #routes: ReadonlyMap<number, DialledUpstream> = new Map();
  #plan: ChoicePlan;
  readonly #metrics: MiningDeviceMetrics;
  readonly #report: ReturnType<typeof reconnectReport>;
  readonly #reportChange: ReturnType<typeof choiceReport>;
  #mining = 0;

  constructor(parts: MiningDeviceParts) {
    const { config, context, engine } = parts;
    const user = config.protocol === "sv1" ? config.userName : config.userIdentity;
    this.#parts = parts;
    this.#plan = this.#planOf(config);
    this.#connections = Array.from({ length: config.connections }, (_, index) => ({
      number: index + 1,
      user: numbered(user, index + 1),
      tally: new ShareTally(),
      state: "connecting",
      reason: null,
      work: undefined,
      info: undefined,
    }));
    this.#metrics = miningDeviceMetrics(context.metrics, {
      hashes: () => engine.hashes,
      hashrate: () => engine.hashrate(),
      connections: () => countStates(this.#views()),
    });
    this.#report = reconnectReport(context.log, this.#metrics.reconnects);
    this.#reportChange = choiceReport(context.log, this.#metrics.upstreamChanges);
  }

  /** Mines until the role's signal aborts. Rejects when the engine fails. */
  async run(): Promise<void> {
    const { context, engine } = this.#parts;
    // Each connection listens for the end of the role, and there may be thousands.
    setMaxListeners(0, context.signal);
    const ended = Promise.all(this.#connections.map((connection) => this.#keep(connection)));
    await Promise.race([ended, engine.failed]);
  }

  /**
   * Another upstream or policy is in force. Each connection mines at the former one until it has one to the other.
   *
   * @throws NetworkError `iroh-unavailable` when it is reached over Iroh and the process was started without.
   */
  replaceUpstream(config: MiningDeviceConfig): void {
    this.#plan = this.#planOf(config);
    for (const kept of this.#kept) kept.replace(this.#plan);
  }

  /** The document behind `/api/v1/status`. */
  status(): unknown {
    const { config, engine } = this.#parts;
    return statusOf({ config, hashrate: engine.hashrate(), hashes: engine.hashes, views: this.#views() });
  }

  async #keep(connection: Connection): Promise<void> {
    const { signal } = this.#parts.context;
    await sleep((connection.number - 1) * START_INTERVAL_MS, undefined, { signal }).catch(() => {});
    const kept = keepConnected({
      plan: this.#plan,
      attempt: (attempt) => this.#attempt(connection, attempt),
      onState: (state) => this.#onState(connection, state),
      onReconnect: (news) => this.#report(news, { connection: connection.number }),
      onChange: (change) => this.#reportChange(change, this.#routes, { connection: connection.number }),
      signal,
    });
    this.#kept.add(kept);
    await kept.ended;
  }

  #planOf(config: MiningDeviceConfig): ChoicePlan {
    const upstream = upstreamOf(config);
    checkRoutes(this.#parts.network, [upstream]);
    const routes = this.#book.routesTo([upstream]);
    this.#routes = new Map(routes.map(({ id, entry, way }) => [id, { ...entry, transport: way }]));
    return { routes, policy: toUpstreamPolicy(config.fallback) };
  }

  async #attempt(connection: Connection, { route, to, signal, stand, connected, asked }: Attempt): Promise<void> {
    const { config, context, engine, connect } = this.#parts;
    const known = this.#routes.get(route);
    if (known === undefined) throw new RangeError(`there is no route ${route}`);
    let own: (() => StreamInfo) | undefined;
    try {
      await connect({
        config,
        upstream: to === undefined ? known : reconnectUpstream(known, to),
        number: connection.number,
        engine,
        signal,
        log: context.log,
        onOpen: async (info) => {
          await stand();
          own = info;
          connection.info = info;
        },
        onNews: (news) => {
          connection.tally.count(news);
          this.#metrics.count(news);
        },
        onWork: (work) => {
          const first = connection.state !== "mining" && work !== undefined;
          this.#setWork(connection, work);
          if (first) connected();
        },
        onReconnect: asked,
      });
    } finally {
      // Another connection may be in its place by now.
      if (connection.info === own) connection.info = undefined;
    }
  }

  /** Ready means: some connection hashes. */
  #setWork(connection: Connection, work: Work | undefined): void {
    const { context } = this.#parts;
    const before = this.#mining;
    this.#mining += Number(work !== undefined) - Number(connection.work !== undefined);
    connection.work = work;
    if (before === 0 && this.#mining > 0) context.ready({ protocol: this.#parts.config.protocol });
    if (before > 0 && this.#mining === 0 && !context.signal.aborted) context.notReady("no connection has work");
  }

  #onState(connection: Connection, state: UpstreamState): void {
    const { log } = this.#parts.context;
    connection.state = state.state === "connected" ? "mining" : state.state;
    connection.reason = state.state === "waiting" ? peerText(state.reason, LONGEST_REASON) : null;
    const fields = { connection: connection.number };
    if (state.state === "connected") log.info(fields, "mining");
    if (state.state !== "waiting") return;
    log.warn(
      { ...fields, reason: connection.reason, retryInSecs: Math.round(state.retryInMs) / 1000 },
      "not connected",
    );
  }

  #views(): readonly ConnectionView[] {
    return this.#connections.map((connection) => ({ ...connection, stream: connection.info?.() }));
  }
}

/** What of the config makes the upstream another one. */
function upstreamOf(config: MiningDeviceConfig): UpstreamSettings {
  const keys = Object.keys(upstreamSettings) as (keyof UpstreamSettings)[];
  const entries = keys.filter((key) => config[key] !== undefined).map((key) => [key, config[key]]);
  return Object.fromEntries(entries);
}
