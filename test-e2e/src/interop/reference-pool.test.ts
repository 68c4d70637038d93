import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HASHRATE, sv2MinerToml, templateProviderToml, translatorToml } from "../harness/configs.ts";
import { Stage } from "../harness/stage.ts";
import { Sv1Miner } from "../harness/sv1-miner.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { BATCH, ReferencePool } from "./reference-pool.ts";
import { newAuthority } from "./reference-role.ts";
import { dishonestReasons, type ServedChannel } from "./served-channels.ts";

/** A block for every eight seconds of one miner's work. */
const HASHES_PER_BLOCK = 8 * HASHRATE;
const WAIT_MS = 120_000;

let stage: Stage;
let provider: TestRole;
let pool: ReferencePool;

beforeAll(async () => {
  stage = await Stage.open();
  provider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: HASHES_PER_BLOCK }),
  );
  pool = await ReferencePool.open(stage, { provider, authority: await newAuthority() });
  await pool.start();
});

afterAll(async () => {
  await pool.role[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

/** A translator at their pool, whose account is `name` there. */
async function launchTranslator(name: string, { aggregated, authority }: { aggregated: boolean; authority?: string }) {
  const toml = (folder: string): string => {
    const own = translatorToml(folder, [pool.upstream(authority)], { aggregateChannels: aggregated });
    return own.replace('user_identity = "e2e"', `user_identity = "${name}"`);
  };
  return await stage.launch("translator", toml, name);
}

async function theirs(identity: (channel: ServedChannel) => boolean): Promise<readonly ServedChannel[]> {
  const { extended, standard } = await pool.channels();
  return [...extended, ...standard].filter(identity);
}

function sum(channels: readonly ServedChannel[], key: "shares_accepted" | "blocks_found"): number {
  return channels.reduce((total, channel) => total + channel[key], 0);
}

/** Resolves when the provider's chain has grown by blocks that their pool built and someone of ours found. */
async function blocksBeyond(height: number, count: number): Promise<void> {
  const { blocks, chain } = await until(
    `${count} blocks above ${height}`,
    async () => {
      const status = await provider.status();
      return status.chain.height >= height + count && status;
    },
    WAIT_MS,
  );
  // Two miners may find a block on the same tip.
  expect(Object.keys(blocks.rejected_by_reason).filter((reason) => reason !== "stale-template")).toEqual([]);
  expect(blocks.accepted).toBe(chain.height);
}

describe("their pool on our template provider", () => {
  test.each([true, false])(
    "takes the shares of Stratum V1 miners at our translator (aggregated: %s), and their blocks",
    async (aggregated) => {
      const { height } = (await provider.status()).chain;
      const name = aggregated ? "aggregated" : "separate";
      const translator = await (await launchTranslator(name, { aggregated })).ready();
      const { downstream_address: address } = translator.details;
      using first = await Sv1Miner.dial(address);
      using second = await Sv1Miner.dial(address);
      await until("both miners' shares are accepted", () => first.accepted >= 4 && second.accepted >= 4, WAIT_MS);
      const status = await until(
        "acknowledgements from their pool",
        async () => {
          const now = await translator.status();
          return now.shares_acknowledged >= 4 * BATCH && now;
        },
        WAIT_MS,
      );
      expect([status.upstream.state, status.upstream.transport]).toEqual(["connected", "tcp"]);
      expect([first.rejected, second.rejected].flat().filter((reason) => !/stale/i.test(reason))).toEqual([]);
      const { shares_rejected_upstream_by_reason: refused } = status as unknown as TranslatorShares;
      expect(dishonestReasons(refused)).toEqual([]);

      await blocksBeyond(height, 2);
      const channels = await until("their count of the shares", async () => {
        const found = await theirs(({ user_identity }) => user_identity.startsWith(name));
        return sum(found, "shares_accepted") >= status.shares_acknowledged && sum(found, "blocks_found") > 0 && found;
      });
      expect(channels).toHaveLength(aggregated ? 1 : 2);
      expect(channels.flatMap((one) => dishonestReasons(one.shares_rejected_by_reason))).toEqual([]);
      expect(await translator.stop()).toBe(0);
    },
  );

  test.each(["standard", "extended"] as const)(
    "takes the shares and blocks of our device on a %s channel",
    async (channel) => {
      const { height } = (await provider.status()).chain;
      const device = await stage.start(
        "mining-device",
        (folder) => `channel = "${channel}"\n${sv2MinerToml(folder, pool.upstream(), `device.${channel}`)}`,
        `device-${channel}`,
      );
      const status = await until(
        "shares accepted by their pool",
        async () => {
          const now = await device.status();
          return now.shares_accepted >= 2 * BATCH && now;
        },
        WAIT_MS,
      );
      expect(dishonestReasons(status.shares_rejected_by_reason)).toEqual([]);
      await blocksBeyond(height, 1);
      const open = await until("their count of the shares", async () => {
        const found = (await pool.channels())[channel].filter(({ user_identity: of }) => of === `device.${channel}`);
        return sum(found, "shares_accepted") >= status.shares_accepted && sum(found, "blocks_found") > 0 && found;
      });
      expect(open).toHaveLength(1);
      expect(await device.stop()).toBe(0);
    },
  );

  test("is left when its certificate is of another authority, and gets no channel", async () => {
    const { public: other } = await newAuthority();
    const translator = await launchTranslator("deceived", { aggregated: true, authority: other });
    const listening = await until("it listens", () =>
      translator.logLines().find(({ msg }) => /accepting Stratum V1/.test(msg)),
    );
    using miner = await Sv1Miner.dial(String(listening["address"]));
    await translator.logged(/not signed by the authority key in the config/);
    expect((await translator.status()).upstream.state).not.toBe("connected");
    expect([miner.jobs, miner.accepted]).toEqual([0, 0]);
    expect(await theirs(({ user_identity }) => user_identity.startsWith("deceived"))).toEqual([]);
    await translator.stop();
  });

  test("comes back after a crash to a translator that has kept its miners", async () => {
    const translator = await (await launchTranslator("patient", { aggregated: true })).ready();
    using miner = await Sv1Miner.dial(translator.details.downstream_address);
    const acknowledged = async (): Promise<number> => (await translator.status()).shares_acknowledged;
    await until("shares acknowledged", async () => (await acknowledged()) >= BATCH, WAIT_MS);
    await pool.role.crash();
    await until("the loss is noticed", async () => (await translator.status()).upstream.state !== "connected");
    await pool.start();
    const before = await acknowledged();
    await until("shares acknowledged after its return", async () => (await acknowledged()) >= before + BATCH, WAIT_MS);
    expect(miner.isConnected).toBe(true);
    await translator.stop();
  });
});

/** The part of our translator's status that these tests read besides. */
interface TranslatorShares {
  readonly shares_rejected_upstream_by_reason: Readonly<Record<string, number>>;
}
