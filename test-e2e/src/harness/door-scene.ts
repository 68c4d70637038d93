import type { Protocol } from "@adit/codec";
import type { ByteStream } from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { expect } from "vitest";
import { jdServerToml, poolToml, templateProviderToml } from "./configs.ts";
import { dialPool, dialStream, loopbackNode, type Reachable } from "./dial.ts";
import { answersSoon, type Footprint, footprintOf, garbageOnDemand, returnsTo, type Tolerance } from "./footprint.ts";
import { RawPeer } from "./raw-peer.ts";
import { Stage } from "./stage.ts";
import { Sv2Miner } from "./sv2-miner.ts";
import type { TestRole } from "./test-role.ts";
import { until } from "./until.ts";

/** What Stratum V2 doors are knocked at over. */
export const transports = ["tcp", "iroh"] as const;
/** One of {@link transports}. */
export type Over = (typeof transports)[number];

/** A deadline of the roles, and what a busy machine adds to it. */
export const PATIENCE_MS = 25_000;
/** Deadlines of a handshake's steps, short enough to wait for: lines for a `[limits]`. */
export const DEADLINES = "first_byte_timeout_secs = 3\nhandshake_timeout_secs = 4\nsetup_timeout_secs = 4";

/** No block is found unless a scenario wants one. */
const NEVER = 2 ** 44;
/** Share rate the pool holds each channel at: so high that an honest share comes soon after every attack. */
export const SHARES_PER_MINUTE = 1200;
/** Hashes a second of one honest miner, which the pool's easiest target is made for. */
export const MIN_HASHRATE = 1000;
const HONEST = { hashrate: MIN_HASHRATE, triesAtOnce: 20 };
/** Attackers dial as often as they like: what they find behind the door is what is tried. */
const NO_RATE_OF_CONNECTIONS = "new_connections_per_second = 1000\nnew_connections_burst = 1000";
/** Code that is compiled and caches that fill on the first attack stay. */
const TOLERANCE: Tolerance = { heapMiB: 6, residentMiB: 200, descriptors: 4 };

/** How a scene's roles differ from the plainest ones: lines for their `[limits]`, unless said otherwise. */
export interface DoorSceneOptions {
  readonly pool?: string;
  readonly templateProvider?: string;
  /** With a jd-server that the pool believes, and one inside the pool: these are both servers' limits. */
  readonly jobDeclaration?: string;
  /** Lines for the top of the jd-server's config. */
  readonly jdServerTop?: string;
}

/** A template provider, a pool, and honest miners at it over both transports, while somebody else attacks. */
export class DoorScene implements AsyncDisposable {
  readonly stage: Stage;
  readonly templateProvider: TestRole;
  readonly pool: TestRole;
  /** The attackers' Iroh node. */
  readonly node: IrohNodeManager;
  readonly #honestNode: IrohNodeManager;
  readonly #miners: Sv2Miner[];
  readonly #roles: TestRole[];
  readonly #jdServer: TestRole | undefined;
  readonly #footprints = new Map<TestRole, Footprint>();
  #accepted: readonly number[] = [];
  #templateConnection: unknown;
  #over = false;

  private constructor(parts: {
    readonly stage: Stage;
    readonly templateProvider: TestRole;
    readonly jdServer: TestRole | undefined;
    readonly pool: TestRole;
    readonly nodes: readonly [IrohNodeManager, IrohNodeManager];
    readonly miners: readonly Sv2Miner[];
  }) {
    this.stage = parts.stage;
    this.templateProvider = parts.templateProvider;
    this.pool = parts.pool;
    this.#jdServer = parts.jdServer;
    this.#roles = [parts.templateProvider, parts.pool, ...(parts.jdServer === undefined ? [] : [parts.jdServer])];
    [this.#honestNode, this.node] = parts.nodes;
    this.#miners = [...parts.miners];
  }

  /** Starts the roles, and waits until the honest miners are credited. */
  static async open(options: DoorSceneOptions = {}, hashesPerBlock: number = NEVER): Promise<DoorScene> {
    const stage = await Stage.open([garbageOnDemand]);
    const lines = (more = ""): string => `${DEADLINES}\n${more}`;
    const { jobDeclaration, jdServerTop = "" } = options;
    const templateProvider = await stage.start("template-provider", (folder) =>
      templateProviderToml(folder, {
        limits: lines(options.templateProvider),
        hashesPerBlock,
        rpc: jobDeclaration !== undefined,
      }),
    );
    const jdServer =
      jobDeclaration === undefined
        ? undefined
        : await stage.start("jd-server", (folder) =>
            jdServerToml(folder, templateProvider, { limits: lines(jobDeclaration), top: jdServerTop }),
          );
    const declaring =
      jdServer === undefined
        ? {}
        : {
            jdServers: [jdServer.details.authority_public_key],
            jds: `[jds.limits]\n${NO_RATE_OF_CONNECTIONS}\n${lines(jobDeclaration)}`,
          };
    const pool = await stage.start("pool", (folder) =>
      poolToml(folder, templateProvider, {
        limits: lines(options.pool),
        sharesPerMinute: SHARES_PER_MINUTE,
        shareBatchSize: 1,
        ...declaring,
      }),
    );
    const nodes = [await loopbackNode(), await loopbackNode()] as const;
    const miners = [
      await Sv2Miner.open(await dialPool(pool), "honest.tcp", HONEST),
      await Sv2Miner.open(await dialPool(pool, nodes[0]), "honest.iroh", HONEST),
    ];
    const scene = new DoorScene({ stage, templateProvider, pool, jdServer, nodes, miners });
    await until("honest shares", () => miners.every((miner) => miner.acceptedCount > 4));
    await scene.measure();
    return scene;
  }

  /** Takes what the roles use now for what they are to come back to. */
  async measure(): Promise<void> {
    for (const role of this.roles) this.#footprints.set(role, await footprintOf(role));
  }

  get roles(): readonly TestRole[] {
    return this.#roles;
  }

  /** The jd-server on its own. Throws in a scene without job declaration. */
  get jdServer(): TestRole {
    if (this.#jdServer === undefined) throw new Error("the scene has no jd-server");
    return this.#jdServer;
  }

  /** Takes another role in, and an honest miner at it, both of whom nobody else may disturb either. */
  async add(role: TestRole, userIdentity: string): Promise<void> {
    const miner = await Sv2Miner.open(await dialPool(role), userIdentity, HONEST);
    this.#roles.push(role);
    this.#miners.push(miner);
    await until("honest shares", () => miner.acceptedCount > 4);
  }

  /** The attackers' Iroh node, or undefined for TCP. */
  nodeFor(over: Over): IrohNodeManager | undefined {
    return over === "iroh" ? this.node : undefined;
  }

  /** A bare stream to a role of the scene; without a `protocol`, the one it is there for. */
  async stream(role: Reachable, over: Over, protocol: Protocol = this.#protocolOf(role)): Promise<ByteStream> {
    return await dialStream(role, this.nodeFor(over), alpns[protocol].noise);
  }

  /** A peer that has not shaken hands yet. */
  async stranger(role: Reachable, over: Over, protocol?: Protocol): Promise<RawPeer> {
    return new RawPeer(await this.stream(role, over, protocol));
  }

  /** A peer that has shaken hands and said nothing else. */
  async shaken(role: Reachable, over: Over, protocol?: Protocol): Promise<RawPeer> {
    return await (await this.stranger(role, over, protocol)).shakeHands(role.details.authority_public_key);
  }

  /** Before each attack: remembers what the honest have. */
  async before(): Promise<void> {
    this.#accepted = this.#miners.map((miner) => miner.acceptedCount);
    this.#templateConnection = await this.#poolsConnection();
  }

  /** After each: every role answers, and the honest miners' shares go on, all of them accepted, over the connections they had. */
  async nobodyElseNotices(): Promise<void> {
    for (const role of this.roles) await answersSoon(role);
    for (const [at, miner] of this.#over ? [] : this.#miners.entries()) {
      await until("honest shares go on", () => miner.acceptedCount > (this.#accepted[at] ?? 0));
      expect(miner.isClosed).toBe(false);
      expect(miner.rejected).toEqual([]);
    }
    expect(await this.#poolsConnection()).toBe(this.#templateConnection);
  }

  /** At the end: every share the honest sent was acknowledged, and the roles use what they did at the start. */
  async everythingIsBack(): Promise<void> {
    this.#over = true;
    for (const miner of this.#miners) {
      miner.rest();
      await until("every share is acknowledged", () => miner.unanswered === 0);
      expect(miner.rejected).toEqual([]);
    }
    for (const [role, footprint] of this.#footprints) await returnsTo(role, footprint, TOLERANCE);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const miner of this.#miners) await miner[Symbol.asyncDispose]();
    await Promise.all([this.node[Symbol.asyncDispose](), this.#honestNode[Symbol.asyncDispose]()]);
    await this.stage[Symbol.asyncDispose]();
  }

  #protocolOf(role: Reachable): Protocol {
    return role === this.pool ? "mining" : "template_distribution";
  }

  /** The pool's connection to its template provider. */
  async #poolsConnection(): Promise<unknown> {
    const { connections } = await this.pool.status();
    return connections.find(({ direction }) => direction === "upstream")?.since;
  }
}
