import { REQUIRES_WORK_SELECTION } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blockElsewhere } from "./harness/block-elsewhere.ts";
import { ChannelMinerAt } from "./harness/channel-miner-at.ts";
import { jdServerToml, listensOn, poolToml, SOLO_REWARD } from "./harness/configs.ts";
import { DeclaringFarm } from "./harness/declaring-farm.ts";
import { embeddedJds } from "./harness/declaring-miner.ts";
import { type DeclaringSides, openSides } from "./harness/declaring-sides.ts";
import { dialStream, setUp } from "./harness/dial.ts";
import { JobDeclarationClient } from "./harness/job-declaration-client.ts";
import { settledBooks } from "./harness/share-books.ts";
import type { Hold } from "./harness/sniffer-interception.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** One miner finds a block every other second or so, where it may. */
const HASHES_PER_BLOCK = 8192;

let sides: DeclaringSides;
/** A pool whose jd-server has no node: it knows no transaction. */
let nodeless: TestRole;

beforeAll(async () => {
  sides = await openSides(HASHES_PER_BLOCK);
  nodeless = await sides.stage.start("pool", (folder) => poolToml(folder, sides.chain, { jds: "" }), "nodeless");
});

afterAll(async () => {
  await sides[Symbol.asyncDispose]();
});

/** Why its upstreams failed a jd-client, and why it mined for something else, by its log. */
function troublesOf(client: TestRole): { readonly failures: readonly unknown[]; readonly changes: readonly unknown[] } {
  const lines = client.logLines();
  return {
    failures: lines.flatMap((line) => (line.msg === "upstream failed" ? [line["code"]] : [])),
    // Of its template provider the same event tells.
    changes: lines.flatMap((line) =>
      line.msg === "upstream changed" && line["upstream"] === undefined ? [line["reason"]] : [],
    ),
  };
}

/** Nothing was wrong since the start. */
const NO_TROUBLE = { failures: [], changes: ["start"] };

/** Only the template of the present tip comes through: there is one job, and it stays the newest. */
function oneTemplate({ templates }: Pick<DeclaringFarm, "templates">): void {
  templates.drop("down", "NewTemplate", { where: ({ futureTemplate }) => !futureTemplate });
}

describe("shares of a job that the pool has not taken yet", () => {
  /** A farm whose first job is held on its way, to the pool or back. */
  async function held(name: string, direction: "up" | "down") {
    let hold: Hold<"mining", "SetCustomMiningJob" | "SetCustomMiningJobSuccess"> | undefined;
    const farm = await DeclaringFarm.open(sides, { name, top: "answer_timeout_secs = 60" }, (sniffers) => {
      oneTemplate(sniffers);
      const message = direction === "up" ? "SetCustomMiningJob" : "SetCustomMiningJobSuccess";
      hold = sniffers.pool.hold(direction, message);
    });
    return { farm, hold: hold! };
  }

  test("are kept, and all of them are credited once it has", async () => {
    const { farm, hold } = await held("kept", "down");
    await using scene = farm;
    const { client, pool } = scene;
    const miner = await scene.sv2Miner({ withholdsBlocks: true });
    await until("shares are kept", async () => (await client.status()).cached_shares >= 5);
    pool.none("up", "SubmitSharesExtended");
    hold.release();
    await pool.saw("up", "SubmitSharesExtended");
    miner.rest();
    const books = await settledBooks(client);
    expect(books).toMatchObject({ rejected: 0, unanswered: 0, solo: 0, discarded: {} });
    expect(books.acknowledged).toBeGreaterThanOrEqual(5);
    expect((await client.status()).cached_shares).toBe(0);
  });

  test("are given up, with a reason, when it refuses the job", async () => {
    const { farm, hold } = await held("refused", "up");
    await using scene = farm;
    const { client, pool } = scene;
    const { channelId, requestId } = await hold.caught();
    const miner = await scene.sv2Miner({ withholdsBlocks: true });
    await until("shares are kept", async () => (await client.status()).cached_shares >= 3);
    const errorCode = "invalid-coinbase-tx-outputs";
    await pool.inject("down", { name: "SetCustomMiningJobError", channelId, requestId, errorCode });
    const line = await client.logged(/"job given up"/);
    const { reason, shares } = JSON.parse(line) as { readonly reason: string; readonly shares: number };
    miner.rest();
    const { discarded } = await settledBooks(client);
    expect([reason, Object.keys(discarded)]).toEqual(["session-ended", ["session-ended"]]);
    expect(shares).toBeGreaterThanOrEqual(3);
    // Some more may be found before the miner has heard of its next job.
    expect(discarded["session-ended"]).toBeGreaterThanOrEqual(shares);
    expect(troublesOf(client).failures).toEqual(["custom-job-refused"]);
  });
});

test("a job is set once more when the pool's target gets much harder, so that its shares count for what they are worth", async () => {
  await using farm = await DeclaringFarm.open(sides, { name: "growing" }, oneTemplate);
  const { pool } = farm;
  const { merklePath, requestId: first } = await pool.saw("up", "SetCustomMiningJob");
  // Until now there was no hashrate, and the easiest target there is.
  await farm.sv2Miner({ withholdsBlocks: true });
  await pool.saw("up", "UpdateChannel");
  await pool.saw("down", "SetTarget");
  const again = await pool.saw("up", "SetCustomMiningJob", { where: ({ requestId }) => requestId !== first });
  expect(again.merklePath).toEqual(merklePath);
  const { requestId } = again;
  const set = await pool.saw("down", "SetCustomMiningJobSuccess", { where: (one) => one.requestId === requestId });
  await pool.saw("up", "SubmitSharesExtended", { where: ({ jobId }) => jobId === set.jobId });
  expect(troublesOf(farm.client)).toEqual(NO_TROUBLE);
});

describe("no upstream is left", () => {
  test("when a new template comes while the last one's transactions are asked for, and those are not given", async () => {
    await using farm = await DeclaringFarm.open(sides, { name: "tx-race" }, ({ templates }) => {
      templates.drop("up", "RequestTransactionData", { times: 1 });
    });
    const { client, pool, templates } = farm;
    const { templateId } = await templates.saw("up", "RequestTransactionData");
    await templates.saw("up", "RequestTransactionData", { where: (asked) => asked.templateId !== templateId });
    await farm.hasCustomJob();
    const since = pool.mark();
    const errorCode = "stale-template-id";
    await templates.inject("down", { name: "RequestTransactionDataError", templateId, errorCode });
    await pool.saw("down", "SetCustomMiningJobSuccess", { since });
    expect(troublesOf(client)).toEqual(NO_TROUBLE);
  });

  test("when the tip moves while a declared job is on its way to the pool, which refuses it", async () => {
    await using farm = await DeclaringFarm.open(sides, { name: "tip-race" });
    const { client, pool } = farm;
    await farm.hasCustomJob();
    using held = pool.hold("up", "SetCustomMiningJob");
    const late = await held.caught();
    await everybodyIsOn(client, await blockElsewhere(sides.chain));
    const since = pool.mark();
    held.release();
    const { requestId } = late;
    const refusal = await pool.saw("down", "SetCustomMiningJobError", {
      where: (error) => error.requestId === requestId,
    });
    expect(refusal.errorCode).toBe("stale-chain-tip");
    await pool.saw("down", "SetCustomMiningJobSuccess", { since });
    expect(troublesOf(client)).toEqual(NO_TROUBLE);
  });

  test("when the tip moves before a declaration is answered, and the pool never hears of its job", async () => {
    await using farm = await DeclaringFarm.open(sides, { name: "tip-race-2" });
    const { client, pool, jds } = farm;
    await farm.hasCustomJob();
    using held = jds.hold("down", "DeclareMiningJobSuccess");
    const { newMiningJobToken: late } = await held.caught();
    await everybodyIsOn(client, await blockElsewhere(sides.chain));
    const since = pool.mark();
    held.release();
    await pool.saw("down", "SetCustomMiningJobSuccess", { since });
    pool.none("up", "SetCustomMiningJob", {
      where: ({ miningJobToken }) => Buffer.compare(miningJobToken, late) === 0,
    });
    expect(troublesOf(client)).toEqual(NO_TROUBLE);
  });
});

/** Resolves when pool and jd-client mine on the tip of this height. */
async function everybodyIsOn(client: TestRole, tip: number): Promise<void> {
  await until(
    "the pool is on the new tip",
    async () => (await sides.pool.status()).template_provider.height === tip + 1,
  );
  await until("the jd-client is on the new tip", async () => (await client.status()).height === tip + 1);
}

describe("a jd-server that knows no transaction", () => {
  const at = (name: string) => ({ name, pool: nodeless, jds: embeddedJds(nodeless) });

  test("asks for all of them, once for each declaration", async () => {
    await using farm = await DeclaringFarm.open(sides, at("reveals"));
    const { jds, templates } = farm;
    const { wtxidList, requestId } = await jds.saw("up", "DeclareMiningJob");
    const { unknownTxPositionList } = await jds.saw("down", "ProvideMissingTransactions");
    expect(unknownTxPositionList).toEqual(wtxidList.map((_, position) => position));
    const revealed = await jds.saw("up", "ProvideMissingTransactionsSuccess");
    const { transactionList } = await templates.saw("down", "RequestTransactionDataSuccess");
    expect(revealed).toMatchObject({ requestId, transactionList });
    await farm.hasCustomJob();
    const asked = jds
      .sightings("down")
      .flatMap(({ message }) => (message?.name === "ProvideMissingTransactions" ? [message.requestId] : []));
    expect(new Set(asked).size).toBe(asked.length);
  });

  test("refuses the job of who reveals others, and serves everybody else as before", async () => {
    await using honest = await DeclaringFarm.open(sides, at("honest"));
    await honest.hasCustomJob();
    await using liar = await DeclaringFarm.open(sides, at("liar"), ({ jds }) => {
      jds.replace("up", "ProvideMissingTransactionsSuccess", {
        times: 1,
        by: (message) => [{ ...message, transactionList: message.transactionList.toReversed() }],
      });
    });
    await liar.jds.saw("down", "DeclareMiningJobError");
    await liar.client.logged(/"upstream failed"/);
    expect(troublesOf(liar.client).failures).toEqual(["declaration-refused"]);
    const since = honest.pool.mark();
    await honest.pool.saw("down", "SetCustomMiningJobSuccess", { since });
    expect(troublesOf(honest.client)).toEqual(NO_TROUBLE);
    expect(nodeless.isRunning).toBe(true);
  });

  test("hears of a block while it waits for the transactions, and goes on", async () => {
    let hold: Hold<"job_declaration", "ProvideMissingTransactions"> | undefined;
    const options = { ...at("early"), top: "answer_timeout_secs = 60" };
    await using farm = await DeclaringFarm.open(sides, options, (sniffers) => {
      // Any further job would not be declared before the first is answered, and its block would be of no use to the jd-server.
      oneTemplate(sniffers);
      hold = sniffers.jds.hold("down", "ProvideMissingTransactions");
    });
    const { jds, templates, pool, client } = farm;
    using held = hold!;
    await held.caught();
    const miner = await farm.sv2Miner({ withholdsBlocks: true });
    const { height } = (await sides.chain.status()).chain;
    miner.handInOneBlock();
    const { headerNonce } = await templates.saw("up", "SubmitSolution");
    await jds.saw("up", "PushSolution", { where: ({ nonce }) => nonce === headerNonce });
    await until("the block is in the chain", async () => (await sides.chain.status()).chain.height > height);
    const since = pool.mark();
    held.release();
    await pool.saw("down", "SetCustomMiningJobSuccess", { since });
    expect(troublesOf(client)).toEqual(NO_TROUBLE);
  });
});

describe("a pool with a jd-server", () => {
  test("serves several jd-clients, and credits each by its name", async () => {
    await using alice = await DeclaringFarm.open(sides, { name: "alice" });
    await using bob = await DeclaringFarm.open(sides, { name: "bob", jds: sides.apart });
    for (const farm of [alice, bob]) {
      await farm.sv2Miner({ withholdsBlocks: true });
      await farm.pool.saw("down", "SubmitSharesSuccess");
    }
    const { channels } = await sides.pool.status();
    const credited = channels.filter(({ shares_accepted }) => shares_accepted > 0);
    expect(credited.map(({ user_identity }) => user_identity).toSorted()).toEqual(["alice", "bob"]);
  });

  test("gives tokens for several users over one connection", async () => {
    await using client = await JobDeclarationClient.dial(sides.inside);
    const [one, other] = [await client.allocate("alice"), await client.allocate("bob")];
    expect(one.miningJobToken).not.toEqual(other.miningJobToken);
    expect(one.coinbaseTxOutputs).toEqual(other.coinbaseTxOutputs);
  });

  test("refuses other protocols at its jd-server's door", async () => {
    const stream = await dialStream(sides.apart, undefined);
    await expect(setUp(stream, "mining", sides.apart.details.authority_public_key)).rejects.toThrow(
      /unsupported-protocol/,
    );
  });
});

describe("a jd-client", () => {
  test("refuses other protocols at its door, and miners that would choose the work themselves", async () => {
    await using farm = await DeclaringFarm.open(sides, { name: "door" });
    const { client } = farm;
    const authority = client.details.authority_public_key;
    const knocks = [
      { hello: "job_declaration", reason: /unsupported-protocol/ },
      { hello: { protocol: "mining", flags: REQUIRES_WORK_SELECTION }, reason: /unsupported-feature-flags/ },
    ] as const;
    for (const { hello, reason } of knocks) {
      const stream = await dialStream(client, undefined);
      await expect(setUp(stream, hello, authority)).rejects.toThrow(reason);
    }
  });

  test("mines for no pool that is paid elsewhere than it is known to be", async () => {
    const upstreamTop = `expected_reward_script = "${SOLO_REWARD}"`;
    await using farm = await DeclaringFarm.open(sides, { name: "careful", upstreamTop });
    const { client, pool } = farm;
    await client.logged(/"upstream failed"/);
    expect(troublesOf(client).failures).toContain("unexpected-payout");
    const { mining_for, shares_submitted } = await client.status();
    expect([mining_for, shares_submitted]).toEqual(["solo", 0]);
    pool.none("up", "SetCustomMiningJob");
  });

  test("brings a block out that was found for a jd-server which was killed after the declaration", async () => {
    const { apart, chain, stage } = sides;
    await using farm = await DeclaringFarm.open(sides, { name: "bereaved", jds: apart });
    const { client, templates, jds } = farm;
    await using at = await ChannelMinerAt.dial(client);
    const channel = await at.miner.open("extended", "miner");
    using _ = await farm.freeze();
    const before = (await chain.status()).chain;
    at.isSlow = true;
    const hash = await at.miner.mine(channel, before.tip_hash);
    const listen = listensOn(apart);
    await apart.crash();
    await until("the jd-client mines alone", async () => (await client.status()).mining_for === "solo");
    await at.hurry();
    await templates.saw("up", "SubmitSolution");
    await until("the block is in the chain", async () => (await chain.status()).chain.tip_hash === hash);
    jds.none("up", "PushSolution");
    expect(troublesOf(client)).toEqual({ failures: ["connection-lost"], changes: ["start", "connection-lost"] });
    expect(at.miner.complaints).toEqual([]);
    await stage.start("jd-server", (folder) => jdServerToml(folder, chain, { listen }));
  });
});
