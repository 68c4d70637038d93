import { displayHash, fromHex, hash, hashFromDisplay, hex, pureHashing, targetToBytes } from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keepAliveJob, prevHashFromSv1, prevHashToSv1, type Sv1Job } from "./job.ts";
import { readNotify } from "./pool-messages.ts";
import { Sv1ServerSession } from "./server-session.ts";
import { defaultSv1Limits, type Sv1ServerEffect } from "./server-types.ts";
import { sent, testJob } from "./testing/miner-bench.ts";
import { bitaxeGamma } from "./vectors/bitaxe-gamma.ts";
import { block881423 } from "./vectors/block-881423.ts";

function sessionFor(options: { extranonce1: string; extranonce2Size: number; difficulty: number }) {
  const session = new Sv1ServerSession({
    ...options,
    extranonce1: fromHex(options.extranonce1),
    versionMask: 0x1fffe000,
    limits: defaultSv1Limits,
    hashing: pureHashing,
  });
  const line = (line: string): readonly Sv1ServerEffect[] => session.handle({ type: "line", line }, 0);
  line('{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}');
  line('{"id":2,"method":"mining.subscribe","params":["bitaxe/BM1370/v2.8.1"]}');
  line('{"id":3,"method":"mining.authorize","params":["bc1q.bitaxe","x"]}');
  return { session, line };
}

function sharesOf(effects: readonly Sv1ServerEffect[]) {
  return effects.flatMap((effect) => (effect.type === "share" ? [effect.share] : []));
}

describe("a notify and submit captured from a Bitaxe", () => {
  const job = readNotify(JSON.parse(bitaxeGamma.notify).params) as Sv1Job;

  test("give the share that the pool accepted, at the difficulty that the firmware logged", () => {
    const { session, line } = sessionFor(bitaxeGamma);
    session.handle({ type: "job", job }, 0);
    const [reply, effect] = line(bitaxeGamma.submit);
    expect(reply).toEqual({ type: "send", line: '{"id":11,"result":true,"error":null}' });
    const [share] = sharesOf(effect === undefined ? [] : [effect]);
    expect(share).toMatchObject({ version: 0x20b44000, nonce: 0x7552034c, userName: "bc1q.bitaxe", fresh: true });
    const number = BigInt(`0x${displayHash(share?.hash ?? new Uint8Array(32))}`);
    expect(Math.floor(Number((0xffffn << 208n) / number))).toBe(bitaxeGamma.shareDifficulty);
  });

  test("fail when any field that is hashed differs in a digit", () => {
    for (const [from, to] of [
      ["17000000", "17000001"],
      ["685468d7", "685468d8"],
      ["7552034c", "7552034d"],
      ["00b44000", "00b46000"],
    ] as const) {
      const { session, line } = sessionFor(bitaxeGamma);
      session.handle({ type: "job", job }, 0);
      expect(line(bitaxeGamma.submit.replace(from, to))).toMatchObject([
        { type: "send" },
        { type: "rejected", code: 23 },
      ]);
    }
  });

  test("are sent on as the same nine params", () => {
    const { session } = sessionFor(bitaxeGamma);
    const [, notify] = sent(session.handle({ type: "job", job: { ...job, clean: false } }, 0));
    const [, ...expected] = JSON.parse(bitaxeGamma.notify).params;
    const [, ...params] = JSON.parse(notify ?? "{}").params;
    expect(params.slice(0, -1)).toEqual(expected.slice(0, -1));
  });
});

test("block 881,423 comes out of its parts, header and hash", () => {
  const { notify, submit } = block881423;
  const params = ["1", notify.prevHash, notify.coinb1, notify.coinb2, notify.branches, notify.version, notify.nbits];
  const job = readNotify([...params, notify.ntime, true]) as Sv1Job;
  const { session, line } = sessionFor({ extranonce1: block881423.extranonce1, extranonce2Size: 4, difficulty: 1e14 });
  session.handle({ type: "job", job }, 0);
  const fields = ["w", "1", submit.extranonce2, submit.ntime, submit.nonce, submit.versionBits];
  const [share] = sharesOf(line(JSON.stringify({ id: 4, method: "mining.submit", params: fields })));
  expect(share && hex(share.header)).toBe(block881423.header);
  expect(share && displayHash(share.hash)).toBe(block881423.hash);
  expect(share && targetToBytes(share.difficultyTarget)).toHaveLength(32);
});

describe("the previous hash", () => {
  test("turns around each of its eight words", () => {
    // The previous hash of the captured job, spelt as explorers spell hashes.
    const shown = hashFromDisplay("000000000000000000015296bc96391d0d67f4a301f2d4fc6db962c16b6455fd");
    expect(prevHashToSv1(shown)).toBe("6b6455fd6db962c101f2d4fc0d67f4a3bc96391d000152960000000000000000");
  });

  test("survives both ways", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        expect(prevHashFromSv1(prevHashToSv1(bytes))).toEqual(hash(bytes));
      }),
    );
  });
});

test("a keep-alive job moves time on, never back and at most two hours, and is not clean", () => {
  const original = testJob("a", { clean: true });
  expect(keepAliveJob(original, { id: "a#1", elapsedSec: 55.9 })).toEqual({
    ...original,
    id: "a#1",
    ntime: original.ntime + 55,
    clean: false,
  });
  expect(keepAliveJob(original, { id: "b", elapsedSec: -5 }).ntime).toBe(original.ntime);
  expect(keepAliveJob(original, { id: "c", elapsedSec: 1e9 }).ntime).toBe(original.ntime + 7200);
});
