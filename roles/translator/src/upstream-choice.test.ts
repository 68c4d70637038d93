import { describe, expect, test } from "vitest";
import { Farm } from "./testing/farm.ts";

function unanswered(farm: Farm): number {
  return farm.core.status().shares_unanswered;
}

/** Every share that a miner was told is accepted and was worth sending is in the books of exactly one pool. */
function expectBooksToBalance(farm: Farm): void {
  const { shares_submitted: submitted, shares_acknowledged: acknowledged } = farm.core.status();
  const recorded = farm.pools.flatMap((pool) => pool.recorded);
  expect(acknowledged).toBe(recorded.length);
  expect(submitted).toBe(acknowledged + unanswered(farm));
  expect(farm.pools.flatMap(({ rejected }) => rejected)).toEqual([]);
}

describe.each([
  ["on one channel", true],
  ["each on its own channel", false],
])("miners %s", (_where, aggregateChannels) => {
  test("mine at the next pool while the first is away, and at the first again once it has shown that it works", () => {
    const farm = new Farm({ aggregateChannels });
    const miners = [farm.join(), farm.join(), farm.join()];
    for (const miner of miners) miner.mine();
    expect(farm.pool(0).recorded).toHaveLength(3);
    farm.fail(0);
    farm.tick();
    expect(farm.inUse).toBe("pool-1");
    for (const miner of miners) miner.mine();
    expect(farm.pool(1).recorded).toHaveLength(3);
    farm.pool(0).isUp = true;
    // It is found to be back within its rest, and then held down for ten seconds.
    farm.tick(5);
    expect([farm.inUse, farm.sessionsOf(0).length]).toEqual(["pool-1", 1]);
    farm.tick(30);
    expect(farm.inUse).toBe("pool-0");
    for (const miner of miners) miner.mine();
    expect([farm.pool(0).recorded.length, farm.pool(1).recorded.length]).toEqual([6, 3]);
    expect(farm.sessionsOf(1)).toEqual([]);
    expect(miners.map(({ closeReason }) => closeReason)).toEqual([undefined, undefined, undefined]);
    expect(miners.flatMap(({ results }) => results)).toEqual(Array(9).fill("accepted"));
    expectBooksToBalance(farm);
  });

  test("have new work before the old is taken from them, and their late shares still count where they belong", () => {
    const farm = new Farm({ aggregateChannels, policy: { holdDownMs: 0 } });
    farm.fail(0);
    farm.tick(2);
    const miner = farm.join();
    miner.mine();
    const late = miner.work;
    const { length } = miner.notices;
    farm.pool(0).isUp = true;
    while (farm.inUse !== "pool-0") farm.tick();
    expect(miner.notices.slice(length).map(({ method }) => method)).toContain("mining.notify");
    expect([miner.work.clean, miner.extranonce1]).toEqual([
      true,
      late.extranonce1.reduce((text, byte) => text + byte.toString(16).padStart(2, "0"), ""),
    ]);
    miner.mine(late);
    miner.mine();
    expect([farm.pool(0).recorded.length, farm.pool(1).recorded.length]).toEqual([1, 2]);
    farm.tick(12);
    miner.mine(late);
    expect(miner.results).toEqual(["accepted", "accepted", "accepted", "21 Stale job"]);
    expectBooksToBalance(farm);
    expect(unanswered(farm)).toBe(0);
  });

  test("stay where they are while a better pool takes connections and gives no work", () => {
    const noRoom = { totalSize: 5, prefix: Uint8Array.of(1), indexSize: 3, start: 0 };
    const farm = new Farm({ aggregateChannels, firstPool: { extranonce: noRoom } });
    farm.fail(0);
    farm.tick();
    const miner = farm.join();
    farm.pool(0).isUp = true;
    for (let minute = 0; minute < 10; minute += 1) {
      farm.tick(60);
      expect(farm.inUse).toBe("pool-1");
      miner.mine();
    }
    expect(farm.pool(1).recorded).toHaveLength(10);
    expect(new Set(miner.results)).toEqual(new Set(["accepted"]));
  });

  test("follow a pool that asks them to reconnect, with their shares of before and after credited once", () => {
    const farm = new Farm({ aggregateChannels, routes: [0] });
    const miners = [farm.join(), farm.join()];
    for (const miner of miners) miner.mine();
    const before = miners.map(({ work }) => work);
    const [session = 0] = farm.sessionsOf(0);
    farm.say(session, { name: "Reconnect", newHost: "other.example", newPort: 1 });
    expect(farm.effects.findLast((effect) => effect.type === "begin-session")).toMatchObject({
      route: { id: 0 },
      to: { newHost: "other.example", newPort: 1 },
    });
    for (const [at, miner] of miners.entries()) {
      miner.mine();
      miner.mine(before[at]);
    }
    expect([farm.pool(0).recorded.length, farm.pool(1).recorded.length]).toEqual([4, 2]);
    farm.tick(2);
    expect([farm.sessionsOf(0).length, farm.sessionsOf(1).length, farm.inUse]).toEqual([0, 1, "pool-0"]);
    expect(miners.flatMap(({ results }) => results)).toEqual(Array(6).fill("accepted"));
    expectBooksToBalance(farm);
    expect(unanswered(farm)).toBe(0);
    // What it is to be followed to is a matter of this connection: after it, the config counts.
    const [moved = 0] = farm.sessionsOf(1);
    farm.cut(moved);
    farm.tick(3);
    expect(farm.sessionsOf(0)).toHaveLength(1);
  });
});

describe("a pool that asks to reconnect", () => {
  test("and hangs up at once is followed all the same", () => {
    const farm = new Farm({ routes: [0] });
    const miner = farm.join();
    const [session = 0] = farm.sessionsOf(0);
    farm.pool(1).isUp = true;
    farm.input({ type: "upstream-message", session, message: { name: "Reconnect", newHost: "", newPort: 1 } });
    farm.fail(0);
    miner.mine();
    expect(farm.pool(1).recorded).toHaveLength(1);
  });

  test("to where nobody is keeps its miners while it lets them, and loses them as any other does", () => {
    const farm = new Farm({ routes: [0, 2] });
    const miner = farm.join();
    const [session = 0] = farm.sessionsOf(0);
    farm.pool(1).isUp = false;
    farm.say(session, { name: "Reconnect", newHost: "", newPort: 1 });
    farm.tick(40);
    miner.mine();
    expect([farm.inUse, farm.pool(0).recorded.length]).toEqual(["pool-0", 1]);
    farm.say(session, { name: "Reconnect", newHost: "", newPort: 1 });
    farm.fail(0);
    farm.tick();
    miner.mine();
    expect([farm.inUse, farm.pool(2).recorded.length]).toEqual(["pool-2", 1]);
  });

  test("again and again is followed a few times and then not", () => {
    const farm = new Farm({ routes: [0] });
    farm.join();
    for (let times = 0; times < 20; times += 1) {
      const [at, session] = [0, 1]
        .flatMap((pool) => farm.sessionsOf(pool).map((one) => [pool, one] as const))
        .at(-1) ?? [0, 0];
      farm.say(session, { name: "Reconnect", newHost: "", newPort: 1 - at });
      farm.tick(2);
    }
    const followed = farm.effects.filter((effect) => effect.type === "begin-session" && effect.to !== undefined);
    expect(followed).toHaveLength(3);
  });
});

describe("an upstream that nobody needs", () => {
  test("may close its connection, and is dialled again with the first miner, not before", () => {
    const farm = new Farm({ routes: [0] });
    const [session = 0] = farm.sessionsOf(0);
    farm.cut(session);
    farm.tick(300);
    expect([farm.sessionsOf(0).length, farm.core.isServing]).toEqual([0, true]);
    const miner = farm.join();
    farm.tick();
    miner.mine();
    expect(farm.pool(0).recorded).toHaveLength(1);
  });
});

test("an upstream that refuses every share is left, and not returned to soon", () => {
  const farm = new Farm();
  const miner = farm.join();
  const [session = 0] = farm.sessionsOf(0);
  const [channelId = 0] = farm.pool(0).observer.channels.keys();
  for (let at = 0; at < 25; at += 1) {
    const message = { name: "SubmitSharesError", channelId, sequenceNumber: at, errorCode: "stale-share" } as const;
    farm.say(session, message);
  }
  farm.tick(61);
  expect(farm.inUse).toBe("pool-1");
  miner.mine();
  expect(farm.pool(1).recorded).toHaveLength(1);
  farm.tick(45);
  expect(farm.inUse).toBe("pool-1");
  farm.tick(60);
  expect(farm.inUse).toBe("pool-0");
});
