import { systemEntropy } from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import { ACT1_SIZE, authorityPublicKey, encodeAuthorityPublicKey, pureCrypto, ResponderIdentity } from "@adit/noise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { translatorToml } from "../harness/configs.ts";
import { RoleInProcess } from "../harness/role-in-process.ts";
import { Sv1DoorScene } from "../harness/sv1-door-scene.ts";
import { floodsSuite } from "./translator-door/floods.ts";
import { linesSuite } from "./translator-door/lines.ts";
import { sharesSuite } from "./translator-door/shares.ts";

describe.each([
  ["with one channel for all miners", true],
  ["with a channel for each miner", false],
])("a translator %s", (_mode, aggregateChannels) => {
  let scene: Sv1DoorScene;

  beforeAll(async () => {
    scene = await Sv1DoorScene.open(aggregateChannels);
  });
  beforeEach(() => scene.before());
  afterEach(() => scene.nobodyElseNotices());
  afterAll(() => scene[Symbol.asyncDispose]());

  linesSuite(() => scene);
  sharesSuite(() => scene);
  floodsSuite(() => scene);

  test("uses what it did at the start when they are all gone, and every honest share was taken", async () => {
    await scene.everythingIsBack();
  });
});

const someAuthority = encodeAuthorityPublicKey(authorityPublicKey(new Uint8Array(32).fill(7)));

test("a translator does not mine for a pool of the wrong authority or with an expired certificate, and says so", async () => {
  await using expired = await expiredPool();
  const entry = (authority: string): string =>
    `address = "127.0.0.1"\nport = ${expired.address.split(":").at(-1)}\nauthority_pubkey = "${authority}"\n`;
  await using wary = await RoleInProcess.start("translator", (folder) =>
    translatorToml(folder, [entry(someAuthority), entry(expired.authority)]),
  );
  await wary.logged(/not signed by the authority key in the config/);
  await wary.logged(/certificate has expired/);
  expect(wary.status().upstream.state).not.toBe("connected");
});

/** A server that shakes hands with a certificate of two hours ago, valid for one. */
async function expiredPool(): Promise<AsyncDisposable & { readonly address: string; readonly authority: string }> {
  const identity = new ResponderIdentity({
    crypto: pureCrypto,
    entropy: systemEntropy,
    authoritySecretKey: new Uint8Array(32).fill(9),
    certValiditySec: 3600,
  });
  const listening = await tcp().listen("127.0.0.1:0", { signal: new AbortController().signal });
  const serve = async (): Promise<void> => {
    for await (const stream of listening.streams) {
      for await (const act1 of stream.source) {
        await stream.write(identity.begin(Date.now() - 7_200_000).act1(act1.slice(0, ACT1_SIZE)).bytes).catch(() => {});
        break;
      }
    }
  };
  serve().catch(() => {});
  return {
    address: listening.address,
    authority: encodeAuthorityPublicKey(identity.authorityPublicKey),
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
}
