import { bip34Prefix, buildCoinbase, hex } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { HostileSv1Pool, type ServedMiner, type Sv1Script } from "../harness/hostile-sv1-pool.ts";
import { RoleInProcess } from "../harness/role-in-process.ts";
import { until } from "../harness/until.ts";

const PATIENCE_MS = 100_000;
/** One hash in some 400. */
const DIFFICULTY = 1e-7;
const EXTRANONCE1 = "0a0b0c0d";

/** The nine params of a job that is right in every respect, but for those changed by index. */
function job(id: string, changes: Readonly<Record<number, unknown>> = {}): readonly unknown[] {
  const { prefix, suffix } = buildCoinbase({
    txVersion: 2,
    scriptSigPrefix: bip34Prefix(800_000),
    tag: "hostile",
    extranonceSize: 8,
    inputSequence: 0xfffffffe,
    outputs: [{ value: 5_000_000_000n, script: Uint8Array.of(0x51) }],
    templateOutputs: new Uint8Array(0),
    templateOutputsCount: 0,
    locktime: 0,
  });
  const ntime = Math.floor(Date.now() / 1000).toString(16);
  const params: unknown[] = [id, "ab".repeat(32), hex(prefix), hex(suffix), [], "20000000", "1d00ffff", ntime, true];
  for (const [at, value] of Object.entries(changes)) params[Number(at)] = value;
  return params;
}

async function subscribe(miner: ServedMiner, extranonce: readonly unknown[] = [EXTRANONCE1, 4]): Promise<void> {
  await miner.grant("mining.configure", { "version-rolling": true, "version-rolling.mask": "1fffe000" });
  await miner.grant("mining.subscribe", [[], ...extranonce]);
}

async function shakeHands(miner: ServedMiner): Promise<void> {
  await subscribe(miner);
  await miner.grant("mining.authorize", true);
  await miner.tell("mining.set_difficulty", [DIFFICULTY]);
}

/** Takes shares, as many as told, for whatever job. Resolves to the ids of their jobs. */
async function take(miner: ServedMiner, count: number): Promise<readonly unknown[]> {
  const jobs: unknown[] = [];
  while (jobs.length < count) jobs.push((await miner.grant("mining.submit", true)).params[1]);
  return jobs;
}

async function beginHonestly(miner: ServedMiner): Promise<void> {
  await shakeHands(miner);
  await miner.tell("mining.notify", job("good"));
  await take(miner, 2);
}

const once =
  (then: Sv1Script): Sv1Script =>
  async (miner) => {
    await beginHonestly(miner);
    await then(miner);
  };
/** Says something once the miner works, and waits until it leaves. */
const saying = (text: string | Uint8Array): Sv1Script =>
  once(async (miner) => {
    await miner.raw(text);
    await miner.left();
  });
const telling = (method: string, params: unknown): Sv1Script =>
  saying(`{"id":null,"method":"${method}","params":${typeof params === "string" ? params : JSON.stringify(params)}}\n`);
const notifying = (changes: Readonly<Record<number, unknown>>): Sv1Script =>
  telling("mining.notify", job("bad", changes));
const granting = (...extranonce: readonly unknown[]): Sv1Script => {
  return async (miner) => {
    await subscribe(miner, extranonce);
    await miner.left();
  };
};

/** A device whose first connection is a script's and whose later ones are honest. It is alive, says why, and mines on. */
async function endure(script: Sv1Script, says: RegExp): Promise<void> {
  let accepted = 0;
  await using pool = await HostileSv1Pool.start(async (miner, before) => {
    if (before === 0) return await script(miner);
    await shakeHands(miner);
    await miner.tell("mining.notify", job("good"));
    for (;;) accepted += (await take(miner, 1)).length;
  });
  await using device = await RoleInProcess.start("mining-device", () => deviceToml(pool.port));
  await device.logged(says, PATIENCE_MS);
  await until("shares of the next connection", () => accepted > 1, PATIENCE_MS);
  expect(device.readiness.filter((word) => word.startsWith("ended"))).toEqual([]);
}

const deviceToml = (port: number): string => `
protocol = "sv1"
address = "127.0.0.1"
port = ${port}
user_name = "e2e.device"
hashrate_limit = 3000
`;

/** What makes a device leave, and what it says. */
const wrongs: Record<string, readonly [Sv1Script, RegExp]> = {
  "a megabyte without a newline": [saying("x".repeat(1_000_000)), /line-too-long/],
  "a line of a megabyte": [telling("client.show_message", ["y".repeat(1_000_000)]), /line-too-long/],
  "a string of 40,000": [telling("client.show_message", ["y".repeat(40_000)]), /bad-message/],
  "bytes that are no text": [saying(Uint8Array.of(0xff, 0xfe, 0x0a)), /not-utf8/],
  "plain HTTP": [saying("HTTP/1.1 400 Bad Request\r\n\r\n"), /bad-message/],
  "nested brackets": [saying(`{"id":1,"result":${"[".repeat(20_000)}${"]".repeat(20_000)}}\n`), /bad-message/],
  "an extranonce2 of -1 bytes": [granting(EXTRANONCE1, -1), /bad-extranonce/],
  "one of no bytes": [granting(EXTRANONCE1, 0), /bad-extranonce/],
  "one of 17 bytes": [granting(EXTRANONCE1, 17), /bad-extranonce/],
  "one of 2^31 bytes": [granting(EXTRANONCE1, 2 ** 31), /bad-extranonce/],
  "one of four and a half bytes": [granting(EXTRANONCE1, 4.5), /bad-extranonce/],
  "one of a word of bytes": [granting(EXTRANONCE1, "4"), /bad-extranonce/],
  "an extranonce1 of 500 bytes": [granting("00".repeat(500), 4), /bad-extranonce/],
  "an extranonce1 that is no hex": [granting("0x0a0b0c", 4), /bad-extranonce/],
  "no extranonce": [granting(), /bad-extranonce/],
  "another extranonce2 of -4 bytes": [telling("mining.set_extranonce", [EXTRANONCE1, -4]), /bad-extranonce/],
  "a job of nothing": [telling("mining.notify", []), /bad-notify/],
  "an object for a job": [telling("mining.notify", '{"0":"a"}'), /bad-message/],
  "a job whose id is a number": [notifying({ 0: 7 }), /bad-notify/],
  "a job whose id is 1,000 characters": [notifying({ 0: "i".repeat(1000) }), /bad-notify/],
  "a prevhash of 31 bytes": [notifying({ 1: "ab".repeat(31) }), /bad-notify/],
  "a coinbase that is no hex": [notifying({ 2: "zz" }), /bad-notify/],
  "half a byte of coinbase": [notifying({ 3: "abc" }), /bad-notify/],
  "33 branches": [notifying({ 4: Array(33).fill("ab".repeat(32)) }), /bad-notify/],
  "a branch of one byte": [notifying({ 4: ["ab"] }), /bad-notify/],
  "branches that are none": [notifying({ 4: "ab" }), /bad-notify/],
  "a version of nine digits": [notifying({ 5: "120000000" }), /bad-notify/],
  "a number for nbits": [notifying({ 6: 0x1d00ffff }), /bad-notify/],
  "a negative time": [notifying({ 7: "-1234567" }), /bad-notify/],
  "a word for the clean flag": [notifying({ 8: "true" }), /bad-notify/],
  "difficulty 0": [telling("mining.set_difficulty", [0]), /bad-difficulty/],
  "difficulty -1": [telling("mining.set_difficulty", [-1]), /bad-difficulty/],
  "difficulty 1e300": [telling("mining.set_difficulty", [1e300]), /bad-difficulty/],
  "difficulty 1e-300": [telling("mining.set_difficulty", [1e-300]), /bad-difficulty/],
  "difficulty 1e999": [telling("mining.set_difficulty", "[1e999]"), /bad-difficulty/],
  "difficulty NaN": [telling("mining.set_difficulty", ["NaN"]), /bad-difficulty/],
  "no difficulty": [telling("mining.set_difficulty", []), /bad-difficulty/],
  "a version mask that is none": [telling("mining.set_version_mask", ["-1"]), /bad-version-mask/],
  "a refusal of the name, in colour": [
    async (miner) => {
      await subscribe(miner);
      await miner.grant("mining.authorize", false, [24, "\u001b[31m\u0000no\n".repeat(100), null]);
      await miner.left();
    },
    /refused the user name or password/,
  ],
  "a refusal to subscribe": [
    async (miner) => {
      await miner.grant("mining.subscribe", null, { code: 1e99, message: {} });
      await miner.left();
    },
    /subscribe-refused/,
  ],
  "an end in the middle of a line": [once((miner) => miner.raw('{"id":null,"method":"mining.no')), /ended/],
};

/** What a device bears. It works on for the job that comes after. */
const odd: Record<string, Sv1Script> = {
  "messages in colour": (miner) =>
    miner
      .tell("client.show_message", ["\u001b[2J\u0000\u202e".repeat(100)])
      .then(() => miner.tell("mining.nonsense", [{}])),
  "answers to nothing": (miner) => miner.raw('{"id":999,"result":{"a":[]},"error":[[]]}\n'.repeat(1000)),
  "5,000 jobs at once": async (miner) => {
    for (let at = 0; at < 5000; at += 1) await miner.tell("mining.notify", job(`flood-${at}`, { 8: at % 2 === 0 }));
  },
  "jobs of absurd numbers": async (miner) => {
    for (const [at, word] of ["00000000", "ffffffff", "80000000"].entries()) {
      await miner.tell("mining.notify", job(`absurd-${at}`, { 5: word, 6: word, 7: word }));
    }
  },
  "a job without a coinbase": (miner) => miner.tell("mining.notify", job("empty", { 2: "", 3: "" })),
  "a coinbase of 32 KiB": (miner) =>
    miner.tell("mining.notify", job("huge", { 2: "ab".repeat(16_384), 3: "cd".repeat(16_000) })),
  "32 branches": (miner) => miner.tell("mining.notify", job("deep", { 4: Array(32).fill("ab".repeat(32)) })),
  "one difficulty after another": async (miner) => {
    for (let at = 0; at < 2000; at += 1) await miner.tell("mining.set_difficulty", [at + 1]);
    await miner.tell("mining.set_difficulty", [DIFFICULTY]);
  },
  "other masks and extranonces": async (miner) => {
    await miner.tell("mining.set_version_mask", ["ffffffff"]);
    await miner.tell("mining.set_version_mask", ["00000000"]);
    await miner.tell("mining.set_extranonce", ["", 16]);
    await miner.tell("mining.set_extranonce", ["00".repeat(32), 2]);
    await miner.tell("mining.set_extranonce", [EXTRANONCE1, 4]);
  },
  "refusals of its shares in every shape": async (miner) => {
    for (const error of ["no", [20], [], {}, { code: "x" }, 7, true, [[]], [1e308, { a: 1 }, []]]) {
      await miner.grant("mining.submit", false, error);
    }
  },
};

describe.concurrent("a device leaves a Stratum V1 pool and says why, then mines on, when that sends", () => {
  /** Judged by what does not come, which takes its time: all at once, and the other tests beside them. */
  test("nothing more, at any step", { timeout: 200_000 }, async () => {
    const silences: readonly (readonly [Sv1Script, RegExp])[] = [
      [(miner) => miner.left(), /handshake-timeout/],
      [(miner) => subscribe(miner).then(() => miner.left()), /handshake-timeout/],
      [(miner) => shakeHands(miner).then(() => miner.left()), /gives no work/],
      [
        async (miner) => {
          await shakeHands(miner);
          await miner.tell("mining.set_difficulty", [1e-9]);
          await miner.tell("mining.notify", job("good"));
          await miner.left();
        },
        /answers no shares/,
      ],
    ];
    await Promise.all(silences.map(([script, says]) => endure(script, says)));
  });

  test.each(Object.entries(wrongs))("%s", async (_what, [script, says]) => {
    await endure(script, says);
  });
});

describe.concurrent("a device bears a Stratum V1 pool that sends", () => {
  test.each(Object.entries(odd))("%s", async (_what, say) => {
    let last: unknown;
    await using pool = await HostileSv1Pool.start(async (miner) => {
      await beginHonestly(miner);
      await say(miner);
      await miner.tell("mining.notify", job("last"));
      while (last !== "last") [last] = await take(miner, 1);
      await miner.left();
    });
    await using device = await RoleInProcess.start("mining-device", () => deviceToml(pool.port));
    await until("a share of the last job", () => last === "last", PATIENCE_MS);
    expect(pool.miners).toBe(1);
    expect(device.readiness).toEqual(["ready"]);
  });
});

describe.concurrent("a device at a Stratum V1 pool", () => {
  test.each([
    ["a host and a port", ["127.0.0.1"]],
    ["10,000 characters of host", ["a".repeat(10_000)]],
    ["a host that is none", [{ a: 1 }]],
    ["nothing", []],
  ])("goes nowhere else when told to reconnect to %s", async (_where, params) => {
    await using elsewhere = await HostileSv1Pool.start((miner) => miner.left());
    const where = params[0] === "127.0.0.1" ? [...params, elsewhere.port, 0] : params;
    await endure(telling("client.reconnect", where), /the pool asked to reconnect/);
    expect(elsewhere.miners).toBe(0);
  });

  test("is not stormed into reconnecting", async () => {
    await using pool = await HostileSv1Pool.start(async (miner) => {
      await shakeHands(miner);
      await miner.tell("mining.notify", job("good"));
      await miner.tell("client.reconnect", []);
      await miner.left();
    });
    await using device = await RoleInProcess.start("mining-device", () => deviceToml(pool.port));
    await until("three turns", () => pool.miners >= 3);
    const [before, began] = [pool.miners, performance.now()];
    await until("ten seconds", () => performance.now() - began > 10_000);
    expect(pool.miners - before).toBeLessThan(10);
    expect(device.readiness.filter((word) => word.startsWith("ended"))).toEqual([]);
  });
});
