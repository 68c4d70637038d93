import { expect, test } from "vitest";
import { Slots } from "./slots.ts";
import { never } from "./testing/setup.ts";

test("admits so many at once and the others in the order they came", async () => {
  const slots = new Slots(2, 2);
  const order: string[] = [];
  const held = [await slots.take(never), await slots.take(never)];
  const third = slots.take(never)?.then((slot) => (order.push("third"), slot));
  const fourth = slots.take(never)?.then((slot) => (order.push("fourth"), slot));
  held[0]?.[Symbol.dispose]();
  (await third)?.[Symbol.dispose]();
  await fourth;
  expect(order).toEqual(["third", "fourth"]);
});

test("has no room when all are taken and as many wait as may", async () => {
  const slots = new Slots(1, 1);
  await slots.take(never);
  void slots.take(never);
  expect(slots.take(never)).toBeUndefined();
});

test("forgets one who leaves while waiting, whose place is then free", async () => {
  const slots = new Slots(1, 1);
  const held = await slots.take(never);
  const leaving = new AbortController();
  const left = slots.take(leaving.signal);
  leaving.abort(new Error("left"));
  await expect(left).rejects.toThrow("left");
  const next = slots.take(never);
  held?.[Symbol.dispose]();
  await expect(next).resolves.toBeDefined();
});

test("gives one slot for one disposal, however often it is disposed", async () => {
  const slots = new Slots(1, 0);
  const held = await slots.take(never);
  held?.[Symbol.dispose]();
  held?.[Symbol.dispose]();
  await slots.take(never);
  expect(slots.take(never)).toBeUndefined();
});

test("does not admit a signal that has aborted", async () => {
  const slots = new Slots(1, 0);
  await expect(slots.take(AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  expect(slots.take(never)).toBeDefined();
});
