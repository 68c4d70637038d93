import { once } from "node:events";
import { join } from "node:path";
import { pureHashing } from "@adit/bitcoin";
import {
  type AcceptedShare,
  defaultChannelLimits,
  MiningServer,
  type ServerEffect,
  type ServerInput,
} from "@adit/channels";
import { type MiningMessage, REQUIRES_FIXED_VERSION, REQUIRES_STANDARD_JOBS } from "@adit/codec";
import type { Sv2Connection } from "@adit/network-helpers";
import { irohSettings, metricsRegister, noReload, openLog, type RoleContext } from "@adit/role-kit";
import { listenLimits, type Network, openNetwork, type Served } from "@adit/role-network";
import { z } from "zod";
import { prevHash, rewardOutputs, template } from "./test-jobs.ts";

/** A Stratum V2 pool on real sockets, TCP and Iroh: the core of the suite's own, which stores shares in a list. */
export class Sv2Pool implements AsyncDisposable {
  readonly shares: AcceptedShare[] = [];
  readonly rejects: string[] = [];
  readonly #connections = new Map<number, Sv2Connection<"mining">>();
  readonly #events = new EventTarget();
  readonly #stop = new AbortController();
  readonly #server: MiningServer;
  readonly #versionRolling: boolean;
  readonly #ticking: ReturnType<typeof setInterval>;
  readonly #closing: AsyncDisposable[] = [];
  #network: Network | undefined;
  #served: Served | undefined;
  #templates = 0;

  private constructor(options: { readonly versionRolling: boolean }) {
    this.#versionRolling = options.versionRolling;
    this.#server = new MiningServer({
      hashing: pureHashing,
      extranonce: { totalSize: 20, prefix: Uint8Array.of(0), indexSize: 3, start: 0 },
      rewardOutputs: () => rewardOutputs,
      coinbaseTag: "test",
      sharesPerMinute: 1_200,
      shareBatchSize: 5,
      ackIntervalMs: 1_000,
      minHashrate: 1_000,
      vardiff: null,
      versionRollingAllowed: options.versionRolling,
      limits: defaultChannelLimits,
      customJobs: null,
    });
    this.#ticking = setInterval(() => this.#handle({ type: "tick" }), 1_000);
    this.newTip();
  }

  /** Starts a pool that keeps its keys and log in `folder`. */
  static async start(folder: string, options: { versionRolling?: boolean } = {}): Promise<Sv2Pool> {
    const pool = new Sv2Pool({ versionRolling: options.versionRolling ?? true });
    const context: RoleContext<never> = {
      signal: pool.#stop.signal,
      log: openLog({ role: "pool", level: "debug", file: join(folder, "pool.log") }),
      metrics: metricsRegister(),
      now: () => Date.now(),
      ready: () => {},
      notReady: () => {},
      ...noReload,
      setStatus: () => {},
    };
    const iroh = irohSettings.parse({ secretKeyPath: join(folder, "pool.key"), bind: ["127.0.0.1:0"] });
    pool.#network = await openNetwork({ iroh, needsIroh: "required" }, context);
    pool.#served = await pool.#network.serve({
      settings: {
        transport: "dual",
        listenAddress: "127.0.0.1:0",
        encryption: "noise",
        authorityKeyPath: join(folder, "authority.key"),
        certValiditySec: 3_600,
        iroh,
      },
      limits: z.object(listenLimits).parse({}),
      server: {
        protocol: "mining",
        supportedFlags: REQUIRES_STANDARD_JOBS,
        successFlags: () => (pool.#versionRolling ? 0 : REQUIRES_FIXED_VERSION),
        supportedExtensions: [],
        requiredExtensions: [],
        maxPayload: () => 65_536,
      },
      handler: (connection) => pool.#serve(connection),
      signal: context.signal,
    });
    pool.#closing.push(pool.#served, pool.#network);
    return pool;
  }

  /** The lines of a miner's config that lead here. */
  upstream(transport: "tcp" | "iroh"): readonly string[] {
    const listener = this.#served?.listeners().find((one) => one.transport === transport);
    const key = `authority_pubkey = "${this.#served?.authorityPublicKey}"`;
    if (transport === "iroh") return [key, 'transport = "iroh"', `ticket = "${listener?.ticket}"`];
    const [host, port] = (listener?.address ?? "").split(":");
    return [key, `address = "${host}"`, `port = ${port}`];
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** A new block was found: all earlier work is stale. */
  newTip(): void {
    const id = ++this.#templates;
    this.#handle({ type: "template", template: template(id) });
    this.#handle({ type: "prev-hash", prevHash: prevHash(id, id, Math.floor(Date.now() / 1000)) });
  }

  /** Breaks all connections. */
  drop(): void {
    for (const connection of this.#connections.values()) connection.abort(new Error("dropped by the test"));
  }

  /** Resolves once the condition holds, which is looked at after each message of a miner. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#events, "message");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticking);
    this.drop();
    this.#stop.abort();
    for (const part of this.#closing) await part[Symbol.asyncDispose]();
  }

  async #serve(connection: Sv2Connection<"mining">): Promise<void> {
    const { id } = connection;
    this.#connections.set(id, connection);
    this.#handle({ type: "connected", connection: id, flags: connection.setup.flags, extensions: new Set() });
    try {
      for await (const { message } of connection.messages) {
        this.#handle({ type: "message", connection: id, message: message as MiningMessage, worker: undefined });
      }
    } finally {
      this.#connections.delete(id);
      this.#handle({ type: "disconnected", connection: id });
    }
  }

  #handle(input: ServerInput): void {
    for (const effect of this.#server.handle(input, Date.now())) this.#perform(effect);
    this.#events.dispatchEvent(new Event("message"));
  }

  #perform(effect: ServerEffect): void {
    if (effect.type === "send") {
      for (const to of effect.to)
        this.#connections
          .get(to)
          ?.write(effect.message)
          .catch(() => {});
    }
    if (effect.type === "reject-share") this.rejects.push(effect.errorCode);
    if (effect.type !== "record-share") return;
    this.shares.push(effect.share);
    this.#handle({ type: "share-recorded", share: effect.share, result: "recorded" });
  }
}
