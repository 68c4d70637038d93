import { join } from "node:path";
import { difficultyOf, targetFromHashrate } from "@adit/bitcoin";
import { openSqliteStore } from "@adit/share-store";
import { describe, expect, test } from "vitest";
import { HASHRATE, listensOn, poolToml, templateProviderToml } from "../harness/configs.ts";
import { freePort } from "../harness/free-port.ts";
import { Stage } from "../harness/stage.ts";
import { Sv1Miner } from "../harness/sv1-miner.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { newAuthority, ReferenceRole } from "./reference-role.ts";
import { dishonestReasons } from "./served-channels.ts";

const WAIT_MS = 120_000;
/** A block for every eight seconds of one miner's work, or none in any test's time. */
const BLOCKS_OFTEN = 8 * HASHRATE;
const BLOCKS_NEVER = 2 ** 48;
const USER = "reference";
const SHARES_PER_MINUTE = 240;
/** Nonces tried fifty times a second, by a miner whose translator was told {@link HASHRATE}. */
const FIVE_TIMES_AS_FAST = (5 * HASHRATE) / 50;

/** Our provider and pool, and their translator at it. */
class Mine implements AsyncDisposable {
  readonly stage: Stage;
  readonly provider: TestRole;
  pool: TestRole;
  /** `host:port` of their translator's listener. */
  readonly address: string;
  readonly translator: ReferenceRole;

  private constructor(parts: Pick<Mine, "stage" | "provider" | "pool" | "address" | "translator">) {
    this.stage = parts.stage;
    this.provider = parts.provider;
    this.pool = parts.pool;
    this.address = parts.address;
    this.translator = parts.translator;
  }

  static async open(options: MineOptions): Promise<Mine> {
    const stage = await Stage.open();
    try {
      const hashesPerBlock = options.hashesPerBlock ?? BLOCKS_OFTEN;
      const provider = await stage.start("template-provider", (folder) => {
        const toml = templateProviderToml(folder, { hashesPerBlock });
        return options.isQuiet === true
          ? toml.replace(/template_interval_secs = \d+/, "template_interval_secs = 3600")
          : toml;
      });
      const pool = await stage.start("pool", (folder) => poolToml(folder, provider));
      const [downstream, monitoring] = [await freePort(), `127.0.0.1:${await freePort()}`];
      const toml = translatorConfig({ ...options, pool, downstream, monitoring });
      const folder = join(stage.folder, "reference-translator");
      const translator = await ReferenceRole.start("translator", { folder, monitoring, toml });
      return new Mine({ stage, provider, pool, translator, address: `127.0.0.1:${downstream}` });
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  async restartPool(): Promise<void> {
    const listen = listensOn(this.pool);
    await this.pool.crash();
    this.pool = await this.stage.start("pool", (folder) => poolToml(folder, this.provider, { listen }));
  }

  async channels(): Promise<readonly PoolChannel[]> {
    return (await this.pool.status()).channels as unknown as readonly PoolChannel[];
  }

  /** Messages of one kind that the pool has sent. */
  async sent(name: string): Promise<number> {
    const lines = (await this.pool.metrics()).split("\n");
    const line = lines.find(
      (each) => each.startsWith("sv2_messages_total{") && each.includes(`"${name}"`) && each.includes('"out"'),
    );
    return Number(line?.split(" ").at(-1) ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.translator[Symbol.asyncDispose]();
    await this.stage[Symbol.asyncDispose]();
  }
}

interface MineOptions {
  readonly aggregated: boolean;
  readonly hashesPerBlock?: number;
  /** No templates but with new blocks. */
  readonly isQuiet?: boolean;
  readonly keepAliveSecs?: number;
  /** Whether their translator adjusts the difficulty of each miner. */
  readonly vardiff?: boolean;
  /** In place of the pool's own. */
  readonly authority?: string;
  /** It asks for extensions only when it cannot do without any. */
  readonly requiresWorkerNames?: boolean;
  /** How often its config names our pool: it never dials an upstream again that it was connected with. */
  readonly upstreams?: number;
}

/** A channel as our pool's status shows it. */
interface PoolChannel {
  readonly channel_id: number;
  readonly kind: string;
  readonly user_identity: string;
  readonly shares_accepted: number;
  readonly shares_rejected: number;
  readonly shares_rejected_by_reason: Readonly<Record<string, number>>;
  readonly difficulty: number;
}

function translatorConfig(
  options: MineOptions & { readonly pool: TestRole; readonly downstream: number; readonly monitoring: string },
): string {
  const { pool, aggregated, downstream, monitoring, keepAliveSecs = 60, vardiff = true } = options;
  const { address } = pool.listener("tcp");
  const colon = address.lastIndexOf(":");
  const upstream = `
[[upstreams]]
address = "${address.slice(0, colon)}"
port = ${address.slice(colon + 1)}
authority_pubkey = "${options.authority ?? pool.details.authority_public_key}"
user_identity = "${USER}"
`;
  return `
downstream_address = "127.0.0.1"
downstream_port = ${downstream}
max_supported_version = 2
min_supported_version = 2
downstream_extranonce2_size = 4
verify_payout = false
aggregate_channels = ${aggregated}
supported_extensions = [0x0002]
required_extensions = [${options.requiresWorkerNames === true ? "0x0002" : ""}]
monitoring_address = "${monitoring}"
monitoring_cache_refresh_secs = 1

[downstream_difficulty_config]
min_individual_miner_hashrate = ${HASHRATE}.0
shares_per_minute = ${SHARES_PER_MINUTE}.0
enable_vardiff = ${vardiff}
job_keepalive_interval_secs = ${keepAliveSecs}
${upstream.repeat(options.upstreams ?? 1)}`;
}

/** Only what crosses with a new block or a change of difficulty may have been refused. */
function expectHonest(channels: readonly PoolChannel[]): void {
  expect(channels.flatMap((one) => dishonestReasons(one.shares_rejected_by_reason))).toEqual([]);
}

describe("their translator at our pool", () => {
  test.each([true, false])(
    "has its miners' shares credited and their blocks built (aggregated: %s)",
    async (aggregated) => {
      await using mine = await Mine.open({ aggregated });
      using first = await Sv1Miner.dial(mine.address);
      using second = await Sv1Miner.dial(mine.address);
      const { pool, provider } = mine;
      await until("both miners' shares are accepted", () => first.accepted >= 4 && second.accepted >= 4, WAIT_MS);
      const status = await until(
        "shares and a block at the pool",
        async () => {
          const now = await pool.status();
          return now.shares_accepted >= 12 && now.blocks_found >= 2 && now;
        },
        WAIT_MS,
      );
      await until("the chain grows by them", async () => (await provider.status()).chain.height >= 2);
      // Two miners may find a block on the same tip.
      const { rejected_by_reason } = (await provider.status()).blocks;
      expect(Object.keys(rejected_by_reason).filter((reason) => reason !== "stale-template")).toEqual([]);
      const channels = status.channels as unknown as readonly PoolChannel[];
      expect(channels.map(({ kind }) => kind)).toEqual(aggregated ? ["extended"] : ["extended", "extended"]);
      expectHonest(channels);
      expect([first.isConnected, second.isConnected]).toEqual([true, true]);

      expect(await pool.stop()).toBe(0);
      await using store = await openSqliteStore({ path: join(mine.stage.folder, "pool", "shares.db") });
      const workers = await store.workers();
      expect(workers.reduce((sum, { shares }) => sum + shares, 0)).toBeGreaterThanOrEqual(status.shares_accepted);
      expect(workers.map(({ userIdentity }) => userIdentity.startsWith(USER))).not.toContain(false);
    },
  );

  test("names its workers, and the pool credits them by name", async () => {
    await using mine = await Mine.open({ aggregated: true, requiresWorkerNames: true });
    using first = await Sv1Miner.dial(mine.address);
    await until("shares", async () => first.accepted > 4 && (await mine.pool.status()).shares_accepted > 4, WAIT_MS);
    expect(await mine.pool.stop()).toBe(0);
    await using store = await openSqliteStore({ path: join(mine.stage.folder, "pool", "shares.db") });
    const named = (await store.workers()).filter(({ worker }) => worker !== "");
    expect(named.map(({ shares }) => shares > 0)).toContain(true);
  });

  test("hears of work once for all channels of its group", async () => {
    await using mine = await Mine.open({ aggregated: false, hashesPerBlock: BLOCKS_NEVER });
    using first = await Sv1Miner.dial(mine.address);
    using second = await Sv1Miner.dial(mine.address);
    using third = await Sv1Miner.dial(mine.address);
    const miners = [first, second, third];
    await until(
      "three channels with shares",
      async () => {
        const channels = await mine.channels();
        return channels.length === 3 && miners.every(({ accepted }) => accepted >= 2);
      },
      WAIT_MS,
    );
    const [sent, jobs] = [await mine.sent("NewExtendedMiningJob"), miners.map((miner) => miner.jobs)];
    await until("four templates later", async () => (await mine.sent("NewExtendedMiningJob")) >= sent + 4, WAIT_MS);
    await until("each miner has heard of them", () => miners.every((miner, at) => miner.jobs >= (jobs[at] ?? 0) + 4));
    const told = (await mine.sent("NewExtendedMiningJob")) - sent;
    const templates = Math.max(...miners.map((miner, at) => miner.jobs - (jobs[at] ?? 0)));
    // Its own keep-alive and difficulty changes tell miners more often, never less.
    expect(told).toBeLessThanOrEqual(templates + 1);
    const before = miners.map(({ accepted }) => accepted);
    await until(
      "shares of those jobs",
      () => miners.every(({ accepted }, at) => accepted > (before[at] ?? 0)),
      WAIT_MS,
    );
    expectHonest(await mine.channels());
  });

  test("keeps its miners busy through a silence with jobs of a later time, whose shares are credited", async () => {
    await using mine = await Mine.open({
      aggregated: true,
      hashesPerBlock: BLOCKS_NEVER,
      isQuiet: true,
      keepAliveSecs: 3,
    });
    using miner = await Sv1Miner.dial(mine.address);
    await until("work", () => miner.jobs > 0, WAIT_MS);
    const jobs = miner.jobs;
    await until("five jobs more", () => miner.jobs >= jobs + 5, WAIT_MS);
    const { shares_accepted: before } = await mine.pool.status();
    await until(
      "their shares at the pool",
      async () => (await mine.pool.status()).shares_accepted >= before + 8,
      WAIT_MS,
    );
    expectHonest(await mine.channels());
    expect(miner.isConnected).toBe(true);
  });

  test.each([true, false])(
    "is held at its share rate by our vardiff, whether it adjusts its miners' difficulty too (%s) or not",
    async (vardiff) => {
      await using mine = await Mine.open({ aggregated: true, vardiff, hashesPerBlock: BLOCKS_NEVER });
      using miner = await Sv1Miner.dial(mine.address, FIVE_TIMES_AS_FAST);
      const claimed = difficultyOf(targetFromHashrate(HASHRATE, SHARES_PER_MINUTE));
      const [harder] = await until(
        "a harder target",
        async () => {
          const channels = await mine.channels();
          return (channels[0]?.difficulty ?? 0) > 2 * claimed && channels;
        },
        WAIT_MS,
      );
      const before = harder?.shares_accepted ?? 0;
      await until(
        "shares at it",
        async () => ((await mine.channels())[0]?.shares_accepted ?? 0) >= before + 20,
        WAIT_MS,
      );
      expect(await mine.sent("SetTarget")).toBeGreaterThan(0);
      expectHonest(await mine.channels());
      expect([miner.isConnected, miner.rejected]).toEqual([true, []]);
    },
  );

  test("comes back to a pool that crashed", async () => {
    await using mine = await Mine.open({ aggregated: true, upstreams: 30 });
    using miner = await Sv1Miner.dial(mine.address);
    await until("shares", async () => miner.accepted > 2 && (await mine.pool.status()).shares_accepted > 2, WAIT_MS);
    await mine.restartPool();
    // It drops its miners with its upstream; they are to dial again.
    using again = await until("a new connection of the miner", () => Sv1Miner.dial(mine.address), WAIT_MS);
    await until(
      "shares after its return",
      async () => again.accepted > 0 && (await mine.pool.status()).shares_accepted > 2,
      WAIT_MS,
    );
    expectHonest(await mine.channels());
  });

  test("leaves a pool of another authority", async () => {
    const { public: authority } = await newAuthority();
    await expect(Mine.open({ aggregated: true, authority })).rejects.toThrow(/their translator/);
  });
});
