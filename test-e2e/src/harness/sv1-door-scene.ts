import { expect } from "vitest";
import { poolToml, templateProviderToml, translatorToml, upstream } from "./configs.ts";
import { answersSoon, type Footprint, footprintOf, garbageOnDemand, returnsTo, type Tolerance } from "./footprint.ts";
import { Stage } from "./stage.ts";
import { Sv1Client } from "./sv1-client.ts";
import { Sv1Miner } from "./sv1-miner.ts";
import type { TestRole } from "./test-role.ts";
import { until } from "./until.ts";

/** A deadline of the translator, and what a busy machine adds to it. */
export const PATIENCE_MS = 30_000;
/** Connections that the translator takes from one address. */
export const PER_SOURCE = 40;
/** Where attackers come from that must not use up the honest miners' share of connections. */
export const ELSEWHERE = "127.0.0.9";
const LIMITS = `handshake_timeout_secs = 4
idle_timeout_secs = 12
max_miners_per_source = ${PER_SOURCE}
message_burst = 250`;
/** No block is found: every refused share is somebody's fault. */
const NEVER = 2 ** 44;
/** Some 10,000 hashes a second. */
const TRIES = 200;
/** Code that is compiled and caches that fill on the first attack stay. */
const TOLERANCE: Tolerance = { heapMiB: 12, residentMiB: 200, descriptors: 4 };

interface TranslatorStatus {
  readonly shares_accepted: number;
  readonly shares_submitted: number;
  readonly shares_acknowledged: number;
  readonly shares_unanswered: number;
  readonly shares_rejected_upstream_by_reason: Readonly<Record<string, number>>;
  readonly upstream_channels: readonly { readonly nominal_hashrate: number }[];
}

/** A translator with a pool behind it and an honest Stratum V1 miner at it, while somebody else attacks. */
export class Sv1DoorScene implements AsyncDisposable {
  readonly pool: TestRole;
  readonly translator: TestRole;
  readonly #stage: Stage;
  readonly #miner: Sv1Miner;
  readonly #footprints = new Map<TestRole, Footprint>();
  #accepted = 0;
  #over = false;

  private constructor(stage: Stage, roles: readonly [TestRole, TestRole], miner: Sv1Miner) {
    this.#stage = stage;
    [this.pool, this.translator] = roles;
    this.#miner = miner;
  }

  /** Starts the roles, and waits until the honest miner is credited. */
  static async open(aggregateChannels: boolean): Promise<Sv1DoorScene> {
    const stage = await Stage.open([garbageOnDemand]);
    const templateProvider = await stage.start("template-provider", (folder) =>
      templateProviderToml(folder, { hashesPerBlock: NEVER }),
    );
    const pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider, { shareBatchSize: 1 }));
    const translator = await stage.start("translator", (folder) =>
      translatorToml(folder, [upstream(pool, "iroh")], { limits: LIMITS, aggregateChannels }),
    );
    const miner = await Sv1Miner.dial(translator.details.downstream_address, TRIES);
    const scene = new Sv1DoorScene(stage, [pool, translator], miner);
    await until("honest shares", async () => miner.accepted > 4 && (await pool.status()).shares_accepted > 0);
    for (const role of [pool, translator]) scene.#footprints.set(role, await footprintOf(role));
    return scene;
  }

  /** A connection that has said nothing. */
  async dial(from?: string): Promise<Sv1Client> {
    return await Sv1Client.dial(this.translator.details.downstream_address, from);
  }

  /** One that has subscribed, with request id 1. */
  async subscribed(from?: string): Promise<Sv1Client> {
    const client = await this.dial(from);
    await client.ask(1, "mining.subscribe", ["hostile/1"]);
    return client;
  }

  /** One that has authorized a name too, with request id 2. */
  async authorized(name = "hostile.worker", from?: string): Promise<Sv1Client> {
    const client = await this.subscribed(from);
    await client.ask(2, "mining.authorize", [name, "x"]);
    return client;
  }

  /** The translator's status. */
  async status(): Promise<TranslatorStatus> {
    return (await this.translator.status()) as unknown as TranslatorStatus;
  }

  /** Before each attack: remembers what the honest miner has. */
  before(): void {
    this.#accepted = this.#miner.accepted;
  }

  /** After each: the roles answer, and the honest miner's shares go on, all of them taken, over the connection it had. */
  async nobodyElseNotices(): Promise<void> {
    for (const role of [this.pool, this.translator]) await answersSoon(role);
    if (this.#over) return;
    const miner = this.#miner;
    await until("honest shares go on", () => miner.accepted > this.#accepted + 1);
    expect([miner.isConnected, miner.rejected]).toEqual([true, []]);
    expect((await this.status()).shares_rejected_upstream_by_reason).toEqual({});
    expect(this.translator.log()).not.toMatch(/upstream lost/);
  }

  /** At the end: the pool credits the honest again, every share was answered, and the roles use what they did at the start. */
  async everythingIsBack(): Promise<void> {
    const credited = (await this.pool.status()).shares_accepted;
    await until("the pool credits shares", async () => (await this.pool.status()).shares_accepted > credited + 1);
    this.#over = true;
    const miner = this.#miner;
    miner.rest();
    await until("every share is answered", () => miner.accepted === miner.submitted);
    expect(miner.rejected).toEqual([]);
    // Shares without an answer are those of attackers whose own channel went with them.
    await until("every share is acknowledged", async () => {
      const { shares_submitted: sent, shares_acknowledged: credited, shares_unanswered: lost } = await this.status();
      return sent === credited + lost;
    });
    for (const [role, footprint] of this.#footprints) await returnsTo(role, footprint, TOLERANCE);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#miner[Symbol.dispose]();
    await this.#stage[Symbol.asyncDispose]();
  }
}
