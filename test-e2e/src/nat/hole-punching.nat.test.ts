import { expect, test } from "vitest";
import { NatScene } from "./scene.ts";

/** Iroh tries at once and then again and again, in the worst case after a minute. */
const UPGRADE_MS = 75_000;

test("two NATs that keep ports are punched through, the connection leaves the relay, and then nobody misses that", async () => {
  await using scene = await NatScene.open({ udpBlocked: true });
  await scene.takes("relay");
  const { id, since } = await scene.upstream();
  await scene.internet.allowUdp();
  await scene.takes("direct", UPGRADE_MS);
  // Roles look at their paths every five seconds.
  await scene.translator.logged(/"from":"relay","to":"direct".*"msg":"iroh path changed"/);
  const changes = await scene.translator.sample('sv2_iroh_path_changes_total{from="relay",to="direct"}');
  expect(changes).toBeGreaterThan(0);

  await scene.relay.kill();
  const before = await scene.internet.direct();
  await scene.shares(10);
  // From router to router, under their own addresses: nothing else is counted.
  const after = await scene.internet.direct();
  expect(after.up).toBeGreaterThan(before.up);
  expect(after.down).toBeGreaterThan(before.down);
  expect(await scene.upstream()).toMatchObject({ id, since, path: "direct" });
  await scene.expectExact();
});

test("a NAT that takes another port for every peer is not punched through, and mining stays on the relay", async () => {
  await using scene = await NatScene.open({ minerMapping: "random-ports" });
  await scene.attempts(3);
  await scene.shares(5);
  await scene.takes("relay");
  const { up, fromOtherPorts } = await scene.internet.direct();
  expect(fromOtherPorts).toBe(up);
  await scene.expectExact();
});
