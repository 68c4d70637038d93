import fc from "fast-check";
import { expect, test } from "vitest";
import { workerName } from "./worker-name.ts";

test("a worker name is what follows the first dot of the user name, or all of it", () => {
  const names = ["bc1qxyz.rig.7", "rig", ".rig", "account.", ""].map(workerName);
  expect(names).toEqual(["rig.7", "rig", "rig", "account.", undefined]);
});

test("a worker name is cut to 32 bytes between characters", () => {
  expect(workerName(`a.${"x".repeat(40)}`)).toBe("x".repeat(32));
  expect(workerName(`a.${"x".repeat(31)}é`)).toBe("x".repeat(31));
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (text) => {
      const name = workerName(text) ?? "";
      expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(32);
      expect(text).toContain(name);
    }),
  );
});
