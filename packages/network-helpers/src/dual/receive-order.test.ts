import fc from "fast-check";
import { expect, test } from "vitest";
import { classStream, type OrderClass, type OrderRules } from "./message-order.ts";
import { ReceiveOrder } from "./receive-order.ts";
import { SendOrder } from "./send-order.ts";
import { classIn, receive, send } from "./testing/interleave.ts";

const orderClasses = Object.keys(classStream) as OrderClass[];
const share = { extensionType: 0, messageType: 0x1a };
const closeChannel = { extensionType: 0, messageType: 0x18 };
const setupConnection = { extensionType: 0, messageType: 0x00 };

test("whatever the rules are, every frame is handed out, and each after those it does not overtake", () => {
  const names = ["SetupConnection", "CloseChannel", "Reconnect", "SetTarget", "SubmitSharesStandard", "NewMiningJob"];
  const events = fc.array(fc.constantFrom(...names), { maxLength: 40 }).map((list) => list.map((name) => ({ name })));
  const rules = fc.record(
    Object.fromEntries(
      orderClasses.map((later) => [
        later,
        fc.subarray(orderClasses.filter((earlier) => classStream[earlier] !== classStream[later])),
      ]),
    ),
  ) as fc.Arbitrary<OrderRules>;
  fc.assert(
    fc.property(rules, events, fc.infiniteStream(fc.nat(2)), (someRules, history, choices) => {
      const got = receive(send(history, someRules), (steps) => {
        const choice = choices.next().value ?? 0;
        return steps[choice % steps.length] ?? "pull";
      });
      expect(got.length).toBe(history.length);
      for (const [index, later] of history.entries()) {
        for (const earlier of history.slice(0, index)) {
          const tied =
            classStream[classIn(earlier.name)] === classStream[classIn(later.name)] ||
            someRules[classIn(later.name)].includes(classIn(earlier.name));
          if (tied) expect(got.indexOf(earlier)).toBeLessThan(got.indexOf(later));
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("says where a frame stands only when that is news on its stream", () => {
  const order = new SendOrder();
  expect(order.place(setupConnection)).toEqual({ stream: "control", after: null });
  expect(order.place(share)).toEqual({ stream: "data", after: 1 });
  for (let index = 0; index < 1_000; index++) expect(order.place(share)).toEqual({ stream: "data", after: null });
  expect(order.place(closeChannel)).toEqual({ stream: "control", after: 1_001 });
  expect(order.place(closeChannel)).toEqual({ stream: "control", after: null });
  expect(order.sent).toBe(1_004);
});

test("holds a frame back until those before it have come, and tells how long", () => {
  const order = new ReceiveOrder<string>();
  expect(order.order("data", 2)).toBe(true);
  order.arrive("data", "job");
  expect(order.wants("data")).toBe(false);
  expect(order.next(100)).toEqual({ kind: "wait" });
  expect(order.heldSince).toBe(100);
  order.arrive("control", "opened");
  expect(order.next(110)).toEqual({ kind: "frame", frame: "opened" });
  expect(order.next(120)).toEqual({ kind: "wait" });
  expect(order.holds).toEqual({ now: 1, total: 1, longestMs: 0 });
  order.arrive("control", "grouped");
  expect(order.next(130)).toEqual({ kind: "frame", frame: "grouped" });
  expect(order.next(140)).toEqual({ kind: "frame", frame: "job" });
  expect(order.holds).toEqual({ now: 0, total: 1, longestMs: 40 });
  expect(order.delivered).toBe(3);
});

test("counts nothing as held that came together with what it waits for", () => {
  const order = new ReceiveOrder<string>();
  order.order("data", 1);
  order.arrive("data", "job");
  order.arrive("control", "opened");
  expect([order.next(0), order.next(0)]).toEqual([
    { kind: "frame", frame: "opened" },
    { kind: "frame", frame: "job" },
  ]);
  expect(order.holds.total).toBe(0);
});

test("holds one frame of a stream and refuses a second", () => {
  const order = new ReceiveOrder<string>();
  order.arrive("data", "first");
  expect(() => order.arrive("data", "second")).toThrow(RangeError);
});

test("takes no order that goes back, stands still or is followed by another order", () => {
  const order = new ReceiveOrder<string>();
  expect(order.order("control", 0)).toBe(false);
  expect(order.order("control", 5)).toBe(true);
  expect(order.order("control", 6)).toBe(false);
  order.arrive("control", "late");
  expect(order.order("control", 5)).toBe(false);
  expect(order.order("control", 6)).toBe(true);
});

test("is stuck, and says so, when two frames wait for each other or for what never comes", () => {
  const circle = new ReceiveOrder<string>();
  circle.order("control", 1);
  circle.order("data", 1);
  circle.arrive("control", "a");
  expect(circle.next(0)).toEqual({ kind: "wait" });
  circle.arrive("data", "b");
  expect(circle.next(0)).toEqual({ kind: "stuck" });

  const ended = new ReceiveOrder<string>();
  ended.order("data", 2);
  ended.arrive("data", "a");
  ended.arrive("control", "b");
  ended.end("control");
  expect(ended.next(0)).toEqual({ kind: "frame", frame: "b" });
  expect(ended.next(0)).toEqual({ kind: "stuck" });
});

test("ends when both streams have, and not before", () => {
  const order = new ReceiveOrder<string>();
  order.end("control");
  expect(order.next(0)).toEqual({ kind: "wait" });
  order.arrive("data", "last");
  order.end("data");
  expect(order.next(0)).toEqual({ kind: "frame", frame: "last" });
  expect(order.next(0)).toEqual({ kind: "end" });
});
