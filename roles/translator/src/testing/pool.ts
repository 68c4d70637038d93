import { join } from "node:path";
import { bip34Prefix, MAX_TARGET, targetToBytes } from "@adit/bitcoin";
import {
  type AcceptedShare,
  defaultChannelLimits,
  defaultVardiffOptions,
  MiningServer,
  type ServerInput,
} from "@adit/channels";
import { type MiningMessage, readWorkerIdentity, u256, WORKER_HASHRATE_TRACKING } from "@adit/codec";
import type { Sv2Connection } from "@adit/network-helpers";
import { parseTicket } from "@adit/network-helpers/iroh";
import { irohSettings } from "@adit/role-kit";
import { listenLimits, type Network, openNetwork, type Served } from "@adit/role-network";
import { z } from "zod";
import { testContext } from "./role-context.ts";

/** Where and how a test pool serves. */
export interface TestPoolOptions {
  /** Keeps its keys, so that a restarted pool is the same one to dial. */
  readonly folder: string;
  readonly transport: "tcp" | "iroh" | "dual";
  readonly serverId: number;
  readonly tcpPort?: number;
  readonly udpPort?: number;
  /** How long a connection may be without a channel; the core's default when absent. */
  readonly firstChannelMs?: number;
}

/** A small pool over real sockets: the mining core, no store, templates of its own. */
export class TestPool implements AsyncDisposable {
  readonly accepted: AcceptedShare[] = [];
  readonly rejected: string[] = [];
  /** Names of the messages it was sent. */
  readonly heard: string[] = [];
  readonly #network: Network;
  readonly #core: MiningServer;
  readonly #stop: () => void;
  readonly #connections = new Map<number, { readonly connection: Sv2Connection<"mining">; last: Promise<void> }>();
  readonly #timer: NodeJS.Timeout;
  #served: Served | undefined;
  #templateId = 0;

  static async start(options: TestPoolOptions): Promise<TestPool> {
    const { context, stop } = testContext("pool", join(options.folder, "pool.log"));
    const iroh = irohSettings.parse({
      secretKeyPath: join(options.folder, "pool-iroh.key"),
      bind: [`127.0.0.1:${options.udpPort ?? 0}`],
    });
    const network = await openNetwork({ iroh, needsIroh: options.transport === "tcp" ? "no" : "required" }, context);
    const pool = new TestPool(network, options, stop);
    pool.#served = await network.serve<"mining">({
      settings: {
        transport: options.transport,
        listenAddress: `127.0.0.1:${options.tcpPort ?? 0}`,
        encryption: "noise",
        authorityKeyPath: join(options.folder, "authority.key"),
        certValiditySec: 3600,
        iroh,
      },
      limits: z.strictObject(listenLimits).parse({}),
      server: {
        protocol: "mining",
        supportedFlags: 0,
        successFlags: () => 0,
        supportedExtensions: [WORKER_HASHRATE_TRACKING],
        requiredExtensions: [],
        maxPayload: () => 4096,
      },
      handler: (connection) => pool.#serve(connection),
      signal: context.signal,
    });
    return pool;
  }

  private constructor(network: Network, { serverId, firstChannelMs }: TestPoolOptions, stop: () => void) {
    this.#network = network;
    this.#stop = stop;
    this.#core = new MiningServer({
      hashing: network.hashing,
      extranonce: { totalSize: 20, prefix: Uint8Array.of(serverId), indexSize: 3, start: 0 },
      rewardOutputs: ({ coinbaseTxValueRemaining: value }) => [{ value, script: Uint8Array.of(0x51) }],
      coinbaseTag: "test",
      sharesPerMinute: 600,
      shareBatchSize: 1,
      ackIntervalMs: 1000,
      minHashrate: 1,
      vardiff: defaultVardiffOptions,
      versionRollingAllowed: true,
      limits: {
        ...defaultChannelLimits,
        shareBurst: 100_000,
        firstChannelMs: firstChannelMs ?? defaultChannelLimits.firstChannelMs,
      },
      customJobs: null,
    });
    this.newTip();
    this.#timer = setInterval(() => this.#input({ type: "tick" }), 1000);
  }

  /** `host:port` for TCP. */
  get tcpAddress(): string {
    return this.#listener("tcp")?.address ?? "";
  }

  get authority(): string {
    return this.#served?.authorityPublicKey ?? "";
  }

  get endpointId(): string {
    return this.#network.endpointId ?? "";
  }

  /** UDP addresses of the Iroh node. */
  get directAddresses(): readonly string[] {
    return parseTicket(this.#listener("iroh")?.ticket ?? "").addresses;
  }

  /** Asks every miner to connect elsewhere (spec 3.6.5). */
  async sendElsewhere(newHost: string, newPort: number): Promise<void> {
    const all = [...this.#connections.values()];
    await Promise.all(all.map(({ connection }) => connection.write({ name: "Reconnect", newHost, newPort })));
  }

  newTip(): void {
    this.#templateId += 1;
    const templateId = BigInt(this.#templateId);
    this.#input({
      type: "template",
      template: {
        name: "NewTemplate",
        templateId,
        futureTemplate: true,
        version: 0x20000000,
        coinbaseTxVersion: 2,
        coinbasePrefix: bip34Prefix(800_000 + this.#templateId),
        coinbaseTxInputSequence: 0xfffffffe,
        coinbaseTxValueRemaining: 5_000_000_000n,
        coinbaseTxOutputsCount: 0,
        coinbaseTxOutputs: new Uint8Array(0),
        merklePath: [],
        coinbaseTxLocktime: 0,
      },
    });
    const prevHash = u256(new Uint8Array(32).fill(this.#templateId));
    const headerTimestamp = Math.floor(Date.now() / 1000);
    const target = u256(targetToBytes(MAX_TARGET));
    const fields = { templateId, prevHash, headerTimestamp, nBits: 0x1d00ffff, target };
    this.#input({ type: "prev-hash", prevHash: { name: "SetNewPrevHash", ...fields } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#stop();
    for (const { connection } of this.#connections.values()) connection.abort(new Error("the pool is killed"));
    await this.#served?.[Symbol.asyncDispose]();
    await this.#network[Symbol.asyncDispose]();
  }

  #listener(transport: "tcp" | "iroh") {
    return this.#served?.listeners().find((listener) => listener.transport === transport);
  }

  async #serve(connection: Sv2Connection<"mining">): Promise<void> {
    const { id } = connection;
    this.#connections.set(id, { connection, last: Promise.resolve() });
    // The connection strips fields of extensions that were not agreed on; which are is known later than this.
    const extensions = new Set([WORKER_HASHRATE_TRACKING]);
    this.#input({
      type: "connected",
      connection: id,
      flags: connection.setup.flags,
      extensions,
    });
    try {
      for await (const { message, tlvs } of connection.messages) {
        const worker = readWorkerIdentity(tlvs);
        this.heard.push(message.name);
        this.#input({ type: "message", connection: id, message: message as MiningMessage, worker });
      }
    } finally {
      this.#connections.delete(id);
      this.#input({ type: "disconnected", connection: id });
    }
  }

  #input(input: ServerInput): void {
    for (const effect of this.#core.handle(input, Date.now())) {
      if (effect.type === "send") for (const to of effect.to) this.#send(to, effect.message);
      if (effect.type === "close-connection")
        void this.#connections.get(effect.connection)?.connection[Symbol.asyncDispose]();
      if (effect.type === "reject-share") this.rejected.push(effect.errorCode);
      if (effect.type !== "record-share") continue;
      this.accepted.push(effect.share);
      this.#input({ type: "share-recorded", share: effect.share, result: "recorded" });
    }
  }

  #send(to: number, message: MiningMessage): void {
    const client = this.#connections.get(to);
    if (client !== undefined) client.last = client.last.then(() => client.connection.write(message)).catch(() => {});
  }
}
