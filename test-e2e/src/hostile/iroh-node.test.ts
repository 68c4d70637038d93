import { alpns } from "@adit/network-helpers/iroh";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dialStream, loopbackNode } from "../harness/dial.ts";
import { DoorScene, PATIENCE_MS } from "../harness/door-scene.ts";
import { RawPeer } from "../harness/raw-peer.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";

/** What one endpoint id may hold, unless `[iroh]` says otherwise. */
const MAX_CONNECTIONS_PER_PEER = 8;

let scene: DoorScene;

beforeAll(async () => {
  scene = await DoorScene.open();
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.before());
afterEach(() => scene.nobodyElseNotices());

describe.each(["pool", "template-provider"])("the Iroh node of a %s", (name) => {
  const role = (): TestRole => (name === "pool" ? scene.pool : scene.templateProvider);
  const alpn = name === "pool" ? alpns.mining.noise : alpns.template_distribution.noise;

  test("turns away who asks for a protocol it does not serve, and logs it", async () => {
    const from = role().log().length;
    for (const wrong of ["sv2-nonsense", alpns.job_declaration.noise, alpns.mining.plain, "h3"]) {
      await expect(dialStream(role(), scene.node, wrong)).rejects.toMatchObject({ code: "alpn-mismatch" });
    }
    await role().logged(/iroh connection turned away/, from);
  });

  test("lets one endpoint id hold so many connections and no more, and others in all the same", async () => {
    const from = role().log().length;
    const node = await loopbackNode();
    const held: RawPeer[] = [];
    /** Whether another connection is held. One in surplus is closed before or after its dialler has a stream. */
    const hold = async (): Promise<boolean> => {
      const stream = await dialStream(role(), node, alpn).catch(() => undefined);
      if (stream === undefined) return false;
      const peer = new RawPeer(stream);
      const isServed = await peer.shakeHands(role().details.authority_public_key).then(
        () => true,
        () => false,
      );
      if (isServed) held.push(peer);
      else peer[Symbol.dispose]();
      return isServed;
    };
    for (let dialled = 0; dialled < MAX_CONNECTIONS_PER_PEER; dialled += 1) expect(await hold()).toBe(true);
    for (let surplus = 0; surplus < 4; surplus += 1) expect(await hold()).toBe(false);
    await role().logged(/holds as many connections as one endpoint id may/, from);
    using other = await scene.shaken(role(), "iroh");
    expect(other.isClosed).toBe(false);
    for (const peer of held) peer[Symbol.dispose]();
    await until("there is room again", hold, PATIENCE_MS);
    for (const peer of held) peer[Symbol.dispose]();
    await node[Symbol.asyncDispose]();
  });
});

test("an Iroh node turns away who connects and opens no stream, and logs it", async () => {
  const knock = async (role: TestRole, alpn: string): Promise<void> => {
    const from = role.log().length;
    using peer = new RawPeer(await dialStream(role, scene.node, alpn));
    await peer.closed(PATIENCE_MS);
    await role.logged(/it sent nothing in time/, from);
  };
  await Promise.all([
    knock(scene.pool, alpns.mining.noise),
    knock(scene.templateProvider, alpns.template_distribution.noise),
  ]);
});

test("both roles have in use what they had at the start, and no honest share is lost", () => scene.everythingIsBack());
