import { encodeHeader, sha256d } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { parseChain } from "./chain.ts";
import { plannedKills, readPlan, roleNames } from "./plan.ts";
import { readTranslatorLog, type TranslatorLine } from "./translator-log.ts";

const sent = (sequenceNumber: number, more: Partial<TranslatorLine> = {}): TranslatorLine => {
  return { msg: "share sent upstream", pid: 1, channelId: 1, sequenceNumber, hash: `h${sequenceNumber}`, ...more };
};
const acknowledged = (
  lastSequenceNumber: number,
  count: number,
  more: Partial<TranslatorLine> = {},
): TranslatorLine => {
  return { msg: "shares acknowledged by the upstream", pid: 1, channelId: 1, lastSequenceNumber, count, ...more };
};

describe("the translator's log", () => {
  test("tells acknowledged, refused and unanswered shares apart, by channel", () => {
    const books = readTranslatorLog([
      { msg: "something else", pid: 1 },
      sent(0),
      sent(1),
      sent(2),
      sent(0, { channelId: 2, hash: "other" }),
      { msg: "share rejected by the upstream", pid: 1, channelId: 1, sequenceNumber: 1, errorCode: "stale-share" },
      acknowledged(2, 2),
      sent(3),
    ]);
    expect(books).toEqual({
      acknowledged: new Set(["h0", "h2"]),
      refused: new Map([["h1", "stale-share"]]),
      inDoubt: new Set(["other", "h3"]),
      faults: [],
    });
  });

  test.each<readonly [string, TranslatorLine]>([
    ["a lost upstream", { msg: "upstream lost; miners stay connected", pid: 1 }],
    ["a closed channel", { msg: "upstream closed a channel; another is asked for", pid: 1, channelId: 1 }],
    ["a new process", { msg: "whatever", pid: 2 }],
  ])("leaves in doubt what was open before %s", (_what, line) => {
    const { pid } = line;
    const books = readTranslatorLog([sent(0), line, sent(0, { pid, hash: "later" }), acknowledged(0, 1, { pid })]);
    expect(books).toMatchObject({ acknowledged: new Set(["later"]), inDoubt: new Set(["h0"]), faults: [] });
  });

  test("shows acknowledgements of shares that were not open, or were acknowledged before", () => {
    expect(readTranslatorLog([sent(0), acknowledged(0, 2)]).faults).toHaveLength(1);
    expect(readTranslatorLog([sent(0), acknowledged(0, 1), acknowledged(0, 1)]).faults).toHaveLength(1);
    const twice = [sent(0), acknowledged(0, 1), sent(1, { hash: "h0" }), acknowledged(1, 1)];
    expect(readTranslatorLog(twice).faults).toHaveLength(1);
  });
});

describe("the chain's file", () => {
  const header = (prevHash: Uint8Array): Uint8Array =>
    encodeHeader({ version: 1, prevHash, merkleRoot: new Uint8Array(32), ntime: 1, nbits: 0x207fffff, nonce: 1 });
  const record = (block: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array(21 + block.length);
    new DataView(bytes.buffer).setUint32(0, block.length, true);
    bytes.set(block, 21);
    return bytes;
  };
  const one = header(new Uint8Array(32));
  const two = header(sha256d(one));
  const whole = Buffer.concat([
    Buffer.from("some format 1\n"),
    record(Buffer.concat([one, Buffer.alloc(9)])),
    record(two),
  ]);

  test("gives its blocks in order", () => {
    const [first, second, ...more] = parseChain(whole);
    expect([first?.height, second?.height, more.length]).toEqual([1, 2, 0]);
    expect(second?.prevHash).toBe(first?.hash);
    expect(second?.hash).toBe(Buffer.from(sha256d(two).toReversed()).toString("hex"));
  });

  test("ends where a record was interrupted", () => {
    for (const cut of [1, 79, 90]) expect(parseChain(whole.subarray(0, -cut))).toHaveLength(1);
  });
});

describe("a plan", () => {
  const plan = (...args: string[]): ReturnType<typeof readPlan> => readPlan(args);

  test("has a hundred kills unless told, and the same ones for the same seed", () => {
    expect(plan().kills).toBe(100);
    expect(plannedKills(plan("--seed", "7"))).toEqual(plannedKills(plan("--", "--seed", "7")));
    expect(plannedKills(plan("--seed", "7"))).not.toEqual(plannedKills(plan("--seed", "8")));
  });

  test("gives each role its share, and every moment to each of them", () => {
    const kills = plannedKills(plan("--kills", "300"));
    expect(kills).toHaveLength(300);
    for (const name of roleNames) {
      const own = kills.filter(({ role }) => role === name);
      expect(own).toHaveLength(100);
      expect(new Set(own.map(({ moment }) => moment)).size).toBe(6);
    }
  });

  test.each([
    ["--kills", "0"],
    ["--kills", "1.5"],
    ["--seed", "x"],
    ["--minutes", "2000"],
  ])("refuses %s %s", (name, value) => {
    expect(() => plan(name, value)).toThrow(RangeError);
  });
});
