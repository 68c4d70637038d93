import { expect, test } from "vitest";
import type { Sv1Client } from "../../harness/sv1-client.ts";
import type { Sv1DoorScene } from "../../harness/sv1-door-scene.ts";
import { findShare, type Sv1Submit, submitParams, workOf } from "../../harness/sv1-work.ts";

const NAME = "hostile.worker";

/** What a submit is answered: true, or the number of its error. */
async function verdict(client: Sv1Client, id: number, params: readonly unknown[]): Promise<unknown> {
  const { result, error } = await client.ask(id, "mining.submit", params);
  return result === true ? true : (error as readonly unknown[])[0];
}

const hex8 = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");

/** A share made wrong in one respect, and the number of the error it is answered with. */
const wrongs: Record<string, readonly [(share: Sv1Submit) => readonly unknown[], number]> = {
  "no extranonce2": [(share) => submitParams(NAME, { ...share, extranonce2: "" }), 20],
  "a byte of extranonce2 too few": [(share) => submitParams(NAME, { ...share, extranonce2: "00".repeat(7) }), 20],
  "a byte of extranonce2 too many": [(share) => submitParams(NAME, { ...share, extranonce2: "00".repeat(9) }), 20],
  "200 bytes of extranonce2": [(share) => submitParams(NAME, { ...share, extranonce2: "00".repeat(200) }), 20],
  "an extranonce2 that is no hex": [(share) => submitParams(NAME, { ...share, extranonce2: "zz".repeat(8) }), 20],
  "half a byte": [(share) => submitParams(NAME, { ...share, extranonce2: "0".repeat(15) }), 20],
  "a second too early": [(share) => submitParams(NAME, moved(share, -1)), 20],
  "the time 0": [(share) => submitParams(NAME, { ...share, ntime: "00000000" }), 20],
  "two hours and a second ahead": [(share) => submitParams(NAME, moved(share, 7201)), 20],
  "the end of time": [(share) => submitParams(NAME, { ...share, ntime: "ffffffff" }), 20],
  "version bits that were not granted": [(share) => [...submitParams(NAME, share), "00002000"], 20],
  "version bits of consensus": [(share) => [...submitParams(NAME, share), "e0000000"], 20],
  "a nonce of nine digits": [(share) => submitParams(NAME, { ...share, nonce: `0${share.nonce}` }), 20],
  "a nonce with 0x": [(share) => submitParams(NAME, { ...share, nonce: `0x${share.nonce.slice(2)}` }), 20],
  "no such job": [(share) => submitParams(NAME, { ...share, jobId: "no such job" }), 21],
  "a job with the name of a member": [(share) => submitParams(NAME, { ...share, jobId: "__proto__" }), 21],
  "another nonce": [(share) => submitParams(NAME, { ...share, nonce: hex8(Number(`0x${share.nonce}`) ^ 1) }), 23],
  "members of the wrong type": [() => [null, 5, {}, [], true], 20],
  "too few members": [(share) => submitParams(NAME, share).slice(0, 4), 20],
  "too many": [(share) => [...submitParams(NAME, share), "00000000", "00000000"], 20],
};

function moved(share: Sv1Submit, seconds: number): Sv1Submit {
  return { ...share, ntime: hex8(Number.parseInt(share.ntime, 16) + seconds) };
}

/** Tests of what a translator makes of shares that are wrong or not the sender's to give. */
export function sharesSuite(scene: () => Sv1DoorScene): void {
  test("answers every wrong share with its error, and takes the right one once, however it is spelt", async () => {
    using client = await scene().authorized(NAME);
    const share = findShare(await workOf(client));
    let id = 10;
    for (const [name, [params, code]] of Object.entries(wrongs)) {
      id += 1;
      expect([name, await verdict(client, id, params(share))]).toEqual([name, code]);
    }
    expect(await verdict(client, 200, submitParams(NAME, share))).toBe(true);
    expect(await verdict(client, 201, submitParams(NAME, share))).toBe(22);
    const loud = { ...share, nonce: share.nonce.toUpperCase(), ntime: share.ntime.toUpperCase() };
    expect(await verdict(client, 202, submitParams("another", loud))).toBe(22);
    expect(await verdict(client, 203, submitParams(NAME, share))).toBe(22);
    expect(client.isClosed).toBe(false);
  });

  test("credits a share to one connection, neither to another nor to the same name when it comes back", async () => {
    using client = await scene().authorized(NAME);
    using other = await scene().authorized("hostile.other");
    const share = findShare(await workOf(client));
    // The same job under another extranonce is other work: unknown as a job, or too weak as a share.
    const elsewhere = async (peer: Sv1Client, id: number): Promise<void> => {
      expect([21, 23]).toContain(await verdict(peer, id, submitParams(NAME, share)));
    };
    await elsewhere(other, 20);
    expect(await verdict(client, 20, submitParams(NAME, share))).toBe(true);
    await elsewhere(other, 21);
    client.socket.end();
    await client.closed();
    using again = await scene().authorized(NAME);
    await elsewhere(again, 20);
    const own = await workOf(again);
    expect(own.extranonce1).not.toBe((await workOf(client)).extranonce1);
    await elsewhere(again, 21);
  });

  test("knows no job of another connection", async () => {
    using one = await scene().authorized(NAME);
    using other = await scene().authorized("hostile.other");
    const [mine, theirs] = [await workOf(one), await workOf(other)];
    // Miners of one channel may be told of a new job by one id. The first job of each is its own.
    const firstJob = ({ received }: Sv1Client): string =>
      String(received.find(({ method }) => method === "mining.notify")?.params?.[0]);
    expect(await verdict(one, 20, submitParams(NAME, { ...findShare(mine), jobId: firstJob(other) }))).toBe(21);
    expect(await verdict(other, 20, submitParams(NAME, { ...findShare(theirs), jobId: firstJob(one) }))).toBe(21);
  });

  test("takes no share before the subscription and the name", async () => {
    using client = await scene().dial();
    const params = [NAME, "1", "00".repeat(8), "65000000", "00000001"];
    expect(await verdict(client, 3, params)).toBe(25);
    await client.ask(1, "mining.subscribe", ["hostile/1"]);
    expect(await verdict(client, 4, params)).toBe(24);
    const share = findShare(await workOf(client));
    expect(await verdict(client, 5, submitParams(NAME, share))).toBe(24);
    await client.ask(2, "mining.authorize", [NAME, "x"]);
    expect(await verdict(client, 6, submitParams(NAME, share))).toBe(true);
  });

  test("lets a connection have sixteen names, and refuses thousands", async () => {
    using client = await scene().subscribed();
    for (let worker = 0; worker < 200; worker += 1) {
      client.request(1000 + worker, "mining.authorize", [`hostile.${worker}`, "x"]);
    }
    await client.answer(1199);
    const taken = client.received.filter(({ id, result }) => Number(id) >= 1000 && result === true);
    expect(taken.map(({ id }) => id)).toEqual(Array.from({ length: 16 }, (_, worker) => 1000 + worker));
    // A share under a refused name is the first name's.
    const share = findShare(await workOf(client));
    expect(await verdict(client, 5000, submitParams("hostile.199", share))).toBe(true);
  });

  test("takes no absurd wish for a difficulty, and tells the pool of no boast", async () => {
    using client = await scene().authorized(NAME);
    const wishes = [
      "0",
      "-1",
      "1e308",
      "1e-308",
      "9007199254740991",
      "1e999",
      '"NaN"',
      '"1e5"',
      "null",
      "[]",
      "{}",
      "true",
    ];
    for (const [at, wish] of wishes.entries()) {
      client.send(`{"id":${300 + at},"method":"mining.suggest_difficulty","params":[${wish}]}\n`);
      client.send(`{"id":${400 + at},"method":"mining.suggest_target","params":[${wish}]}\n`);
      client.request(500 + at, `mining.suggest_difficulty(${wish})`, []);
      await client.answer(500 + at);
    }
    await client.ask(2, "mining.authorize", ["hostile.boast", "d=9007199254740991"]);
    expect(await client.ask(600, "mining.ping", [])).toMatchObject({ result: "pong" });
    const { upstream_channels: channels } = await scene().status();
    for (const { nominal_hashrate: hashrate } of channels) expect(hashrate).toBeLessThan(1e6);
    const difficulty = client.heard("mining.set_difficulty")?.params?.[0];
    expect(difficulty).toBeGreaterThan(0);
  });
}
