import { expect, test } from "vitest";
import { NatScene } from "./scene.ts";

test("without UDP between two NATs, a miner mines through the relay", async () => {
  await using scene = await NatScene.open({ udpBlocked: true });
  await scene.takes("relay");
  await scene.shares(10);
  expect((await scene.upstream()).path).toBe("relay");
  // They have tried, and nothing came back.
  expect((await scene.internet.direct()).up).toBeGreaterThan(0);
  await scene.expectExact();
});
