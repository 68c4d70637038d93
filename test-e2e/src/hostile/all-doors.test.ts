import { once } from "node:events";
import { connect } from "node:net";
import { dialect } from "@adit/codec";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sv1MinerToml, translatorToml, upstream } from "../harness/configs.ts";
import { dialStream, loopbackNode } from "../harness/dial.ts";
import { DoorScene } from "../harness/door-scene.ts";
import { RawPeer } from "../harness/raw-peer.ts";
import { allClosed, setupFor, silentCrowd } from "../harness/sv2-door-suite.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";

const LIMITS = `max_connections = 40
max_connections_per_source = 24
max_pending_connections = 30
max_pending_connections_per_source = 16`;
const MAX_CONNECTIONS = 40;
/** How soon a newcomer is served while somebody else crowds the door. */
const SERVED_MS = 10_000;

let scene: DoorScene;
let translator: TestRole;
let device: TestRole;

beforeAll(async () => {
  scene = await DoorScene.open({ pool: LIMITS, templateProvider: LIMITS });
  translator = await scene.stage.start("translator", (folder) =>
    translatorToml(folder, [upstream(scene.pool, "iroh")], { limits: "handshake_timeout_secs = 4" }),
  );
  device = await scene.stage.start("mining-device", () => sv1MinerToml(translator));
  await until("a Stratum V1 share", async () => (await device.status()).shares_accepted > 0);
  await scene.measure();
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.before());
afterEach(() => scene.nobodyElseNotices());

describe.each(["pool", "template-provider"])("a %s", (name) => {
  const role = (): TestRole => (name === "pool" ? scene.pool : scene.templateProvider);
  const alpn = name === "pool" ? alpns.mining.noise : alpns.template_distribution.noise;
  const protocol = name === "pool" ? "mining" : "template_distribution";
  const hello = dialect(protocol).encode(setupFor(name === "pool" ? 0 : 2));

  /** A client that has set up its connection. Rejects when it could not. */
  async function served(node?: IrohNodeManager): Promise<RawPeer> {
    const peer = new RawPeer(await dialStream(role(), node, alpn));
    try {
      await peer.shakeHands(role().details.authority_public_key);
      await peer.sendWhole(hello);
      await peer.receive();
      return peer;
    } catch (error) {
      peer[Symbol.dispose]();
      throw error;
    }
  }

  test("serves others while a silent crowd comes from one address", async () => {
    const from = role().log().length;
    const crowd = silentCrowd(role().listener("tcp").address, 150, "127.0.0.9");
    const asked = performance.now();
    using _ = await served();
    expect(performance.now() - asked).toBeLessThan(SERVED_MS);
    await allClosed(crowd);
    await role().logged(/max-pending-per-source/, from);
  });

  test("serves others again as soon as a silent crowd from everywhere has had its time", async () => {
    const from = role().log().length;
    const sources = ["127.0.0.10", "127.0.0.11", "127.0.0.12", "127.0.0.13"];
    const crowd = sources.flatMap((source) => silentCrowd(role().listener("tcp").address, 50, source));
    await role().logged(/"max-pending"/, from);
    using _ = await until("a newcomer is served", () => served(), SERVED_MS);
    await allClosed(crowd);
  });

  test("holds no more connections than it may, of one address, of one endpoint id and in all", async () => {
    const from = role().log().length;
    const others = [await loopbackNode(), await loopbackNode(), await loopbackNode()];
    const held: RawPeer[] = [];
    const fill = async (node?: IrohNodeManager): Promise<void> => {
      for (let dialled = 0; dialled < MAX_CONNECTIONS; dialled += 1) {
        const peer = await served(node).catch(() => undefined);
        if (peer === undefined) return;
        held.push(peer);
      }
    };
    await fill();
    await role().logged(/max-per-source/, from);
    for (const node of others) await fill(node);
    await role().logged(/"max-connections"/, from);
    expect(held.filter((peer) => peer.isClosed)).toEqual([]);
    expect((await role().status()).connections.filter(({ direction }) => direction === "downstream").length).toBe(
      MAX_CONNECTIONS,
    );
    for (const peer of held) peer[Symbol.dispose]();
    using _ = await until("a newcomer is served", () => served(), SERVED_MS);
    for (const node of others) await node[Symbol.asyncDispose]();
  });

  test("is not moved by a thousand connections that come and go", async () => {
    const port = Number(role().listener("tcp").address.split(":").at(-1));
    const comeAndGo = async (): Promise<void> => {
      const socket = connect({ host: "127.0.0.1", port, localAddress: "127.0.0.14" });
      socket.on("error", () => {});
      await once(socket, "connect");
      socket.resetAndDestroy();
    };
    for (let round = 0; round < 100; round += 1) await Promise.all(Array.from({ length: 10 }, comeAndGo));
    using _ = await served();
  });
});

test("a translator lets others in while a silent crowd comes from one address", async () => {
  const crowd = silentCrowd(translator.details.downstream_address, 150, "127.0.0.9");
  const { shares_accepted } = await device.status();
  await allClosed(crowd);
  await until("Stratum V1 shares go on", async () => (await device.status()).shares_accepted > shares_accepted);
  expect(translator.log()).not.toMatch(/upstream lost/);
});

test("all of them have in use what they had at the start, and no honest share is lost", () => scene.everythingIsBack());
