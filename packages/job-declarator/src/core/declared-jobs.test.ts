import { describe, expect, test } from "vitest";
import { hashOf, transaction } from "../testing/sample-template.ts";
import type { DeclaredJob } from "./declared-job.ts";
import { DeclaredJobs } from "./declared-jobs.ts";

const LIMITS = { maxJobsPerConnection: 3, maxJobs: 100, maxJobBytes: 1_000_000 };

function job(tokenId: string, fields: Partial<DeclaredJob> = {}): DeclaredJob {
  return {
    tokenId,
    connection: 1,
    userIdentifier: "farm",
    height: 102,
    prevHash: hashOf(101),
    nbits: 0x207fffff,
    parts: { prefix: new Uint8Array(50), suffix: new Uint8Array(50), scriptSigSize: 10, extranonceSize: 8 },
    reservedValue: undefined,
    transactions: [],
    merklePath: [],
    ...fields,
  };
}

const names = (jobs: DeclaredJobs, connection = 1): readonly string[] =>
  jobs.of(connection).map(({ tokenId }) => tokenId);

describe("declared jobs", () => {
  test("are each connection's newest few, newest first", () => {
    const jobs = new DeclaredJobs(LIMITS);
    for (const name of ["a", "b", "c", "d"]) jobs.add(job(name));
    jobs.add(job("e", { connection: 2 }));
    expect([names(jobs), names(jobs, 2), names(jobs, 3)]).toEqual([["d", "c", "b"], ["e"], []]);
    expect([jobs.byToken("a"), jobs.byToken("b")?.tokenId]).toEqual([undefined, "b"]);
  });

  test("are given up when their height is two below the next block's", () => {
    const jobs = new DeclaredJobs(LIMITS);
    jobs.add(job("a"));
    jobs.add(job("b", { height: 103 }));
    jobs.leaveTip(103);
    expect(names(jobs)).toEqual(["b", "a"]);
    jobs.leaveTip(104);
    expect(names(jobs)).toEqual(["b"]);
  });
});

describe("transactions that many jobs share", () => {
  const shared = Array.from({ length: 20 }, (_, at) => transaction(at, { bytes: 1_000 }));
  const total = shared.reduce((sum, { bytes }) => sum + bytes.length, 0);

  test("are in memory once, however many jobs declare them", () => {
    const jobs = new DeclaredJobs({ ...LIMITS, maxJobsPerConnection: 64 });
    for (let at = 0; at < 64; at++) {
      // Each declaration brings its own copies.
      const transactions = shared.map((one) => ({ ...one, bytes: one.bytes.slice() }));
      jobs.add(job(`job-${at}`, { transactions }));
    }
    expect([jobs.size, jobs.transactions]).toEqual([64, 20]);
    expect(jobs.bytes).toBe(total + 64 * (2_048 + 20 * 8));
    const kept = new Set(jobs.of(1).flatMap(({ transactions }) => transactions.map(({ bytes }) => bytes)));
    expect(kept.size).toBe(20);
  });

  test("stay until the last job that has them is gone", () => {
    const jobs = new DeclaredJobs({ ...LIMITS, maxJobsPerConnection: 1 });
    jobs.add(job("a", { transactions: shared }));
    jobs.add(job("b", { transactions: shared.slice(0, 5) }));
    expect([jobs.transactions, names(jobs)]).toEqual([5, ["b"]]);
    jobs.add(job("c"));
    expect([jobs.transactions, jobs.bytes]).toEqual([0, 2_048]);
  });
});

describe("where there is no room for more,", () => {
  test("whoever has the most jobs loses the oldest, and nobody loses the last to another's many", () => {
    const jobs = new DeclaredJobs({ ...LIMITS, maxJobsPerConnection: 100, maxJobs: 5 });
    jobs.add(job("honest", { connection: 1 }));
    for (let at = 0; at < 20; at++) jobs.add(job(`many-${at}`, { connection: 2 }));
    expect([jobs.size, names(jobs, 1)]).toEqual([5, ["honest"]]);
    expect(names(jobs, 2)).toEqual(["many-19", "many-18", "many-17", "many-16"]);
  });

  test("bytes are made room for in the same way", () => {
    const large = (seed: number) => ({ transactions: [transaction(seed, { bytes: 40_000 })] });
    const jobs = new DeclaredJobs({ ...LIMITS, maxJobsPerConnection: 100, maxJobBytes: 100_000 });
    jobs.add(job("honest", { connection: 1, ...large(0) }));
    for (let at = 1; at < 9; at++) jobs.add(job(`large-${at}`, { connection: 2, ...large(at) }));
    expect([names(jobs, 1), names(jobs, 2)]).toEqual([["honest"], ["large-8"]]);
    expect(jobs.bytes).toBeLessThanOrEqual(100_000);
  });

  test("a job that alone is too large is taken all the same, for the last one is always tried", () => {
    const jobs = new DeclaredJobs({ ...LIMITS, maxJobBytes: 1_000 });
    jobs.add(job("a", { transactions: [transaction(1, { bytes: 40_000 })] }));
    expect(names(jobs)).toEqual(["a"]);
  });
});
