import { REQUIRES_WORK_SELECTION, type SetCustomMiningJob, u256 } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embeddedNode, jdServerToml, poolToml, templateProviderToml } from "./harness/configs.ts";
import { DeclaringMiner, embeddedJds } from "./harness/declaring-miner.ts";
import { dialPool, dialStream, loopbackNode, setUp } from "./harness/dial.ts";
import { JobDeclarationClient } from "./harness/job-declaration-client.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

let stage: Stage;
let templateProvider: TestRole;
/** With a jd-server inside that has the embedded chain as its node. */
let pool: TestRole;
/** With the same, but without a node. */
let nodeless: TestRole;
/** A jd-server on its own, and a pool that believes it. */
let jdServer: TestRole;
let believer: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: 4096, rpc: true }),
  );
  pool = await stage.start("pool", (folder) =>
    poolToml(folder, templateProvider, {
      jds: `[jds.bitcoin_node]\ndata_path = "${folder}/node"\npoll_interval_secs = 0.2\n${embeddedNode(templateProvider, "jds.bitcoin_node.nodes")}`,
    }),
  );
  nodeless = await stage.start("pool", (folder) => poolToml(folder, templateProvider, { jds: "" }), "nodeless");
  jdServer = await stage.start("jd-server", (folder) => jdServerToml(folder, templateProvider));
  believer = await stage.start(
    "pool",
    (folder) => poolToml(folder, templateProvider, { jdServers: [jdServer.details.authority_public_key] }),
    "believer",
  );
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

async function accepted(): Promise<number> {
  return (await templateProvider.status()).blocks.accepted;
}

const transports = ["tcp", "iroh"] as const;

describe.each(transports)("over %s, a miner that chooses its transactions", (transport) => {
  async function miner(at: TestRole, changes: { userIdentity?: string; flags?: number } = {}) {
    const node = transport === "iroh" ? await loopbackNode() : undefined;
    const jds = embeddedJds(at);
    const opened = await DeclaringMiner.open({ pool: at, jds, templateProvider, node, ...changes });
    return Object.assign(opened, {
      [Symbol.asyncDispose]: async () => {
        await DeclaringMiner.prototype[Symbol.asyncDispose].call(opened);
        await node?.[Symbol.asyncDispose]();
      },
    });
  }

  test("declares a template, has its shares credited, and the pool's jd-server brings its block to the chain", async () => {
    await using alice = await miner(pool, { userIdentity: "alice" });
    const before = await pool.status();
    const blocks = await accepted();
    const { job, token } = await alice.declaredJob();
    const set = await alice.set(job, token);
    expect(set).toMatchObject({ name: "SetCustomMiningJobSuccess", channelId: alice.channel.channelId });
    const jobId = "jobId" in set ? set.jobId : 0;
    const share = job.share(alice.extranonce(1), alice.channel.target);
    expect(await alice.submit(jobId, share)).toMatchObject({ name: "SubmitSharesSuccess" });
    // Nobody but the pool hears of the block: no PushSolution, no SubmitSolution.
    await alice.submit(jobId, job.solve(alice.extranonce(2)));
    await until("the block is on the chain", async () => (await accepted()) > blocks);
    const found = async () => {
      const { last_block } = await pool.status();
      return last_block?.result === "accepted" && last_block;
    };
    expect(await until("the pool knows", found)).toMatchObject({ user_identity: "alice", declared_by: "alice" });
    const after = await pool.status();
    expect(after.custom_jobs - before.custom_jobs).toBe(1);
    expect(after.custom_job_shares - before.custom_job_shares).toBe(2);
    expect(await pool.metrics()).toMatch(/sv2_pool_custom_job_shares_total [1-9]/);
  });

  test("pushes its block to the jd-server, which brings it to the chain", async () => {
    await using alice = await miner(pool);
    const { job } = await alice.declaredJob();
    const blocks = await accepted();
    await alice.jds.send({ name: "PushSolution", ...job.solve(alice.extranonce(3)) });
    await until("the block is on the chain", async () => (await accepted()) > blocks);
  });

  test("keeps them to itself, and is credited all the same", async () => {
    await using bob = await miner(pool, { userIdentity: "bob", flags: 0 });
    const job = await bob.newJob();
    const set = await bob.set(job);
    expect(set).toMatchObject({ name: "SetCustomMiningJobSuccess" });
    const jobId = "jobId" in set ? set.jobId : 0;
    const blocks = await accepted();
    const solution = job.solve(bob.extranonce(4));
    expect(await bob.submit(jobId, solution)).toMatchObject({ name: "SubmitSharesSuccess" });
    // The miner alone can bring this block out.
    await bob.feed.submit(job.solution(solution));
    await until("the block is on the chain", async () => (await accepted()) > blocks);
    const settled = async () => (await pool.status()).last_block?.result === "accepted";
    await until("the pool knows", settled);
  });

  test("reveals every transaction to a jd-server that has no node", async () => {
    await using alice = await miner(nodeless);
    const { job, token } = await alice.declaredJob();
    expect(alice.jds.asked).toEqual([job.transactions.map((_, position) => position)]);
    expect(job.transactions.length).toBeGreaterThan(0);
    expect(await alice.set(job, token)).toMatchObject({ name: "SetCustomMiningJobSuccess" });
  });
});

describe("a token", () => {
  test("is good for one custom job and one user", async () => {
    await using alice = await DeclaringMiner.open({
      pool,
      jds: embeddedJds(pool),
      templateProvider,
      userIdentity: "alice",
    });
    const { job, token } = await alice.declaredJob();
    await using mallory = await DeclaringMiner.open({
      pool,
      jds: embeddedJds(pool),
      templateProvider,
      userIdentity: "mallory",
    });
    expect(await mallory.set(job, token)).toMatchObject({ errorCode: "invalid-mining-job-token" });
    expect(await alice.set(job, token)).toMatchObject({ name: "SetCustomMiningJobSuccess" });
    expect(await alice.set(job, token)).toMatchObject({ errorCode: "invalid-mining-job-token" });
  });

  test("of a template that was not declared yet is no use to the pool", async () => {
    await using alice = await DeclaringMiner.open({ pool, jds: embeddedJds(pool), templateProvider });
    const job = await alice.newJob();
    expect(await alice.set(job)).toMatchObject({ errorCode: "job-not-yet-validated" });
    expect(await alice.jds.declare(job)).toMatchObject({ name: "DeclareMiningJobSuccess" });
    expect(await alice.jds.declare(job)).toMatchObject({ errorCode: "invalid-mining-job-token" });
  });

  test("of another jd-server is none", async () => {
    await using alice = await DeclaringMiner.open({ pool, jds: jdServer, templateProvider });
    const { job, token } = await alice.declaredJob();
    expect(await alice.set(job, token)).toMatchObject({ errorCode: "invalid-mining-job-token" });
  });

  test.each<[string, (job: SetCustomMiningJob) => Partial<SetCustomMiningJob>]>([
    ["stale-chain-tip", ({ prevHash }) => ({ prevHash: u256(prevHash.map((byte) => byte ^ 1)) })],
    ["invalid-nbits", ({ nbits }) => ({ nbits: nbits + 1 })],
    ["invalid-min-ntime", ({ minNtime }) => ({ minNtime: minNtime - 100_000 })],
    ["invalid-version", ({ version }) => ({ version: version ^ 1 })],
    ["invalid-coinbase-tx-version", ({ coinbaseTxVersion }) => ({ coinbaseTxVersion: coinbaseTxVersion + 1 })],
    ["invalid-coinbase-prefix", ({ coinbasePrefix }) => ({ coinbasePrefix: Uint8Array.from([...coinbasePrefix, 0]) })],
    [
      "invalid-coinbase-tx-input-n-sequence",
      ({ coinbaseTxInputNSequence: sequence }) => ({ coinbaseTxInputNSequence: sequence - 1 }),
    ],
    ["invalid-coinbase-tx-outputs", ({ coinbaseTxOutputs }) => ({ coinbaseTxOutputs: raised(coinbaseTxOutputs) })],
    [
      "invalid-coinbase-tx-locktime",
      ({ coinbaseTxLocktime: time }) => ({ coinbaseTxLocktime: time === 0 ? 1 : time - 1 }),
    ],
    ["invalid-merkle-path", ({ merklePath }) => ({ merklePath: merklePath.slice(1) })],
  ])("does not stand for another job: %s", async (errorCode, change) => {
    await using alice = await DeclaringMiner.open({ pool, jds: embeddedJds(pool), templateProvider });
    const { job, token } = await alice.declaredJob();
    const changes = change(job.customJob(0, 0));
    expect(await alice.set(job, token, changes)).toMatchObject({ errorCode });
    // The refusal has not used it up.
    expect(await alice.set(job, token)).toMatchObject({ name: "SetCustomMiningJobSuccess" });
  });
});

describe("a jd-server in a process of its own", () => {
  test("is believed by the pool that names its key, and brings blocks to the chain", async () => {
    await using alice = await DeclaringMiner.open({
      pool: believer,
      jds: jdServer,
      templateProvider,
      userIdentity: "alice",
    });
    const { job, token } = await alice.declaredJob();
    const set = await alice.set(job, token);
    expect(set).toMatchObject({ name: "SetCustomMiningJobSuccess" });
    const blocks = await accepted();
    const solution = job.solve(alice.extranonce(5));
    await alice.jds.send({ name: "PushSolution", ...solution });
    expect(await alice.submit("jobId" in set ? set.jobId : 0, solution)).toMatchObject({ name: "SubmitSharesSuccess" });
    await until("the block is on the chain", async () => (await accepted()) > blocks);
    const found = async () => {
      const { last_block } = await believer.status();
      return last_block?.result === "accepted" && last_block;
    };
    expect(await until("the pool knows", found)).toMatchObject({ declared_by: "alice" });
  });

  test("may be killed between declaration and block: the job stays good, and the miner's own side has the block", async () => {
    await using alice = await DeclaringMiner.open({ pool: believer, jds: jdServer, templateProvider });
    const { job, token } = await alice.declaredJob();
    await jdServer.crash();
    const set = await alice.set(job, token);
    expect(set).toMatchObject({ name: "SetCustomMiningJobSuccess" });
    const blocks = await accepted();
    const solution = job.solve(alice.extranonce(6));
    await alice.feed.submit(job.solution(solution));
    expect(await alice.submit("jobId" in set ? set.jobId : 0, solution)).toMatchObject({ name: "SubmitSharesSuccess" });
    await until("the block is on the chain", async () => (await accepted()) > blocks);
    jdServer = await stage.start("jd-server", (folder) => jdServerToml(folder, templateProvider));
    // Its keys are those it had, and so are the tokens good that it signs.
    await using bob = await DeclaringMiner.open({ pool: believer, jds: jdServer, templateProvider });
    const again = await bob.declaredJob();
    expect(await bob.set(again.job, again.token)).toMatchObject({ name: "SetCustomMiningJobSuccess" });
  });
});

describe("a pool without job declaration", () => {
  test("refuses work selection by the flag's name, and custom jobs as not supported", async () => {
    await using plain = await stage
      .start("pool", (folder) => poolToml(folder, templateProvider), "plain")
      .then(stopping);
    const stream = await dialStream(plain.role, undefined);
    const hello = { protocol: "mining", flags: REQUIRES_WORK_SELECTION } as const;
    const authority = plain.role.details.authority_public_key;
    await expect(setUp(stream, hello, authority)).rejects.toThrow(/unsupported-feature-flags/);
    await using connection = await dialPool(plain.role);
    await using alice = await DeclaringMiner.open({ pool, jds: embeddedJds(pool), templateProvider });
    await connection.write((await alice.newJob()).customJob(2, 1));
    const { value } = await connection.messages[Symbol.asyncIterator]().next();
    expect(value?.message).toMatchObject({ name: "SetCustomMiningJobError", errorCode: "jd-not-supported" });
  });
});

test("a jd-server that wants whole templates turns away who keeps them", async () => {
  await using strict = await stage
    .start(
      "jd-server",
      (folder) => jdServerToml(folder, templateProvider, { top: "full_template_mode_required = true" }),
      "strict",
    )
    .then(stopping);
  await expect(JobDeclarationClient.dial(strict.role, { flags: 0 })).rejects.toThrow(/missing-declare-tx-data-flag/);
  await using client = await JobDeclarationClient.dial(strict.role);
  expect(await client.allocate("alice")).toMatchObject({ requestId: 1 });
});

/** A role that ends with its scenario. */
function stopping(role: TestRole): AsyncDisposable & { readonly role: TestRole } {
  return { role, [Symbol.asyncDispose]: () => role.crash() };
}

/** The same outputs, the first of which pays a satoshi more. */
function raised(outputs: Uint8Array): Uint8Array {
  const changed = outputs.slice();
  changed[1] = (changed[1] ?? 0) ^ 1;
  return changed;
}
