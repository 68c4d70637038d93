import { expect, test } from "vitest";
import { until } from "../harness/until.ts";
import type { Weather } from "./link.ts";
import { NatScene } from "./scene.ts";

const paths = [
  { path: "direct", options: {} },
  { path: "relay", options: { udpBlocked: true } },
] as const;

test.each(paths)(
  "a link that loses 1 %, loses 5 %, and is 100 ms long each way, costs no share on a path that is $path",
  async ({ path, options }) => {
    await using scene = await NatScene.open(options);
    await scene.takes(path);
    const { since } = await scene.upstream();
    await mineThrough(scene, { loss: 0.01 });
    await mineThrough(scene, { loss: 0.05 });
    await mineThrough(scene, { delay_ms: 100, jitter_ms: 10, loss: 0.01 });
    await until("the round trip is the link's", async () => ((await scene.upstream()).rtt_ms ?? 0) > 180);
    expect(await scene.upstream()).toMatchObject({ path, since });
    await scene.expectExact();
  },
);

/** Resolves when shares have been credited in a weather, and packets lost. */
async function mineThrough(scene: NatScene, weather: Weather): Promise<void> {
  const { link } = scene.internet;
  const before = await link.counts();
  await link.set(weather);
  await scene.shares(15);
  await until("packets are lost", async () => (await link.counts()).lost > before.lost);
}
