import { pureHashing } from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Sv1ClientSession } from "./client-session.ts";
import { parseMessage } from "./message.ts";
import { Sv1ServerSession } from "./server-session.ts";
import { defaultSv1Limits } from "./server-types.ts";
import { EASY, EXTRANONCE1, findShare, testJob } from "./testing/miner-bench.ts";
import { bitaxeGamma } from "./vectors/bitaxe-gamma.ts";

const share = findShare(testJob("a"));
const fromMiner = [
  '{"id":1,"method":"mining.configure","params":[["version-rolling","info"],{"version-rolling.mask":"1fffe000"}]}',
  '{"id":2,"method":"mining.subscribe","params":["ua/1","01"]}',
  '{"id":3,"method":"mining.authorize","params":["w.1","x"]}',
  `{"id":4,"method":"mining.submit","params":["w.1","a","${share.extranonce2}","${share.ntime}","${share.nonce}","00000000"]}`,
  '{"id":null,"method":"mining.suggest_difficulty","params":[0.5]}',
  `{"id":"x","method":"mining.suggest_target","params":["${"0f".repeat(32)}"]}`,
  '{"id":5,"method":"mining.extranonce.subscribe","params":[]}',
  '{"id":6,"result":true,"error":null}',
];
const fromPool = [
  bitaxeGamma.notify,
  '{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},"error":null}',
  '{"id":2,"result":[[["mining.notify","1"]],"4128064f",4],"error":null}',
  '{"id":3,"result":true,"error":null}',
  '{"id":null,"method":"mining.set_difficulty","params":[8192]}',
  '{"id":null,"method":"mining.set_extranonce","params":["0102",4]}',
  '{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}',
  '{"id":null,"method":"client.reconnect","params":["a",1,1]}',
  '{"id":null,"method":"client.show_message","params":["hello"]}',
];

/** Any JSON in any place, with the names and numbers that have hurt others. */
const nasty = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    "__proto__",
    "constructor",
    "toString",
    -1,
    1e308,
    -0,
    "",
    [],
    {},
    null,
    true,
    "f".repeat(511),
  ),
);

/** A line: noise, an arbitrary message, or a valid one with a param replaced or text cut, doubled or overwritten. */
function lineFrom(valid: readonly string[]): fc.Arbitrary<string> {
  const methods = valid.flatMap((line) => JSON.parse(line).method ?? []);
  const base = fc.constantFrom(...valid);
  return fc.oneof(
    { weight: 4, arbitrary: base },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 200 }) },
    {
      weight: 3,
      arbitrary: fc
        .record({ id: nasty, method: fc.constantFrom<unknown>(...methods), params: fc.array(nasty, { maxLength: 10 }) })
        .map((message) => JSON.stringify(message)),
    },
    {
      weight: 4,
      arbitrary: fc.tuple(base, fc.nat(10), nasty).map(([line, at, value]) => {
        const message = JSON.parse(line);
        const holder = Array.isArray(message.params) ? message.params : message;
        holder[Array.isArray(message.params) ? at : "result"] = value;
        return JSON.stringify(message);
      }),
    },
    {
      weight: 4,
      arbitrary: fc
        .tuple(base, fc.nat(400), fc.nat(20), fc.string({ maxLength: 8 }))
        .map(([line, at, length, text]) => line.slice(0, at) + text + line.slice(at + length)),
    },
  );
}

describe("any lines at all", () => {
  test("never make the server session throw, answer at length, or take 50 ms (J4)", () => {
    const slow: string[] = [];
    let shares = 0;
    fc.assert(
      fc.property(fc.array(lineFrom(fromMiner), { maxLength: 40 }), fc.boolean(), (lines, known) => {
        const session = new Sv1ServerSession({
          extranonce1: known ? EXTRANONCE1 : null,
          extranonce2Size: 8,
          versionMask: 0x1fffe000,
          difficulty: EASY,
          limits: defaultSv1Limits,
          hashing: pureHashing,
        });
        session.handle({ type: "job", job: testJob("a") }, 0);
        for (const [at, line] of lines.entries()) {
          const start = performance.now();
          const effects = session.handle({ type: "line", line }, at * 100);
          if (performance.now() - start >= 50) slow.push(line);
          expect(effects.length).toBeLessThanOrEqual(6);
          for (const effect of effects) {
            if (effect.type === "send") expect(JSON.parse(effect.line)).toHaveProperty("id");
            if (effect.type === "share") shares++;
          }
        }
        session.handle({ type: "extranonce", extranonce1: EXTRANONCE1, extranonce2Size: 8 }, 5000);
        session.handle({ type: "tick" }, 70_000);
      }),
      { numRuns: 800 },
    );
    // What was slow because the machine was busy is not slow again.
    for (const line of slow) {
      const start = performance.now();
      parseMessage(line, defaultSv1Limits.message);
      expect(performance.now() - start, line).toBeLessThan(50);
    }
    expect(shares).toBeGreaterThan(0);
  });

  test("never make the client session throw, and what it passes on is well formed", () => {
    let jobs = 0;
    fc.assert(
      fc.property(fc.array(lineFrom(fromPool), { maxLength: 30 }), (lines) => {
        const session = new Sv1ClientSession({ userAgent: "t", userName: "w", password: "x", versionRolling: true });
        session.handle({ type: "connected" }, 0);
        for (const line of lines) {
          const effects = session.handle({ type: "line", line }, 0);
          expect(effects.length).toBeLessThanOrEqual(2);
          for (const effect of effects) {
            if (effect.type !== "job") continue;
            jobs++;
            expect(effect.job.prevHash).toHaveLength(32);
            expect(effect.job.extranonce2Size).toBeGreaterThanOrEqual(2);
            expect(effect.job.extranonce2Size).toBeLessThanOrEqual(16);
            expect(effect.job.versionMask & ~0x1fffe000).toBe(0);
          }
        }
        session.handle({ type: "tick" }, 1_000_000);
      }),
      { numRuns: 800 },
    );
    expect(jobs).toBeGreaterThan(0);
  });

  test("leave the object prototype as it was (J3)", () => {
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)["method"]).toBeUndefined();
  });
});
