import fc from "fast-check";
import { expect, test } from "vitest";
import { Farm } from "./testing/farm.ts";

const place = fc.integer({ min: 0, max: 2 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("mine" as const), miner: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("tick" as const), seconds: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("fail" as const, "return" as const), pool: place }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("move" as const), from: place, pool: fc.nat(3) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("list" as const),
      // Ids from 3 on are those pools as entries with another key or account.
      ids: fc.uniqueArray(fc.nat(5), { minLength: 1 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("join" as const, "leave" as const, "tip" as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Plays a story; miners submit to the newest job they have, and to the one before it. */
function play(farm: Farm, story: readonly Step[]): void {
  for (const one of story) {
    switch (one.do) {
      case "mine":
        [...farm.miners.values()][one.miner]?.mineAny();
        break;
      case "tick":
        farm.tick(one.seconds);
        break;
      case "fail":
        farm.fail(one.pool);
        break;
      case "return":
        farm.pool(one.pool).isUp = true;
        break;
      case "move": {
        const [session] = farm.sessionsOf(one.from);
        if (session !== undefined) farm.say(session, { name: "Reconnect", newHost: "", newPort: one.pool });
        break;
      }
      case "list":
        farm.list(one.ids.map((id) => ({ pool: id % 3, id })));
        break;
      case "join":
        if (farm.miners.size < 5) farm.join();
        break;
      case "leave":
        [...farm.miners.values()].at(-1)?.leave();
        break;
      case "tip":
        farm.newTip();
        break;
      default:
        one satisfies never;
    }
  }
}

test("whatever pools do, each share is in the books of one pool, or was refused to the miner, or is counted as unanswered", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (story, aggregateChannels) => {
      const farm = new Farm({ aggregateChannels, routes: [0, 1, 0, 2] });
      farm.join();
      play(farm, story);
      const { shares_submitted, shares_acknowledged, shares_unanswered, shares_below_upstream_target } =
        farm.core.status();
      expect(shares_submitted).toBe(shares_acknowledged + shares_unanswered);
      const recorded = farm.pools.flatMap((pool) => pool.recorded);
      expect(shares_acknowledged).toBe(recorded.length);
      expect(farm.pools.flatMap(({ rejected }) => rejected)).toEqual([]);
      const accepted = [...farm.miners.values()]
        .flatMap(({ results }) => results)
        .filter((result) => result === "accepted");
      expect(accepted.length).toBe(shares_submitted + shares_below_upstream_target);
      // Once everything works, so do miners, at the best pool there is.
      for (const at of [0, 1, 2]) farm.pool(at).isUp = true;
      const miner = farm.join();
      farm.tick(400);
      const last = story.findLast((one) => one.do === "list");
      expect(farm.inUse).toBe(`pool-${(last?.ids[0] ?? 0) % 3}`);
      miner.mine();
      expect(miner.results).toEqual(["accepted"]);
    }),
    { numRuns: 200 },
  );
});
