import { displayHash } from "@adit/bitcoin";
import { type JdClientUpstream, jdClientToml, translatorToml, upstream } from "./configs.ts";
import type { DeclaringSides } from "./declaring-sides.ts";
import { dialPool, type Reachable } from "./dial.ts";
import { Sniffer } from "./sniffer.ts";
import { Sv1Miner } from "./sv1-miner.ts";
import { Sv2Miner } from "./sv2-miner.ts";
import type { TestRole } from "./test-role.ts";
import { until } from "./until.ts";

/** So slow that the easiest target of a pool, which a first miner meets, makes no flood of shares. */
export const MINER = { hashrate: 4000, triesAtOnce: 80 } as const;

/** How a farm is set up. */
export interface FarmOptions {
  /** Tells it from the other farms of a stage, and is its name at pools. */
  readonly name: string;
  /** What carries all connections of the jd-client, its miners' included: TCP unless told. */
  readonly over?: "tcp" | "iroh";
  /** The jd-server of the first pool: the one inside, unless told. */
  readonly jds?: Reachable;
  /** The first pool: that of the sides, unless told. */
  readonly pool?: Reachable;
  /** Further pools with their jd-servers, which no sniffer stands before. */
  readonly fallbacks?: readonly JdClientUpstream[];
  readonly mode?: "FULLTEMPLATE" | "COINBASEONLY";
  /** More lines for the top of the config. */
  readonly top?: string;
  /** More lines for the top of the first upstream. */
  readonly upstreamTop?: string;
}

/** A miner's place: a jd-client with a sniffer on each of its connections upwards, and what mines at it. */
export class DeclaringFarm implements AsyncDisposable {
  readonly client: TestRole;
  readonly pool: Sniffer<"mining">;
  readonly jds: Sniffer<"job_declaration">;
  readonly templates: Sniffer<"template_distribution">;
  readonly #sides: DeclaringSides;
  readonly #options: FarmOptions;
  readonly #roles: TestRole[] = [];
  readonly #miners: (() => Promise<void>)[] = [];

  private constructor(
    sides: DeclaringSides,
    options: FarmOptions,
    parts: Pick<DeclaringFarm, "client" | "pool" | "jds" | "templates">,
  ) {
    this.#sides = sides;
    this.#options = options;
    this.client = parts.client;
    this.pool = parts.pool;
    this.jds = parts.jds;
    this.templates = parts.templates;
    this.#roles.push(parts.client);
  }

  /** Starts the jd-client. Resolves when it serves. `prepare`: told of the sniffers before there is anything to see. */
  static async open(
    sides: DeclaringSides,
    options: FarmOptions,
    prepare: (sniffers: Pick<DeclaringFarm, "pool" | "jds" | "templates">) => void = () => {},
  ): Promise<DeclaringFarm> {
    const { name, over = "tcp", fallbacks = [], mode = "FULLTEMPLATE", top = "", upstreamTop = "" } = options;
    const listen = { transport: over };
    const before = (role: Reachable) => ({ listen, upstream: { transport: over, role } });
    const pool = await Sniffer.start({ protocol: "mining", ...before(options.pool ?? sides.pool) });
    const jds = await Sniffer.start({ protocol: "job_declaration", ...before(options.jds ?? sides.inside) });
    const templates = await Sniffer.start({ protocol: "template_distribution", ...before(sides.templateProvider) });
    prepare({ pool, jds, templates });
    const first = { pool: upstream(pool, over), jds: upstream(jds, over), top: upstreamTop };
    const toml = (folder: string): string =>
      jdClientToml(folder, templates, {
        mode,
        userIdentity: name,
        templatesOver: over,
        upstreams: [first, ...fallbacks],
        top,
      });
    const client = await sides.stage.start("jd-client", toml, `jd-client-${name}`);
    return new DeclaringFarm(sides, options, { client, pool, jds, templates });
  }

  /** A Stratum V1 miner at a translator of its own. It stays until the farm ends. */
  async sv1Miner({ withholdsBlocks = false } = {}): Promise<Sv1Miner> {
    const { name, over = "tcp" } = this.#options;
    const toml = (folder: string): string => translatorToml(folder, [upstream(this.client, over)]);
    const translator = await this.#sides.stage.start("translator", toml, `translator-${name}-${this.#roles.length}`);
    this.#roles.push(translator);
    const miner = await Sv1Miner.dial(translator.details.downstream_address, MINER.triesAtOnce);
    miner.withholdsBlocks = withholdsBlocks;
    this.#miners.push(async () => miner[Symbol.dispose]());
    return miner;
  }

  /** A Stratum V2 miner on an extended channel, over TCP. It stays until the farm ends. */
  async sv2Miner({ withholdsBlocks = false } = {}): Promise<Sv2Miner> {
    const miner = await Sv2Miner.open(await dialPool(this.client), "miner", { ...MINER, withholdsBlocks });
    this.#miners.push(async () => await miner[Symbol.asyncDispose]());
    return miner;
  }

  /** Resolves when the pool has taken a job. */
  async hasCustomJob(): Promise<void> {
    await until("the jd-client has set a custom job", async () => (await this.client.status()).custom_jobs > 0);
  }

  /**
   * Keeps new templates and tips away from the jd-client, and resolves when the pool has taken its newest job. That is
   * on the chain's tip, as long as nobody finds a block meanwhile.
   */
  async freeze(): Promise<Disposable> {
    await until("templates are on the chain's tip", async () => await this.#isOnTip());
    const held = this.templates.hold("down", "NewTemplate");
    await until("the newest job is the pool's", () => this.#hasJobBefore(held));
    return held;
  }

  /** Whether the jd-client was told of the chain's present tip. */
  async #isOnTip(): Promise<boolean> {
    const { chain } = await this.#sides.chain.status();
    const told = this.templates.sightings("down").findLast(({ message }) => message?.name === "SetNewPrevHash");
    return told?.message?.name === "SetNewPrevHash" && displayHash(told.message.prevHash) === chain.tip_hash;
  }

  /** Whether the pool has taken the job of the newest template that is not held. */
  #hasJobBefore(held: Disposable): boolean {
    const newest = this.templates
      .sightings("down")
      .findLast(({ message, by }) => message?.name === "NewTemplate" && by !== held)?.message;
    const asked = this.pool.sightings("up").findLast(({ message }) => message?.name === "SetCustomMiningJob")?.message;
    if (newest?.name !== "NewTemplate" || asked?.name !== "SetCustomMiningJob") return false;
    if (Buffer.concat(asked.merklePath).compare(Buffer.concat(newest.merklePath)) !== 0) return false;
    return this.pool
      .sightings("down")
      .some(({ message }) => message?.name === "SetCustomMiningJobSuccess" && message.requestId === asked.requestId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const leave of this.#miners) await leave();
    await Promise.all(this.#roles.filter(({ isRunning }) => isRunning).map((role) => role.crash()));
    for (const sniffer of [this.pool, this.jds, this.templates]) await sniffer[Symbol.asyncDispose]();
  }
}
