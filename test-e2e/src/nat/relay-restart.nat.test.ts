import { expect, test } from "vitest";
import { until } from "../harness/until.ts";
import { NatScene } from "./scene.ts";

test("a relay that dies and comes back soon delays shares, and the connection stays", async () => {
  await using scene = await NatScene.open({ udpBlocked: true });
  const { id, since } = await scene.upstream();
  await scene.relay.kill();
  await scene.submits(5);
  await scene.relay.start();
  await scene.shares(10);
  expect(await scene.upstream()).toMatchObject({ id, since, path: "relay" });
  await scene.expectExact();
});

test("a relay that is gone for long ends the connection, and the translator comes back to its pool through the next", async () => {
  await using scene = await NatScene.open({ udpBlocked: true });
  const { id } = await scene.upstream();
  await scene.relay.kill();
  await until(
    "the translator misses its pool",
    async () => (await scene.translator.status()).upstream.state !== "connected",
  );
  expect(scene.miner.isConnected).toBe(true);
  await scene.relay.start();
  await scene.shares(10);
  expect((await scene.upstream()).id).not.toBe(id);
  const { shares_unanswered } = await scene.expectExact({ connectionLost: true });
  expect(shares_unanswered).toBeGreaterThan(0);
});
