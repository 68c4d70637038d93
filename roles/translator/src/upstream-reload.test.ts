import { describe, expect, test } from "vitest";
import type { BenchMiner } from "./testing/bench-miner.ts";
import { Farm } from "./testing/farm.ts";

/** Nobody was sent away, every share was accepted, and each is in the books of exactly one pool. */
function expectNothingLost(farm: Farm, miners: readonly BenchMiner[]): void {
  expect(miners.map(({ closeReason }) => closeReason)).toEqual(miners.map(() => undefined));
  const results = miners.flatMap((miner) => miner.results);
  expect(new Set(results)).toEqual(new Set(["accepted"]));
  const { shares_submitted: submitted, shares_acknowledged: acknowledged } = farm.core.status();
  const recorded = farm.pools.flatMap((pool) => pool.recorded);
  expect([submitted, acknowledged, recorded.length]).toEqual([results.length, results.length, results.length]);
  expect(farm.pools.flatMap(({ rejected }) => rejected)).toEqual([]);
}

function changes(farm: Farm): readonly string[] {
  return farm.effects.flatMap((effect) =>
    effect.type === "count" && effect.counter === "switches" ? [effect.label] : [],
  );
}

describe.each([
  ["on one channel", true],
  ["each on its own channel", false],
])("miners %s", (_where, aggregateChannels) => {
  test("leave a pool that is taken out of the list for the next, once that has given work, and lose no share", () => {
    const farm = new Farm({ aggregateChannels, routes: [0, 1, 2] });
    const miners = [farm.join(), farm.join()];
    for (const miner of miners) miner.mine();
    const late = miners.map(({ work }) => work);
    farm.list([1, 2]);
    expect([farm.inUse, changes(farm)]).toEqual(["pool-1", ["start", "upstream-removed"]]);
    for (const [at, miner] of miners.entries()) {
      miner.mine(late[at]);
      miner.mine();
    }
    expect([farm.pool(0).recorded.length, farm.pool(1).recorded.length]).toEqual([4, 2]);
    farm.tick(15);
    expect([farm.sessionsOf(0).length, farm.sessionsOf(1).length]).toEqual([0, 1]);
    expect(farm.core.status().upstream_routes.map(({ name, listed }) => [name, listed])).toEqual([
      ["pool-1", true],
      ["pool-2", true],
    ]);
    expectNothingLost(farm, miners);
  });

  test("go to a pool that is put before theirs, and back when it is put behind", () => {
    const farm = new Farm({ aggregateChannels });
    const miners = [farm.join(), farm.join()];
    farm.list([2, 0, 1]);
    expect(farm.inUse).toBe("pool-2");
    for (const miner of miners) miner.mine();
    farm.list([0, 2, 1]);
    expect(farm.inUse).toBe("pool-0");
    for (const miner of miners) miner.mine();
    farm.list([0, 1]);
    farm.tick(20);
    expect([farm.inUse, farm.sessionsOf(2).length]).toEqual(["pool-0", 0]);
    expect(changes(farm)).toEqual(["start", "better-upstream-ready", "better-upstream-ready"]);
    expectNothingLost(farm, miners);
  });

  test("mine on at a pool that was taken out as long as no other gives work", () => {
    const noRoom = { totalSize: 5, prefix: Uint8Array.of(1), indexSize: 3, start: 0 };
    const farm = new Farm({ aggregateChannels, routes: [1], firstPool: { extranonce: noRoom } });
    const miner = farm.join();
    farm.pool(2).isUp = false;
    // One takes connections and gives no work, and the other cannot be reached.
    farm.list([0, 2]);
    for (let minute = 0; minute < 5; minute += 1) {
      farm.tick(60);
      miner.mine();
    }
    expect(farm.pool(1).recorded).toHaveLength(5);
    expect(farm.core.status().upstream_routes).toMatchObject([
      { name: "pool-0", in_use: false, listed: true },
      { name: "pool-2", in_use: false, listed: true },
      { name: "pool-1", in_use: true, listed: false },
    ]);
    farm.pool(2).isUp = true;
    farm.tick(90);
    miner.mine();
    expect([farm.inUse, farm.pool(2).recorded.length]).toEqual(["pool-2", 1]);
    expectNothingLost(farm, [miner]);
  });
});

test("an entry with another key, address or account is another upstream, though it leads to the same pool", () => {
  const farm = new Farm({ routes: [0] });
  const miner = farm.join();
  miner.mine();
  const [before] = farm.sessionsOf(0);
  farm.list([{ pool: 0, id: 7 }]);
  miner.mine();
  farm.tick(15);
  expect(farm.sessionsOf(0)).toHaveLength(1);
  expect(farm.sessionsOf(0)).not.toContain(before);
  expectNothingLost(farm, [miner]);
});

test("a pool that was taken out and fails is not dialled again, and its miners wait for the others", () => {
  const farm = new Farm({ routes: [0] });
  const miner = farm.join();
  farm.pool(1).isUp = false;
  farm.list([1]);
  expect(farm.inUse).toBe("pool-0");
  farm.fail(0);
  farm.pool(0).isUp = true;
  farm.tick(300);
  expect([farm.inUse, farm.sessionsOf(0), miner.closeReason]).toEqual([undefined, [], undefined]);
  farm.pool(1).isUp = true;
  farm.tick(90);
  miner.mine();
  expect(farm.pool(1).recorded).toHaveLength(1);
});

test("a pool that was taken out and comes back before another took its place is mined at as if nothing was", () => {
  const farm = new Farm({ routes: [0] });
  const miner = farm.join();
  const [session] = farm.sessionsOf(0);
  farm.pool(1).isUp = false;
  farm.list([1]);
  farm.list([0, 1]);
  farm.tick(120);
  miner.mine();
  expect([farm.sessionsOf(0), changes(farm)]).toEqual([[session], ["start"]]);
});

test("a pool that was taken out may still ask to reconnect while it is mined at", () => {
  const farm = new Farm({ routes: [0] });
  const miner = farm.join();
  farm.pool(2).isUp = false;
  farm.list([2]);
  const [session = 0] = farm.sessionsOf(0);
  farm.say(session, { name: "Reconnect", newHost: "", newPort: 1 });
  miner.mine();
  expect(farm.pool(1).recorded).toHaveLength(1);
  farm.pool(2).isUp = true;
  farm.tick(90);
  expect([farm.inUse, farm.sessionsOf(0), farm.sessionsOf(1)]).toEqual(["pool-2", [], []]);
});

test("a host that a pool asked to be reached at is not waited for when the pool is left", () => {
  const noRoom = { totalSize: 5, prefix: Uint8Array.of(1), indexSize: 3, start: 0 };
  const farm = new Farm({ routes: [1], firstPool: { extranonce: noRoom } });
  farm.join();
  const [session = 0] = farm.sessionsOf(1);
  farm.say(session, { name: "Reconnect", newHost: "", newPort: 0 });
  expect(farm.sessionsOf(0)).toHaveLength(1);
  farm.list([2]);
  expect([farm.inUse, farm.sessionsOf(0)]).toEqual(["pool-2", []]);
});

test("without miners another list is taken over as well, and an upstream that let go is not dialled for it", () => {
  const farm = new Farm({ routes: [0] });
  farm.list([1]);
  farm.tick(2);
  expect([farm.inUse, farm.sessionsOf(0), farm.sessionsOf(1).length]).toEqual(["pool-1", [], 1]);
  const [session = 0] = farm.sessionsOf(1);
  farm.cut(session);
  farm.list([2]);
  farm.tick(60);
  expect([farm.sessionsOf(2), farm.core.isServing]).toEqual([[], true]);
  farm.join().mine();
  expect(farm.pool(2).recorded).toHaveLength(1);
});

test("a reload is told in the log and counted, with what it added and removed", () => {
  const farm = new Farm({ routes: [0, 1] });
  farm.list([2, 1]);
  expect(
    farm.effects.find((effect) => effect.type === "log" && effect.event === "upstream-list-changed"),
  ).toMatchObject({
    fields: { routes: 2, added: 1, removed: 1, inUse: "pool-0 over tcp", isInUseRemoved: true },
  });
  expect(farm.effects.filter((effect) => effect.type === "count" && effect.counter === "routeChanges")).toMatchObject([
    { label: "added", by: 1 },
    { label: "removed", by: 1 },
  ]);
});
