import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultRpcLimits } from "./limits.ts";
import { TwoSides } from "./testing/two-sides.ts";

/** Small, so that every limit is met often. */
const limits = {
  ...defaultRpcLimits,
  maxCalls: 4,
  window: 60,
  maxWaiting: 2000,
  maxDeadlineMs: 8_000,
  stallMs: 40_000,
  drainMs: 500,
};

type Step = (sides: TwoSides) => void;

const pick = (sides: TwoSides, at: number): string => [...sides.calls.keys()][at % Math.max(1, sides.calls.size)] ?? "";

const index = fc.nat({ max: 20 });
const deadline = fc.constantFrom(null, 1, 50, 1000, 5000);
const kind = fc.constantFrom("call", "stream");

const named = (name: string, step: Step): Step => Object.assign(step, { toString: () => name });

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(kind, deadline).map(([of, ms]) => named(`call(${of}, ${ms})`, (sides) => sides.call(of, ms))),
  index.map((at) => named(`cancel(${at})`, (sides) => sides.tell({ type: "cancel", id: pick(sides, at) }))),
  index.map((at) => named(`read(${at})`, (sides) => sides.read(pick(sides, at)))),
  index.map((at) => named(`give(${at})`, (sides) => sides.give(pick(sides, at)))),
  index.map((at) => named(`give(${at})`, (sides) => sides.give(pick(sides, at)))),
  fc
    .tuple(index, fc.boolean())
    .map(([at, good]) => named(`settle(${at})`, (sides) => sides.settle(pick(sides, at), good))),
  fc.constant(named("to server", (sides) => sides.deliver("server"))),
  fc.constant(named("to server", (sides) => sides.deliver("server"))),
  fc.constant(named("to client", (sides) => sides.deliver("client"))),
  fc.constant(named("to client", (sides) => sides.deliver("client"))),
  fc.nat({ max: 600 }).map((ms) => named(`pass(${ms})`, (sides) => sides.pass(ms))),
);

const goodbye: fc.Arbitrary<Step> = fc.constantFrom(
  named("client goodbye", (sides) => sides.tell({ type: "goodbye", reason: "done" })),
  named("server goodbye", (sides) => sides.tellServer({ type: "goodbye", reason: "stop" })),
  named("nothing", () => undefined),
);

/** What holds at every moment. */
function check(sides: TwoSides): void {
  expect(sides.client.calls).toBeLessThanOrEqual(limits.maxCalls);
  expect(sides.handlers.size).toBeLessThanOrEqual(limits.maxCalls);
  for (const { items, results, unread } of sides.calls.values()) {
    expect(results.length).toBeLessThanOrEqual(1);
    expect(items).toEqual(items.map((_, position) => position));
    // The window, and one frame of a header and at most two digits.
    expect(unread.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(limits.window + 24);
  }
  for (const { pulls } of sides.handlers.values()) expect(pulls).toBeLessThanOrEqual(1);
}

/** Runs until nothing is under way any more: streams are cancelled, and deadlines pass. */
function finish(sides: TwoSides): void {
  for (const [id, { kind: of }] of sides.calls) if (of === "stream") sides.tell({ type: "cancel", id });
  for (let round = 0; round < 30; round += 1) {
    sides.settleDown();
    check(sides);
    sides.pass(1000);
  }
  sides.settleDown();
}

describe("two honest sides", () => {
  test("end every call once, in any order of events, and never think ill of each other", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const sides = new TwoSides(limits);
        for (const one of steps) {
          one(sides);
          check(sides);
        }
        finish(sides);
        expect(sides.closes).toEqual([]);
        expect([...sides.calls.values()].map(({ results }) => results.length)).toEqual([...sides.calls].map(() => 1));
        expect([sides.client.calls, sides.server.calls, sides.handlers.size]).toEqual([0, 0, 0]);
      }),
      { numRuns: 400 },
    );
  });

  test("end every call once and close in peace when either says goodbye in the middle", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        goodbye,
        fc.array(step, { maxLength: 40 }),
        (before, word, after) => {
          const sides = new TwoSides(limits);
          for (const one of [...before, word, ...after]) {
            one(sides);
            check(sides);
          }
          finish(sides);
          sides.tell({ type: "goodbye", reason: "done" });
          finish(sides);
          expect([...sides.calls.values()].map(({ results }) => results.length)).toEqual([...sides.calls].map(() => 1));
          expect(sides.closes.map(({ side }) => side).toSorted()).toEqual(["client", "server"]);
          expect(sides.closes.map(({ code }) => code)).toEqual([null, null]);
        },
      ),
      { numRuns: 400 },
    );
  });

  test("keep a stream within its credit and in order, and never let it stop, in any order of events", () => {
    const deliveries = (["server", "client"] as const).map((to) => named(to, (sides) => sides.deliver(to)));
    const act = (name: string, on: (sides: TwoSides, id: string) => void): Step =>
      named(name, (sides) => on(sides, pick(sides, 0)));
    const reading = act("read", (sides, id) => sides.read(id));
    const giving = act("give", (sides, id) => sides.give(id));
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...deliveries, reading, giving), { maxLength: 200 }), (steps) => {
        const sides = new TwoSides(limits);
        sides.call("stream", null);
        sides.settleDown();
        for (const one of steps) {
          one(sides);
          check(sides);
        }
        const id = pick(sides, 0);
        const before = sides.calls.get(id)?.items.length ?? 0;
        for (let round = 0; round < 100; round += 1) {
          sides.settleDown();
          sides.read(id);
          sides.give(id);
          check(sides);
        }
        expect(sides.closes).toEqual([]);
        expect(sides.calls.get(id)?.items.length).toBeGreaterThan(before + 50);
      }),
    );
  });

  test("give the answer to who asked, when the answers come in another order than the questions", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
        const sides = new TwoSides(limits);
        for (let count = 0; count < 4; count += 1) sides.call("call", null);
        sides.settleDown();
        const ids = [...sides.calls.keys()];
        for (const at of order) sides.settle(ids[at] ?? "", true);
        sides.settleDown();
        for (const [id, { results }] of sides.calls) expect(results).toEqual([{ output: id }]);
      }),
    );
  });

  test("sleep exactly until something is due", () => {
    const sides = new TwoSides(limits);
    sides.settleDown();
    sides.call("call", 700);
    sides.settleDown();
    expect([sides.client.wakeAt, sides.server.wakeAt]).toEqual([700, 700]);
    sides.pass(699);
    expect([...sides.calls.values()][0]?.results).toEqual([]);
    sides.pass(1);
    expect([...sides.calls.values()][0]?.results).toMatchObject([{ code: "deadline-exceeded" }]);
  });
});
