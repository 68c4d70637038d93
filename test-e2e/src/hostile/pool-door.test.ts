import { dialect, u256 } from "@adit/codec";
import { authorityPublicKey, encodeAuthorityPublicKey } from "@adit/noise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dialPool } from "../harness/dial.ts";
import { DoorScene, transports } from "../harness/door-scene.ts";
import { setupFor, sv2DoorSuite } from "../harness/sv2-door-suite.ts";

const mining = dialect("mining");
const someAuthority = encodeAuthorityPublicKey(authorityPublicKey(new Uint8Array(32).fill(7)));
const setup = setupFor(0);

let scene: DoorScene;

beforeAll(async () => {
  scene = await DoorScene.open({ pool: "first_channel_secs = 4" });
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.before());
afterEach(() => scene.nobodyElseNotices());

describe.each(transports)("a pool over %s", (over) => {
  sv2DoorSuite({
    scene: () => scene,
    role: () => scene.pool,
    over,
    protocol: "mining",
    setup,
    hello: mining.encode(setup),
    // For a channel that is not there: answered with an error, and no reason to hang up.
    ordinary: mining.encode({
      name: "UpdateChannel",
      channelId: 77,
      nominalHashRate: 1,
      maximumTarget: u256(new Uint8Array(32).fill(1)),
    }),
    ordinaryName: "UpdateChannel",
    serverOnly: {
      frame: mining.encode({ name: "SetTarget", channelId: 1, maximumTarget: u256(new Uint8Array(32)) }),
      reason: /SetTarget is not for it to send/,
    },
    largest: { type: 0x1b, bytes: 512 },
    idle: /no channel was opened/,
  });

  test("is left by a client that expects another authority", async () => {
    await expect(dialPool(scene.pool, scene.nodeFor(over), someAuthority)).rejects.toMatchObject({
      code: "authority-mismatch",
    });
  });
});

test("a pool has in use what it had at the start, and lost no honest share", () => scene.everythingIsBack());
