import { expect, test } from "vitest";
import { dialPool } from "../harness/dial.ts";
import { HostileServer } from "../harness/hostile-server.ts";
import { RoleInProcess } from "../harness/role-in-process.ts";
import { Sv2Miner } from "../harness/sv2-miner.ts";
import { beginHonestly, poolToml, setUp, type TemplateScript, template, tip } from "../harness/template-script.ts";
import { until } from "../harness/until.ts";

/** Some 1,500 hashes a second. */
const TRIES = 30;
const PATIENCE_MS = 90_000;
const FIRST = 40_001;

test("a pool whose template provider floods tells its miners of few templates and tips, and mines on the newest", async () => {
  const floods: readonly TemplateScript[] = [
    async (client) => {
      for (let id = 0; id < 2000; id += 1) await client.say(template(100 + id, { futureTemplate: false }));
    },
    async (client) => {
      for (let id = 0; id < 1000; id += 1) {
        await client.say(template(5000 + id));
        await client.say(tip(5000 + id));
      }
    },
  ];
  let turn = 0;
  await using provider = await HostileServer.start("template_distribution", "tcp", async (client) => {
    await beginHonestly(client, FIRST);
    for (const [at, flood] of floods.entries()) {
      await until("its turn", () => turn > at, PATIENCE_MS);
      await flood(client);
    }
    await client.left();
  });
  await using pool = await RoleInProcess.start("pool", (folder) => poolToml(folder, provider));
  await until("the pool serves", () => pool.isReady, PATIENCE_MS);
  await using miner = await Sv2Miner.open(await dialPool(pool), "honest", { hashrate: 1000, triesAtOnce: TRIES });
  for (const newest of [2099, 5999]) {
    const jobs = miner.jobs.length;
    const began = performance.now();
    turn += 1;
    await until("the newest work", () => newestOf(miner) === newest, PATIENCE_MS);
    const seconds = (performance.now() - began) / 1000;
    // Twenty at once and five a second, of jobs and of tips.
    expect(miner.jobs.length - jobs).toBeLessThan(2 * (20 + 5 * (seconds + 2)));
    const { acceptedCount } = miner;
    await until("shares for it", () => miner.acceptedCount > acceptedCount + 1, PATIENCE_MS);
  }
  expect(pool.log()).toMatch(/work comes too fast/);
  expect(pool.readiness.slice(pool.readiness.indexOf("ready"))).toEqual(["ready"]);
  expect(miner.isClosed).toBe(false);
  expect(miner.rejected.filter((code) => code !== "stale-share")).toEqual([]);
  expect(provider.faults).toEqual([]);
});

test("a pool is ready only while its template provider is there and has given work that miners can do", async () => {
  const useless: readonly TemplateScript[] = [
    async () => {},
    (client) => client.say(template(2)),
    async (client) => {
      await client.say(template(3, { version: 0 }));
      await client.say(tip(3));
    },
    (client) => client.say(tip(FIRST, { nBits: 0 })),
  ];
  let connections = 0;
  let leave = (): void => {};
  await using provider = await HostileServer.start("template_distribution", "tcp", async (client) => {
    const at = connections;
    connections += 1;
    await setUp(client);
    await useless[at]?.(client);
    if (at < useless.length) return;
    await client.say(template(at + 100));
    await client.say(tip(at + 100));
    await new Promise<void>((resolve) => {
      leave = resolve;
    });
  });
  await using pool = await RoleInProcess.start("pool", (folder) => poolToml(folder, provider));
  await until("ready with the first honest connection", () => pool.isReady, PATIENCE_MS);
  expect(connections).toBe(useless.length + 1);
  expect(pool.readiness.filter((word) => word === "ready")).toHaveLength(1);
  expect(pool.readiness).toContainEqual(expect.stringMatching(/given no work/));
  leave();
  await until("not ready without it", () => !pool.isReady, PATIENCE_MS);
  await until("ready again", () => pool.isReady, PATIENCE_MS);
});

/** Id of the template that the newest job was made of, as its coinbase says. */
function newestOf({ jobs }: Sv2Miner): number {
  const prefix = jobs.at(-1)?.coinbaseTxPrefix ?? new Uint8Array();
  // Version, one input, outpoint, length of the script, and the push of three bytes.
  return new DataView(prefix.buffer, prefix.byteOffset).getUint16(4 + 1 + 36 + 1 + 1, true);
}
