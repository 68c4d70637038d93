import { join } from "node:path";
import { targetFromBytes, targetFromHashrate } from "@adit/bitcoin";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  embeddedAccess,
  HASHRATE,
  type JdClientUpstream,
  jdClientToml,
  nodeTemplateProviderToml,
  poolToml,
  templateProviderToml,
  upstream,
} from "../harness/configs.ts";
import { embeddedJds } from "../harness/declaring-miner.ts";
import { dialPool, type Reachable } from "../harness/dial.ts";
import { Sniffer } from "../harness/sniffer.ts";
import { Stage } from "../harness/stage.ts";
import { Sv2Miner } from "../harness/sv2-miner.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { JdsPeer, REWARD, SHARES_PER_MINUTE } from "./jds-peer.ts";
import { type AuthorityKeys, newAuthority } from "./reference-role.ts";
import { dishonestReasons, type ServedChannel } from "./served-channels.ts";

const WAIT_MS = 120_000;
const USER = "farm";
/** A block for every four seconds of a miner's work. */
const HASHES_PER_BLOCK = 4 * HASHRATE;

/** What the scenarios read of a jd-client's status. */
interface JdClientView {
  readonly mining_for: string;
  readonly declared_jobs: number;
  readonly custom_jobs: number;
  readonly shares_acknowledged: number;
  readonly blocks_found: number;
  readonly switches: number;
}

let authority: AuthorityKeys;
let stage: Stage;
/** Of their pool; its embedded chain is everybody's. */
let chain: TestRole;
/** Of the miner's side. */
let templates: TestRole;
let theirs: JdsPeer;

beforeAll(async () => {
  authority = await newAuthority();
});

beforeEach(async () => {
  stage = await Stage.open();
  chain = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: HASHES_PER_BLOCK, rpc: true }),
  );
  const own = (folder: string): string => nodeTemplateProviderToml(folder, [embeddedAccess(chain)]);
  templates = await stage.start("template-provider", own, "templates");
  theirs = await JdsPeer.start({ folder: join(stage.folder, "theirs"), templateProvider: chain, authority });
});

afterEach(async () => {
  await theirs[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

/** Our jd-client at their pool first, with a miner at it. */
async function mine(
  options: {
    /** What stands before their pool. */
    readonly pool?: Reachable;
    readonly fallbacks?: readonly JdClientUpstream[];
    readonly mode?: "FULLTEMPLATE" | "COINBASEONLY";
    readonly withholdsBlocks?: boolean;
  } = {},
) {
  const { pool = theirs.pool, fallbacks = [], mode = "FULLTEMPLATE", withholdsBlocks = false } = options;
  const first = { pool: upstream(pool, "tcp"), jds: upstream(theirs.jds, "tcp") };
  const client = await stage.start("jd-client", (folder) =>
    jdClientToml(folder, templates, {
      mode,
      userIdentity: USER,
      upstreams: [first, ...fallbacks],
    }),
  );
  const miner = await Sv2Miner.open(await dialPool(client), "miner", { hashrate: HASHRATE, withholdsBlocks });
  return { client, miner, [Symbol.asyncDispose]: () => miner[Symbol.asyncDispose]() };
}

async function viewOf(client: TestRole): Promise<JdClientView> {
  return await client.status();
}

/** The one channel that their pool serves, once its monitoring knows of it. */
async function served(): Promise<ServedChannel> {
  return await until("their pool serves one channel", async () => {
    const { extended } = await theirs.channels();
    return extended.length === 1 && extended[0];
  });
}

/** Resolves when their pool has credited so many shares more. */
async function credited(count: number): Promise<void> {
  const before = (await served()).shares_accepted;
  const enough = async (): Promise<boolean> => (await served()).shares_accepted >= before + count;
  await until(`their pool credits ${count} shares more`, enough, WAIT_MS).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${JSON.stringify(theirs.lines.slice(-20))}`);
  });
}

/** Their name as our jd-client has it. */
const theirName = (): string => theirs.pool.listener("tcp").address;

/** Our pool with its own job-declarator server, on the same chain. */
async function ownPool(): Promise<{ readonly pool: TestRole; readonly entry: JdClientUpstream }> {
  const pool = await stage.start("pool", (folder) => poolToml(folder, chain, { jds: "" }));
  return { pool, entry: { pool: upstream(pool, "tcp"), jds: upstream(embeddedJds(pool), "tcp") } };
}

describe("our jd-client at their pool and job-declarator server", () => {
  test("declares jobs, reveals their transactions, and brings shares and blocks", async () => {
    await using scene = await mine();
    const { client, miner } = scene;
    await until("a job is declared", () => theirs.said("declared").length > 0, WAIT_MS);
    await credited(10);
    const solved = (): readonly string[] => theirs.said("solution").flatMap((one) => one?.hash ?? []);
    const isOnChain = async (): Promise<boolean> => solved().includes((await chain.status()).chain.tip_hash);
    await until("a block that was pushed to them is on the chain", isOnChain, WAIT_MS);

    expect(theirs.said("asked")[0]).toBeGreaterThan(0);
    const declared = theirs.said("declared");
    expect(declared[0]).toMatchObject({ transactions: theirs.said("asked")[0], given: theirs.said("asked")[0] });
    // Their extranonce: four bytes of the pool's, sixteen of the client's.
    expect(declared[0]).toMatchObject({ extranonce_size: 20 });
    const [payout] = declared[0]?.outputs ?? [];
    expect(payout).toMatchObject({ script: REWARD.script });
    expect(payout?.value).toBeGreaterThanOrEqual(5_000_000_000);
    expect(theirs.said("solution")).not.toContain(null);
    expect(new Set(theirs.said("custom_job"))).toEqual(new Set(["taken"]));
    const { user_identity: user, shares_rejected_by_reason: reasons } = await served();
    expect([user, dishonestReasons(reasons)]).toEqual([USER, []]);
    await until("their pool knows of a block", async () => (await served()).blocks_found > 0);
    expect(await viewOf(client)).toMatchObject({ mining_for: theirName(), switches: 1 });
    expect(miner.isClosed).toBe(false);
  });

  test("goes on with the target that follows from a miner more", async () => {
    const role = theirs.pool;
    await using sniffer = await Sniffer.start({
      protocol: "mining",
      listen: { transport: "tcp" },
      upstream: { transport: "tcp", role },
    });
    await using scene = await mine({ pool: sniffer, withholdsBlocks: true });
    await credited(5);
    const mark = sniffer.mark();
    await using second = await Sv2Miner.open(await dialPool(scene.client), "second", {
      hashrate: 10 * HASHRATE,
      triesAtOnce: 1_000,
      withholdsBlocks: true,
    });
    const { nominalHashRate } = await sniffer.saw("up", "UpdateChannel", { since: mark });
    const { maximumTarget } = await sniffer.saw("down", "SetTarget", { since: mark });
    expect(nominalHashRate).toBeGreaterThan(10 * HASHRATE);
    expect(targetFromBytes(maximumTarget)).toBeLessThan(targetFromHashrate(9 * HASHRATE, SHARES_PER_MINUTE));
    await credited(5);
    expect(await served()).toMatchObject({ shares_rejected: 0 });
    const refused = [...scene.miner.rejected, ...second.rejected];
    // A miner is faster than its target allows until the pool's next one is here.
    expect(refused.filter((code) => code !== "share-rate-exceeded")).toEqual([]);
  });

  test("mines on, tip after tip, while blocks are another's", async () => {
    await using scene = await mine({ withholdsBlocks: true });
    const { client } = scene;
    const { pool } = await ownPool();
    await using other = await Sv2Miner.open(await dialPool(pool), "other", HASHRATE);
    const { height } = (await chain.status()).chain;
    await until("five blocks are another's", async () => (await chain.status()).chain.height >= height + 5, WAIT_MS);
    await credited(5);
    expect(other.acceptedCount).toBeGreaterThan(0);
    expect(await viewOf(client)).toMatchObject({ mining_for: theirName(), switches: 1 });
  });
});

describe("our jd-client leaves their pool for ours, and comes back,", () => {
  test.each([
    ["refuses what is declared", { do: "refuse_declarations" }, "declaration-refused"],
    ["refuses custom jobs", { do: "refuse_custom_jobs" }, "custom-job-refused"],
  ] as const)("when it %s", async (_what, order, reason) => {
    const { pool, entry } = await ownPool();
    await using scene = await mine({ fallbacks: [entry] });
    const { client, miner } = scene;
    await credited(3);
    theirs.order({ ...order, yes: true });
    await until("our pool is mined for", async () => (await pool.status()).custom_job_shares >= 3, WAIT_MS);
    expect(client.log()).toContain(`"reason":"${reason}"`);
    theirs.order({ ...order, yes: false });
    await until("theirs is mined for", async () => (await viewOf(client)).mining_for === theirName(), WAIT_MS);
    await credited(3);
    expect(miner.isClosed).toBe(false);
  });

  test("when it is gone", async () => {
    const { pool, entry } = await ownPool();
    await using scene = await mine({ fallbacks: [entry] });
    const { client, miner } = scene;
    await credited(3);
    await theirs.crash();
    await until("our pool is mined for", async () => (await pool.status()).custom_job_shares >= 3, WAIT_MS);
    await theirs.restart();
    await until("theirs is mined for", async () => (await viewOf(client)).mining_for === theirName(), WAIT_MS);
    await credited(3);
    expect(miner.isClosed).toBe(false);
  });

  test("when it does not take jobs without their transactions", async () => {
    const { pool, entry } = await ownPool();
    await using scene = await mine({ fallbacks: [entry], mode: "COINBASEONLY" });
    await until("our pool is mined for", async () => (await pool.status()).custom_job_shares >= 3, WAIT_MS);
    expect(theirs.said("declared")).toEqual([]);
    expect(await viewOf(scene.client)).not.toMatchObject({ mining_for: theirName() });
  });
});
