import { pureHashing, targetFromDifficulty } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { Sv1ClientSession } from "./client-session.ts";
import type { Sv1ClientEffect, Sv1ClientJob, Sv1ClientOptions } from "./client-types.ts";
import { Sv1ServerSession } from "./server-session.ts";
import { defaultSv1Limits, type Sv1ServerEffect } from "./server-types.ts";
import { EASY, EXTRANONCE1, findShare, sent, testJob } from "./testing/miner-bench.ts";
import { bitaxeGamma } from "./vectors/bitaxe-gamma.ts";

const options: Sv1ClientOptions = { userAgent: "test/1.0", userName: "w", password: "x", versionRolling: true };

/** A client and a clock; `pool` feeds lines as the pool would send them. */
function client(changes: Partial<Sv1ClientOptions> = {}) {
  const session = new Sv1ClientSession({ ...options, ...changes });
  const clock = { now: 1000 };
  const hello = session.handle({ type: "connected" }, clock.now);
  const pool = (line: unknown): readonly Sv1ClientEffect[] =>
    session.handle({ type: "line", line: typeof line === "string" ? line : JSON.stringify(line) }, clock.now);
  return { session, clock, hello, pool, tick: () => session.handle({ type: "tick" }, clock.now) };
}

/** A client that has its extranonce and is authorized. */
function ready(changes: Partial<Sv1ClientOptions> = {}) {
  const all = client({ versionRolling: false, ...changes });
  all.pool({ id: 1, result: [[], "4128064f", 4], error: null });
  all.pool({ id: 2, result: true, error: null });
  return all;
}

const closed = (reason: string) => [{ type: "close", reason }];
const params = (): unknown[] => JSON.parse(bitaxeGamma.notify).params;
const notify = (fields: readonly unknown[]) => ({ id: null, method: "mining.notify", params: fields });

describe("the client", () => {
  test("says all it has to say at once, and nothing it was not told to", () => {
    expect(sent(client().hello)).toEqual([
      '{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":2}]}',
      '{"id":2,"method":"mining.subscribe","params":["test/1.0"]}',
      '{"id":3,"method":"mining.authorize","params":["w","x"]}',
    ]);
    const { hello } = client({ versionRolling: false, extranonceSubscribe: true, suggestDifficulty: 0.5 });
    expect(sent(hello).map((line) => JSON.parse(line).method)).toEqual([
      "mining.subscribe",
      "mining.extranonce.subscribe",
      "mining.authorize",
      "mining.suggest_difficulty",
    ]);
  });

  test("freezes extranonce, difficulty and mask in each job as it comes", () => {
    const { pool } = client();
    pool({ id: 1, result: { "version-rolling": true, "version-rolling.mask": "ffffffff" }, error: null });
    pool({ id: 2, result: [[["mining.notify", "s"]], "4128064f", 4], error: null });
    pool({ id: null, method: "mining.set_difficulty", params: [8192] });
    expect(pool(bitaxeGamma.notify)).toMatchObject([
      {
        type: "job",
        job: {
          id: "875b4b7",
          extranonce2Size: 4,
          versionMask: 0x1fffe000,
          difficulty: 8192,
          target: targetFromDifficulty(8192),
          clean: false,
        },
      },
    ]);
    expect(pool({ method: "mining.set_extranonce", params: ["0102", 6] })).toMatchObject([{ type: "extranonce" }]);
    pool({ method: "mining.set_version_mask", params: ["00006000"] });
    pool({ method: "mining.set_difficulty", params: [0.5] });
    expect(pool(bitaxeGamma.notify)).toMatchObject([
      { job: { extranonce1: Uint8Array.of(1, 2), extranonce2Size: 6, versionMask: 0x6000, difficulty: 0.5 } },
    ]);
  });

  test("matches results to submits by id, in any order and spelling of the error", () => {
    const { session, pool, clock } = ready();
    const [effect] = pool(bitaxeGamma.notify);
    const job = (effect as { job: Sv1ClientJob }).job;
    const submit = (nonce: number) => {
      const share = { job, extranonce2: new Uint8Array(4), ntime: job.ntime, nonce, version: job.version };
      return sent(session.handle({ type: "submit", submit: share }, clock.now))[0];
    };
    expect(submit(1)).toBe(
      '{"id":3,"method":"mining.submit","params":["w","875b4b7","00000000","685468d7","00000001"]}',
    );
    for (let nonce = 2; nonce <= 6; nonce++) submit(nonce);
    const replies = [
      { id: 4, result: true, error: null },
      { id: 3, result: null, error: [21, "Job not found", null] },
      { id: 5, result: false, error: null },
      { id: 6, result: null, error: { code: 23, message: "low\ndifficulty" } },
      { id: 7, result: null, error: "nope" },
      { id: 8, result: true, error: [22, "Duplicate"] },
      { id: 8, result: true, error: null },
      { id: 999, result: true, error: null },
    ].flatMap((reply) => pool(reply));
    expect(
      replies.map((reply) => (reply.type === "submit-result" ? [reply.submit.nonce, reply.outcome] : reply)),
    ).toEqual([
      [2, { kind: "accepted" }],
      [1, { kind: "rejected", code: 21, reason: "Job not found" }],
      [3, { kind: "rejected", code: 20, reason: "rejected" }],
      [4, { kind: "rejected", code: 23, reason: "low difficulty" }],
      [5, { kind: "rejected", code: 20, reason: "nope" }],
      [6, { kind: "rejected", code: 22, reason: "Duplicate" }],
    ]);
  });

  test("gives up submits that nobody answers, and those beyond the limit at once", () => {
    const { session, pool, clock, tick } = ready();
    const [effect] = pool(bitaxeGamma.notify);
    const job = (effect as { job: Sv1ClientJob }).job;
    const share = { job, extranonce2: new Uint8Array(4), ntime: job.ntime, nonce: 1, version: job.version };
    const results = Array.from({ length: 257 }, () =>
      session.handle({ type: "submit", submit: share }, clock.now),
    ).flat();
    expect(results.at(-1)).toMatchObject({ outcome: { kind: "lost", reason: "too-many-pending" } });
    clock.now += 60_000;
    const lost = tick();
    expect(lost).toHaveLength(256);
    expect(lost[0]).toMatchObject({ type: "submit-result", outcome: { kind: "lost", reason: "timeout" } });
    expect(sent(session.handle({ type: "submit", submit: share }, clock.now))).toHaveLength(1);
  });

  test("forgets a submit once it is answered", () => {
    const { session, pool, clock, tick } = ready();
    const [effect] = pool(bitaxeGamma.notify);
    const job = (effect as { job: Sv1ClientJob }).job;
    const submit = { job, extranonce2: new Uint8Array(4), ntime: job.ntime, nonce: 1, version: job.version };
    for (let at = 0; at < 600; at++) {
      const [line = ""] = sent(session.handle({ type: "submit", submit }, clock.now));
      expect(pool({ id: JSON.parse(line).id, result: true, error: null })).toMatchObject([
        { outcome: { kind: "accepted" } },
      ]);
    }
    clock.now += 60_000;
    expect(tick()).toEqual([]);
  });

  test("reports a refused name and a refused subscription", () => {
    const { pool } = client({ versionRolling: false });
    expect(pool({ id: 2, result: false, error: [24, "bad worker", null] })).toEqual([
      { type: "authorized", accepted: false, reason: "bad worker" },
    ]);
    expect(pool({ id: 1, result: null, error: [20, "full", null] })).toEqual(closed("subscribe-refused"));
    expect(pool(bitaxeGamma.notify)).toEqual([]);
  });

  test("closes on a pool that does not answer, or falls silent", () => {
    const mute = client();
    mute.clock.now += 30_000;
    expect(mute.tick()).toEqual(closed("handshake-timeout"));
    const silent = ready();
    silent.clock.now += 179_999;
    expect(silent.tick()).toEqual([]);
    silent.clock.now += 1;
    expect(silent.tick()).toEqual(closed("silent"));
  });

  test("answers what a pool may ask", () => {
    const { pool } = ready();
    expect(sent(pool('{"id":9007199254740993,"method":"client.get_version","params":[]}'))).toEqual([
      '{"id":9007199254740993,"result":"test/1.0","error":null}',
    ]);
    expect(sent(pool({ id: 42, method: "mining.ping", params: [] }))).toEqual([
      '{"id":42,"result":"pong","error":null}',
    ]);
    expect(sent(pool({ id: 1, method: "client.run", params: [] }))[0]).toContain("Method not found");
    expect(pool({ id: null, method: "mining.set_goal", params: ["x"] })).toEqual([]);
  });
});

describe("a hostile pool", () => {
  test.each([
    ["size 0", [[], "00", 0]],
    ["size 1", [[], "00", 1]],
    ["size 17", [[], "00", 17]],
    ["a negative size (CVE-2014-4502)", [[], "00", -1]],
    ["a huge size", [[], "00", 2 ** 31]],
    ["a fraction", [[], "00", 4.5]],
    ["a text size", [[], "00", "4"]],
    ["odd hex", [[], "000", 4]],
    ["no hex", [[], "zz", 4]],
    ["a long extranonce1", [[], "00".repeat(33), 4]],
    ["too little", [[], "00"]],
    ["nothing", null],
    ["an object", {}],
  ])("offering an extranonce with %s is left", (_name, result) => {
    expect(client({ versionRolling: false }).pool({ id: 1, result, error: null })).toEqual(closed("bad-extranonce"));
    if (!Array.isArray(result)) return;
    expect(ready().pool({ method: "mining.set_extranonce", params: result.slice(1) })).toEqual(
      closed("bad-extranonce"),
    );
  });

  const withParam = (at: number, value: unknown): unknown[] => params().with(at, value);
  const everywhere = [null, 0, -1, 1e308, {}, [1], [null], ["zz"]];
  const inHexFields = ["zz", "123", "0x12345678", "00".repeat(20_000)];

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])("sending a wrong type as param %d of notify is left (CVE-2014-4503)", (at) => {
    for (const wrong of everywhere) {
      expect(ready().pool(notify(withParam(at, wrong))), JSON.stringify(wrong)).toEqual(closed("bad-notify"));
    }
  });

  test.each([1, 2, 3, 5, 6, 7])("sending bad hex as param %d of notify is left", (at) => {
    for (const wrong of inHexFields) {
      const reason = wrong.length > 32_768 ? "bad-message" : "bad-notify";
      expect(ready().pool(notify(withParam(at, wrong)))).toEqual(closed(reason));
    }
  });

  test("sending too few params or more than 32 merkle branches is left", () => {
    const branches = (count: number): string[] => Array.from({ length: count }, () => "00".repeat(32));
    expect(ready().pool(notify(params().slice(0, 8)))).toEqual(closed("bad-notify"));
    expect(ready().pool(notify(withParam(4, branches(33))))).toEqual(closed("bad-notify"));
    expect(ready().pool(notify(withParam(4, branches(32))))).toMatchObject([{ type: "job" }]);
  });

  test.each([0, -1, 1e308, "8192", null, [], {}])("setting the difficulty to %j is left", (value) => {
    expect(ready().pool({ method: "mining.set_difficulty", params: [value] })).toEqual(closed("bad-difficulty"));
  });

  test("sending junk is left, and heard no more", () => {
    for (const junk of ["HTTP/1.1 400 Bad Request", "[]", "{", "x".repeat(70_000), '{"id":1,"method":3}']) {
      const { pool } = ready();
      expect(pool(junk)).toEqual(closed("bad-message"));
      expect(pool(bitaxeGamma.notify)).toEqual([]);
    }
  });

  test("pointing elsewhere is reported, never obeyed, and its text is made harmless (CVE-2014-4501)", () => {
    const { pool } = ready();
    expect(pool({ method: "client.reconnect", params: ["pool.example", "3333", 5] })).toEqual([
      { type: "reconnect", host: "pool.example", port: 3333, waitSec: 5 },
    ]);
    for (const host of ["x".repeat(300), "a b", "a\n", 7, null, {}]) {
      expect(pool({ method: "client.reconnect", params: [host, -1, "x"] })).toEqual([
        { type: "reconnect", host: null, port: null, waitSec: 0 },
      ]);
    }
    expect(pool({ method: "client.show_message", params: ["\u001b[31mpay\nme" + "!".repeat(999)] })).toEqual([
      { type: "message", text: ` [31mpay me${"!".repeat(245)}` },
    ]);
    expect(pool({ method: "client.show_message", params: [{}] })).toEqual([{ type: "message", text: "" }]);
  });
});

test("both sessions talk to each other until a share is accepted", () => {
  const server = new Sv1ServerSession({
    extranonce1: EXTRANONCE1,
    extranonce2Size: 8,
    versionMask: 0x1fffe000,
    difficulty: EASY,
    limits: defaultSv1Limits,
    hashing: pureHashing,
  });
  const miner = new Sv1ClientSession({ ...options, extranonceSubscribe: true });
  const fromServer: Sv1ServerEffect[] = [...server.handle({ type: "job", job: testJob("a") }, 0)];
  const fromMiner: Sv1ClientEffect[] = [];
  const exchange = (lines: readonly string[]): void => {
    for (const line of lines) {
      const effects = server.handle({ type: "line", line }, 0);
      fromServer.push(...effects);
      for (const reply of sent(effects)) fromMiner.push(...miner.handle({ type: "line", line: reply }, 0));
    }
  };
  exchange(sent(miner.handle({ type: "connected" }, 0)));
  const job = fromMiner.flatMap((effect) => (effect.type === "job" ? [effect.job] : [])).at(-1);
  expect(job).toMatchObject({ versionMask: 0x1fffe000, difficulty: EASY, extranonce1: EXTRANONCE1 });
  if (job === undefined) return;
  const version = (job.version | 0x4000) >>> 0;
  const found = findShare(job, { version, difficulty: job.difficulty });
  const nonce = Number.parseInt(found.nonce, 16);
  const submit = { job, extranonce2: new Uint8Array(8), ntime: job.ntime, nonce, version };
  exchange(sent(miner.handle({ type: "submit", submit }, 0)));
  expect(fromMiner.at(-1)).toMatchObject({ type: "submit-result", outcome: { kind: "accepted" } });
  expect(fromServer.at(-1)).toMatchObject({ type: "share", share: { version, nonce, userName: "w" } });
});
