import { hash, MAX_TARGET, pureHashing, target } from "@adit/bitcoin";
import { u256 } from "@adit/codec";
import { expect, test } from "vitest";
import { Channel } from "./channel.ts";
import { History } from "./history.ts";
import { JobStore } from "./job-store.ts";
import { defaultChannelLimits } from "./limits.ts";
import { template } from "./testing/harness.ts";

function channel(): Channel {
  return new Channel(
    {
      connection: 1,
      channelId: 2,
      requestId: 1,
      groupChannelId: 1,
      kind: "extended",
      takesShared: true,
      userIdentity: "alice",
      nominalHashRate: 0,
      maxTarget: MAX_TARGET,
      lease: { index: 0, prefix: new Uint8Array(4) },
      extranoncePrefix: new Uint8Array(4),
      extranonceSize: 16,
      target: target(1n << 200n),
      fromSerial: 0,
      vardiff: null,
      hashrate: 1,
      now: 0,
    },
    {
      hashing: pureHashing,
      extranonce: { totalSize: 20, prefix: Uint8Array.of(0), indexSize: 3, start: 0 },
      rewardOutputs: () => [],
      coinbaseTag: "",
      sharesPerMinute: 6,
      shareBatchSize: 1,
      ackIntervalMs: 1,
      minHashrate: 1,
      vardiff: null,
      versionRollingAllowed: true,
      limits: defaultChannelLimits,
      customJobs: null,
    },
  );
}

const job = {
  id: 4,
  workId: 4,
  origin: { kind: "template", templateId: 1n, height: 1, template: template(1) },
  version: 1,
  versionRollingAllowed: true,
  coinbaseTxPrefix: new Uint8Array(0),
  coinbaseTxSuffix: new Uint8Array(0),
  merklePath: [u256(new Uint8Array(32))],
} as const;

test.each([0, 3, 5, 20, 32])("a prefix of %i bytes for one of four is refused and changes nothing", (size) => {
  const one = channel();
  const jobs = new JobStore(defaultChannelLimits);
  const before = one.extranoncePrefix;
  expect(() => one.setExtranoncePrefix(new Uint8Array(size).fill(9), 5, jobs)).toThrow(RangeError);
  expect(one.extranoncePrefix).toBe(before);
  expect(one.prefixOf(5)).toBe(before);
});

test("a prefix of the same length holds for later jobs only", () => {
  const one = channel();
  const jobs = new JobStore(defaultChannelLimits);
  const [first, second] = [one.extranoncePrefix, new Uint8Array(4).fill(9)];
  jobs.addFuture(job);
  one.setExtranoncePrefix(second, 5, jobs);
  expect([one.prefixOf(4), one.prefixOf(5)]).toEqual([first, second]);
});

test("a target that no job carried yet is replaced, so that however many there are the job before them keeps its own", () => {
  const one = channel();
  const jobs = new JobStore(defaultChannelLimits);
  const tip = { prevHash: hash(new Uint8Array(32)), ntime: 0, nbits: 0, networkTarget: new Uint8Array(32), since: 0 };
  jobs.activate(job, { tip, minNtime: 0, serial: 1 });
  for (let count = 0; count < 1000; count += 1) one.setTarget(target(BigInt(count + 1)), 2, jobs);
  expect(one.findJob(jobs, job.id).terms?.target).toBe(1n << 200n);
  expect(one.isTargetPending(jobs)).toBe(true);
  jobs.activate({ ...job, id: 5 }, { tip, minNtime: 0, serial: 2 });
  expect(one.findJob(jobs, 5).terms?.target).toBe(1000n);
});

test("a history forgets what nothing asks for, and never grows without bound", () => {
  const history = new History(0, "a");
  history.set(10, "b");
  history.set(20, "c");
  history.replaceLatest(21, "d");
  expect([0, 9, 10, 20, 21].map((moment) => history.at(moment))).toEqual(["a", "a", "b", "b", "d"]);
  history.forgetBefore(15);
  expect([9, 15, 21].map((moment) => history.at(moment))).toEqual([undefined, "b", "d"]);
  for (let moment = 100; moment < 1100; moment += 1) history.set(moment, String(moment));
  expect([history.at(971), history.at(972)]).toEqual([undefined, "972"]);
});
