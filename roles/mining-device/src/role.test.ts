import { describe, expect, test } from "vitest";
import { type RunningRole, startRole, temporaryFolder } from "./testing/running-role.ts";
import { Sv1Pool } from "./testing/sv1-pool.ts";
import { Sv2Pool } from "./testing/sv2-pool.ts";
import { sv1Job } from "./testing/test-jobs.ts";

/** One hash in 2^16 is a share: some dozens a second. */
const DIFFICULTY = 1.5e-5;

const sv1 = (pool: Sv1Pool): readonly string[] => {
  const [host, port] = pool.address.split(":");
  return ['protocol = "sv1"', `address = "${host}"`, `port = ${port}`];
};

/** The metric's value in the exposition text; undefined when it is not there. */
async function metric({ metrics }: RunningRole, series: string): Promise<number | undefined> {
  const { body } = await metrics.expose();
  const line = body.split("\n").find((text) => text.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.split(" ")[1]);
}

describe("the mining device over Stratum V1", () => {
  test("mines, tells its status and metrics, and drops stale work when the tip changes", async () => {
    await using folder = await temporaryFolder();
    await using pool = await Sv1Pool.start({ job: sv1Job("a"), difficulty: DIFFICULTY });
    await using role = startRole(folder.path, [...sv1(pool), 'user_name = "acc.rig{n}"', "threads = 2"]);
    await pool.until(() => pool.shares.length >= 20);
    pool.give(sv1Job("b", { tip: 2, clean: true }));
    const before = pool.shares.length;
    await pool.until(() => pool.shares.length >= before + 20);
    expect(role.readiness).toEqual(["ready"]);
    expect([...pool.users]).toEqual(["acc.rig1"]);
    expect(new Set(pool.shares.map(({ hash }) => hash.join())).size).toBe(pool.shares.length);
    expect(pool.shares.some(({ version }) => version !== 0x20000000)).toBe(true);
    // What was on its way when the tip changed may be stale; nothing after it is.
    expect(pool.rejected).toBeLessThan(10);
    const status = role.status();
    expect(status.hashrate).toBeGreaterThan(10_000);
    expect(status.shares_accepted).toBeGreaterThan(30);
    expect(status.connections).toMatchObject([{ state: "mining", transport: "tcp", user_identity: "acc.rig1" }]);
    expect(await metric(role, "sv2_mining_device_shares_accepted_total")).toBe(role.status().shares_accepted);
    expect(await metric(role, "sv2_mining_device_reply_latency_seconds_count")).toBeGreaterThan(30);
    expect(await metric(role, 'sv2_mining_device_connections{state="mining"}')).toBe(1);
  });

  test("serves many connections from one thread, each of them alike", async () => {
    await using folder = await temporaryFolder();
    await using pool = await Sv1Pool.start({ job: sv1Job("a"), difficulty: DIFFICULTY });
    await using role = startRole(folder.path, [...sv1(pool), 'user_name = "w{n}"', "connections = 25"]);
    const found = (): readonly number[] => {
      const counts = new Map<string, number>();
      for (const { userName } of pool.shares) counts.set(userName, (counts.get(userName) ?? 0) + 1);
      return [...counts.values()];
    };
    await pool.until(() => found().length === 25 && Math.min(...found()) >= 2);
    expect(role.status().connections_by_state).toEqual({ connecting: 0, mining: 25, waiting: 0 });
    expect(pool.rejected).toBe(0);
  });

  test("comes back when the connection breaks, and counts what was lost with it", async () => {
    await using folder = await temporaryFolder();
    await using pool = await Sv1Pool.start({ job: sv1Job("a"), difficulty: DIFFICULTY });
    await using role = startRole(folder.path, sv1(pool));
    await pool.until(() => pool.shares.length >= 3);
    pool.drop();
    await pool.until(() => pool.connections === 0);
    const before = pool.shares.length;
    await pool.until(() => pool.shares.length >= before + 3);
    expect(role.readiness).toEqual(["ready", "no connection has work", "ready"]);
    const { shares_submitted: submitted, shares_accepted: accepted, shares_lost: lost } = role.status();
    expect(accepted + lost).toBeLessThanOrEqual(submitted);
  });

  test("waits for a pool that is not there, and ends when told", async () => {
    await using folder = await temporaryFolder();
    const role = startRole(folder.path, ['protocol = "sv1"', 'address = "127.0.0.1"', "port = 1"]);
    await expect.poll(() => role.status()?.connections[0]?.["state"], { timeout: 10_000 }).toBe("waiting");
    expect(role.status().connections[0]?.["reason"]).toContain("127.0.0.1:1");
    expect(role.readiness).toEqual([]);
    await role[Symbol.asyncDispose]();
  });
});

describe.each(["standard", "extended"] as const)("the mining device over Stratum V2, %s channels", (channel) => {
  test.each(["tcp", "iroh"] as const)(
    "mines over %s, also on a new tip and after the connection broke",
    async (via) => {
      await using folder = await temporaryFolder();
      await using pool = await Sv2Pool.start(folder.path);
      const lines = ['protocol = "sv2"', `channel = "${channel}"`, ...pool.upstream(via), "nominal_hashrate = 100_000"];
      await using role = startRole(folder.path, [...lines, "hashrate_limit = 100_000"]);
      await pool.until(() => pool.shares.length >= 5);
      pool.newTip();
      const tip = pool.shares.length;
      await pool.until(() => pool.shares.length >= tip + 10);
      expect(role.readiness).toEqual(["ready"]);
      expect(role.status().connections).toMatchObject([{ state: "mining", transport: via, encryption: "noise" }]);
      expect(role.status().shares_accepted).toBeGreaterThan(0);
      expect(pool.rejects.filter((code) => code !== "stale-share")).toEqual([]);
      pool.drop();
      const dropped = pool.shares.length;
      await pool.until(() => pool.shares.length >= dropped + 3);
      expect(role.readiness).toEqual(["ready", "no connection has work", "ready"]);
    },
  );
});

test("the mining device rolls no version bits where the pool forbids it, and announces what it measured", async () => {
  await using folder = await temporaryFolder();
  await using pool = await Sv2Pool.start(folder.path, { versionRolling: false });
  await using role = startRole(folder.path, ['protocol = "sv2"', ...pool.upstream("tcp")]);
  await pool.until(() => pool.shares.length >= 3);
  expect(pool.rejects).toEqual([]);
  expect(role.readiness).toEqual(["ready"]);
});
