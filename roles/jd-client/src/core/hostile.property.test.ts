import { type JobDeclarationMessage, type MiningMessage, u256 } from "@adit/codec";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Bench } from "./testing/bench.ts";
import { EASY_BITS } from "./testing/templates.ts";

const id = fc.oneof(fc.nat(12), fc.constant(0xffffffff));
const bytes = fc.uint8Array({ maxLength: 40 });
const hash = fc.nat(255).map((fill) => u256(new Uint8Array(32).fill(fill)));
const text = fc.constantFrom("", "stale-chain-tip", "stale-share", "difficulty-too-low", "too-many-shares", "\u0000x");

type Row = { readonly [field: string]: fc.Arbitrary<unknown> };

function message<Message>(name: string, fields: Row): fc.Arbitrary<Message> {
  return fc.record({ name: fc.constant(name), ...fields }) as unknown as fc.Arbitrary<Message>;
}

const fromPool: fc.Arbitrary<MiningMessage> = fc.oneof(
  message<MiningMessage>("SetCustomMiningJobSuccess", { channelId: id, requestId: id, jobId: id }),
  message<MiningMessage>("SetCustomMiningJobError", { channelId: id, requestId: id, errorCode: text }),
  message<MiningMessage>("SubmitSharesError", { channelId: id, sequenceNumber: id, errorCode: text }),
  message<MiningMessage>("SubmitSharesSuccess", {
    channelId: id,
    lastSequenceNumber: id,
    newSubmitsAcceptedCount: id,
    newSharesSum: fc.bigInt(0n, 2n ** 64n - 1n),
  }),
  message<MiningMessage>("SetTarget", { channelId: id, maximumTarget: hash }),
  message<MiningMessage>("SetExtranoncePrefix", { channelId: id, extranoncePrefix: fc.uint8Array({ maxLength: 32 }) }),
  message<MiningMessage>("CloseChannel", { channelId: id, reasonCode: text }),
  message<MiningMessage>("SetGroupChannel", { groupChannelId: id, channelIds: fc.array(id, { maxLength: 3 }) }),
  message<MiningMessage>("OpenExtendedMiningChannelSuccess", {
    requestId: id,
    channelId: id,
    target: hash,
    extranonceSize: fc.nat(40),
    extranoncePrefix: fc.uint8Array({ maxLength: 32 }),
    groupChannelId: id,
  }),
  message<MiningMessage>("OpenMiningChannelError", { requestId: id, errorCode: text }),
  message<MiningMessage>("Reconnect", { newHost: text, newPort: fc.nat(3) }),
);

const fromJds: fc.Arbitrary<JobDeclarationMessage> = fc.oneof(
  message<JobDeclarationMessage>("Reconnect", { newHost: text, newPort: fc.nat(3) }),
  message<JobDeclarationMessage>("AllocateMiningJobTokenSuccess", {
    requestId: id,
    miningJobToken: bytes,
    coinbaseTxOutputs: bytes,
  }),
  message<JobDeclarationMessage>("DeclareMiningJobSuccess", { requestId: id, newMiningJobToken: bytes }),
  message<JobDeclarationMessage>("DeclareMiningJobError", { requestId: id, errorCode: text, errorDetails: bytes }),
  message<JobDeclarationMessage>("ProvideMissingTransactions", {
    requestId: id,
    unknownTxPositionList: fc.array(fc.nat(5), { maxLength: 4 }),
  }),
  message<JobDeclarationMessage>("PushSolution", {
    extranonce: bytes,
    prevHash: hash,
    nonce: id,
    ntime: id,
    nbits: id,
    version: id,
  }),
);

type Step =
  | { readonly do: "pool"; readonly message: MiningMessage }
  | { readonly do: "jds"; readonly message: JobDeclarationMessage }
  | { readonly do: "list"; readonly places: readonly number[] }
  | { readonly do: "crash" | "return" | "tip" | "template" | "mine" | "second" | "hold" | "release" | "provider" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fromPool.map((said) => ({ do: "pool", message: said }) as const),
  fromJds.map((said) => ({ do: "jds", message: said }) as const),
  fc.subarray([1, 0]).map((places) => ({ do: "list", places }) as const),
  fc
    .constantFrom("crash", "return", "tip", "template", "mine", "second", "hold", "release", "provider")
    .map((what) => ({ do: what })),
);

function take(bench: Bench, next: Step): void {
  const { upstream } = bench;
  const [miner] = bench.miners;
  switch (next.do) {
    case "pool":
      return upstream.sayPool(next.message);
    case "jds":
      return upstream.sayJds(next.message);
    case "list":
      return bench.list(...next.places);
    case "crash":
      return upstream.crash();
    case "return":
      upstream.isUp = true;
      return bench.tick(5);
    case "tip":
      return bench.newTip({ nBits: EASY_BITS });
    case "template":
      return bench.newTemplate();
    case "mine":
      return miner?.mine();
    case "second":
      return bench.tick();
    case "hold":
      for (const name of ["DeclareMiningJob", "SetCustomMiningJob"] as const) upstream.held.add(name);
      return;
    case "release":
      return upstream.release();
    case "provider":
      bench.feed({ type: "provider-lost" });
      return bench.feed({ type: "provider-connected" });
    default:
      return next satisfies never;
  }
}

test("whatever an upstream says, miners have work, their valid shares are accepted, and blocks leave first", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const bench = new Bench({ upstreamCount: 2 });
      bench.newTip({ nBits: EASY_BITS });
      const miner = bench.join();
      for (const next of steps) {
        take(bench, next);
        bench.trace.length = 0;
        const { accepted } = miner;
        miner.mine();
        expect([miner.accepted, miner.rejected]).toEqual([accepted + 1, []]);
        const sent = bench.trace.map((line) => line.split(" ").at(-1));
        if (sent.includes("SubmitSharesExtended")) expect(sent[0]).toBe("SubmitSolution");
      }
      const { cached_shares: cached, shares_submitted: submitted, discarded_shares: discarded } = bench.core.status();
      const others = bench.count("sharesBelowUpstreamTarget") + bench.count("sharesSolo");
      // Every accepted share is accounted for: sent, kept, discarded, too easy for the pool, or mined for nobody else.
      expect(submitted + cached + discarded + others).toBe(bench.count("sharesAccepted"));
    }),
    { numRuns: 150 },
  );
});
