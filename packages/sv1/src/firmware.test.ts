import { describe, expect, test } from "vitest";
import { findShare, type Line, MinerBench, NTIME, shape, testJob } from "./testing/miner-bench.ts";

// One fake miner for each firmware that is known for a habit. What it sends is what the firmware sends.

function withWork(): MinerBench {
  const bench = new MinerBench();
  bench.job(testJob("a"));
  return bench;
}

/** Sends all lines without reading, as one packet would, and returns all that comes back. */
function pipeline(bench: MinerBench, lines: readonly string[]): readonly Line[] {
  return lines.flatMap((line) => bench.raw(line).map((text) => JSON.parse(text)));
}

describe("cgminer 4.x", () => {
  test("takes the very next line for the reply to configure, and to subscribe", () => {
    const bench = withWork();
    const configure =
      '{"id":0,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}';
    expect(JSON.parse(bench.raw(configure)[0] ?? "")).toMatchObject({ id: 0, result: { "version-rolling": true } });
    const next = bench.raw('{"id":1,"method":"mining.subscribe","params":["cgminer/4.12.1","abcdef"]}');
    expect(JSON.parse(next[0] ?? "")).toMatchObject({ id: 1, result: [expect.anything(), "a1b2c3d4", 8] });
  });

  test("refuses more than 8 bytes of extranonce2 and fields that are not hex", () => {
    const notify = withWork().ask(1, "mining.subscribe", ["cgminer/4.12.1"]).at(-1);
    const [, prevHash, coinb1, coinb2, branches, version, nbits, ntime, clean] = notify?.params ?? [];
    for (const field of [prevHash, coinb1, coinb2, ...(branches as string[])])
      expect(field).toMatch(/^([0-9a-f]{2})+$/);
    for (const field of [version, nbits, ntime]) expect(field).toMatch(/^[0-9a-f]{8}$/);
    expect(clean).toBe(true);
  });
});

describe("ESP-Miner (Bitaxe, NerdQAxe)", () => {
  test("says configure, subscribe and authorize without waiting, then suggests, then submits with bits", () => {
    const bench = withWork();
    const lines = pipeline(bench, [
      '{"id": 1, "method": "mining.configure", "params": [["version-rolling"], {"version-rolling.mask": "ffffffff"}]}',
      '{"id": 2, "method": "mining.subscribe", "params": ["bitaxe/BM1370/v2.14.0"]}',
      '{"id": 3, "method": "mining.authorize", "params": ["bc1q.bitaxe", "x"]}',
      '{"id": 4, "method": "mining.suggest_difficulty", "params": [1000]}',
      '{"id": 5, "method": "mining.extranonce.subscribe", "params": []}',
    ]);
    const order = lines.map((line) => line.method ?? line.id);
    expect(order).toEqual([1, 2, "mining.set_version_mask", "mining.set_difficulty", "mining.notify", 3, 4, 5]);
    const share = findShare(testJob("a"), { version: 0x20014000 });
    expect(bench.submit("a", share, { bits: "00014000", id: 6, user: "bc1q.bitaxe" })).toMatchObject({ result: true });
  });

  test("keeps a 64-bit id, and sends its delta of the version", () => {
    const bench = withWork().connect();
    const share = findShare(testJob("a"));
    const fields = `"worker","a","${share.extranonce2}","${share.ntime}","${share.nonce}","00000000"`;
    expect(bench.raw(`{"id":9007199254740993,"method":"mining.submit","params":[${fields}]}`)).toEqual([
      '{"id":9007199254740993,"result":true,"error":null}',
    ]);
  });

  test("answers a ping with a request, and a version request with a reply", () => {
    const bench = withWork().connect();
    expect(bench.raw('{"id":42,"method":"pong","params":[]}')).toEqual([]);
    expect(bench.raw('{"id":7,"result":"bitaxe v2","error":null}')).toEqual([]);
  });
});

test("bfgminer suggests a target and asks for capabilities before it subscribes, with text and null ids", () => {
  const bench = withWork();
  const target = `00000000ffff${"0".repeat(52)}`;
  const replies = [
    ...bench.raw('{"id":null,"method":"mining.capabilities","params":[{"notify":[],"suggesteddiff":1}]}'),
    ...bench.raw(`{"id":null,"method":"mining.suggest_target","params":["${target}"]}`),
  ];
  expect(replies).toEqual([
    '{"id":null,"result":false,"error":[-3,"Method not found",null]}',
    '{"id":null,"result":true,"error":null}',
  ]);
  expect(shape(bench.ask(0, "mining.subscribe", ["bfgminer/5.5.0", null]))[0]).toBe("reply");
  expect(bench.raw('{"id":"auth","method":"mining.authorize","params":["w",""]}')[0]).toBe(
    '{"id":"auth","result":true,"error":null}',
  );
  expect(bench.raw('{"id":"xnsub","method":"mining.extranonce.subscribe","params":[]}')[0]).toContain('"id":"xnsub"');
  expect(bench.raw('{"id":"txlist4a1","method":"mining.get_transactions","params":["a"]}')[0]).toContain(
    '"id":"txlist4a1"',
  );
  expect(bench.of("close")).toEqual([]);
});

test("NerdMiner reads one line, suggests 0.00015 every 30 s, and leaves zeros off its nonce", () => {
  const bench = new MinerBench({ difficulty: 1 });
  bench.job(testJob("a"));
  bench.raw('{"id": 1, "method": "mining.subscribe", "params": ["NerdMinerV2/1.8.3"]}');
  bench.raw('{"params": ["bc1q.nerd", "x"], "id": 2, "method": "mining.authorize"}');
  for (let at = 0; at < 200; at++) {
    bench.now += 30_000;
    bench.raw('{"id": 3, "method": "mining.suggest_difficulty", "params": [0.00015]}');
    expect(bench.give({ type: "tick" })).toEqual([]);
  }
  expect(bench.of("suggest-difficulty")).toEqual([{ type: "suggest-difficulty", difficulty: 0.00015 }]);
  bench.job(testJob("b", { ntime: NTIME + 1 }), 1e-9);
  const found = findShare(testJob("b", { ntime: NTIME + 1 }));
  const nonce = found.nonce.replace(/^0+/, "");
  expect(nonce.length).toBeLessThan(8);
  expect(bench.submit("b", { ...found, nonce })).toMatchObject({ result: true });
});

test("cpuminer has empty names and the id 4 for every submit", () => {
  const bench = withWork();
  bench.raw('{"id": 1, "method": "mining.subscribe", "params": ["cpuminer/2.5.1"]}');
  bench.raw('{"id": 2, "method": "mining.authorize", "params": ["", ""]}');
  const replies = [0, 1, 2].map((skip) => bench.submit("a", findShare(testJob("a"), { skip }), { id: 4, user: "" }));
  for (const reply of replies) expect(reply).toEqual({ id: 4, result: true, error: null });
  expect(bench.of("share")).toHaveLength(3);
});

test("cpuminer subscribes again with nothing when its first try failed", () => {
  const bench = withWork();
  bench.ask(1, "mining.subscribe", ["cpuminer/2.5.1", "resume-me"]);
  expect(shape(bench.ask(1, "mining.subscribe", []))).toEqual(["reply", "mining.set_difficulty", "mining.notify"]);
});

test("a Braiins Hashpower probe subscribes with nothing and has work in the same turn", () => {
  const bench = withWork();
  const lines = bench.ask(1, "mining.subscribe", []);
  expect(shape(lines)).toEqual(["reply", "mining.set_difficulty", "mining.notify"]);
  expect(lines[0]?.result).toEqual([expect.anything(), "a1b2c3d4", 8]);
  expect(bench.of("subscribed")).toEqual([{ type: "subscribed", userAgent: "" }]);
});

test("NiceHash subscribes with a timestamp and a code, and may be told a new extranonce", () => {
  const bench = withWork();
  bench.ask(1, "mining.subscribe", ["NiceHash/1.0.0", 1700000000, "c0ffee"]);
  bench.ask(2, "mining.extranonce.subscribe", []);
  bench.ask(3, "mining.authorize", ["bc1q.nh", "x"]);
  bench.give({ type: "extranonce", extranonce1: Uint8Array.of(7, 7, 7, 7), extranonce2Size: 8 });
  expect(shape(bench.job(testJob("b")))).toEqual(["mining.set_extranonce", "mining.notify"]);
});

test("Braiins OS asks for a minimum difficulty and extranonce changes along with rolling", () => {
  const bench = withWork();
  const lines = pipeline(bench, [
    '{"id":1,"method":"mining.configure","params":[["minimum-difficulty","version-rolling","subscribe-extranonce"],{"minimum-difficulty.value":2048,"version-rolling.mask":"1fffe000","version-rolling.min-bit-count":16}]}',
    '{"id":2,"method":"mining.subscribe","params":["bosminer-plus-tuner/0.2"]}',
  ]);
  expect(lines[0]?.result).toEqual({
    "minimum-difficulty": false,
    "version-rolling": true,
    "version-rolling.mask": "1fffe000",
    "subscribe-extranonce": true,
  });
  bench.ask(3, "mining.authorize", ["w"]);
  bench.give({ type: "extranonce", extranonce1: Uint8Array.of(7, 7, 7, 7), extranonce2Size: 8 });
  expect(bench.of("close")).toEqual([]);
});

test("Whatsminer and Avalon have names cut at 127 and 63 characters", () => {
  for (const [userAgent, length] of [
    ["whatsminer/v1", 127],
    ["cgminer-avalon/4.11", 63],
  ] as const) {
    const bench = withWork();
    bench.ask(1, "mining.subscribe", [userAgent]);
    const name = "b".repeat(length);
    expect(bench.ask(2, "mining.authorize", [name, "123"])).toEqual([{ id: 2, result: true, error: null }]);
    expect(bench.of("authorized")[0]?.userName).toBe(name);
  }
});

test.each([
  "Antminer S19k Pro|LUXminer 2025.1.15.163712-1d0ac5d7",
  "Antminer S21/Thu Mar 14 10:22:01 CST 2024",
  "xminer-1.2.5",
  "luckyminer/1.0",
  "MiningRigRentals/1.0",
])("%s is known by its whole name", (userAgent) => {
  const bench = withWork();
  bench.ask(1, "mining.subscribe", [userAgent]);
  expect(bench.of("subscribed")).toEqual([{ type: "subscribed", userAgent }]);
});

test("an Antminer with #xnsub, an old proxy and a firmware with extra members are all served", () => {
  const bench = withWork();
  const lines = pipeline(bench, [
    '{"method":"mining.authorize","params":["w"],"id":1,"worker":"rig1"}',
    '{"jsonrpc":"2.0","id":2,"method":"mining.subscribe","params":["bmminer/2.0.0"]}',
    '{"id":3.0,"method":"mining.extranonce.subscribe"}',
    '{"id":3,"method":"mining.hashes_done","params":[1,2],"extra":{"deep":[[1]]}}',
  ]);
  expect(lines.map((line) => line.method ?? line.id)).toEqual([1, 2, "mining.set_difficulty", "mining.notify", 3, 3]);
});

test("an ESP-Miner probe that connects and leaves costs nothing", () => {
  const bench = new MinerBench({ extranonce1: null });
  expect(bench.give({ type: "tick" })).toEqual([]);
  expect(bench.effects).toEqual([]);
});
