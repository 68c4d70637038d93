import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HashSet } from "./hash-set.ts";
import { SeenShares } from "./seen-shares.ts";
import { bytes32, hashOfNumber } from "./testing/harness.ts";

describe("a set of hashes", () => {
  test("agrees with a plain set over any additions and removals, colliding ones too", () => {
    // Few different low words, so that probes run long and wrap around.
    const hash = fc.tuple(fc.constantFrom(0, 1, 62, 63, 64, 127), fc.nat(40)).map(([low, high]) => {
      const bytes = new Uint8Array(32);
      bytes[0] = low;
      bytes[5] = high + 1;
      return bytes;
    });
    const action = fc.tuple(fc.constantFrom("add", "add", "delete", "has"), hash);
    fc.assert(
      fc.property(fc.array(action, { maxLength: 400, size: "max" }), (actions) => {
        const set = new HashSet();
        const model = new Set<string>();
        for (const [name, bytes] of actions) {
          const key = bytes.join();
          if (name === "add") {
            expect(set.add(bytes)).toBe(!model.has(key));
            model.add(key);
          } else if (name === "delete") expect(set.delete(bytes)).toBe(model.delete(key));
          else expect(set.has(bytes)).toBe(model.has(key));
          expect(set.size).toBe(model.size);
        }
      }),
    );
  });

  test("holds many", () => {
    const set = new HashSet();
    const hashes = Array.from({ length: 20_000 }, (_, value) => hashOfNumber(value));
    expect(hashes.every((hash) => set.add(hash))).toBe(true);
    expect(hashes.some((hash) => set.add(hash))).toBe(false);
    expect(set.has(hashOfNumber(20_000))).toBe(false);
    expect(set.size).toBe(20_000);
  });

  test("holds a hash of only zeros", () => {
    const set = new HashSet();
    expect(set.add(new Uint8Array(32))).toBe(true);
    expect(set.add(new Uint8Array(32))).toBe(false);
  });
});

describe("the memory of shares", () => {
  const limits = { seenShares: 3, seenTipMs: 7_200_000 };
  const [a, b] = [bytes32(0xaa), bytes32(0xbb)];

  test("knows a tip's shares again when the tip comes back within two hours", () => {
    const seen = new SeenShares(limits);
    seen.setTip(a, 0);
    expect(seen.add(hashOfNumber(1))).toBe("new");
    seen.setTip(b, 1000);
    expect(seen.add(hashOfNumber(1))).toBe("new");
    seen.setTip(a, 7_200_000);
    expect(seen.add(hashOfNumber(1))).toBe("duplicate");
    seen.prune(1e12);
    expect(seen.add(hashOfNumber(1))).toBe("duplicate");
  });

  test("forgets a tip two hours after it was replaced, and never the current one", () => {
    const seen = new SeenShares(limits);
    seen.setTip(a, 0);
    seen.add(hashOfNumber(1));
    seen.prune(1e12);
    expect(seen.tips).toBe(1);
    seen.setTip(b, 1e12);
    seen.prune(1e12 + 7_200_000);
    expect(seen.tips).toBe(2);
    seen.prune(1e12 + 7_200_001);
    expect(seen).toMatchObject({ tips: 1, size: 0 });
  });

  test("says when it is full instead of forgetting", () => {
    const seen = new SeenShares(limits);
    expect(seen.add(hashOfNumber(1))).toBe("full");
    seen.setTip(a, 0);
    for (const value of [1, 2, 3]) expect(seen.add(hashOfNumber(value))).toBe("new");
    expect(seen.add(hashOfNumber(4))).toBe("full");
    expect(seen.add(hashOfNumber(1))).toBe("duplicate");
    seen.forget(a, hashOfNumber(1));
    expect(seen.add(hashOfNumber(4))).toBe("new");
  });
});
