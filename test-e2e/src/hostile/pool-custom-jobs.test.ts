import { randomBytes } from "node:crypto";
import { encodeOutputs } from "@adit/bitcoin";
import { type SetCustomMiningJob, u256 } from "@adit/codec";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { DeclaredJob } from "../harness/declared-job.ts";
import { DeclaringMiner, embeddedJds } from "../harness/declaring-miner.ts";
import { dialPool } from "../harness/dial.ts";
import { DoorScene, type Over, transports } from "../harness/door-scene.ts";
import { ANY_HASH, MiningAttacker } from "../harness/mining-attacker.ts";

const MAX_REFUSED = 1000;
const TIP_WAIT_SECS = 2;

let scene: DoorScene;

beforeAll(async () => {
  scene = await DoorScene.open({
    pool: `max_refused_shares = ${MAX_REFUSED}
ladder_min_shares = 1
custom_tip_wait_secs = ${TIP_WAIT_SECS}
custom_job_burst = 40`,
    jobDeclaration: "",
  });
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.before());
afterEach(() => scene.nobodyElseNotices());

/** A client that may set custom jobs; with flags 0 one that declares none. */
async function client(over: Over, { userIdentity = "hostile", flags = 1 } = {}): Promise<DeclaringMiner> {
  const { pool, templateProvider } = scene;
  const node = scene.nodeFor(over);
  return await DeclaringMiner.open({ pool, jds: embeddedJds(pool), templateProvider, node, userIdentity, flags });
}

async function refusal(
  miner: DeclaringMiner,
  { job, token }: { readonly job: DeclaredJob; readonly token?: Uint8Array },
  changes: Partial<SetCustomMiningJob>,
): Promise<string> {
  const answer = await miner.set(job, token, changes);
  return "errorCode" in answer ? answer.errorCode : answer.name;
}

const ACCEPTED = "SetCustomMiningJobSuccess";
const hashes = (count: number) => Array.from({ length: count }, () => u256(new Uint8Array(32).fill(7)));
const tooLarge: Readonly<Record<string, readonly [Partial<SetCustomMiningJob>, string]>> = {
  "outputs of 65,535 bytes": [{ coinbaseTxOutputs: new Uint8Array(65_535) }, "invalid-coinbase-tx-outputs"],
  "a scriptSig of 275 bytes": [{ coinbasePrefix: new Uint8Array(255) }, "invalid-coinbase-prefix"],
  "255 hashes to the merkle root": [{ merklePath: hashes(255) }, "invalid-merkle-path"],
  "a token of 255 bytes": [{ miningJobToken: new Uint8Array(255).fill(1) }, "invalid-mining-job-token"],
  "everything as long as can be": [
    {
      coinbaseTxOutputs: new Uint8Array(65_535),
      coinbasePrefix: new Uint8Array(255),
      merklePath: hashes(255),
      miningJobToken: new Uint8Array(255),
    },
    "invalid-merkle-path",
  ],
};

describe.each(transports)("a pool over %s", (over) => {
  test.each(Object.entries(tooLarge))("takes no custom job with %s", async (_what, [changes, errorCode]) => {
    await using miner = await client(over);
    const declared = await miner.declaredJob();
    for (let sent = 0; sent < 20; sent += 1) expect(await refusal(miner, declared, changes)).toBe(errorCode);
    // None of it has cost the token.
    expect(await refusal(miner, declared, {})).toBe(ACCEPTED);
  });

  test("hangs up on who sets jobs without end, and logs why", async () => {
    const from = scene.pool.log().length;
    await using miner = await client(over);
    const { job, token } = await miner.declaredJob();
    const message = job.customJob(miner.channel.channelId, 1, token);
    const large = { ...message, coinbaseTxOutputs: new Uint8Array(65_535), merklePath: hashes(255) };
    for (let sent = 0; sent < 2 * MAX_REFUSED; sent += 1) await miner.say(sent < 100 ? large : message);
    await miner.left();
    await scene.pool.logged(/too many refused shares or requests/, from);
  });

  test("keeps two jobs on blocks that it does not know, for as long as it says, and no more", async () => {
    await using miner = await client(over);
    const { job, token } = await miner.declaredJob();
    const began = performance.now();
    for (let requestId = 1; requestId <= 6; requestId += 1) {
      const prevHash = u256(Uint8Array.from(randomBytes(32)));
      await miner.say({ ...job.customJob(miner.channel.channelId, requestId, token), prevHash });
    }
    for (const requestId of [1, 2, 3, 4, 5, 6]) {
      const answer = await miner.hear(["SetCustomMiningJobError"]);
      expect(answer).toMatchObject({ requestId, errorCode: "stale-chain-tip" });
      if (requestId === 4) expect(performance.now() - began).toBeLessThan(TIP_WAIT_SECS * 1000);
    }
    expect(performance.now() - began).toBeGreaterThan((TIP_WAIT_SECS - 1) * 1000);
    expect(await refusal(miner, { job, token }, {})).toBe(ACCEPTED);
  });

  test("takes no token of another client, and none with a bit turned over", async () => {
    await using alice = await client(over, { userIdentity: "alice" });
    await using mallory = await client(over, { userIdentity: "mallory" });
    const { job, token } = await alice.declaredJob();
    expect(await refusal(mallory, { job, token }, {})).toBe("invalid-mining-job-token");
    for (const at of [0, 1, 2, 18, 22, 42, 100, token.length - 1]) {
      const forged = token.map((byte, place) => (place === at ? byte ^ 1 : byte));
      expect([at, await refusal(alice, { job, token: forged }, {})]).toEqual([at, "invalid-mining-job-token"]);
    }
    expect(await refusal(alice, { job, token }, {})).toBe(ACCEPTED);
    expect(await refusal(alice, { job, token }, {})).toBe("invalid-mining-job-token");
  });

  test("takes no job for a channel of another client, or for none", async () => {
    await using alice = await client(over, { userIdentity: "alice" });
    await using mallory = await client(over, { userIdentity: "mallory" });
    const declared = await mallory.declaredJob();
    for (const channelId of [alice.channel.channelId + 1000, 0, 0xffffffff]) {
      expect(await refusal(mallory, declared, { channelId })).toBe("invalid-channel-id");
    }
    expect(await refusal(mallory, declared, {})).toBe(ACCEPTED);
  });

  test("opens no standard channel where jobs are set, and takes none for one elsewhere", async () => {
    await using miner = await client(over);
    await miner.say({
      name: "OpenStandardMiningChannel",
      requestId: 9,
      userIdentity: "hostile",
      nominalHashRate: 1,
      maxTarget: ANY_HASH,
    });
    const refused = await miner.hear(["OpenMiningChannelError"]);
    expect(refused.errorCode).toBe("standard-channels-not-supported-for-custom-work");
    await using other = new MiningAttacker(await dialPool(scene.pool, scene.nodeFor(over)));
    await other.say({
      name: "OpenStandardMiningChannel",
      requestId: 1,
      userIdentity: "hostile",
      nominalHashRate: 1,
      maxTarget: ANY_HASH,
    });
    const { channelId } = await other.hear("OpenStandardMiningChannelSuccess");
    const { job, token } = await miner.declaredJob();
    // Of as many bytes as one may send that sets no jobs.
    const small = { coinbaseTxOutputs: new Uint8Array(), merklePath: [] };
    await other.say({ ...job.customJob(channelId, 2, token), ...small });
    expect((await other.hear("SetCustomMiningJobError")).errorCode).toBe("jd-not-supported");
  });

  test("credits no share on another's custom job", async () => {
    await using alice = await client(over, { userIdentity: "alice" });
    await using mallory = await client(over, { userIdentity: "mallory" });
    const { job, token } = await alice.declaredJob();
    const set = await alice.set(job, token);
    const jobId = "jobId" in set ? set.jobId : 0;
    const share = job.share(alice.extranonce(1), alice.channel.target);
    expect(await mallory.submit(jobId, share)).toMatchObject({ errorCode: "invalid-job-id" });
    expect(await alice.submit(jobId, share)).toMatchObject({ name: "SubmitSharesSuccess" });
  });

  test("credits a share once, however often its job is set", async () => {
    await using miner = await client(over, { flags: 0 });
    const job = await miner.newJob();
    const share = job.share(miner.extranonce(1), miner.channel.target);
    const verdicts: string[] = [];
    for (let sent = 0; sent < 3; sent += 1) {
      const { miningJobToken } = await miner.jds.allocate(miner.userIdentity);
      const set = await miner.set(job, miningJobToken);
      const verdict = await miner.submit("jobId" in set ? set.jobId : 0, share);
      verdicts.push("errorCode" in verdict ? verdict.errorCode : verdict.name);
    }
    expect(verdicts).toEqual(["SubmitSharesSuccess", "duplicate-share", "duplicate-share"]);
  });

  test("takes no job that pays somebody else, all or a satoshi", async () => {
    await using miner = await client(over, { flags: 0 });
    const job = await miner.newJob();
    const { coinbaseTxValueRemaining: value } = job.template;
    const other = Uint8Array.of(0x51);
    const pool = payoutOf(job);
    for (const outputs of [
      [{ value, script: other }],
      [
        { value: value - 1n, script: pool },
        { value: 1n, script: other },
      ],
      [{ value: 0n, script: pool }],
      [],
    ]) {
      const coinbaseTxOutputs = Uint8Array.of(outputs.length, ...encodeOutputs(outputs));
      expect(await refusal(miner, { job }, { coinbaseTxOutputs })).toBe("invalid-coinbase-tx-outputs");
    }
    expect(await refusal(miner, { job }, {})).toBe(ACCEPTED);
  });
});

/** The pool's output script: that of the first output, behind the count, its amount and the script's length. */
function payoutOf(job: DeclaredJob): Uint8Array {
  const { coinbaseTxOutputs } = job.customJob(0, 0);
  const length = coinbaseTxOutputs[9] ?? 0;
  return coinbaseTxOutputs.slice(10, 10 + length);
}

test("a pool has in use what it had before the custom jobs, and lost no honest share", () => scene.everythingIsBack());
