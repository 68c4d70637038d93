import { meetsTarget, targetToBytes } from "@adit/bitcoin";
import { u256 } from "@adit/codec";
import fc from "fast-check";
import { sequence } from "../arbitraries.ts";
import { Bench, fromMiner, lineFrom, poolJob } from "../inside.ts";
import { type MessageSeed, messageSeed, miningMessage } from "../mining-messages.ts";
import { rule, step, type Target } from "../target.ts";

type Step =
  | { readonly do: "line"; readonly miner: number; readonly line: string }
  | { readonly do: "message"; readonly message: MessageSeed }
  | {
      readonly do: "job";
      readonly channelId: number;
      readonly size: number;
      readonly version: number;
      readonly siblings: number;
      readonly future: boolean;
    }
  | { readonly do: "share"; readonly miner: number }
  | { readonly do: "dial" | "gone"; readonly miner: number }
  | { readonly do: "tick"; readonly seconds: number }
  | { readonly do: "up" | "down" | "tip" | "work" | "join" };

const MOST_HASHES = 64;
const miner = fc.nat(6);
const translatorStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("line" as const), miner, line: lineFrom(fromMiner) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("message" as const),
      message: messageSeed("server"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("job" as const),
      channelId: fc.nat(6),
      size: fc.integer({ min: 1, max: 32 }),
      version: fc.nat(0xffff_ffff),
      siblings: fc.nat(3),
      future: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("share" as const), miner }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("dial" as const, "gone" as const), miner }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("tick" as const), seconds: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("up" as const, "down" as const, "tip" as const, "work" as const, "join" as const),
    }),
  },
);

interface Play {
  readonly aggregate: boolean;
  readonly withPool: boolean;
  readonly steps: readonly Step[];
}

/** Whatever miners and pools send, in whatever order: nothing throws, and no miner is sent anything malformed. */
export const translator: Target<Play> = {
  inputs: fc.record({ aggregate: fc.boolean(), withPool: fc.boolean(), steps: sequence(translatorStep, 100) }),
  run({ aggregate, withPool, steps }) {
    const bench = new Bench({ upstream: { aggregateChannels: aggregate } });
    if (withPool) {
      bench.newTip();
      bench.connect();
    }
    for (const one of steps) take(bench, one);
    for (const effect of bench.effects) if (effect.type === "send-line") checkLine(effect.line);
    const hashes = bench.recorded.map(({ hash }) => Buffer.from(hash).toString("hex"));
    rule(new Set(hashes).size === hashes.length, "a share was credited twice");
  },
};

function take(bench: Bench, one: Step): void {
  switch (one.do) {
    case "line":
      step(() => bench.input({ type: "line", miner: one.miner, line: one.line }));
      return;
    case "message":
      step(() => bench.fromPool(miningMessage(one.message)));
      return;
    case "job": {
      const merklePath = Array.from({ length: one.siblings }, () => u256(new Uint8Array(32)));
      const minNtime = one.future ? null : Math.floor(bench.now / 1000);
      step(() =>
        bench.fromPool(
          poolJob(one.size, { channelId: one.channelId, version: one.version, merklePath, minNtime, jobId: 900 }),
        ),
      );
      return;
    }
    case "dial":
      bench.input({ type: "miner-connected", miner: one.miner + 100, peer: "192.0.2.1:1" });
      return;
    case "gone":
      bench.input({ type: "miner-gone", miner: one.miner });
      return;
    case "tick":
      for (let second = 0; second < one.seconds; second += 1) step(() => bench.tick());
      return;
    case "share":
      share(bench, one.miner);
      return;
    case "up":
      bench.connect();
      return;
    case "down":
      bench.disconnect();
      return;
    case "tip":
      bench.newTip();
      return;
    case "work":
      bench.newWork();
      return;
    case "join":
      if (bench.miners.size < 6) bench.join();
      return;
    default:
      one satisfies never;
  }
}

/** Some hashes of a miner on its job; the last is submitted whatever it is worth. */
function share(bench: Bench, at: number): void {
  const miner = bench.miners.get(at);
  if (miner?.job === undefined || miner.closeReason !== undefined) return;
  const { job } = miner;
  let left = MOST_HASHES;
  const wanted = targetToBytes(job.target);
  miner.mine(job, (hash) => {
    left -= 1;
    return left === 0 || meetsTarget(hash, wanted);
  });
}

function checkLine(line: string): void {
  rule(!/[\r\n]/.test(line), "a line was sent that is two");
  const { method, params = [] } = JSON.parse(line) as {
    readonly method?: string;
    readonly params?: readonly unknown[];
  };
  if (method === "mining.set_difficulty") rule(Number(params[0]) > 0, `a difficulty of ${String(params[0])}`);
  if (method !== "mining.notify") return;
  rule(params.length === 9, `a job of ${params.length} parts`);
  rule(/^[0-9a-f]{64}$/.test(String(params[1])), "a previous hash that is none");
  for (const number of params.slice(5, 8))
    rule(/^[0-9a-f]{8}$/.test(String(number)), "a number that is not eight digits");
}
