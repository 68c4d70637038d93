import { decodeTransaction, hex, type TxOutput, targetFromHashrate, workOf } from "@adit/bitcoin";
import { REQUIRES_STANDARD_JOBS, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { defaultVardiffOptions } from "../vardiff.ts";
import { defaultChannelLimits } from "./limits.ts";
import { coinbaseOf } from "./share-validation.ts";
import {
  bytes32,
  effectsOf,
  Harness,
  messagesNamed,
  prevHash,
  scriptSigSize,
  shareErrors,
  template,
} from "./testing/harness.ts";

const FIRST: TxOutput = { value: 5_000_000_000n, script: Uint8Array.of(0x51) };
const SECOND: TxOutput = { value: 5_000_000_000n, script: Uint8Array.of(0x52, 0x53) };
const MINER = 1;

/** A server that can be put on other outputs. */
function running(changes: ConstructorParameters<typeof Harness>[0] = {}) {
  let reward = FIRST;
  const harness = new Harness({ rewardOutputs: () => [reward], ...changes });
  const rebase = (prefix: Uint8Array, totalSize: number) => {
    reward = SECOND;
    return harness.input({ type: "rebase", extranonce: { prefix, totalSize } });
  };
  return { harness, rebase };
}

describe("put on another base", () => {
  test("channels keep their place and size, and mine the same tip for the new outputs", () => {
    const { harness, rebase } = running();
    harness.newTip(1);
    harness.connect(MINER);
    const views = [harness.open(MINER), harness.open(MINER), harness.open(MINER, "standard")];
    const places = views.map(({ prefix }) => hex(prefix.subarray(1, 4)));
    const effects = rebase(Uint8Array.of(7, 8, 9, 0, 0), 24);
    expect(messagesNamed(effects, "SetExtranoncePrefix").map(({ channelId }) => channelId)).toEqual([2, 3, 4]);
    expect(views.map(({ prefix }) => hex(prefix.subarray(0, 8)))).toEqual(places.map((place) => `0708090000${place}`));
    expect(views.map(({ prefix }) => prefix.length)).toEqual([8, 8, 24]);
    for (const view of views) {
      const share = view.mine();
      expect(shareErrors(harness.send(MINER, share.message))).toEqual([]);
    }
    const [job] = messagesNamed(effects, "NewExtendedMiningJob");
    const { coinbaseTxPrefix = new Uint8Array(0), coinbaseTxSuffix = new Uint8Array(0) } = job ?? {};
    const coinbase = coinbaseOf({ coinbaseTxPrefix, coinbaseTxSuffix }, new Uint8Array(24), new Uint8Array(0));
    expect(decodeTransaction(coinbase).outputs).toEqual([SECOND]);
    expect(coinbaseTxPrefix.at(-1)).toBe(24);
    expect(scriptSigSize(coinbase)).toBe(4 + 5 + 1 + 24);
  });

  test("shares of the jobs from before are judged by what those jobs were sent with", () => {
    const { harness, rebase } = running();
    harness.newTip(1);
    harness.connect(MINER);
    const view = harness.open(MINER);
    const before = view.mine();
    rebase(Uint8Array.of(7), 20);
    expect(shareErrors(harness.send(MINER, before.message))).toEqual([]);
    expect(hex(harness.recorded[0]?.extranonce.subarray(0, 4) ?? new Uint8Array(0))).toMatch(/^01/);
    expect(shareErrors(harness.send(MINER, view.mine().message))).toEqual([]);
    const works = harness.recorded.map(({ workId }) => workId);
    expect(works[0]).not.toBe(works[1]);
  });

  test("future jobs are told anew, so that the next tip pays the new outputs", () => {
    const { harness, rebase } = running();
    harness.newTip(1);
    harness.connect(MINER);
    const view = harness.open(MINER);
    harness.input({ type: "template", template: template(2) });
    const effects = rebase(Uint8Array.of(7), 20);
    expect(messagesNamed(effects, "NewExtendedMiningJob").map(({ minNtime }) => minNtime === null)).toEqual([
      true,
      false,
    ]);
    const [activated] = effectsOf(
      harness.input({ type: "prev-hash", prevHash: prevHash(2, { prevHash: u256(bytes32(0xa1)) }) }),
      "job-activated",
    );
    expect(activated?.job.origin.templateId).toBe(2n);
    const { coinbaseTxPrefix = new Uint8Array(0), coinbaseTxSuffix = new Uint8Array(0) } = activated?.job ?? {};
    const coinbase = coinbaseOf({ coinbaseTxPrefix, coinbaseTxSuffix }, new Uint8Array(20), new Uint8Array(0));
    expect(decodeTransaction(coinbase).outputs).toEqual([SECOND]);
    expect(shareErrors(harness.send(MINER, view.mine().message))).toEqual([]);
  });

  test("work that is held back is made anew as well", () => {
    const { harness, rebase } = running({ limits: { ...defaultChannelLimits, jobsPerSecond: 1, jobBurst: 2 } });
    harness.newTip(1);
    harness.connect(MINER);
    harness.open(MINER);
    harness.newWork(2);
    expect(effectsOf(harness.newWork(3), "job-activated")).toEqual([]);
    rebase(Uint8Array.of(7), 20);
    const [activated] = effectsOf(harness.tick(2), "job-activated");
    expect(activated?.job.origin.templateId).toBe(3n);
    const { coinbaseTxPrefix = new Uint8Array(0), coinbaseTxSuffix = new Uint8Array(0) } = activated?.job ?? {};
    const coinbase = coinbaseOf({ coinbaseTxPrefix, coinbaseTxSuffix }, new Uint8Array(20), new Uint8Array(0));
    expect(decodeTransaction(coinbase).outputs).toEqual([SECOND]);
  });

  test("channels outside of a group get a job each", () => {
    const { harness, rebase } = running();
    harness.newTip(1);
    harness.connect(MINER, REQUIRES_STANDARD_JOBS);
    const view = harness.open(MINER, "standard");
    const effects = rebase(Uint8Array.of(7), 20);
    expect(messagesNamed(effects, "NewMiningJob")).toMatchObject([{ channelId: 2 }]);
    expect(shareErrors(harness.send(MINER, view.mine().message))).toEqual([]);
  });

  test("before any work only the prefixes change", () => {
    const { harness, rebase } = running();
    harness.connect(MINER);
    expect(rebase(Uint8Array.of(7), 20)).toEqual([]);
    harness.newTip(1);
    expect(hex(harness.open(MINER).prefix)).toMatch(/^07/);
  });

  test.each<[string, Uint8Array, number]>([
    ["clients would have more to roll", Uint8Array.of(7), 21],
    ["clients would have less to roll", Uint8Array.of(7, 7), 20],
  ])("nothing changes when %s", (_why, prefix, totalSize) => {
    const { harness, rebase } = running();
    harness.newTip(1);
    harness.connect(MINER);
    const view = harness.open(MINER);
    expect(() => rebase(prefix, totalSize)).toThrow(RangeError);
    expect(hex(harness.open(MINER).prefix)).toMatch(/^01/);
    expect(shareErrors(harness.send(MINER, view.mine().message))).toEqual([]);
  });

  test("nothing changes when the coinbase script would be too long for the longest template prefix", () => {
    const { harness, rebase } = running({ coinbaseTag: "x".repeat(66) });
    harness.newTip(1);
    harness.connect(MINER);
    const view = harness.open(MINER);
    expect(() => rebase(new Uint8Array(6).fill(7), 25)).toThrow("101 bytes");
    expect(hex(view.prefix)).toMatch(/^01/);
    rebase(new Uint8Array(5).fill(7), 24);
    expect(hex(view.prefix)).toMatch(/^0707070707/);
  });
});

describe("the hardest target", () => {
  const upstream = targetFromHashrate(100, 6);

  test("bounds every channel from its next job on, and no longer when it is lifted", () => {
    const { harness } = running();
    harness.newTip(1);
    harness.connect(MINER);
    const view = harness.open(MINER, "extended", { nominalHashRate: 1000 });
    const own = view.target;
    expect(own < upstream).toBe(true);
    const before = view.mine();
    const effects = harness.input({ type: "hardest-target", target: upstream });
    expect(messagesNamed(effects, "SetTarget")).toMatchObject([{ channelId: 2 }]);
    expect(view.target).toBe(upstream);
    expect(harness.open(MINER, "extended", { nominalHashRate: 1000 }).target).toBe(upstream);
    harness.newWork(2);
    expect(shareErrors(harness.send(MINER, view.mine().message))).toEqual([]);
    expect(harness.recorded.at(-1)?.work).toBe(workOf(upstream));
    expect(shareErrors(harness.send(MINER, before.message))).toEqual([]);
    expect(harness.recorded.at(-1)?.work).toBe(workOf(own));
    harness.input({ type: "hardest-target", target: undefined });
    expect(view.target).toBe(own);
  });

  test("leaves easier channels alone", () => {
    const { harness } = running();
    harness.newTip(1);
    harness.connect(MINER);
    const view = harness.open(MINER, "extended", { nominalHashRate: 10 });
    const own = view.target;
    expect(harness.input({ type: "hardest-target", target: upstream })).toEqual([]);
    expect(view.target).toBe(own);
  });

  test("is easier than the server's easiest when the upstream is, and never easier than the client's own limit", () => {
    const { harness } = running({ minHashrate: 1000 });
    harness.newTip(1);
    harness.connect(MINER);
    const harder = targetFromHashrate(500, 6);
    const views = [harness.open(MINER), harness.open(MINER, "extended", { maxTarget: harder })];
    harness.input({ type: "hardest-target", target: upstream });
    expect(views.map(({ target }) => target)).toEqual([upstream, harder]);
  });

  test("does not make the estimate of a fast miner's hashrate run away", () => {
    const { harness } = running({ vardiff: defaultVardiffOptions, shareBatchSize: 1000 });
    harness.newTip(1);
    harness.connect(MINER);
    // Three times as fast as the target allows for: a share in 3.3 seconds where one in 10 is aimed at.
    const view = harness.open(MINER, "extended", { nominalHashRate: 300 });
    harness.input({ type: "hardest-target", target: upstream });
    harness.newWork(2);
    let from = 0;
    for (let second = 0; second < 1200; second += 1) {
      harness.tick();
      if (second % 30 === 0) harness.newWork(3 + second);
      if (second % 10 !== 0 && second % 10 !== 3 && second % 10 !== 7) continue;
      from += 1;
      harness.send(MINER, view.mine({ from: from * 1_000_000 }).message);
    }
    const [channel] = harness.server.status().connections[0]?.channels ?? [];
    expect(channel?.target).toBe(upstream);
    expect(channel?.hashrate).toBeGreaterThan(200);
    expect(channel?.hashrate).toBeLessThan(450);
  });
});
