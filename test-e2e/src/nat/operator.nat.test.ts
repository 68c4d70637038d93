import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runAdit } from "../harness/command.ts";
import { aditMain, sourceFlags } from "../harness/test-role.ts";
import { RELAY_URL } from "./relay.ts";
import { NatScene } from "./scene.ts";

test("an operator behind one NAT sees a translator behind the other, by its endpoint id and a relay, and drains it", async () => {
  const key = join(await mkdtemp(join(tmpdir(), "adit-operator-")), "rpc.key");
  const operator = (await runAdit(["keys", "rpc", "--key", key])).stdout.trim();
  await using scene = await NatScene.open({ operator });
  const { translator, internet } = scene;
  const target = `${translator.details.endpoint_id}?relay=${RELAY_URL}`;
  const adit = (...args: readonly string[]): Promise<string> =>
    internet.pool.place.run([process.execPath, ...sourceFlags, aditMain, ...args, "--key", key]);

  const status = await adit("status", target);
  expect(status).toMatch(/^translator .* ready\n/);
  expect(status).toMatch(/ {2}upstream {3}connected, iroh (direct|relay)\n/);
  expect(await adit("control", target, "drain")).toMatch(/^draining/);
  expect(await translator.exited()).toBe(0);
  const goodbye = translator.logLines().find(({ msg }) => msg === "upstreams told goodbye");
  expect(goodbye).toMatchObject({ unansweredShares: 0 });
});
