import { displayHash, targetFromDifficulty } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { defaultSv1Limits, type Sv1Limits } from "./server-types.ts";
import {
  EASY,
  EXTRANONCE1,
  findShare,
  hashOf,
  type Line,
  MinerBench,
  NTIME,
  shape,
  testJob,
} from "./testing/miner-bench.ts";

const limits = (changes: Partial<Sv1Limits>): { limits: Sv1Limits } => ({
  limits: { ...defaultSv1Limits, ...changes },
});
const rolling = (mask: string) => [
  ["version-rolling"],
  { "version-rolling.mask": mask, "version-rolling.min-bit-count": 2 },
];
const isClean = (lines: readonly Line[]): unknown => lines.find((line) => line.method === "mining.notify")?.params?.[8];

describe("subscribe", () => {
  test("is answered first, then difficulty and work follow at once", () => {
    const bench = new MinerBench({ difficulty: 42 });
    bench.job(testJob("a"));
    const lines = bench.ask(1, "mining.subscribe", ["cgminer/4.12"]);
    expect(shape(lines)).toEqual(["reply", "mining.set_difficulty", "mining.notify"]);
    expect(lines[0]).toEqual({
      id: 1,
      result: [
        [
          ["mining.set_difficulty", "a1b2c3d4"],
          ["mining.notify", "a1b2c3d4"],
        ],
        "a1b2c3d4",
        8,
      ],
      error: null,
    });
    expect(lines[1]).toEqual({ id: null, method: "mining.set_difficulty", params: [42] });
    expect(lines[2]?.params).toHaveLength(9);
    expect(isClean(lines)).toBe(true);
  });

  test("hears of work that comes later, and not before", () => {
    const bench = new MinerBench();
    expect(bench.job(testJob("a"))).toEqual([]);
    expect(shape(bench.ask(1, "mining.subscribe", []))).toEqual(["reply", "mining.set_difficulty", "mining.notify"]);
    expect(shape(bench.job(testJob("b")))).toEqual(["mining.notify"]);
    expect(bench.session.lastNotify).toBe(bench.now);
  });

  test.each([[[]], [["ua"]], [["ua", "session"]], [["ua", 1700000000, "hmac"]], [[null, {}]], [[7]]])(
    "takes params %j",
    (params) => {
      expect(new MinerBench().ask(1, "mining.subscribe", params)[0]).toMatchObject({ id: 1, error: null });
    },
  );

  test("keeps 128 characters of a user agent and whole ones", () => {
    const bench = new MinerBench();
    bench.ask(1, "mining.subscribe", ["x".repeat(127) + "\u{1f600}"]);
    expect(bench.of("subscribed")).toEqual([{ type: "subscribed", userAgent: "x".repeat(127) + "\ufffd" }]);
  });

  test("again gets the same answer and clean work, and counts once", () => {
    const bench = new MinerBench().connect();
    bench.job(testJob("a"));
    const lines = bench.ask(9, "mining.subscribe", []);
    expect(shape(lines)).toEqual(["reply", "mining.set_difficulty", "mining.notify"]);
    expect(isClean(lines)).toBe(true);
    expect(bench.of("subscribed")).toHaveLength(1);
  });
});

describe("without an extranonce", () => {
  const waiting = () => new MinerBench({ extranonce1: null });

  test("a subscribe asks for one, and it and what follows are answered in order when it comes", () => {
    const bench = waiting();
    expect(shape(bench.ask(1, "mining.configure", rolling("ffffffff")))).toEqual(["reply"]);
    expect(bench.of("extranonce-needed")).toEqual([]);
    expect(bench.ask(2, "mining.subscribe", ["ua"])).toEqual([]);
    expect(bench.of("extranonce-needed")).toEqual([{ type: "extranonce-needed", userAgent: "ua" }]);
    expect(bench.ask(3, "mining.authorize", ["w"])).toEqual([]);
    bench.job(testJob("a"));
    const effects = bench.give({ type: "extranonce", extranonce1: EXTRANONCE1, extranonce2Size: 4 });
    const lines = effects.flatMap((effect) => (effect.type === "send" ? [JSON.parse(effect.line) as Line] : []));
    expect(lines.map((line) => line.method ?? line.id)).toEqual([
      2,
      "mining.set_version_mask",
      "mining.set_difficulty",
      "mining.notify",
      3,
    ]);
    expect(lines[0]?.result).toMatchObject([expect.anything(), "a1b2c3d4", 4]);
  });

  test("a seventeenth held line closes (J7)", () => {
    const bench = waiting();
    for (let at = 0; at < 16; at++) bench.ask(at, "mining.subscribe", []);
    expect(bench.of("close")).toEqual([]);
    expect(bench.of("extranonce-needed")).toHaveLength(1);
    bench.ask(17, "mining.subscribe", []);
    expect(bench.of("close")).toEqual([{ type: "close", reason: "too-many-held-lines" }]);
  });

  test("a scanner that never subscribes asks for nothing", () => {
    const bench = waiting();
    bench.raw("GET / HTTP/1.1");
    expect(bench.effects.map((effect) => effect.type)).toEqual(["fault", "close"]);
  });

  test("waiting for upstream is not held against the miner", () => {
    const bench = waiting();
    bench.ask(1, "mining.subscribe", []);
    bench.now += 600_000;
    expect(bench.give({ type: "tick" })).toEqual([]);
    bench.give({ type: "extranonce", extranonce1: EXTRANONCE1, extranonce2Size: 8 });
    expect(bench.give({ type: "tick" })).toEqual([]);
    bench.now += 60_000;
    expect(bench.give({ type: "tick" })).toEqual([{ type: "close", reason: "handshake-timeout" }]);
  });
});

describe("configure", () => {
  test("is answered alone, with every extension asked for, and the mask follows the subscribe reply", () => {
    const bench = new MinerBench();
    bench.job(testJob("a"));
    const extensions = ["version-rolling", "minimum-difficulty", "subscribe-extranonce", "info", "x-new", "__proto__"];
    const values = {
      "version-rolling.mask": "ffffffff",
      "minimum-difficulty.value": 2048,
      "info.hw-version": "1",
    };
    const lines = bench.ask(1, "mining.configure", [extensions, values]);
    expect(shape(lines)).toEqual(["reply"]);
    expect(Object.entries(lines[0]?.result ?? {})).toEqual([
      ["version-rolling", true],
      ["version-rolling.mask", "1fffe000"],
      ["minimum-difficulty", false],
      ["subscribe-extranonce", true],
      ["info", true],
      ["x-new", false],
      ["__proto__", false],
    ]);
    expect(bench.of("suggest-difficulty")).toEqual([{ type: "suggest-difficulty", difficulty: 2048 }]);
    expect(shape(bench.ask(2, "mining.subscribe", []))).toEqual([
      "reply",
      "mining.set_version_mask",
      "mining.set_difficulty",
      "mining.notify",
    ]);
  });

  test("after subscribe is answered before the mask is announced", () => {
    const bench = new MinerBench().connect();
    const lines = bench.ask(3, "mining.configure", rolling("1fffe000"));
    expect(shape(lines)).toEqual(["reply", "mining.set_version_mask"]);
    expect(lines[1]?.params).toEqual(["1fffe000"]);
  });

  test.each([
    ["ffffffff", 0x1fffe000, "1fffe000"],
    ["1fffe000", 0xffffffff, "1fffe000"],
    ["00c00000", 0x1fffe000, "00c00000"],
    ["00006000", 0x1fffc000, "00004000"],
    ["e0001fff", 0x1fffe000, "00000000"],
    ["ffffffff", 0, "00000000"],
    ["0x1fff", 0x1fffe000, "00000000"],
  ])("grants asked %s and upstream's %d as %s (J8)", (asked, versionMask, granted) => {
    const bench = new MinerBench({ versionMask });
    const [reply] = bench.ask(1, "mining.configure", rolling(asked));
    expect(reply?.result).toEqual({ "version-rolling": granted !== "00000000", "version-rolling.mask": granted });
    const told = bench.ask(2, "mining.subscribe", []).filter((line) => line.method === "mining.set_version_mask");
    expect(told).toHaveLength(granted === "00000000" ? 0 : 1);
  });

  test("grants everything when the miner names no mask", () => {
    const [reply] = new MinerBench().ask(1, "mining.configure", [["version-rolling"]]);
    expect(reply?.result).toMatchObject({ "version-rolling.mask": "1fffe000" });
  });
});

describe("authorize", () => {
  test("comes before or after subscribe, once or twice, with or without a password", () => {
    const bench = new MinerBench();
    expect(bench.ask(1, "mining.authorize", ["a.b"])).toEqual([{ id: 1, result: true, error: null }]);
    bench.ask(2, "mining.subscribe", []);
    expect(bench.ask(3, "mining.authorize", ["a.b", "d=512"])).toEqual([{ id: 3, result: true, error: null }]);
    expect(bench.ask(4, "mining.authorize", ["", ""])).toEqual([{ id: 4, result: true, error: null }]);
    expect(bench.of("authorized")).toEqual([
      { type: "authorized", userName: "a.b", password: "" },
      { type: "authorized", userName: "", password: "" },
    ]);
  });

  test("takes sixteen names and no more (J7)", () => {
    const bench = new MinerBench();
    for (let at = 0; at < 16; at++) bench.ask(at, "mining.authorize", [`w${at}`]);
    expect(bench.ask(99, "mining.authorize", ["w16"])[0]).toMatchObject({
      result: false,
      error: [24, expect.anything(), null],
    });
    expect(bench.ask(99, "mining.authorize", ["w3"])[0]).toMatchObject({ result: true });
    expect(bench.of("authorized")).toHaveLength(16);
  });

  test("refuses what cannot be a name", () => {
    for (const wrong of [[], [null], [7], [{}], ["\ud800"]]) {
      expect(new MinerBench().ask(1, "mining.authorize", wrong)[0]).toMatchObject({
        result: false,
        error: [20, expect.anything(), null],
      });
    }
  });
});

describe("difficulty", () => {
  test("is held until the next job and told right before it", () => {
    const bench = new MinerBench({ difficulty: 1 }).connect();
    bench.job(testJob("a"));
    expect(bench.give({ type: "difficulty", difficulty: 2887.6 })).toEqual([]);
    const lines = bench.job(testJob("b"));
    expect(shape(lines)).toEqual(["mining.set_difficulty", "mining.notify"]);
    expect(lines[0]?.params).toEqual([2887]);
    expect(isClean(lines)).toBe(false);
    expect(shape(bench.job(testJob("c")))).toEqual(["mining.notify"]);
  });

  test("is told at once on demand", () => {
    const bench = new MinerBench({ difficulty: 1 }).connect();
    bench.job(testJob("a"));
    expect(bench.give({ type: "difficulty", difficulty: 0.00015, immediate: true })).toEqual([
      { type: "send", line: '{"id":null,"method":"mining.set_difficulty","params":[0.0001]}' },
    ]);
  });

  test("raised: a share of an earlier job counts at that job's, and is not fresh", () => {
    const bench = new MinerBench().connect();
    const old = testJob("old");
    bench.job(old);
    bench.job(testJob("new", { ntime: NTIME + 1 }), 1);
    expect(bench.submit("old", findShare(old))).toMatchObject({ result: true });
    const [{ share } = { share: undefined }] = bench.of("share");
    expect(share).toMatchObject({ fresh: false, difficultyTarget: targetFromDifficulty(EASY) });
    expect(bench.submit("new", findShare(testJob("new", { ntime: NTIME + 1 })))).toMatchObject({
      error: [23, "Low difficulty share", null],
    });
  });

  test("lowered: a share of an earlier job counts at the easier one, for firmware applies it at once", () => {
    const bench = new MinerBench({ difficulty: 1 }).connect();
    const old = testJob("old");
    bench.job(old);
    expect(bench.submit("old", findShare(old))).toMatchObject({ error: [23, expect.anything(), null] });
    bench.give({ type: "difficulty", difficulty: EASY, immediate: true });
    expect(bench.submit("old", findShare(old))).toMatchObject({ result: true });
    expect(bench.of("share")[0]?.share).toMatchObject({ fresh: false, difficultyTarget: targetFromDifficulty(EASY) });
  });
});

describe("suggestions", () => {
  test("reach the host once each", () => {
    const bench = new MinerBench();
    for (const value of [0.00015, 0.00015, 512, "512", 0.00015]) {
      expect(bench.ask(null, "mining.suggest_difficulty", [value])).toEqual([{ id: null, result: true, error: null }]);
    }
    expect(bench.of("suggest-difficulty").map((effect) => effect.difficulty)).toEqual([0.00015, 512, 0.00015]);
  });

  test("are read from the method's name and from a target", () => {
    const bench = new MinerBench();
    expect(bench.ask(1, "mining.suggest_difficulty(42.5)", [])[0]).toMatchObject({ result: true });
    expect(bench.ask(2, "mining.suggest_target", [`00000000ffff${"0".repeat(52)}`])[0]).toMatchObject({ result: true });
    expect(bench.of("suggest-difficulty").map((effect) => effect.difficulty)).toEqual([42.5, 1]);
  });

  test("that make no sense change nothing and harm nobody", () => {
    const bench = new MinerBench();
    for (const value of [0, -1, 1e308, "", "easy"]) {
      expect(bench.ask(1, "mining.suggest_difficulty", [value])[0]).toMatchObject({ result: true });
      expect(bench.ask(1, "mining.suggest_target", [value])[0]).toMatchObject({ result: true });
    }
    for (const value of [null, {}, [], true]) {
      expect(bench.ask(1, "mining.suggest_difficulty", [value])[0]).toMatchObject({
        error: [20, expect.anything(), null],
      });
    }
    expect(bench.of("suggest-difficulty")).toEqual([]);
  });
});

describe("submit", () => {
  const connected = (options = {}) => {
    const bench = new MinerBench(options).connect();
    bench.job(testJob("a"));
    return bench;
  };

  test("of a good share is answered with true and handed on whole", () => {
    const bench = connected();
    const found = findShare(testJob("a"));
    expect(bench.submit("a", found, { id: "s-1" })).toEqual({ id: "s-1", result: true, error: null });
    const [{ share } = { share: undefined }] = bench.of("share");
    expect(share).toMatchObject({
      userName: "worker",
      extranonce1: EXTRANONCE1,
      extranonce2: new Uint8Array(8),
      ntime: NTIME,
      nonce: Number.parseInt(found.nonce, 16),
      version: 0x20000000,
      fresh: true,
      job: { id: "a", upstream: "upstream of a" },
    });
    expect(share?.header).toHaveLength(80);
    expect(BigInt(`0x${displayHash(share?.hash ?? hashOf(255))}`)).toBeLessThanOrEqual(targetFromDifficulty(EASY));
  });

  test.each([
    ["subscribe", 25, "not-subscribed"],
    ["authorize", 24, "unauthorized"],
  ] as const)("before %s is refused and keeps the socket", (missing, code, reason) => {
    const bench = new MinerBench();
    if (missing === "authorize") bench.ask(1, "mining.subscribe", []);
    expect(bench.submit("a", findShare(testJob("a")))).toMatchObject({
      result: false,
      error: [code, expect.anything(), null],
    });
    expect(bench.of("rejected")).toMatchObject([{ code, reason }]);
    expect(bench.of("close")).toEqual([]);
  });

  test.each([
    ["a short extranonce2", { extranonce2: "00".repeat(7) }, "bad-extranonce-size"],
    ["a long extranonce2", { extranonce2: "00".repeat(9) }, "bad-extranonce-size"],
    ["half a byte of extranonce2", { extranonce2: "0".repeat(15) }, "malformed-submit"],
    ["0x before the nonce", { nonce: "0x000001" }, "malformed-submit"],
    ["a space in the nonce", { nonce: " 1" }, "malformed-submit"],
    ["nine digits of nonce", { nonce: "000000001" }, "malformed-submit"],
    ["no nonce", { nonce: "" }, "malformed-submit"],
    ["a time before the job's", { ntime: (NTIME - 1).toString(16) }, "invalid-ntime"],
    ["a time two hours and a second ahead", { ntime: (NTIME + 7201).toString(16) }, "invalid-ntime"],
  ] as const)("with %s is refused", (_name, change, reason) => {
    const bench = connected();
    const reply = bench.submit("a", { ...findShare(testJob("a")), ...change });
    expect(reply).toMatchObject({ result: false, error: [20, expect.anything(), null] });
    expect(bench.of("rejected")).toMatchObject([{ code: 20, reason, userName: "worker" }]);
  });

  test("for a job that never was is refused", () => {
    const bench = connected();
    expect(bench.submit("zz", findShare(testJob("a")))).toMatchObject({ error: [21, "Job not found", null] });
    expect(bench.of("rejected")).toMatchObject([{ code: 21, reason: "invalid-job-id" }]);
  });

  test("below the job's target is refused", () => {
    const bench = connected();
    expect(bench.submit("a", findShare(testJob("a"), { hit: false }))).toMatchObject({
      error: [23, "Low difficulty share", null],
    });
  });

  test("twice is a duplicate, in any spelling and under any id or job of equal content (J9)", () => {
    const bench = connected();
    bench.job(testJob("twin"));
    const found = findShare(testJob("a"));
    expect(bench.submit("a", found)).toMatchObject({ result: true });
    const nonce = found.nonce.replace(/^0+/, "");
    for (const share of [
      found,
      { ...found, nonce },
      { ...found, nonce: nonce.toUpperCase() },
      { ...found, ntime: found.ntime.toUpperCase() },
    ]) {
      for (const jobId of ["a", "twin"]) {
        for (const id of [4, "x", null]) {
          expect(bench.submit(jobId, share, { id })).toMatchObject({
            result: false,
            error: [22, "Duplicate share", null],
          });
        }
      }
    }
    expect(bench.of("share")).toHaveLength(1);
  });

  test("for an earlier job of the same tip counts; for a job of the last tip it is stale", () => {
    const bench = connected();
    bench.job(testJob("b", { ntime: NTIME + 1, clean: true }));
    expect(bench.submit("a", findShare(testJob("a")))).toMatchObject({ result: true });
    const lines = bench.job(testJob("c", { prevHash: hashOf(0x22) }));
    expect(isClean(lines)).toBe(true);
    expect(bench.submit("a", findShare(testJob("a"), { skip: 1 }))).toMatchObject({ error: [21, "Stale job", null] });
    expect(bench.of("rejected")).toMatchObject([{ code: 21, reason: "stale-share" }]);
  });

  test("for jobs that upstream took back is stale", () => {
    const bench = connected();
    bench.give({ type: "retire-jobs" });
    expect(bench.submit("a", findShare(testJob("a")))).toMatchObject({ error: [21, "Stale job", null] });
    const found = findShare(testJob("a"));
    bench.job(testJob("b"));
    expect(bench.submit("b", found)).toMatchObject({ result: true });
    bench.give({ type: "retire-jobs" });
    bench.job(testJob("c"));
    expect(bench.submit("c", found)).toMatchObject({ error: [22, "Duplicate share", null] });
  });

  test("under another name counts for the authorized one, under an authorized one for that", () => {
    const bench = connected();
    bench.ask(3, "mining.authorize", ["second"]);
    bench.submit("a", findShare(testJob("a")), { user: "someone" });
    bench.submit("a", findShare(testJob("a"), { skip: 1 }), { user: "second" });
    expect(bench.of("share").map(({ share }) => share.userName)).toEqual(["worker", "second"]);
  });

  test("remembers a bounded number of jobs and shares", () => {
    const bench = connected(limits({ jobs: 3, staleJobs: 2, shares: 2, messageBurst: 1e6 }));
    for (let at = 0; at < 4; at++) bench.job(testJob(`j${at}`, { ntime: NTIME + 1 + at }));
    expect(bench.submit("a", findShare(testJob("a")))).toMatchObject({ error: [21, "Job not found", null] });
    const job = testJob("j3", { ntime: NTIME + 4 });
    const replies = [0, 1, 2].map((skip) => bench.submit("j3", findShare(job, { skip })).error?.[1]);
    expect(replies).toEqual([undefined, undefined, "Too many shares on this block"]);
    bench.job(testJob("next", { prevHash: hashOf(0x22) }));
    expect(bench.submit("j3", findShare(job))).toMatchObject({ error: [21, "Stale job", null] });
    expect(bench.submit("j1", findShare(job))).toMatchObject({ error: [21, "Job not found", null] });
  });

  test("a job id used twice is the host's mistake", () => {
    expect(() => connected().job(testJob("a"))).toThrow(RangeError);
  });
});

describe("version rolling", () => {
  const rolled = (versionMask: number, asked: string) => {
    const bench = new MinerBench({ versionMask });
    bench.ask(1, "mining.configure", rolling(asked));
    bench.connect();
    return bench;
  };

  test("hashes the bits in place of the job's, and notify has them cleared", () => {
    const bench = rolled(0x1fffe000, "ffffffff");
    const job = testJob("a", { version: 0x3fff0004 });
    expect(bench.job(job).at(-1)?.params?.[5]).toBe("20000004");
    const found = findShare(job, { version: 0x20c00004 });
    expect(bench.submit("a", found, { bits: "c00000" })).toMatchObject({ result: true });
    expect(bench.of("share")[0]?.share).toMatchObject({ version: 0x20c00004, job: { version: 0x3fff0004 } });
  });

  test.each(["20c00000", "00001000", "80000000", "00000001"])("refuses bits %s outside the mask (J8)", (bits) => {
    const bench = rolled(0x1fffe000, "ffffffff");
    bench.job(testJob("a"));
    expect(bench.submit("a", findShare(testJob("a")), { bits })).toMatchObject({
      error: [20, "Version bits outside the mask", null],
    });
    expect(bench.of("rejected")).toMatchObject([{ reason: "invalid-non-rollable-version-bit" }]);
  });

  test("not negotiated takes five params or zero bits, and nothing else", () => {
    const bench = new MinerBench().connect();
    bench.job(testJob("a"));
    const share = (skip: number) => findShare(testJob("a"), { skip });
    expect(bench.submit("a", share(0))).toMatchObject({ result: true });
    expect(bench.submit("a", share(1), { bits: "00000000" })).toMatchObject({ result: true });
    expect(bench.submit("a", share(2), { bits: "00002000" })).toMatchObject({ result: false });
  });

  test("negotiated after the job was sent holds for that job", () => {
    const bench = new MinerBench().connect();
    bench.job(testJob("a"));
    bench.ask(3, "mining.configure", rolling("ffffffff"));
    expect(bench.submit("a", findShare(testJob("a"), { version: 0x20002000 }), { bits: "2000" })).toMatchObject({
      result: true,
    });
  });

  test("changed by upstream is announced before the next job and leaves earlier jobs as they were", () => {
    const bench = rolled(0x1fffe000, "ffffffff");
    bench.job(testJob("a"));
    expect(bench.give({ type: "version-mask", mask: 0 })).toEqual([]);
    const lines = bench.job(testJob("b", { ntime: NTIME + 1 }));
    expect(shape(lines)).toEqual(["mining.set_version_mask", "mining.notify"]);
    expect(lines[0]?.params).toEqual(["00000000"]);
    const version = 0x20002000;
    expect(bench.submit("a", findShare(testJob("a"), { version }), { bits: "2000" })).toMatchObject({ result: true });
    const late = findShare(testJob("b", { ntime: NTIME + 1 }), { version });
    expect(bench.submit("b", late, { bits: "2000" })).toMatchObject({ result: false });
  });
});

describe("a changed extranonce", () => {
  const moved = Uint8Array.of(9, 9, 9, 9);

  test("goes to a subscriber right before the next job, which is clean; earlier jobs keep theirs", () => {
    const bench = new MinerBench();
    expect(bench.ask("xnsub", "mining.extranonce.subscribe", [])).toEqual([{ id: "xnsub", result: true, error: null }]);
    bench.connect();
    bench.job(testJob("a"));
    expect(bench.give({ type: "extranonce", extranonce1: moved, extranonce2Size: 8 })).toEqual([]);
    const lines = bench.job(testJob("b", { ntime: NTIME + 1 }));
    expect(shape(lines)).toEqual(["mining.set_extranonce", "mining.notify"]);
    expect(lines[0]?.params).toEqual(["09090909", 8]);
    expect(isClean(lines)).toBe(true);
    expect(bench.submit("a", findShare(testJob("a")))).toMatchObject({ result: true });
    const job = testJob("b", { ntime: NTIME + 1 });
    expect(bench.submit("b", findShare(job, { extranonce1: moved }))).toMatchObject({ result: true });
    expect(bench.of("share").map(({ share }) => share.extranonce1)).toEqual([EXTRANONCE1, moved]);
    expect(shape(bench.job(testJob("c")))).toEqual(["mining.notify"]);
  });

  test("sends any other miner back to where it came from, and closes", () => {
    const bench = new MinerBench().connect();
    expect(bench.give({ type: "extranonce", extranonce1: moved, extranonce2Size: 8 })).toEqual([
      { type: "send", line: '{"id":null,"method":"client.reconnect","params":[]}' },
      { type: "close", reason: "extranonce-changed" },
    ]);
    expect(bench.ask(1, "mining.subscribe", [])).toEqual([]);
  });

  test("that is the same, or comes before subscribe, disturbs nobody", () => {
    const bench = new MinerBench();
    expect(bench.give({ type: "extranonce", extranonce1: moved, extranonce2Size: 6 })).toEqual([]);
    bench.connect();
    expect(bench.give({ type: "extranonce", extranonce1: moved, extranonce2Size: 6 })).toEqual([]);
    expect(shape(bench.job(testJob("a")))).toEqual(["mining.set_difficulty", "mining.notify"]);
  });

  test.each([-1, 0, 1, 9, 16, 1e9, 2.5, Number.NaN])("is never sent with %d bytes to roll (J5)", (extranonce2Size) => {
    expect(() => new MinerBench({ extranonce2Size })).toThrow(RangeError);
    const bench = new MinerBench();
    expect(() => bench.give({ type: "extranonce", extranonce1: moved, extranonce2Size })).toThrow(RangeError);
  });
});

describe("other methods", () => {
  test.each([
    "mining.get_transactions",
    "mining.multi_version",
    "mining.capabilities",
    "__proto__",
    "constructor",
    "x",
  ])("%s is answered as unknown and forgiven", (method) => {
    expect(new MinerBench().ask(7, method, [])).toEqual([
      { id: 7, result: false, error: [-3, "Method not found", null] },
    ]);
  });

  test("ping is answered, pong and replies are taken as signs of life", () => {
    const bench = new MinerBench();
    expect(bench.ask(42, "mining.ping", [])).toEqual([{ id: 42, result: "pong", error: null }]);
    bench.now += 5;
    expect(bench.ask(42, "pong", [])).toEqual([]);
    expect(bench.raw('{"id":1,"result":"bitaxe/2.0","error":null}')).toEqual([]);
    expect(bench.session.lastActivity).toBe(bench.now);
  });
});

describe("wrong types in any position (J4)", () => {
  const wrong = [null, 0, -1, 1.5, 1e308, "", "zz", "\u0000", "9".repeat(400), true, [], {}, [[]], { a: {} }];
  const right: readonly (readonly [string, readonly unknown[]])[] = [
    ["mining.configure", [["version-rolling"], { "version-rolling.mask": "1fffe000" }]],
    ["mining.subscribe", ["ua", "session"]],
    ["mining.authorize", ["w", "x"]],
    ["mining.submit", ["w", "a", "00".repeat(8), "66000000", "00000001", "00000000"]],
    ["mining.suggest_difficulty", [1]],
    ["mining.suggest_target", ["0f".repeat(32)]],
    ["mining.extranonce.subscribe", []],
  ];

  test.each(right)("of %s get a reply with the same id, and no share", (method, params) => {
    for (let at = 0; at <= params.length; at++) {
      for (const value of wrong) {
        const bench = new MinerBench({ difficulty: 1 }).connect();
        bench.job(testJob("a"));
        const [reply] = bench.raw(
          `{"id":7.0,"method":"${method}","params":${JSON.stringify([...params.slice(0, at), value, ...params.slice(at + 1)])}}`,
        );
        expect(reply).toMatch(/^\{"id":7\.0,"result":.*,"error":(null|\[-?\d+,".*",null\])\}$/);
        expect(bench.of("share")).toEqual([]);
        expect(bench.of("close")).toEqual([]);
      }
    }
  });

  test("of params as a whole, from the first line on, are answered and not taken for another protocol", () => {
    const bench = new MinerBench();
    expect(bench.raw('{"id":"a","method":"mining.subscribe","params":{}}')).toEqual([
      '{"id":"a","result":false,"error":[20,"Invalid message: bad-params",null]}',
    ]);
    expect(bench.of("close")).toEqual([]);
  });
});

describe("limits", () => {
  test("a miner that never subscribes or never authorizes is closed after a minute, once", () => {
    for (const start of [[], ["mining.subscribe"], ["mining.authorize"]]) {
      const bench = new MinerBench();
      bench.give({ type: "tick" });
      for (const method of start) bench.ask(1, method, ["x"]);
      bench.now += 59_999;
      expect(bench.give({ type: "tick" })).toEqual([]);
      bench.now += 1;
      expect(bench.give({ type: "tick" })).toEqual([{ type: "close", reason: "handshake-timeout" }]);
      expect(bench.give({ type: "tick" })).toEqual([]);
    }
  });

  test("a silent miner is closed after an hour; any message starts the hour again", () => {
    const bench = new MinerBench().connect();
    bench.now += 3_599_999;
    expect(bench.give({ type: "tick" })).toEqual([]);
    bench.ask(null, "mining.suggest_difficulty", [0.00015]);
    bench.now += 3_599_999;
    expect(bench.give({ type: "tick" })).toEqual([]);
    bench.now += 1;
    expect(bench.give({ type: "tick" })).toEqual([{ type: "close", reason: "idle" }]);
  });

  test("a flood of well-formed lines is closed, a steady stream is not (J10)", () => {
    const steady = new MinerBench().connect();
    for (let at = 0; at < 5000; at++) {
      steady.now += 20;
      steady.ask(at, "mining.get_transactions", []);
    }
    expect(steady.of("close")).toEqual([]);
    const flood = new MinerBench();
    for (let at = 0; at < 10_000; at++) flood.ask(at, "mining.subscribe", []);
    expect(flood.of("close")).toEqual([{ type: "close", reason: "message-rate" }]);
    expect(flood.effects.length).toBeLessThan(1000);
  });

  test("malformed lines from a miner are answered until there are too many in a minute", () => {
    const bench = new MinerBench().connect();
    for (let at = 0; at < 30; at++)
      expect(JSON.parse(bench.raw("{")[0] ?? "")).toMatchObject({ id: null, result: false });
    expect(bench.of("close")).toEqual([]);
    bench.raw("{");
    expect(bench.of("close")).toEqual([{ type: "close", reason: "too-many-faults" }]);
  });

  test("a miner whose shares are mostly rejected gets new work, then a hint to reconnect, then is closed", () => {
    const bench = new MinerBench().connect();
    bench.job(testJob("a"));
    const badMinute = (): readonly string[] => {
      for (let at = 0; at < 31; at++) bench.submit("nope", findShare(testJob("a")));
      bench.now += 60_000;
      return bench
        .give({ type: "tick" })
        .map((effect) => (effect.type === "send" ? JSON.parse(effect.line).method : effect.type));
    };
    expect(badMinute()).toEqual(["mining.notify"]);
    expect(badMinute()).toEqual(["client.reconnect"]);
    expect(badMinute()).toEqual(["close"]);
  });

  test("a good minute forgives bad ones, and a few rejects are no bad minute", () => {
    const bench = new MinerBench().connect();
    bench.job(testJob("a"));
    const minute = (rejects: number): number => {
      for (let at = 0; at < rejects; at++) bench.submit("nope", findShare(testJob("a")));
      bench.now += 60_000;
      return bench.give({ type: "tick" }).length;
    };
    expect([minute(31), minute(29), minute(31), minute(29), minute(31)]).toEqual([1, 0, 1, 0, 1]);
    expect(bench.of("close")).toEqual([]);
  });

  test("a flood of rejects before subscribe sends no work", () => {
    const bench = new MinerBench(limits({ handshakeTimeoutMs: 1e9 }));
    bench.job(testJob("a"));
    for (let at = 0; at < 31; at++) bench.submit("a", findShare(testJob("a")));
    bench.now += 60_000;
    expect(bench.give({ type: "tick" })).toEqual([]);
  });
});
