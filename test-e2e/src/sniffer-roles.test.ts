import { readWorkerIdentity, u256, WORKER_HASHRATE_TRACKING } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HASHRATE, poolToml, templateProviderToml, translatorToml, upstream } from "./harness/configs.ts";
import { dialPool } from "./harness/dial.ts";
import { Sniffer } from "./harness/sniffer.ts";
import type { SnifferSide } from "./harness/sniffer-doors.ts";
import { Stage } from "./harness/stage.ts";
import { Sv1Miner } from "./harness/sv1-miner.ts";
import { Sv2Miner } from "./harness/sv2-miner.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

const TCP: SnifferSide = { transport: "tcp" };
const IROH: SnifferSide = { transport: "iroh" };
/** Blocks come every other second or so, while one miner hashes. */
const HASHES_PER_BLOCK = 30_000;

let stage: Stage;
let templateProvider: TestRole;
let pool: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: HASHES_PER_BLOCK }),
  );
  pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider));
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** A sniffer in front of the pool. */
async function beforePool(listen: SnifferSide = TCP, onwards: SnifferSide = TCP): Promise<Sniffer<"mining">> {
  return await Sniffer.start({ protocol: "mining", listen, upstream: { ...onwards, role: pool } });
}

/** A translator whose pool a sniffer is. */
async function translatorAt(
  sniffer: Sniffer<"mining">,
  name: string,
  transport: "tcp" | "iroh" = "tcp",
): Promise<TestRole> {
  const entries = [upstream(sniffer, transport)];
  return await stage.start("translator", (folder) => translatorToml(folder, entries), `translator-${name}`);
}

async function minerAt(translator: TestRole): Promise<Sv1Miner> {
  return await Sv1Miner.dial(translator.details.downstream_address);
}

describe("between a translator and a pool, a sniffer", () => {
  test.each([
    [TCP, IROH],
    [IROH, TCP],
  ])("shows how a share goes through, from %o to %o", async (listen, onwards) => {
    await using sniffer = await beforePool(listen, onwards);
    const translator = await translatorAt(sniffer, `over-${listen.transport}`, listen.transport);
    using miner = await minerAt(translator);

    expect(await sniffer.saw("up", "SetupConnection")).toMatchObject({ protocol: 0, vendor: "Adit" });
    await sniffer.saw("down", "SetupConnectionSuccess");
    const { requestedExtensions } = await sniffer.saw("up", "RequestExtensions");
    expect(requestedExtensions).toContain(WORKER_HASHRATE_TRACKING);
    const { supportedExtensions } = await sniffer.saw("down", "RequestExtensionsSuccess");
    expect(supportedExtensions).toContain(WORKER_HASHRATE_TRACKING);
    await sniffer.saw("up", "OpenExtendedMiningChannel");
    const { channelId } = await sniffer.saw("down", "OpenExtendedMiningChannelSuccess");
    const { message: share, tlvs } = await sniffer.sighting("up", "SubmitSharesExtended");
    expect(share.channelId).toBe(channelId);
    expect(readWorkerIdentity(tlvs)).toBe("raw");
    await sniffer.saw("down", "SubmitSharesSuccess", {
      where: ({ lastSequenceNumber }) => lastSequenceNumber >= share.sequenceNumber,
    });
    await until("the share is acknowledged", async () => (await translator.status()).shares_acknowledged > 0);
    expect(miner.isConnected).toBe(true);
    await translator.stop();
    expect(await sniffer.ended()).toMatchObject({ by: "downstream" });
  });

  test("keeps acknowledgements from the translator, whose shares the pool has all the same", async () => {
    await using sniffer = await beforePool();
    const kept = sniffer.drop("down", "SubmitSharesSuccess");
    const translator = await translatorAt(sniffer, "unacknowledged");
    using _ = await minerAt(translator);
    const { newSubmitsAcceptedCount } = await kept.caught();
    expect(newSubmitsAcceptedCount).toBeGreaterThan(0);
    await sniffer.saw("up", "SubmitSharesExtended", { since: sniffer.mark() });
    expect((await translator.status()).shares_acknowledged).toBe(0);
    kept[Symbol.dispose]();
    await until("an acknowledgement comes through", async () => (await translator.status()).shares_acknowledged > 0);
  });

  test("makes the translator send shares that are too easy, with a target that is not the pool's", async () => {
    await using sniffer = await beforePool();
    const easiest = u256(new Uint8Array(32).fill(0xff));
    const retargeted = sniffer.replace("down", "SetTarget", {
      by: (message) => [{ ...message, maximumTarget: easiest }],
    });
    const translator = await translatorAt(sniffer, "retargeted");
    using _ = await minerAt(translator);
    await sniffer.saw("up", "SubmitSharesExtended");
    using __ = await minerAt(translator);
    await sniffer.saw("up", "UpdateChannel");
    await retargeted.caught();
    await sniffer.saw("down", "SubmitSharesError", { where: ({ errorCode }) => errorCode === "difficulty-too-low" });
  });

  test("holds a job back, without which a miner has nothing to do", async () => {
    await using sniffer = await beforePool();
    using held = sniffer.hold("down", "NewExtendedMiningJob");
    const translator = await translatorAt(sniffer, "held");
    using miner = await minerAt(translator);
    await held.caught();
    await sniffer.saw("down", "OpenExtendedMiningChannelSuccess");
    expect(miner.jobs).toBe(0);
    sniffer.none("down", "SetNewPrevHash");
    held.release();
    await sniffer.saw("up", "SubmitSharesExtended");
    expect(miner.jobs).toBeGreaterThan(0);
  });

  test("is a pool that is down, and one that is up again", async () => {
    await using sniffer = await beforePool();
    const translator = await translatorAt(sniffer, "cut-off");
    using miner = await minerAt(translator);
    await sniffer.saw("up", "SubmitSharesExtended");
    await sniffer.refuse();
    sniffer.cut();
    const down = sniffer.mark();
    await until("the translator misses it", async () => (await translator.status()).upstream.state !== "connected");
    sniffer.none("up", "SetupConnection", { since: down });
    await sniffer.accept();
    const { connection } = await sniffer.sighting("up", "SubmitSharesExtended", { since: down });
    expect(connection).toBe(2);
    expect(miner.isConnected).toBe(true);
  });
});

describe("between a template provider and a pool, a sniffer", () => {
  test.each(["tcp", "iroh"] as const)("shows where a block comes from and goes to, over %s", async (transport) => {
    const listen = { transport };
    const upstreamSide = { transport, role: templateProvider };
    await using sniffer = await Sniffer.start({ protocol: "template_distribution", listen, upstream: upstreamSide });
    const toml = (folder: string): string => poolToml(folder, sniffer, { templatesOver: transport });
    const pool = await stage.start("pool", toml, `pool-${transport}`);
    await sniffer.saw("up", "SetupConnection", { where: ({ protocol }) => protocol === 2 });
    await sniffer.saw("up", "CoinbaseOutputConstraints");
    const { templateId } = await sniffer.saw("down", "NewTemplate", { where: ({ futureTemplate }) => futureTemplate });
    await sniffer.saw("down", "SetNewPrevHash", { where: (tip) => tip.templateId === templateId });

    const { accepted } = (await templateProvider.status()).blocks;
    await using _ = await Sv2Miner.open(await dialPool(pool), "direct", HASHRATE);
    const solution = await sniffer.saw("up", "SubmitSolution");
    await sniffer.saw("down", "NewTemplate", { where: (template) => template.templateId === solution.templateId });
    await until(
      "the block is the template provider's",
      async () => (await templateProvider.status()).blocks.accepted > accepted,
    );

    const cut = sniffer.mark();
    sniffer.cut();
    expect(await sniffer.ended({ since: cut })).toMatchObject({ by: "sniffer", connection: 1 });
    const again = await sniffer.sighting("up", "CoinbaseOutputConstraints", { since: cut });
    expect(again.connection).toBe(2);
    await sniffer.saw("down", "SetNewPrevHash", { since: cut });
    expect(await pool.stop()).toBe(0);
  });
});
