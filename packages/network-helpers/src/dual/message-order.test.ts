import { messageSets } from "@adit/codec";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  classOf,
  classStream,
  messageClasses,
  type OrderClass,
  type OrderRules,
  orderedProtocols,
  orderRules,
} from "./message-order.ts";
import { miningClient, miningServer, type Sender, templateProvider } from "./testing/histories.ts";
import { Interleavings, receive, send } from "./testing/interleave.ts";
import { difference, type Event } from "./testing/meaning.ts";

const senders: readonly Sender[] = [miningServer, miningClient, templateProvider];

test("the table names every message of its protocols, and no other", () => {
  for (const protocol of orderedProtocols) {
    expect(Object.keys(messageClasses[protocol]).toSorted()).toEqual(
      Object.keys(messageSets[protocol].rows).toSorted(),
    );
  }
});

test("finds each message's class by its numbers, and takes what it does not know for a barrier", () => {
  for (const protocol of orderedProtocols) {
    for (const { name, extensionType, type } of Object.values(messageSets[protocol].rows)) {
      expect(classOf({ extensionType, messageType: type })).toBe(messageClasses[protocol][name]);
    }
  }
  expect(classOf({ extensionType: 0, messageType: 0xfe })).toBe("barrier");
  expect(classOf({ extensionType: 0x4001, messageType: 0x1a })).toBe("barrier");
});

test("its rules are about the other stream", () => {
  for (const { later, earlier } of everyRule()) expect(classStream[earlier]).not.toBe(classStream[later]);
});

describe("every message means to the receiver what it meant to the sender", () => {
  test("for every short history and every interleaving of the streams", () => {
    let reordered = 0;
    for (const { sender, history, got } of [...everyShortRun(orderRules, 2), ...everyShortRun(orderRules, 3)]) {
      if (got.some((event, index) => event !== history[index])) reordered += 1;
      expectSameMeanings(sender, history, got);
    }
    expect(reordered).toBeGreaterThan(1_000);
  });

  test("for long histories in random interleavings", () => {
    const choices = fc.infiniteStream(fc.nat(1 << 20));
    fc.assert(
      fc.property(fc.constantFrom(...senders), fc.integer({ min: 4, max: 60 }), choices, (sender, length, stream) => {
        const pick = <T>(items: readonly T[]): T => items[(stream.next().value ?? 0) % items.length] as T;
        const history: Event[] = [];
        while (history.length < length) history.push(pick(sender.next([...sender.before, ...history])));
        expectSameMeanings(sender, history, receive(send(history, orderRules), pick));
      }),
      { numRuns: 1_500 },
    );
  });

  test.each(everyRule())("and not without the rule that $later does not overtake $earlier", ({ later, earlier }) => {
    const weaker: OrderRules = {
      ...orderRules,
      [later]: orderRules[later].filter((itsClass) => itsClass !== earlier),
    };
    expect(findsDifference(weaker)).toBe(true);
  });
});

function everyRule(): readonly { readonly later: OrderClass; readonly earlier: OrderClass }[] {
  return Object.entries(orderRules).flatMap(([later, classes]) =>
    classes.map((earlier) => ({ later: later as OrderClass, earlier })),
  );
}

function findsDifference(rules: OrderRules): boolean {
  for (const { sender, history, got } of everyShortRun(rules, 2)) {
    if (difference(sender.before, history, got) !== undefined) return true;
  }
  return false;
}

/** Every history of `length` messages, as every interleaving of the streams hands it out. */
function* everyShortRun(
  rules: OrderRules,
  length: number,
): Generator<{ readonly sender: Sender; readonly history: readonly Event[]; readonly got: readonly Event[] }> {
  const interleavings = new Interleavings(rules);
  for (const sender of senders) {
    for (const history of histories(sender, length)) {
      for (const got of interleavings.of(history)) yield { sender, history, got };
    }
  }
}

function histories(sender: Sender, length: number): readonly (readonly Event[])[] {
  if (length === 0) return [[]];
  return histories(sender, length - 1).flatMap((history) =>
    sender.next([...sender.before, ...history]).map((event) => [...history, event]),
  );
}

function expectSameMeanings(sender: Sender, history: readonly Event[], got: readonly Event[]): void {
  const found = difference(sender.before, history, got);
  if (found !== undefined) expect.fail(`${found}\nsent: ${JSON.stringify(history)}\ngot: ${JSON.stringify(got)}`);
}
