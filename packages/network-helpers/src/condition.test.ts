import { expect, test } from "vitest";
import { Condition } from "./condition.ts";

/** A condition on a number that is to become zero, and who of those that wait for it was told. */
interface Scene {
  left: number;
  readonly condition: Condition;
  readonly told: string[];
}

function countdown(from: number): Scene {
  const scene: Scene = { left: from, condition: new Condition(() => scene.left === 0), told: [] };
  return scene;
}

test("a condition that holds is not waited for", async () => {
  await countdown(0).condition.met();
});

test("everybody who waits is told at the first look that finds it so, and never before", async () => {
  const scene = countdown(1);
  const waiting = ["one", "other"].map((name) => scene.condition.met().then(() => scene.told.push(name)));
  scene.condition.check();
  await Promise.resolve();
  expect(scene.told).toEqual([]);
  scene.left = 0;
  scene.condition.check();
  await Promise.all(waiting);
  expect(scene.told).toEqual(["one", "other"]);
});

test("it is looked at only for those who wait", () => {
  let looks = 0;
  const condition = new Condition(() => {
    looks += 1;
    return false;
  });
  condition.check();
  expect(looks).toBe(0);
});
