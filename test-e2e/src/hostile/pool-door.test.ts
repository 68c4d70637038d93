import { authorityPublicKey, encodeAuthorityPublicKey } from "@adit/noise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dialPool } from "../harness/dial.ts";
import { DoorScene, transports } from "../harness/door-scene.ts";
import { miningDoor, sv2DoorSuite } from "../harness/sv2-door-suite.ts";

const someAuthority = encodeAuthorityPublicKey(authorityPublicKey(new Uint8Array(32).fill(7)));

let scene: DoorScene;

beforeAll(async () => {
  scene = await DoorScene.open({ pool: "first_channel_secs = 4" });
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.before());
afterEach(() => scene.nobodyElseNotices());

describe.each(transports)("a pool over %s", (over) => {
  sv2DoorSuite({ ...miningDoor, scene: () => scene, role: () => scene.pool, over });

  test("is left by a client that expects another authority", async () => {
    await expect(dialPool(scene.pool, scene.nodeFor(over), someAuthority)).rejects.toMatchObject({
      code: "authority-mismatch",
    });
  });
});

test("a pool has in use what it had at the start, and lost no honest share", () => scene.everythingIsBack());
