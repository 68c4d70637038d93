import { MAX_TARGET, targetToBytes } from "@adit/bitcoin";
import { type MiningMessage, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import type { FailureCode } from "./failure.ts";
import { Bench } from "./testing/bench.ts";
import { bytes32 } from "./testing/templates.ts";
import { payoutScript } from "./testing/test-upstream.ts";

/** A bench whose upstream answers nothing of what is named. */
function silent(...names: Parameters<Bench["upstream"]["held"]["add"]>[0][]): Bench {
  const bench = new Bench({ soloAfterMs: 0 });
  // The first session began before anything could be held back.
  bench.upstream.crash();
  for (const name of names) bench.upstream.held.add(name);
  bench.upstream.isUp = true;
  return bench;
}

function failures(bench: Bench): readonly string[] {
  return [...bench.counts.keys()].filter((key) => key.startsWith("sessionFailures ")).map((key) => key.split(" ")[1]!);
}

/** Everything of a session but the refusals of the first one's crash. */
function after(bench: Bench, seconds: number): readonly string[] {
  bench.counts.clear();
  bench.tick(seconds);
  return failures(bench);
}

const job: MiningMessage = {
  name: "NewExtendedMiningJob",
  channelId: 1,
  jobId: 1,
  minNtime: null,
  version: 0x20000000,
  versionRollingAllowed: true,
  merklePath: [],
  coinbaseTxPrefix: new Uint8Array(),
  coinbaseTxSuffix: new Uint8Array(),
};

describe("a session is over", () => {
  test.each<[FailureCode, Bench]>([
    ["channel-timeout", silent("OpenExtendedMiningChannel")],
    ["token-timeout", silent("AllocateMiningJobToken")],
  ])("%s: nothing came in time", (code, bench) => {
    expect(after(bench, 12)).toEqual([]);
    expect(after(bench, 1)).toEqual([code]);
  });

  test.each<[FailureCode, "DeclareMiningJob" | "SetCustomMiningJob"]>([
    ["declaration-timeout", "DeclareMiningJob"],
    ["custom-job-timeout", "SetCustomMiningJob"],
  ])("%s: a job was not answered in time", (code, name) => {
    const bench = new Bench();
    bench.upstream.held.add(name);
    bench.newTip();
    expect(after(bench, 9)).toEqual([]);
    expect(after(bench, 1)).toEqual([code]);
  });

  test("declaration-refused: the job declarator takes no job, whatever it says of it", () => {
    const bench = new Bench();
    bench.upstream.declarationError = "invalid-job";
    bench.newTip();
    expect(failures(bench)).toEqual(["declaration-refused"]);
  });

  test("custom-job-refused: the pool takes no job", () => {
    const bench = new Bench();
    bench.upstream.refusal = "invalid-mining-job-token";
    bench.newTip();
    expect(failures(bench)).toEqual(["custom-job-refused"]);
  });

  test("share-rejected: the pool does not credit a share of a job it has taken", () => {
    const bench = new Bench();
    bench.newTip();
    bench.upstream.held.add("SubmitSharesExtended");
    bench.join().mine();
    const { channelId } = bench.upstream;
    bench.upstream.sayPool({ name: "SubmitSharesError", channelId, sequenceNumber: 0, errorCode: "invalid-share" });
    expect(failures(bench)).toEqual(["share-rejected"]);
  });

  test("unexpected-job: the pool sends jobs of its own", () => {
    const bench = new Bench();
    bench.upstream.sayPool(job);
    expect(failures(bench)).toEqual(["unexpected-job"]);
  });

  test("channel-closed: the pool does not want us", () => {
    const bench = new Bench({ upstreamCount: 2 });
    const { channelId } = bench.upstream;
    bench.upstream.sayPool({ name: "CloseChannel", channelId, reasonCode: "full" });
    expect(bench.core.status().mining_for).toBe("upstream-1");
    expect(failures(bench)).toEqual(["channel-closed"]);
  });

  test("channel-refused: the pool opens no channel", () => {
    const bench = silent("OpenExtendedMiningChannel");
    bench.tick(4);
    const [open] = bench.upstream.named("OpenExtendedMiningChannel").slice(-1);
    bench.counts.clear();
    bench.upstream.sayPool({ name: "OpenMiningChannelError", requestId: open!.requestId, errorCode: "unknown-user" });
    expect(failures(bench)).toEqual(["channel-refused"]);
  });

  test("extranonce-unusable: prefix and rollable bytes are more than an extranonce has", () => {
    const bench = silent("OpenExtendedMiningChannel");
    bench.tick(4);
    const [open] = bench.upstream.named("OpenExtendedMiningChannel").slice(-1);
    bench.counts.clear();
    bench.upstream.sayPool({
      name: "OpenExtendedMiningChannelSuccess",
      requestId: open!.requestId,
      channelId: 3,
      groupChannelId: 4,
      target: u256(targetToBytes(MAX_TARGET)),
      extranonceSize: 16,
      extranoncePrefix: new Uint8Array(17),
    });
    expect(failures(bench)).toEqual(["extranonce-unusable"]);
  });

  test("protocol-fault: it does not stop breaking the protocol", () => {
    const bench = new Bench();
    const { channelId } = bench.upstream;
    for (let fault = 0; fault < 16; fault += 1) {
      bench.upstream.sayPool({ name: "SetTarget", channelId, maximumTarget: bytes32(0) });
    }
    expect(failures(bench)).toEqual([]);
    bench.upstream.sayPool({ name: "SetTarget", channelId, maximumTarget: bytes32(0) });
    expect(failures(bench)).toEqual(["protocol-fault"]);
  });

  test.each(["DeclareMiningJobSuccess", "AllocateMiningJobTokenSuccess"] as const)(
    "protocol-fault: %s answers what was not asked",
    (name) => {
      const bench = new Bench();
      const requestId = 77;
      if (name === "DeclareMiningJobSuccess") {
        bench.upstream.sayJds({ name, requestId, newMiningJobToken: new Uint8Array() });
      } else {
        bench.upstream.sayJds({
          name,
          requestId,
          miningJobToken: new Uint8Array(),
          coinbaseTxOutputs: new Uint8Array(),
        });
      }
      expect(failures(bench)).toEqual(["protocol-fault"]);
    },
  );
});

describe("who is paid", () => {
  const pays = (...scripts: readonly Uint8Array[]) => scripts.map((script) => ({ value: 0n, script }));

  test.each<[FailureCode, ReturnType<typeof pays>]>([
    ["bad-coinbase-outputs", []],
    ["bad-coinbase-outputs", [{ value: 1n, script: payoutScript(0) }]],
    ["bad-coinbase-outputs", pays(Uint8Array.of(0x6a, 1, 1))],
    ["bad-coinbase-outputs", pays(new Uint8Array())],
    ["coinbase-outputs-too-large", pays(payoutScript(0), new Uint8Array(400))],
    ["coinbase-outputs-too-large", pays(payoutScript(0), new Uint8Array(11).fill(0xac))],
  ])("must be said by the first token: %s otherwise", (code, outputs) => {
    const bench = silent();
    bench.upstream.outputs = outputs;
    bench.newTip();
    expect(after(bench, 4)).toEqual([code]);
    expect(bench.core.status().mining_for).toBe("solo");
  });

  test("must stay the same: a later token that pays elsewhere is refused before any job is made with it", () => {
    const bench = new Bench();
    bench.upstream.outputs = pays(payoutScript(9));
    bench.newTip();
    expect(failures(bench)).toEqual(["payout-changed"]);
  });

  test("must be who the operator expects, if the operator says so", () => {
    const expecting = (place: number): Bench => {
      const rules = { name: "pool", userIdentity: "alice", expectedScript: payoutScript(place) };
      return new Bench({ rules: [rules] });
    };
    expect(failures(expecting(0))).toEqual([]);
    expect(failures(expecting(1))).toEqual(["unexpected-payout"]);
  });
});

describe("tokens", () => {
  test("are held in advance, used oldest first, and asked for again when used", () => {
    const bench = new Bench();
    expect(bench.upstream.named("AllocateMiningJobToken")).toHaveLength(2);
    bench.newTip();
    bench.newTemplate();
    const used = bench.upstream.named("DeclareMiningJob").map(({ miningJobToken }) => [...miningJobToken]);
    expect(used).toEqual([
      [0, 1],
      [0, 2],
    ]);
    expect(bench.upstream.named("AllocateMiningJobToken")).toHaveLength(4);
  });

  test("are thrown away after five minutes, and others asked for", () => {
    const bench = new Bench();
    bench.tick(299);
    expect(bench.count("tokens", "expired")).toBe(0);
    bench.tick(1);
    expect(bench.count("tokens", "expired")).toBe(2);
    expect(bench.upstream.named("AllocateMiningJobToken")).toHaveLength(4);
  });
});

test("the pool is told when the miners' hashrate is another", () => {
  const bench = new Bench();
  bench.newTip();
  bench.join();
  bench.join();
  bench.tick(2);
  // Before any miner is there, it is told of the weakest.
  expect(bench.upstream.named("OpenExtendedMiningChannel").map(({ nominalHashRate }) => nominalHashRate)).toEqual([1]);
  expect(bench.upstream.named("UpdateChannel").map(({ nominalHashRate }) => nominalHashRate)).toEqual([2]);
});

test("a pool that forbids version rolling is of no use to miners that may roll", () => {
  const bench = silent();
  bench.upstream.fixedVersion = true;
  expect(after(bench, 4)).toEqual(["version-rolling-forbidden"]);
});
