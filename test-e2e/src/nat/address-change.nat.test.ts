import { expect, test } from "vitest";
import { NatScene } from "./scene.ts";

/** Long enough for QUIC to give a dead path up, which takes it 15 s. */
const FAILOVER_MS = 40_000;

test("another public address under a live connection costs no share, and the path stays direct to a pool that forwards its port", async () => {
  await using scene = await NatScene.open({ poolForwards: true });
  await scene.takes("direct");
  const { id, since } = await scene.upstream();
  await scene.internet.moveMiner();
  await scene.shares(10);
  const { up, down } = await scene.internet.direct();
  expect(up).toBeGreaterThan(0);
  expect(down).toBeGreaterThan(0);
  expect(await scene.upstream()).toMatchObject({ id, since, path: "direct" });
  await scene.expectExact();
});

test("other ports under a live connection cost no share, and the path stays direct to such a pool", async () => {
  await using scene = await NatScene.open({ poolForwards: true });
  await scene.takes("direct");
  const { id, since } = await scene.upstream();
  expect((await scene.internet.direct()).fromOtherPorts).toBe(0);
  await scene.internet.rebindMiner();
  await scene.shares(10);
  expect((await scene.internet.direct()).fromOtherPorts).toBeGreaterThan(0);
  expect(await scene.upstream()).toMatchObject({ id, since, path: "direct" });
  await scene.expectExact();
});

test("another public address that a pool's router lets nothing in from moves the connection to the relay, and costs no share", async () => {
  await using scene = await NatScene.open();
  await scene.takes("direct");
  const { id, since } = await scene.upstream();
  await scene.internet.moveMiner();
  await scene.takes("relay", FAILOVER_MS);
  await scene.shares(10);
  expect((await scene.internet.direct()).down).toBe(0);
  expect(await scene.upstream()).toMatchObject({ id, since });
  await scene.expectExact();
});

test("another public address under a connection through the relay costs no share", async () => {
  await using scene = await NatScene.open({ udpBlocked: true });
  const { id, since } = await scene.upstream();
  await scene.internet.moveMiner();
  await scene.shares(10);
  expect(await scene.upstream()).toMatchObject({ id, since, path: "relay" });
  await scene.expectExact();
});
