import fc from "fast-check";
import { expect, test } from "vitest";
import type { ChoiceDecision, InUse } from "./choice-decision.ts";
import { UpstreamChoice } from "./upstream-choice.ts";
import { defaultUpstreamPolicy } from "./upstream-route.ts";

type Decision = ChoiceDecision<"connection-lost">;

/** Two routes lead to each upstream. */
const plan = (ids: readonly number[]) => ({
  routes: ids.map((id) => ({ id, upstream: id >> 1 })),
  policy: defaultUpstreamPolicy,
});
const id = fc.nat(7);
const ids = fc.uniqueArray(id, { maxLength: 5 });
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.integer({ min: 1, max: 90 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("ready" as const), id }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      id,
      blames: fc.constantFrom("route" as const, "upstream" as const, "nobody" as const),
      unworthy: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("list" as const), ids }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("prove" as const), id }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("wanted" as const, "unwanted" as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A role that does what a choice says, and never something it may not. */
class Role {
  readonly choice: UpstreamChoice<"connection-lost">;
  readonly sessions = new Map<number, "dialling" | "ready">();
  list: readonly number[];
  inUse: InUse = "nothing";
  now = 0;

  constructor(list: readonly number[], soloAfterMs: number | undefined) {
    this.list = list;
    this.choice = new UpstreamChoice({ ...plan(list), soloAfterMs, random: () => 0.5 }, 0);
  }

  take(one: Step): void {
    this.perform(this.#decide(one));
    this.#check();
  }

  perform(decisions: readonly Decision[]): void {
    for (const decision of decisions) {
      if (decision.type === "dial") {
        expect([this.list.includes(decision.route), this.sessions.has(decision.route)]).toEqual([true, false]);
        this.sessions.set(decision.route, "dialling");
      } else if (decision.type === "release") {
        expect(decision.route).not.toBe(this.inUse);
        expect(this.sessions.delete(decision.route)).toBe(true);
      } else {
        expect([decision.from, decision.to === decision.from]).toEqual([this.inUse, false]);
        if (typeof decision.to === "number") expect(this.sessions.get(decision.to)).toBe("ready");
        this.inUse = decision.to;
      }
    }
  }

  #decide(one: Step): readonly Decision[] {
    switch (one.do) {
      case "wait":
        this.now += one.seconds * 1000;
        return this.choice.tick(this.now);
      case "ready":
        if (this.sessions.get(one.id) === "dialling") this.sessions.set(one.id, "ready");
        return this.choice.ready(one.id, this.now);
      case "fail": {
        this.sessions.delete(one.id);
        const { blames, unworthy } = one;
        return this.choice.failed(one.id, { code: "connection-lost", blames, unworthy }, this.now);
      }
      case "list":
        this.list = one.ids;
        return this.choice.replace(plan(one.ids), this.now);
      case "prove":
        this.choice.proven(one.id);
        return [];
      case "wanted":
        return this.choice.wanted(this.now);
      case "unwanted":
        this.choice.unwanted();
        return [];
      default:
        return one satisfies never;
    }
  }

  /** Both sides agree; what stands is of use; and nothing is known of what is neither listed nor in use. */
  #check(): void {
    expect(this.choice.inUse).toBe(this.inUse);
    if (typeof this.inUse === "number") expect(this.sessions.get(this.inUse)).toBe("ready");
    const states = [...this.choice.states];
    const up = states.flatMap(([at, { phase }]) => (phase === "resting" ? [] : [[at, phase]]));
    expect(new Map(up as [number, string][])).toEqual(this.sessions);
    const removed = typeof this.inUse === "number" && !this.list.includes(this.inUse) ? [this.inUse] : [];
    expect(states.map(([at]) => at)).toEqual([...this.list, ...removed]);
    const place = this.list.indexOf(this.inUse as number);
    if (place !== -1) for (const at of this.list.slice(place + 1)) expect(this.sessions.has(at)).toBe(false);
  }
}

test("whatever happens and whichever lists follow each other, what a choice says can be done and leaves nothing behind", () => {
  fc.assert(
    fc.property(
      ids,
      fc.constantFrom(5000, undefined),
      fc.array(step, { maxLength: 80 }),
      (list, soloAfterMs, story) => {
        const role = new Role(list, soloAfterMs);
        for (const one of story) role.take(one);
        // In the end the best works: it is used, and nothing else stands.
        role.take({ do: "list", ids: [6, ...role.list.filter((one) => one !== 6)] });
        role.take({ do: "wanted" });
        for (let minute = 0; role.inUse !== 6 && minute < 70; minute += 1) {
          role.take({ do: "ready", id: 6 });
          role.take({ do: "wait", seconds: 60 });
        }
        expect([role.inUse, [...role.sessions.keys()]]).toEqual([6, [6]]);
      },
    ),
    { numRuns: 300 },
  );
});
