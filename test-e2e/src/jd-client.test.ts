import { decodeTransaction, hex, scriptFromDescriptor } from "@adit/bitcoin";
import { DECLARE_TX_DATA, REQUIRES_STANDARD_JOBS, REQUIRES_WORK_SELECTION, readWorkerIdentity } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ChannelMinerAt } from "./harness/channel-miner-at.ts";
import { jdClientToml, SOLO_REWARD } from "./harness/configs.ts";
import { DeclaringFarm, type FarmOptions, MINER } from "./harness/declaring-farm.ts";
import { type DeclaringSides, openSides } from "./harness/declaring-sides.ts";
import { dialPool } from "./harness/dial.ts";
import { settledBooks } from "./harness/share-books.ts";
import { Sniffer } from "./harness/sniffer.ts";
import { Sv2Miner } from "./harness/sv2-miner.ts";
import { until } from "./harness/until.ts";

/** One miner finds a block every other second or so. */
const HASHES_PER_BLOCK = 8192;

/** What a loaded test process may take between two sockets that are readable at once. */
const ONE_MOMENT_MS = 100;

let sides: DeclaringSides;

beforeAll(async () => {
  sides = await openSides(HASHES_PER_BLOCK);
});

afterAll(async () => {
  await sides[Symbol.asyncDispose]();
});

async function height(): Promise<number> {
  return (await sides.chain.status()).chain.height;
}

/** Resolves when the chain has grown beyond a height, and the pool knows that one of its miners has done it. */
async function poolHasBlock(above: number): Promise<void> {
  await until("the pool's block is in the chain", async () => {
    const { last_block } = await sides.pool.status();
    return last_block?.result === "accepted" && last_block.height > above;
  });
}

describe.each(["tcp", "iroh"] as const)("over %s, a farm that chooses its transactions", (over) => {
  test("declares its templates, is credited for its shares, and brings its block out by every way there is", async () => {
    await using farm = await DeclaringFarm.open(sides, { name: `farm-${over}`, over });
    const { pool, jds, templates } = farm;
    const miner = await farm.sv1Miner({ withholdsBlocks: true });

    expect(await pool.saw("up", "SetupConnection")).toMatchObject({ protocol: 0, flags: REQUIRES_WORK_SELECTION });
    expect(await jds.saw("up", "SetupConnection")).toMatchObject({ protocol: 1, flags: DECLARE_TX_DATA });
    await pool.saw("up", "OpenExtendedMiningChannel", { where: (open) => open.userIdentity === `farm-${over}` });
    const { channelId } = await pool.saw("down", "OpenExtendedMiningChannelSuccess");
    const token = await jds.saw("down", "AllocateMiningJobTokenSuccess");
    const declaration = await jds.saw("up", "DeclareMiningJob");
    expect(declaration.miningJobToken).toEqual(token.miningJobToken);
    // Of the templates whose transactions came, it is not always the first that is declared.
    await templates.saw("down", "RequestTransactionDataSuccess", {
      where: ({ transactionList }) => transactionList.length === declaration.wtxidList.length,
    });
    const { newMiningJobToken } = await jds.saw("down", "DeclareMiningJobSuccess");
    const custom = await pool.saw("up", "SetCustomMiningJob");
    expect(custom).toMatchObject({ channelId, miningJobToken: newMiningJobToken });
    await pool.saw("down", "SetCustomMiningJobSuccess", { where: ({ requestId }) => requestId === custom.requestId });
    // The pool chooses nothing here.
    pool.none("down", "NewExtendedMiningJob");
    pool.none("down", "SetNewPrevHash");

    const share = await pool.sighting("up", "SubmitSharesExtended");
    expect(readWorkerIdentity(share.tlvs)).toBe("raw");
    await pool.saw("down", "SubmitSharesSuccess");
    const before = { height: await height(), pool: await sides.pool.status(), client: await farm.client.status() };
    using _ = await farm.freeze();
    miner.handInOneBlock();
    const sentAt = await blockOf(farm);
    // All three go out in one turn, so that they arrive in any order of a moment; the core's own tests look at the order.
    // Each Iroh connection has a pace of its own, so that the times of arrival say nothing there.
    if (over === "tcp") expect(sentAt.solution - Math.min(sentAt.push, sentAt.share)).toBeLessThan(ONE_MOMENT_MS);
    await poolHasBlock(before.height);

    const after = await sides.pool.status();
    expect(after.last_block).toMatchObject({ user_identity: `farm-${over}`, declared_by: `farm-${over}` });
    expect(after.custom_job_shares).toBeGreaterThan(before.pool.custom_job_shares);
    expect((await farm.client.status()).blocks_found).toBeGreaterThan(0);
    expect(miner.isConnected).toBe(true);
  });

  test("does so with a jd-server in a house of its own", async () => {
    await using farm = await DeclaringFarm.open(sides, { name: `apart-${over}`, over, jds: sides.apart });
    const miner = await farm.sv2Miner({ withholdsBlocks: true });
    using _ = await farm.freeze();
    const before = await height();
    miner.handInOneBlock();
    await blockOf(farm);
    await poolHasBlock(before);
    expect((await sides.pool.status()).last_block).toMatchObject({ declared_by: `apart-${over}` });
    expect(await farm.client.status()).toMatchObject({ switches: 1, mining_for: expect.not.stringContaining("solo") });
  });
});

/** Waits for the farm's next block. Resolves to the times at which the messages that tell of it came by. */
async function blockOf({
  templates,
  jds,
  pool,
}: DeclaringFarm): Promise<Record<"solution" | "push" | "share", number>> {
  const solution = await templates.sighting("up", "SubmitSolution");
  const { headerNonce: nonce } = solution.message;
  const push = await jds.sighting("up", "PushSolution", { where: (message) => message.nonce === nonce });
  const share = await pool.sighting("up", "SubmitSharesExtended", { where: (message) => message.nonce === nonce });
  return {
    solution: templates.startedAt + solution.at,
    push: jds.startedAt + push.at,
    share: pool.startedAt + share.at,
  };
}

describe("a block reaches the chain", () => {
  // With a jd-server apart, the pool cannot bring it out: it does not know the transactions.
  const options = (name: string): FarmOptions => ({ name, jds: sides.apart });

  test("by the miner's template provider alone", async () => {
    await using farm = await DeclaringFarm.open(sides, options("own-way"));
    const lost = farm.jds.drop("up", "PushSolution");
    const miner = await farm.sv2Miner({ withholdsBlocks: true });
    using _ = await farm.freeze();
    const before = await height();
    miner.handInOneBlock();
    const { nonce } = await lost.caught();
    await farm.templates.saw("up", "SubmitSolution", { where: ({ headerNonce }) => headerNonce === nonce });
    await poolHasBlock(before);
  });

  test("by the jd-server alone", async () => {
    await using farm = await DeclaringFarm.open(sides, options("jds-way"));
    const lost = farm.templates.drop("up", "SubmitSolution");
    const miner = await farm.sv2Miner({ withholdsBlocks: true });
    using _ = await farm.freeze();
    const before = await height();
    miner.handInOneBlock();
    const { headerNonce } = await lost.caught();
    await farm.jds.saw("up", "PushSolution", { where: ({ nonce }) => nonce === headerNonce });
    await poolHasBlock(before);
  });
});

test("a farm that keeps its transactions to itself declares nothing, and is credited and heard all the same", async () => {
  await using farm = await DeclaringFarm.open(sides, { name: "quiet", mode: "COINBASEONLY" });
  const { pool, jds, templates } = farm;
  const miner = await farm.sv2Miner({ withholdsBlocks: true });
  expect(await jds.saw("up", "SetupConnection")).toMatchObject({ protocol: 1, flags: 0 });
  const { miningJobToken } = await jds.saw("down", "AllocateMiningJobTokenSuccess");
  expect(await pool.saw("up", "SetCustomMiningJob")).toMatchObject({ miningJobToken });
  await pool.saw("down", "SubmitSharesSuccess");
  using _ = await farm.freeze();
  const before = await height();
  miner.handInOneBlock();
  await templates.saw("up", "SubmitSolution");
  await poolHasBlock(before);
  expect((await sides.pool.status()).last_block).toMatchObject({ user_identity: "quiet", declared_by: "quiet" });
  jds.none("up", "DeclareMiningJob");
  jds.none("up", "PushSolution");
  templates.none("up", "RequestTransactionData");
});

test("every role tells of declared work the same in its status as in its metrics, and as the next one", async () => {
  const { pool, apart } = sides;
  const before = { height: await height(), credited: (await pool.status()).custom_job_shares };
  await using farm = await DeclaringFarm.open(sides, { name: "watched", jds: apart });
  const { client } = farm;
  const miner = await farm.sv1Miner();
  await poolHasBlock(before.height);
  miner.rest();
  using _ = await farm.freeze();
  const { acknowledged, unanswered } = await settledBooks(client);
  expect(acknowledged).toBeGreaterThan(0);
  expect(unanswered).toBe(0);

  const [told, server, credits] = [await client.status(), await apart.status(), await pool.status()];
  const samples = [
    [client, "sv2_jd_client_channels", told.channels],
    [client, 'sv2_jd_client_jobs_total{event="declared"}', told.declared_jobs],
    [client, 'sv2_jd_client_jobs_total{event="accepted"}', told.custom_jobs],
    [client, "sv2_jd_client_shares_submitted_total", told.shares_submitted],
    [client, "sv2_jd_client_shares_acknowledged_total", told.shares_acknowledged],
    [client, "sv2_jd_client_blocks_found_total", told.blocks_found],
    [apart, 'sv2_jd_server_declarations_total{result="declared"}', server.declarations.declared],
    [pool, 'sv2_pool_custom_jobs_total{result="taken"}', credits.custom_jobs],
    [pool, "sv2_pool_custom_job_shares_total", credits.custom_job_shares],
  ] as const;
  for (const [role, name, value] of samples) {
    expect(value, name).toBeGreaterThan(0);
    expect(await role.sample(name), name).toBe(value);
  }
  expect(credits.custom_job_shares - before.credited).toBe(acknowledged);
  for (const role of [client, apart, pool]) {
    expect(await role.answers("/api/v1/ready")).toBe(200);
    expect(await role.answers("/api/v1/nothing")).toBe(404);
  }
});

test("a farm without a pool mines alone: its block pays to it, with its signature", async () => {
  const role = sides.templateProvider;
  const side = { transport: "tcp" } as const;
  await using templates = await Sniffer.start({
    protocol: "template_distribution",
    listen: side,
    upstream: { ...side, role },
  });
  const client = await sides.stage.start(
    "jd-client",
    (folder) => jdClientToml(folder, templates, { mode: "SOLOMINING", upstreams: [] }),
    "alone",
  );
  const before = await height();
  await using _ = await Sv2Miner.open(await dialPool(client), "alone", MINER);
  const { coinbaseTx } = await templates.saw("up", "SubmitSolution");
  await until("the block is in the chain", async () => (await height()) > before);
  const [reward] = decodeTransaction(coinbaseTx).outputs;
  expect(hex(reward!.script)).toBe(hex(scriptFromDescriptor(SOLO_REWARD, "regtest")));
  expect(Buffer.from(decodeTransaction(coinbaseTx).inputs[0]!.script).toString("latin1")).toContain("e2e");
  expect(await client.status()).toMatchObject({ mining_for: "solo", upstreams: [], shares_submitted: 0 });
  await client.stop();
});

describe("miners of Stratum V2", () => {
  test("share one custom job on standard and extended channels of a group, and each finds a block with it", async () => {
    await using farm = await DeclaringFarm.open(sides, { name: "group" });
    await using at = await ChannelMinerAt.dial(farm.client);
    const { miner, heard } = at;
    for (const kind of ["standard", "extended"] as const) {
      const channel = await miner.open(kind, `miner-${kind}`);
      using _ = await farm.freeze();
      const { tip_hash: parent, height: before } = (await sides.chain.status()).chain;
      const hash = await miner.mine(channel, parent);
      await poolHasBlock(before);
      expect((await sides.chain.status()).chain.tip_hash).toBe(hash);
    }
    expect(miner.complaints).toEqual([]);
    const groups = heard.flatMap((message) =>
      message.name === "OpenStandardMiningChannelSuccess" || message.name === "OpenExtendedMiningChannelSuccess"
        ? [message.groupChannelId]
        : [],
    );
    expect(new Set(groups).size).toBe(1);
    const jobs = heard.flatMap((message) => (message.name === "NewExtendedMiningJob" ? [message.channelId] : []));
    expect(jobs).toContain(groups[0]);
  });

  test("get standard jobs where they ask for nothing else, and no extended channel", async () => {
    await using farm = await DeclaringFarm.open(sides, { name: "standard" });
    await using at = await ChannelMinerAt.dial(farm.client, REQUIRES_STANDARD_JOBS);
    const { miner, heard } = at;
    const channel = await miner.open("standard", "miner");
    using _ = await farm.freeze();
    const { tip_hash: parent, height: before } = (await sides.chain.status()).chain;
    const hash = await miner.mine(channel, parent);
    await poolHasBlock(before);
    expect((await sides.chain.status()).chain.tip_hash).toBe(hash);
    expect(heard.some(({ name }) => name === "NewMiningJob")).toBe(true);
    expect(heard.some(({ name }) => name === "NewExtendedMiningJob")).toBe(false);
    miner.open("extended", "too much").catch(() => {});
    const errorCode = "extended-channels-not-supported-for-standard-jobs";
    await until("the refusal", () => miner.complaints.some((one) => "errorCode" in one && one.errorCode === errorCode));
  });
});

test("a template provider that goes and comes back interrupts nothing: work goes on, and templates after it", async () => {
  await using farm = await DeclaringFarm.open(sides, { name: "templates" });
  const { pool, templates } = farm;
  const miner = await farm.sv1Miner({ withholdsBlocks: true });
  await pool.saw("down", "SubmitSharesSuccess");
  await templates.refuse();
  templates.cut();
  await until("the jd-client misses it", async () => (await farm.client.trouble())?.startsWith("no template provider"));
  const away = pool.mark();
  await pool.saw("up", "SubmitSharesExtended", { since: away });
  await pool.saw("down", "SubmitSharesSuccess", { since: away });
  const back = templates.mark();
  await templates.accept();
  await templates.saw("down", "RequestTransactionDataSuccess", { since: back });
  await pool.saw("down", "SetCustomMiningJobSuccess", { since: away });
  await until("the jd-client is ready again", async () => (await farm.client.trouble()) === null);
  expect(await farm.client.status()).toMatchObject({ switches: 1 });
  expect([miner.isConnected, miner.rejected]).toEqual([true, []]);
});
