import { fromHex, hash, meetsTarget, targetFromBytes, targetToBytes } from "@adit/bitcoin";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DeclaringFarm } from "./harness/declaring-farm.ts";
import { type DeclaringSides, openSides } from "./harness/declaring-sides.ts";
import { expectRecorded } from "./harness/recorded-shares.ts";
import type { Sniffer } from "./harness/sniffer.ts";
import { until } from "./harness/until.ts";

/** Nobody finds a block: the tip stays where it is, and no share is late. */
const NEVER = 2 ** 44;

let sides: DeclaringSides;
/** What a pool must have credited, by the name that a farm has there. */
const owed = new Map<string, { readonly credited: number; readonly hashes: ReadonlySet<string> }>();

beforeAll(async () => {
  sides = await openSides(NEVER);
});

afterAll(async () => {
  await sides[Symbol.asyncDispose]();
});

test.concurrent.each(["tcp", "iroh"] as const)(
  "over %s, a jd-client that is stopped under load leaves when its pool has answered every share",
  async (over) => {
    const name = `stopped-${over}`;
    await using farm = await DeclaringFarm.open(sides, { name, over });
    const { client, pool } = farm;
    const miners = await Promise.all([farm.sv2Miner(), farm.sv2Miner(), farm.sv2Miner()]);
    await until("every miner's shares are taken", () => miners.every(({ acknowledged }) => acknowledged.size >= 5));
    expect(await client.stop()).toBe(0);
    await until("the miners are told to go", () => miners.every(({ isClosed }) => isClosed));

    const goodbye = await pool.sighting("up", "CloseChannel");
    expect(pool.sightings("up").at(-1)).toBe(goodbye);
    const { sent, credited } = exchange(pool);
    expect(credited).toBe(sent);
    expect(client.logLines().find(({ msg }) => msg === "upstreams told goodbye")).toMatchObject({
      unansweredShares: 0,
    });
    expect(miners.flatMap(({ rejected }) => rejected)).toEqual([]);
    // What misses the pool's target is not sent.
    const hardest = targetToBytes(hardestTarget(pool));
    const hashes = miners.flatMap(({ acknowledged }) => [...acknowledged]);
    const due = hashes.filter((one) => meetsTarget(hash(fromHex(one)), hardest));
    expect(due.length).toBeGreaterThan(0);
    owed.set(name, { credited, hashes: new Set(due) });
  },
);

test("and every share that its miners were told is accepted is in the pool's store once, and no other", async () => {
  expect(await sides.pool.stop()).toBe(0);
  const store = `${sides.stage.folder}/pool/shares.db`;
  expect(owed.size).toBe(2);
  for (const [userIdentity, { credited, hashes }] of owed) {
    await expectRecorded(store, { userIdentity, hashes, count: credited });
  }
});

/** Shares that went to the pool, and those that it has credited. */
function exchange(pool: Sniffer<"mining">): { readonly sent: number; readonly credited: number } {
  const sent = pool.sightings("up").filter(({ message }) => message?.name === "SubmitSharesExtended").length;
  let credited = 0;
  for (const { message } of pool.sightings("down")) {
    if (message?.name === "SubmitSharesSuccess") credited += message.newSubmitsAcceptedCount;
  }
  return { sent, credited };
}

/** The hardest target that the pool has ever set. */
function hardestTarget(pool: Sniffer<"mining">): ReturnType<typeof targetFromBytes> {
  const targets = pool.sightings("down").flatMap(({ message }) => {
    if (message?.name === "OpenExtendedMiningChannelSuccess") return [targetFromBytes(message.target)];
    return message?.name === "SetTarget" ? [targetFromBytes(message.maximumTarget)] : [];
  });
  return targets.reduce((hardest, target) => (target < hardest ? target : hardest));
}
