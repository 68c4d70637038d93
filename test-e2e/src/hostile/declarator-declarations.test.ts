import { bip34Prefix, encodeOutputs, MAX_MONEY, type TxOutput } from "@adit/bitcoin";
import { type DeclareMiningJob, type NewTemplate, u256 } from "@adit/codec";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  declarationOf,
  EXTRANONCE_SIZE,
  hashesOf,
  jobOf,
  unheardOf,
  withoutWitness,
  wtxidsOf,
} from "../harness/crafted-declaration.ts";
import type { DeclaredJob } from "../harness/declared-job.ts";
import { DeclaringScene, type Site, sites } from "../harness/declaring-scene.ts";
import type { JobDeclarationClient } from "../harness/job-declaration-client.ts";
import type { WholeTemplate } from "../harness/template-feed.ts";
import { until } from "../harness/until.ts";

const MAX_PENDING = 32;
const MAX_MESSAGES = 300;
const MAX_SOLUTIONS = 40;

let scene: DeclaringScene;

beforeAll(async () => {
  scene = await DeclaringScene.open({
    limits: `max_connections_per_source = 64
max_pending_declarations = ${MAX_PENDING}
missing_transactions_timeout_secs = 3
max_messages_per_minute = ${MAX_MESSAGES}
max_solutions_per_minute = ${MAX_SOLUTIONS}
tokens_per_second = 20`,
  });
}, 120_000);
afterAll(() => scene[Symbol.asyncDispose]());

/** Declares whatever it is, and resolves to what becomes of it: the error code, or the name of the message. */
async function outcome(client: JobDeclarationClient, declaration: DeclareMiningJob): Promise<string> {
  await client.send(declaration);
  const answer = await client.next();
  return answer.name === "DeclareMiningJobError" ? answer.errorCode : answer.name;
}

/** A declaration, with its token, that is right but for what `craft` does. */
async function crafted(
  client: JobDeclarationClient,
  craft: (whole: WholeTemplate) => Partial<NewTemplate>,
): Promise<DeclaredJob> {
  const granted = await client.allocate("hostile");
  const whole = await scene.template();
  return jobOf(whole, granted, craft(whole));
}

/** Three transactions that no node knows, declared; the server asks for all of them. */
const strangers: readonly Uint8Array[] = [1, 2, 3].map((seed) => unheardOf(seed));

async function declareStrangers(client: JobDeclarationClient): Promise<number> {
  const granted = await client.allocate("hostile");
  const requestId = client.nextRequestId();
  const declaration = declarationOf(await scene.template(), granted, { requestId, wtxids: wtxidsOf(strangers) });
  expect(await outcome(client, declaration)).toBe("ProvideMissingTransactions");
  return requestId;
}

async function provide(client: JobDeclarationClient, requestId: number, transactionList: readonly Uint8Array[]) {
  await client.send({ name: "ProvideMissingTransactionsSuccess", requestId, transactionList: [...transactionList] });
}

const [first, second, third] = strangers as readonly [Uint8Array, Uint8Array, Uint8Array];
const wrongReplies: Readonly<Record<string, readonly Uint8Array[]>> = {
  "none at all": [],
  "one too few": [first, second],
  "one too many": [first, second, third, unheardOf(4)],
  "the right ones in another order": [second, first, third],
  "one twice": [first, first, third],
  "others than were asked for": [4, 5, 6].map((seed) => unheardOf(seed)),
  "one that is cut short": [first, second, third.slice(0, -1)],
  "one with a byte behind it": [first, second, Uint8Array.of(...third, 0)],
  "one without its witness": [first, second, withoutWitness(3)],
  "one of four megabytes": [first, second, unheardOf(3, 4_000_000)],
  "nothing but zeros": [first, second, new Uint8Array(1_000)],
  "empty ones": [new Uint8Array(), new Uint8Array(), new Uint8Array()],
};

const heightOf = ({ template }: WholeTemplate): number => template.coinbaseTxLocktime + 1;
/** Where the length of the scriptSig is: behind version, marker, flag, count and outpoint. */
const SCRIPT_LENGTH_AT = 43;
/** The prefix with a scriptSig of this length, extranonce included. */
function lengthened(prefix: Uint8Array, length: number): Uint8Array {
  const longer = new Uint8Array(SCRIPT_LENGTH_AT + 1 + length - EXTRANONCE_SIZE);
  longer.set(prefix.subarray(0, longer.length));
  longer[SCRIPT_LENGTH_AT] = length;
  return longer;
}
const commitmentOf = ({ template }: WholeTemplate): Uint8Array => template.coinbaseTxOutputs;
const extra: TxOutput = { value: MAX_MONEY, script: Uint8Array.of(0x51) };

/** What is wrong with a coinbase, the template that it comes of, and the error code. */
const wrongCoinbases: Readonly<Record<string, readonly [(whole: WholeTemplate) => Partial<NewTemplate>, string]>> = {
  "that pays the pool nothing": [() => ({ coinbaseTxValueRemaining: 0n }), "invalid-coinbase-tx"],
  "that pays more than there will ever be": [
    (whole) => ({
      coinbaseTxOutputsCount: whole.template.coinbaseTxOutputsCount + 1,
      coinbaseTxOutputs: Uint8Array.of(...encodeOutputs([extra]), ...commitmentOf(whole)),
    }),
    "invalid-coinbase-tx",
  ],
  "of the block before": [
    (whole) => ({ coinbasePrefix: bip34Prefix(heightOf(whole) - 1), coinbaseTxLocktime: 0 }),
    "stale-chain-tip",
  ],
  "of a block far ahead": [
    (whole) => ({ coinbasePrefix: bip34Prefix(heightOf(whole) + 9), coinbaseTxLocktime: 0 }),
    "invalid-coinbase-tx-input",
  ],
  "without a height": [() => ({ coinbasePrefix: Uint8Array.of(0x6a) }), "invalid-coinbase-tx-input"],
  "without a witness commitment": [
    () => ({ coinbaseTxOutputs: new Uint8Array(), coinbaseTxOutputsCount: 0 }),
    "invalid-coinbase-tx",
  ],
  "with another witness commitment": [
    (whole) => ({ coinbaseTxOutputs: commitmentOf(whole).map((byte, at) => (at === 20 ? byte ^ 1 : byte)) }),
    "invalid-coinbase-tx",
  ],
  "that is not final": [
    ({ template }) => ({ coinbaseTxLocktime: template.coinbaseTxLocktime + 9 }),
    "invalid-coinbase-tx",
  ],
};

/** What is wrong with the message, and the error code. */
const wrongMessages: Readonly<Record<string, readonly [(job: DeclaredJob) => Partial<DeclareMiningJob>, string]>> = {
  "an empty coinbase": [
    () => ({ coinbaseTxPrefix: new Uint8Array(), coinbaseTxSuffix: new Uint8Array() }),
    "invalid-coinbase-tx-input",
  ],
  "a coinbase of 131,070 bytes": [
    () => ({ coinbaseTxPrefix: new Uint8Array(65_535).fill(1), coinbaseTxSuffix: new Uint8Array(65_535) }),
    "invalid-coinbase-tx-input",
  ],
  "a suffix that ends in its middle": [
    (job) => ({ coinbaseTxSuffix: job.declaration(0).coinbaseTxSuffix.slice(0, -9) }),
    "invalid-coinbase-tx",
  ],
  "a script of 101 bytes": [
    (job) => ({ coinbaseTxPrefix: lengthened(job.declaration(0).coinbaseTxPrefix, 101) }),
    "invalid-coinbase-tx-input",
  ],
  "a script of no more than the extranonce": [
    (job) => ({ coinbaseTxPrefix: lengthened(job.declaration(0).coinbaseTxPrefix, EXTRANONCE_SIZE) }),
    "invalid-coinbase-tx-input",
  ],
  "a coinbase without its witness": [
    (job) => ({ coinbaseTxPrefix: job.coinbase.prefix, coinbaseTxSuffix: job.coinbase.suffix }),
    "invalid-coinbase-tx",
  ],
  "a transaction twice": [
    (job) => ({ wtxidList: [...job.declaration(0).wtxidList, ...job.declaration(0).wtxidList] }),
    "invalid-job",
  ],
  "one transaction 65,535 times": [() => ({ wtxidList: Array(65_535).fill(u256(new Uint8Array(32))) }), "invalid-job"],
  "more transactions than a block holds": [
    () => ({ wtxidList: hashesOf(16_667).map((one) => u256(one)) }),
    "invalid-job",
  ],
  "as many as a message holds": [() => ({ wtxidList: hashesOf(65_535).map((one) => u256(one)) }), "invalid-job"],
};

describe.each(sites)("the job-declarator server of a %s, attacked with declarations,", (site) => {
  afterEach(() => scene.nobodyElseNotices(site));

  test.each(Object.entries(wrongCoinbases))("refuses a coinbase %s", async (_what, [craft, errorCode]) => {
    await using client = await scene.attacker(site);
    const job = await crafted(client, craft);
    expect(await outcome(client, job.declaration(client.nextRequestId()))).toBe(errorCode);
  });

  test.each(Object.entries(wrongMessages))("refuses %s", async (_what, [change, errorCode]) => {
    await using client = await scene.attacker(site);
    const job = await crafted(client, () => ({}));
    const declaration = { ...job.declaration(client.nextRequestId()), ...change(job) };
    expect(await outcome(client, declaration)).toBe(errorCode);
  });

  test("refuses a coinbase that pays others and not the pool", async () => {
    await using client = await scene.attacker(site);
    const { miningJobToken } = await client.allocate("hostile");
    const coinbaseTxOutputs = Uint8Array.of(1, ...encodeOutputs([{ ...extra, value: 0n }]));
    const job = jobOf(await scene.template(), { miningJobToken, coinbaseTxOutputs });
    expect(await outcome(client, job.declaration(client.nextRequestId()))).toBe("invalid-coinbase-tx");
  });

  test.each(Object.entries(wrongReplies))("refuses a job when it is sent %s", async (_what, transactionList) => {
    await using client = await scene.attacker(site);
    const requestId = await declareStrangers(client);
    await provide(client, requestId, transactionList);
    expect(await client.next()).toMatchObject({ name: "DeclareMiningJobError", requestId, errorCode: "invalid-job" });
    // The right ones come too late.
    const ignored = await scene.count(site, "messages_ignored_total");
    await provide(client, requestId, strangers);
    await client.allocate("hostile");
    expect(await scene.count(site, "messages_ignored_total")).toBe(ignored + 1);
  });

  test("asks for all of as many transactions as a block holds, and gives up in time", async () => {
    await using client = await scene.attacker(site);
    const granted = await client.allocate("hostile");
    const requestId = client.nextRequestId();
    await client.send(declarationOf(await scene.template(), granted, { requestId, wtxids: hashesOf(16_666) }));
    const asked = await client.next();
    expect(asked.name === "ProvideMissingTransactions" && asked.unknownTxPositionList.length).toBe(16_666);
    const answer = await client.next();
    expect(answer.name === "DeclareMiningJobError" && answer.errorCode).toMatch(/missing-txs|stale-chain-tip/);
  });

  test("takes a request_id once at a time, and no more declarations at once than it says", async () => {
    await using client = await scene.attacker(site);
    const requestId = await declareStrangers(client);
    const again = await crafted(client, () => ({}));
    expect(await outcome(client, again.declaration(requestId))).toBe("invalid-job");
    await declareStrangers(client);
    const third = await crafted(client, () => ({}));
    expect(await outcome(client, third.declaration(client.nextRequestId()))).toBe("internal-error");
  });

  test("serves others while a crowd declares as much as it may and answers nothing", async () => {
    const crowd = await scene.crowd(site, MAX_PENDING / 2);
    for (const client of crowd) for (let at = 0; at < 2; at += 1) await declareStrangers(client);
    expect(await scene.count(site, "declarations_pending")).toBe(MAX_PENDING);
    await scene.nobodyElseNotices(site);
    for (const client of crowd) await client[Symbol.asyncDispose]();
    await until("nothing is pending", async () => (await scene.count(site, "declarations_pending")) === 0);
  });

  test("hangs up on who declares without tokens and without end, megabytes at a time, and logs why", async () => {
    const from = scene.role(site).log().length;
    const client = await scene.attacker(site);
    const wtxidList = hashesOf(20_000).map((one) => u256(one));
    const job = await crafted(client, () => ({}));
    const miningJobToken = new Uint8Array(106);
    const large = { ...job.declaration(0), miningJobToken, wtxidList };
    await client.flood(
      (requestId) => ({ ...large, requestId, wtxidList: requestId < 30 ? wtxidList : [] }),
      2 * MAX_MESSAGES,
    );
    await client.ended();
    await client[Symbol.asyncDispose]();
    await scene.role(site).logged(/"message-flood"/, from);
  });

  test("hangs up on who declares without DECLARE_TX_DATA, and logs why", async () => {
    const from = scene.role(site).log().length;
    const client = await scene.attacker(site, 0);
    const small = { miningJobToken: new Uint8Array(), coinbaseTxPrefix: new Uint8Array(), wtxidList: [] };
    const job = await crafted(client, () => ({}));
    await client.send({ ...job.declaration(1), ...small, coinbaseTxSuffix: new Uint8Array() });
    await client.ended();
    await client[Symbol.asyncDispose]();
    await scene.role(site).logged(/"not-full-template"/, from);
  });

  test("makes no block of solutions without work, of other jobs or of another's, and looks at few", async () => {
    await using client = await scene.attacker(site);
    const refused = (reason: string): Promise<number> =>
      scene.count(site, `solutions_refused_total{reason="${reason}"}`);
    const before = await refusals(refused);
    const others = (await crafted(client, () => ({}))).solve(new Uint8Array(EXTRANONCE_SIZE));
    await client.send({ name: "PushSolution", ...others });
    const job = await crafted(client, () => ({}));
    expect(await client.declare(job)).toMatchObject({ name: "DeclareMiningJobSuccess" });
    const idle = { ...job.solve(new Uint8Array(EXTRANONCE_SIZE)), version: 0 };
    const junk = (at: number) => ({ name: "PushSolution", ...idle, nonce: at }) as const;
    await client.flood(junk, 3 * MAX_SOLUTIONS);
    await client.send({ ...junk(0), extranonce: new Uint8Array(5) });
    await client.allocate("hostile");
    const after = await refusals(refused);
    expect(after["no-job"]! - before["no-job"]!).toBe(1);
    expect(after["high-hash"]! - before["high-hash"]!).toBeGreaterThan(MAX_SOLUTIONS - 10);
    expect(after["too-many"]! - before["too-many"]!).toBeGreaterThan(MAX_SOLUTIONS);
  });
});

test("a reply with the transactions that were asked for ends as they deserve", async () => {
  const verdictAt = async (site: Site): Promise<string> => {
    await using client = await scene.attacker(site);
    const requestId = await declareStrangers(client);
    await provide(client, requestId, strangers);
    return (await client.next()).name;
  };
  // Without a node nobody knows that they spend coins that there are not.
  expect(await verdictAt("pool")).toBe("DeclareMiningJobSuccess");
  expect(await verdictAt("jd-server")).toBe("DeclareMiningJobError");
});

test("both servers have in use what they had before the declarations", () => scene.everythingIsBack());

async function refusals(refused: (reason: string) => Promise<number>): Promise<Readonly<Record<string, number>>> {
  const reasons = ["no-job", "high-hash", "too-many"];
  const counts = await Promise.all(reasons.map(refused));
  return Object.fromEntries(reasons.map((reason, at) => [reason, counts[at] ?? 0]));
}
