import type { MiningMessage } from "@adit/codec";
import { u256 } from "@adit/codec";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Bench } from "./testing/bench.ts";
import { poolJob } from "./testing/pool-job.ts";

const id = fc.integer({ min: 0, max: 6 });
const word = fc.oneof(fc.constant("mining.submit"), fc.string({ maxLength: 20 }), fc.constant("00000000"));
const param = fc.oneof(word, fc.integer(), fc.double(), fc.constant(null), fc.array(word, { maxLength: 3 }));
const method = fc.constantFrom(
  "mining.configure",
  "mining.subscribe",
  "mining.authorize",
  "mining.submit",
  "mining.suggest_difficulty",
  "mining.extranonce.subscribe",
  "nonsense",
);
const line = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc
    .record({ id: fc.oneof(fc.integer(), word), method, params: fc.array(param, { maxLength: 6 }) })
    .map((request) => JSON.stringify(request)),
);
const u32 = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 0xffffffff }));
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(u256);
const text = fc.string({ maxLength: 40 });

/** Whatever a pool may send, with ids small enough to hit. */
const message: fc.Arbitrary<MiningMessage> = fc.oneof(
  fc.record({
    name: fc.constant("OpenExtendedMiningChannelSuccess" as const),
    requestId: id,
    channelId: id,
    target: hash,
    extranonceSize: fc.integer({ min: 0, max: 33 }),
    extranoncePrefix: bytes(32),
    groupChannelId: id,
  }),
  fc.record({ name: fc.constant("OpenMiningChannelError" as const), requestId: id, errorCode: text }),
  fc.record({
    name: fc.constant("NewExtendedMiningJob" as const),
    channelId: id,
    jobId: id,
    minNtime: fc.option(u32),
    version: u32,
    versionRollingAllowed: fc.boolean(),
    merklePath: fc.array(hash, { maxLength: 3 }),
    coinbaseTxPrefix: bytes(40),
    coinbaseTxSuffix: bytes(40),
  }),
  fc
    .record({
      size: fc.integer({ min: 1, max: 32 }),
      channelId: id,
      jobId: id,
      minNtime: fc.option(u32),
      version: u32,
      versionRollingAllowed: fc.boolean(),
      merklePath: fc.array(hash, { maxLength: 3 }),
    })
    .map(({ size, ...job }) => poolJob(size, job)),
  fc.record({
    name: fc.constant("SetNewPrevHash" as const),
    channelId: id,
    jobId: id,
    prevHash: hash,
    minNtime: u32,
    nbits: u32,
  }),
  fc.record({ name: fc.constant("SetTarget" as const), channelId: id, maximumTarget: hash }),
  fc.record({ name: fc.constant("SetExtranoncePrefix" as const), channelId: id, extranoncePrefix: bytes(32) }),
  fc.record({
    name: fc.constant("SetGroupChannel" as const),
    groupChannelId: id,
    channelIds: fc.array(id, { maxLength: 3 }),
  }),
  fc.record({ name: fc.constant("CloseChannel" as const), channelId: id, reasonCode: text }),
  fc.record({ name: fc.constant("SubmitSharesError" as const), channelId: id, sequenceNumber: id, errorCode: text }),
  fc.record({ name: fc.constant("UpdateChannelError" as const), channelId: id, errorCode: text }),
);
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("line" as const), miner: id, line }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("message" as const), message }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("dial" as const, "gone" as const), miner: id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("tick" as const), seconds: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("up" as const, "down" as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

test("whatever miners and pools send, in whatever order, the core throws nothing and sends miners nothing malformed", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.boolean(), fc.array(step, { maxLength: 80 }), (aggregateChannels, withPool, steps) => {
      const bench = new Bench({ upstream: { aggregateChannels } });
      if (withPool) {
        bench.newTip();
        bench.connect();
      }
      for (const miner of [0, 1]) {
        bench.input({ type: "miner-connected", miner, peer: "192.0.2.1:1" });
        bench.input({ type: "line", miner, line: '{"id":1,"method":"mining.subscribe","params":[]}' });
      }
      for (const item of steps) take(bench, item);
      for (const effect of bench.effects) {
        if (effect.type === "send-line") checkLine(effect.line);
      }
    }),
    { numRuns: 300 },
  );
});

function take(bench: Bench, item: Step): void {
  switch (item.do) {
    case "line":
      bench.input({ type: "line", miner: item.miner, line: item.line });
      return;
    case "message":
      bench.fromPool(item.message);
      return;
    case "dial":
      bench.input({ type: "miner-connected", miner: item.miner, peer: "192.0.2.1:1" });
      return;
    case "gone":
      bench.input({ type: "miner-gone", miner: item.miner });
      return;
    case "tick":
      bench.tick(item.seconds);
      return;
    case "up":
      bench.connect();
      return;
    case "down":
      bench.disconnect();
      return;
    default:
      item satisfies never;
  }
}

function checkLine(text: string): void {
  const { method, params } = JSON.parse(text) as { method?: string; params?: unknown[] };
  if (method === "mining.set_difficulty") expect(params?.[0]).toBeGreaterThan(0);
  if (method !== "mining.notify") return;
  expect(params).toHaveLength(9);
  for (const value of [params?.[5], params?.[6], params?.[7]]) expect(value).toMatch(/^[0-9a-f]{8}$/);
  expect(params?.[1]).toMatch(/^[0-9a-f]{64}$/);
}
