import { decodeHeader, fromHex, hex, pureHashing } from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testWork } from "./testing/test-work.ts";
import { rolledVersion, versionCount } from "./version-bits.ts";
import { type HeaderRange, WorkCursor } from "./work-cursor.ts";

const SECOND = 1000;

describe("a work cursor", () => {
  test("never gives the same header twice, whatever the work, however it changes without a change of content", () => {
    const works = fc.record({ extranonceSize: fc.nat(1), versionMask: fc.constantFrom(0, 0x2000, 0x6000) });
    const steps = fc.array(fc.record({ count: fc.integer({ min: 1, max: 5 }), wait: fc.nat(600), renew: fc.nat(9) }), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(works, steps, fc.double({ min: 0, max: 0.999, noNaN: true }), (shape, script, random) => {
        const cursor = new WorkCursor({ random, nonces: 8 });
        const seen = new Set<string>();
        let now = 0;
        let work = testWork(shape);
        for (const { count, wait, renew } of script) {
          now += wait;
          // A keep-alive: the same content under a new job, its time moved on. Jobs with an extranonce to roll only.
          if (renew === 0 && shape.extranonceSize > 0) {
            work = testWork({ ...shape, receivedAt: now, minNtime: testWork(shape).minNtime + Math.floor(now / 1000) });
          }
          for (const header of headers(cursor.next(work, count, now))) {
            expect(seen.has(header)).toBe(false);
            seen.add(header);
          }
        }
      }),
    );
  });

  test("rolls nonces, then versions, then extranonces", () => {
    const cursor = new WorkCursor({ random: 0, nonces: 4 });
    const work = testWork({ versionMask: 0x2000, extranonceSize: 2 });
    const walked = Array.from({ length: 5 }, () => cursor.next(work, 4, 0)!.found);
    expect(walked.map(({ version }) => version)).toEqual([0x20000000, 0x20002000, 0x20000000, 0x20002000, 0x20000000]);
    expect(walked.map(({ extranonce }) => hex(extranonce))).toEqual(["0000", "0000", "0001", "0001", "0002"]);
  });

  test("rolls the time once a second, from the time of the job, for at most two hours", () => {
    const cursor = new WorkCursor({ random: 0 });
    const work = testWork({ minNtime: 1000, receivedAt: 5 * SECOND });
    const ntimeAt = (now: number): number => cursor.next(work, 1, now)!.found.ntime;
    expect([5, 5.9, 6, 7.1, 3].map((at) => ntimeAt(at * SECOND))).toEqual([1000, 1000, 1001, 1002, 1000]);
    expect(ntimeAt(10_000 * SECOND)).toBe(8_000);
  });

  test("rolls no time past the end of its 32 bits", () => {
    const cursor = new WorkCursor({ random: 0 });
    const work = testWork({ minNtime: 0xfffffffe, receivedAt: 0 });
    const ntimes = [0, 1, 2, 5000].map((second) => cursor.next(work, 1, second * SECOND)!.found.ntime);
    expect(ntimes).toEqual([0xfffffffe, 0xffffffff, 0xffffffff, 0xffffffff]);
  });

  test("waits for the next second when a job for headers only is used up", () => {
    const cursor = new WorkCursor({ random: 0, nonces: 4 });
    const work = testWork({ extranonceSize: 0, versionMask: 0 });
    expect(cursor.next(work, 10, 0)?.nonceCount).toBe(4);
    expect(cursor.next(work, 10, 999)).toBeUndefined();
    expect(cursor.next(work, 3, 1000)).toMatchObject({ nonceStart: 0, nonceCount: 3 });
    expect(cursor.next(work, 3, 1500)).toMatchObject({ nonceStart: 3, nonceCount: 1 });
    expect(cursor.next(work, 3, 1999)).toBeUndefined();
  });

  test("builds the header that the share it belongs to says", () => {
    const work = testWork({ versionMask: 0x1fffe000, extranonceSize: 4 });
    const { header, found } = new WorkCursor({ random: 0.7 }).next(work, 1, 3 * SECOND)!;
    expect(decodeHeader(header)).toEqual({
      version: found.version,
      prevHash: work.prevHash,
      merkleRoot: work.merkleRoot(found.extranonce),
      ntime: work.minNtime + 3,
      nbits: work.nbits,
      nonce: 0,
    });
    expect((found.version ^ work.version) & ~work.versionMask).toBe(0);
  });

  test("asks for a merkle root once an extranonce", () => {
    let asked = 0;
    const merkleRoot = (extranonce: Uint8Array): Uint8Array => {
      asked++;
      return pureHashing.sha256d(extranonce);
    };
    const cursor = new WorkCursor({ random: 0, nonces: 8 });
    const work = testWork({ merkleRoot, versionMask: 0, extranonceSize: 1 });
    for (let step = 0; step < 8; step++) cursor.next(work, 2, 0);
    expect(asked).toBe(2);
  });
});

describe("version bits", () => {
  test("spread an index over the mask, and touch nothing else", () => {
    expect(versionCount(0)).toBe(1);
    expect(versionCount(0x1fffe000)).toBe(2 ** 16);
    expect(rolledVersion(0x3fffffff, 0x1fffe000, 0)).toBe(0x20001fff);
    expect(rolledVersion(0x20000000, 0x1fffe000, 0xffff)).toBe(0x3fffe000);
    expect(rolledVersion(0x20000000, 0x00005000, 0b10)).toBe(0x20004000);
    expect(rolledVersion(0xe0000000, 0x80000000, 1)).toBe(0xe0000000);
  });

  test("make as many different versions as counted", () => {
    const mask = 0x0010a040;
    const versions = new Set(Array.from({ length: versionCount(mask) }, (_, index) => rolledVersion(1, mask, index)));
    expect(versions.size).toBe(versionCount(mask));
  });
});

function headers(range: HeaderRange | undefined): readonly string[] {
  if (range === undefined) return [];
  const stem = hex(range.header.subarray(0, 76));
  expect(fromHex(stem)).toHaveLength(76);
  return Array.from({ length: range.nonceCount }, (_, index) => `${stem}:${range.nonceStart + index}`);
}
