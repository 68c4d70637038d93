import { decodeTransaction, hex, isCoinbase } from "@adit/bitcoin";
import { type NewTemplate, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { brokenFrames } from "../harness/broken-frames.ts";
import { dialPool } from "../harness/dial.ts";
import { HostileServer } from "../harness/hostile-server.ts";
import { RoleInProcess } from "../harness/role-in-process.ts";
import { Sv2Miner } from "../harness/sv2-miner.ts";
import { beginHonestly, poolToml, setUp, type TemplateScript, template, tip } from "../harness/template-script.ts";
import { until } from "../harness/until.ts";

/** Some 1,500 hashes a second. */
const TRIES = 30;
const PATIENCE_MS = 90_000;
/** Templates of the first connection and of those after it. */
const FIRST = 40_001;
const SECOND = 40_002;

/**
 * A pool whose template provider turns hostile once a miner works, and is honest on the next connection. Its miner stays,
 * mines on meanwhile, sees no job that could not be a block, and works for the next connection's tip in the end.
 */
async function endure(over: "tcp" | "iroh", then: TemplateScript, says: RegExp): Promise<void> {
  let connections = 0;
  let turn = (): void => {};
  const mining = new Promise<void>((resolve) => {
    turn = resolve;
  });
  await using provider = await HostileServer.start("template_distribution", over, async (client) => {
    connections += 1;
    await beginHonestly(client, connections > 1 ? SECOND : FIRST);
    if (connections > 1) return await client.left();
    await mining;
    await then(client);
  });
  await using pool = await RoleInProcess.start("pool", (folder) => poolToml(folder, provider));
  await until("the pool serves", () => pool.isReady, PATIENCE_MS);
  await using miner = await Sv2Miner.open(await dialPool(pool), "honest", { hashrate: 1000, triesAtOnce: TRIES });
  await until("a first share", () => miner.acceptedCount > 0, PATIENCE_MS);
  turn();
  await pool.logged(says, PATIENCE_MS);
  await until("another connection", () => connections > 1, PATIENCE_MS);
  const tips = (): readonly string[] => miner.jobs.map(({ prevHash }) => hex(prevHash));
  await until("work of the other connection", () => tips().includes(hex(tip(SECOND).prevHash)), PATIENCE_MS);
  const { acceptedCount } = miner;
  await until("shares for it", () => miner.acceptedCount > acceptedCount + 1, PATIENCE_MS);
  await until("the pool is ready", () => pool.isReady, PATIENCE_MS);
  expect(miner.isClosed).toBe(false);
  expect(miner.rejected.filter((code) => code !== "stale-share")).toEqual([]);
  expect(provider.faults).toEqual([]);
  for (const job of miner.jobs) checkJob(job);
}

/** What every block needs, whoever made the template. */
function checkJob(job: Sv2Miner["jobs"][number]): void {
  const { coinbaseTxPrefix = new Uint8Array(), coinbaseTxSuffix = new Uint8Array(), extranoncePrefix } = job;
  const scriptRest = 20 - extranoncePrefix.length;
  const coinbase = decodeTransaction(
    Buffer.concat([coinbaseTxPrefix, extranoncePrefix, new Uint8Array(scriptRest), coinbaseTxSuffix]),
  );
  expect(isCoinbase(coinbase)).toBe(true);
  expect(coinbase.inputs[0]?.script.length).toBeLessThanOrEqual(100);
  expect(coinbase.outputs[0]?.value).toBeLessThanOrEqual(2_100_000_000_000_000n);
  expect(job.merklePath?.length).toBeLessThanOrEqual(32);
  expect(job.version).toBeGreaterThanOrEqual(4);
}

const at = (changes: Partial<NewTemplate>): TemplateScript => {
  return async (client) => {
    await client.say(template(2, { futureTemplate: false, ...changes }));
    await client.say(template(3, changes));
  };
};
const sibling = u256(new Uint8Array(32).fill(1));

/** What a template provider does wrong, and what the pool says to it. */
const wrongs: Record<string, readonly [TemplateScript, RegExp]> = {
  "sends a merkle path of 255 hashes": [at({ merklePath: Array(255).fill(sibling) }), /255 hashes.*template refused/],
  "sends outputs that cannot be read": [at({ coinbaseTxOutputs: new Uint8Array(50).fill(0xff) }), /template refused/],
  "sends fewer outputs than it counts": [at({ coinbaseTxOutputsCount: 7 }), /template refused/],
  "asks for blocks of version 0": [at({ version: 0 }), /template refused/],
  "asks for blocks of a negative version": [at({ version: 0xffffffff }), /template refused/],
  "leaves more money than there is": [at({ coinbaseTxValueRemaining: 0xffffffffffffffffn }), /template refused/],
  "starts the coinbase script with 9 bytes": [at({ coinbasePrefix: new Uint8Array(9).fill(1) }), /template refused/],
  "starts the coinbase script with 255 bytes": [
    at({ coinbasePrefix: new Uint8Array(255).fill(1) }),
    /template refused/,
  ],
  "leaves nothing to the pool": [at({ coinbaseTxValueRemaining: 0n }), /template received/],
  "uses one id again and again": [
    async (client) => {
      for (let again = 0; again < 500; again += 1) await client.say(template(7, { coinbaseTxLocktime: again }));
      await client.say(tip(7));
    },
    /prevhash received/,
  ],
  "names a tip of a template nobody has": [(client) => client.say(tip(9999)), /prev hash without job/],
  "names a tip whose difficulty no block can meet": [
    (client) => client.say(tip(FIRST, { nBits: 0 })),
    /prev hash refused/,
  ],
  "floods with future templates": [
    async (client) => {
      for (let id = 10; id < 5000; id += 1) await client.say(template(id));
      await client.say(tip(4999));
    },
    /prevhash received/,
  ],
  ...brokenFrames((talk: TemplateScript) => talk, 0x71),
  "answers what nobody asked": [
    async (client) => {
      for (let id = 0; id < 50; id += 1) {
        const templateId = BigInt(id);
        await client.say({ name: "RequestTransactionDataError", templateId, errorCode: "\u001b[2J" });
        await client.say({
          name: "RequestTransactionDataSuccess",
          templateId,
          excessData: new Uint8Array(0),
          transactionList: [new Uint8Array(1000)],
        });
      }
    },
    /message of the template provider ignored/,
  ],
  "says what only a client may say": [
    (client) => client.say({ name: "RequestTransactionData", templateId: 1n }),
    /RequestTransactionData is not for it to send/,
  ],
  "cuts a message short": [(client) => client.frame(0x72, new Uint8Array(5)), /short-read at SetNewPrevHash/],
  "goes away in the middle of a template": [
    async (client) => {
      client.cutNext();
      await client.say(template(2));
    },
    /template provider away/,
  ],
  "goes away between a template and its tip": [(client) => client.say(template(2)), /template provider away/],
  "goes away": [async () => {}, /template provider away/],
};

describe.concurrent.each(["tcp", "iroh"] as const)(
  "a pool keeps its miners at work when its template provider over %s",
  (over) => {
    test.each(Object.entries(wrongs))("%s", async (_what, [script, says]) => {
      await endure(over, script, says);
    });
  },
);

const steps: Record<string, TemplateScript> = {
  "SetupConnection.Success": setUp,
  NewTemplate: (client) => client.say(template(1)),
  SetNewPrevHash: (client) => client.say(tip(1)),
};

describe.concurrent.each(["before", "in the middle of", "after"] as const)(
  "a pool that is only starting when its template provider goes away %s its",
  (how) => {
    test.each(Object.keys(steps))("%s is ready with the next connection", async (stop) => {
      let connections = 0;
      await using provider = await HostileServer.start("template_distribution", "tcp", async (client) => {
        connections += 1;
        if (connections > 1) {
          await beginHonestly(client, 500);
          return await client.left();
        }
        for (const [name, step] of Object.entries(steps)) {
          if (name === stop && how === "before") return;
          if (name === stop && how === "in the middle of") client.cutNext();
          await step(client);
          if (name === stop) return;
        }
      });
      await using pool = await RoleInProcess.start("pool", (folder) => poolToml(folder, provider));
      await until("a second connection", () => connections > 1, PATIENCE_MS);
      await until("the pool serves", () => pool.isReady, PATIENCE_MS);
      await using miner = await Sv2Miner.open(await dialPool(pool), "honest", { hashrate: 1000, triesAtOnce: TRIES });
      await until("shares", () => miner.acceptedCount > 0, PATIENCE_MS);
      for (const job of miner.jobs) checkJob(job);
    });
  },
);
