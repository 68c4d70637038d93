import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { EXTRANONCE_SIZE, jobOf } from "../harness/crafted-declaration.ts";
import { DeclaredJob } from "../harness/declared-job.ts";
import { DeclaringScene, sites } from "../harness/declaring-scene.ts";
import type { JobDeclarationClient } from "../harness/job-declaration-client.ts";
import { until } from "../harness/until.ts";

const LIFE_SECS = 10;
const HELD_REQUESTS = 8;
const INVALID = { name: "DeclareMiningJobError", errorCode: "invalid-mining-job-token" };
const DECLARED = { name: "DeclareMiningJobSuccess" };
/** Where the last second of a token's life is written. */
const NOT_AFTER_AT = 18;

let scene: DeclaringScene;

beforeAll(async () => {
  scene = await DeclaringScene.open({
    tokenTimeoutSecs: LIFE_SECS,
    limits: `max_connections_per_source = 64\nmax_held_token_requests = ${HELD_REQUESTS}`,
  });
}, 120_000);
afterAll(() => scene[Symbol.asyncDispose]());

describe.each(sites)("the job-declarator server of a %s, attacked with tokens,", (site) => {
  afterEach(() => scene.nobodyElseNotices(site));

  /** Declares a good job with this token. */
  async function declareWith(client: JobDeclarationClient, miningJobToken: Uint8Array) {
    const whole = await scene.template();
    const { coinbaseTxOutputs } = await client.allocate("hostile");
    return await client.declare(new DeclaredJob(whole, { miningJobToken, coinbaseTxOutputs }, EXTRANONCE_SIZE));
  }

  test("takes none of another client, which loses nothing by it", async () => {
    await using thief = await scene.attacker(site);
    await using victim = await scene.attacker(site);
    const granted = await victim.allocate("victim");
    expect(await declareWith(thief, granted.miningJobToken)).toMatchObject(INVALID);
    expect(await victim.declare(jobOf(await scene.template(), granted))).toMatchObject(DECLARED);
  });

  test("takes none of a client that has left, not even from itself", async () => {
    const before = await scene.attacker(site);
    const { miningJobToken } = await before.allocate("hostile");
    await before[Symbol.asyncDispose]();
    await using after = await scene.attacker(site);
    expect(await declareWith(after, miningJobToken)).toMatchObject(INVALID);
  });

  test("takes none of another server", async () => {
    const elsewhere = sites.find((other) => other !== site) ?? site;
    await using there = await scene.attacker(elsewhere);
    await using here = await scene.attacker(site);
    const { miningJobToken } = await there.allocate("hostile");
    expect(await declareWith(here, miningJobToken)).toMatchObject(INVALID);
  });

  test("takes each once, whatever became of it", async () => {
    await using client = await scene.attacker(site);
    const taken = await client.allocate("hostile");
    const job = jobOf(await scene.template(), taken);
    const declared = await client.declare(job);
    expect(declared).toMatchObject(DECLARED);
    expect(await client.declare(job)).toMatchObject(INVALID);
    const refused = await client.allocate("hostile");
    const worthless = jobOf(await scene.template(), refused, { coinbaseTxValueRemaining: 0n });
    expect(await client.declare(worthless)).toMatchObject({ errorCode: "invalid-coinbase-tx" });
    expect(await client.declare(jobOf(await scene.template(), refused))).toMatchObject(INVALID);
    // Nor the token of a declared job in place of one to declare with.
    const newToken = declared.name === "DeclareMiningJobSuccess" ? declared.newMiningJobToken : new Uint8Array();
    expect(await declareWith(client, newToken)).toMatchObject(INVALID);
  });

  test("takes none whose time is over, and forgets it", async () => {
    await using client = await scene.attacker(site);
    const granted = await client.allocate("hostile");
    const { buffer, byteOffset } = granted.miningJobToken;
    const notAfter = new DataView(buffer, byteOffset).getUint32(NOT_AFTER_AT, true);
    expect(notAfter - Date.now() / 1000).toBeLessThanOrEqual(LIFE_SECS);
    await until("its time is over", () => Date.now() > (notAfter + 1) * 1000);
    expect(await client.declare(jobOf(await scene.template(), granted))).toMatchObject(INVALID);
    await until("it is forgotten", async () => (await scene.count(site, "tokens")) === 0);
  });

  test("takes none that is guessed", async () => {
    await using client = await scene.attacker(site);
    const granted = await client.allocate("hostile");
    const job = jobOf(await scene.template(), granted);
    const { miningJobToken } = granted;
    const flipped = Array.from(miningJobToken, (_, at) =>
      miningJobToken.map((byte, i) => (i === at ? byte ^ 1 : byte)),
    );
    const guesses = [
      new Uint8Array(),
      new Uint8Array(255),
      new Uint8Array(255).fill(0xff),
      miningJobToken.slice(0, -1),
      Uint8Array.of(...miningJobToken, 0),
      ...Array.from({ length: 50 }, () => Uint8Array.from(randomBytes(miningJobToken.length))),
      ...flipped,
    ];
    for (const guess of guesses) {
      const declaration = { ...job.declaration(client.nextRequestId()), miningJobToken: guess };
      expect([guess.length, await client.declare(job, declaration)]).toMatchObject([guess.length, INVALID]);
    }
    // The one that all of them were made from is as good as before.
    expect(await client.declare(job)).toMatchObject(DECLARED);
  });

  test.each([0, 1])("hangs up on who asks for more than it is given (flags %i), and logs why", async (flags) => {
    const from = scene.role(site).log().length;
    const client = await scene.attacker(site, flags);
    await client.flood((requestId) => ({ name: "AllocateMiningJobToken", userIdentifier: "hostile", requestId }), 200);
    await client.ended();
    await client[Symbol.asyncDispose]();
    await scene.role(site).logged(/"token-flood"/, from);
  });

  test("gives others tokens while a crowd hoards its own under an honest client's name", async () => {
    const crowd = await scene.crowd(site, 20);
    const hoard = async (client: JobDeclarationClient): Promise<void> => {
      for (let held = 0; held < 4; held += 1) await client.allocate(`honest.${site}`);
    };
    await Promise.all(crowd.map(hoard));
    expect(await scene.count(site, "tokens")).toBe(80);
    await scene.nobodyElseNotices(site);
    for (const client of crowd) await client[Symbol.asyncDispose]();
    await until("the tokens are gone", async () => (await scene.count(site, "tokens")) === 0);
  });
});

test("both servers have in use what they had before the tokens", () => scene.everythingIsBack());
