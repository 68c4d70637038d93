import { REQUIRES_STANDARD_JOBS, REQUIRES_WORK_SELECTION } from "@adit/codec";
import fc from "fast-check";
import { type MessageSeed, messageSeed } from "../mining-messages.ts";

/** What the store says to a share. */
export type Answer = "recorded" | "duplicate" | "failed" | "later";
/** What is done to a share before it is sent. */
export type Twist = "none" | "again" | "elsewhere" | "nonce" | "ntime" | "version" | "extranonce" | "job";

/** One thing that happens to a mining server. */
export type MiningStep =
  | { readonly do: "connect"; readonly flags: number; readonly names: boolean }
  | { readonly do: "disconnect"; readonly who: number }
  | {
      readonly do: "open";
      readonly who: number;
      readonly standard: boolean;
      readonly size: number;
      readonly hashrate: number;
      readonly shift: number;
    }
  | { readonly do: "say"; readonly who: number; readonly message: MessageSeed }
  | { readonly do: "share"; readonly pick: number; readonly back: number; readonly twist: Twist; readonly by: number }
  | { readonly do: "update"; readonly pick: number; readonly shift: number; readonly hashrate: number }
  | { readonly do: "close"; readonly pick: number }
  | { readonly do: "rotate"; readonly pick: number; readonly times: number }
  | {
      readonly do: "template";
      readonly future: boolean;
      readonly version: number;
      readonly siblings: number;
      readonly content: number;
      readonly value: bigint;
    }
  | { readonly do: "tip"; readonly known: boolean; readonly block: number; readonly bits: number }
  | { readonly do: "lost" }
  | { readonly do: "store"; readonly answer: Answer }
  | { readonly do: "settle"; readonly answer: Exclude<Answer, "later"> }
  | { readonly do: "tick"; readonly seconds: number };

/** The usual value, and sometimes an odd one. */
function mostly<T>(usual: T, ...odd: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });
}

const pick = fc.nat(30);
const who = fc.nat(3);
/** How many bits harder than the easiest a target is; from nine on no share is found in a test. */
const shift = fc.oneof({ weight: 5, arbitrary: fc.nat(4) }, { weight: 1, arbitrary: fc.nat(255) });
const hashrate = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(0, 1, 3) },
  { weight: 1, arbitrary: fc.constantFrom(1e6, 1e30, -1, Number.NaN, Infinity) },
  { weight: 1, arbitrary: fc.float() },
);
/** Difficulty 1; regtest's, where every second hash is a block; and compact targets that no block can have. */
const bits = fc.oneof(
  { weight: 16, arbitrary: fc.constantFrom(0x1d00ffff, 0x1d00ffff, 0x207fffff) },
  { weight: 1, arbitrary: fc.constantFrom(0, 0x01800000, 0xff7fffff, 0x03000000) },
);

/** Any step; those that lead far are the usual ones. */
export const miningStep: fc.Arbitrary<MiningStep> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("connect" as const),
      flags: fc.constantFrom(0, 0, REQUIRES_STANDARD_JOBS, REQUIRES_WORK_SELECTION),
      names: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("disconnect" as const), who }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("open" as const),
      who,
      standard: fc.boolean(),
      size: mostly(4, 0, 16, 33),
      hashrate,
      shift,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("say" as const),
      who,
      message: messageSeed("client"),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("share" as const),
      pick,
      back: fc.nat(4),
      twist: fc.oneof(
        { weight: 3, arbitrary: fc.constant<Twist>("none") },
        {
          weight: 3,
          arbitrary: fc.constantFrom<Twist>("again", "elsewhere", "nonce", "ntime", "version", "extranonce", "job"),
        },
      ),
      // Often the same, so that the same work comes back on other jobs and channels.
      by: fc.oneof(fc.constant(0), fc.nat(8_000)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("update" as const), pick, shift, hashrate }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("rotate" as const), pick, times: fc.oneof(fc.constant(1), fc.nat(250)) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("template" as const),
      future: fc.boolean(),
      version: mostly(0x20000000, 0, 0xffffffff),
      siblings: mostly(2, 0, 40),
      content: fc.nat(2),
      value: mostly(5_000_000_000n, 0n, 2n ** 64n - 1n),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("tip" as const), known: mostly(true, false), block: fc.nat(4), bits }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lost" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("store" as const),
      answer: fc.constantFrom<Answer>("recorded", "recorded", "recorded", "duplicate", "failed", "later"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("settle" as const),
      answer: fc.constantFrom("recorded" as const, "duplicate" as const, "failed" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("tick" as const), seconds: fc.integer({ min: 1, max: 90 }) }) },
);
