import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Backoff } from "./backoff.ts";
import { formatHostPort, parseHostPort } from "./host-port.ts";
import { defaultListenLimits, SourceLimits, sourceKey } from "./source-limits.ts";

describe("Backoff", () => {
  test("doubles its bound from the least to the most, and starts again after a success", () => {
    const backoff = new Backoff({ minMs: 1000, maxMs: 30_000, random: () => 0.999_999 });
    const waits = Array.from({ length: 8 }, () => backoff.next());
    expect(waits).toEqual([999, 1999, 3999, 7999, 15_999, 29_999, 29_999, 29_999]);
    backoff.reset();
    expect(backoff.next()).toBe(999);
  });

  test("waits anywhere from zero to the bound, for ever", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
        const backoff = new Backoff({ minMs: 500, maxMs: 30_000, random: () => random });
        for (let failure = 0; failure < 2000; failure++) {
          const wait = backoff.next();
          expect(wait >= 0 && wait <= 30_000).toBe(true);
        }
      }),
      { numRuns: 10 },
    );
  });
});

describe("SourceLimits", () => {
  const limits = { ...defaultListenLimits, maxConnections: 6, maxPending: 4, maxPerSource: 3, maxPendingPerSource: 2 };

  test("takes other limits for what comes from now on: who is in stays, and a new rate starts everyone afresh", () => {
    const counted = new SourceLimits({
      ...limits,
      maxPendingPerSource: 3,
      newPerSourceBurst: 3,
      newPerSourcePerSec: 1,
    });
    for (let times = 0; times < 3; times++) expect(counted.enter("a", 0)).toBeUndefined();
    counted.setLimits({ ...limits, maxConnections: 1 }, 0);
    expect(counted.enter("b", 0)).toBe("max-connections");
    expect([counted.open, counted.pending]).toEqual([3, 3]);
    const wide = { ...limits, maxPerSource: 9, maxPendingPerSource: 9, maxPending: 9, maxConnections: 9 };
    counted.setLimits({ ...wide, newPerSourceBurst: 3, newPerSourcePerSec: 1 }, 0);
    expect([1, 2, 3, 4].map(() => counted.enter("a", 0))).toEqual([undefined, undefined, undefined, "new-per-source"]);
    counted.setLimits({ ...wide, newPerSourceBurst: 3, newPerSourcePerSec: 1 }, 0);
    expect(counted.enter("a", 0)).toBe("new-per-source");
    counted.setLimits({ ...wide, newPerSourceBurst: 3, newPerSourcePerSec: 1, exemptSources: ["a"] }, 0);
    expect(counted.enter("a", 0)).toBeUndefined();
  });

  test("refuses by the limit that is met, and takes again when a connection has gone", () => {
    const counted = new SourceLimits(limits);
    expect([counted.enter("a", 0), counted.enter("a", 0)]).toEqual([undefined, undefined]);
    expect(counted.enter("a", 0)).toBe("max-pending-per-source");
    counted.settle("a");
    expect(counted.enter("a", 0)).toBeUndefined();
    counted.settle("a");
    expect(counted.enter("a", 0)).toBe("max-per-source");
    for (const source of ["b", "c", "d"]) expect(counted.enter(source, 0)).toBeUndefined();
    expect(counted.enter("e", 0)).toBe("max-connections");
    counted.settle("b");
    counted.leave("b");
    expect(counted.enter("e", 0)).toBeUndefined();
    counted.settle("e");
    counted.leave("e");
    expect([counted.open, counted.pending]).toEqual([5, 3]);
  });

  test("limits how fast one source comes, and not the others", () => {
    const counted = new SourceLimits({ ...defaultListenLimits, newPerSourceBurst: 2, newPerSourcePerSec: 1 });
    expect([0, 0, 0, 999, 1000].map((now) => counted.enter("a", now))).toEqual([
      undefined,
      undefined,
      "new-per-source",
      "new-per-source",
      undefined,
    ]);
    expect(counted.enter("b", 1000)).toBeUndefined();
  });

  test("exempts listed sources from the limits per source only", () => {
    const counted = new SourceLimits({ ...limits, maxPending: 10, exemptSources: ["farm"] });
    for (let index = 0; index < 6; index++) expect(counted.enter("farm", 0)).toBeUndefined();
    expect(counted.enter("farm", 0)).toBe("max-connections");
  });

  test("forgets sources that have gone quiet", () => {
    const counted = new SourceLimits(defaultListenLimits);
    for (let index = 0; index < 5000; index++) {
      const source = `source ${index}`;
      if (counted.enter(source, index) !== undefined) continue;
      counted.settle(source);
      counted.leave(source);
    }
    counted.enter("one more", 20_000);
    expect(counted.sources).toBe(1);
  });
});

describe("where a stream comes from", () => {
  const info = { endpointId: null, path: null, rttMs: null, since: 0, bytesIn: 0, bytesOut: 0 } as const;

  test.each([
    ["127.0.0.1:5000", "127.0.0.1"],
    ["[2001:db8:1:2:3:4:5:6]:5000", "2001:db8:1:2::/64"],
    ["[2001:db8::6]:5000", "2001:db8:0:0::/64"],
    ["[::1]:5000", "0:0:0:0::/64"],
    ["[fe80::1%br-lan]:5000", "fe80:0:0:0::/64"],
  ])("counts %s under %s", (peer, key) => {
    expect(sourceKey({ ...info, transport: "tcp", peer })).toBe(key);
  });

  test("counts Iroh peers under their endpoint id", () => {
    expect(sourceKey({ ...info, transport: "iroh", peer: "ab", endpointId: "ab", path: "relay" })).toBe("ab");
  });

  test("reads and writes host and port, and refuses what is neither", () => {
    for (const text of ["pool.example:3333", "127.0.0.1:0", "[2001:db8::1]:65535"]) {
      expect(formatHostPort(parseHostPort(text))).toBe(text);
    }
    expect(formatHostPort({ host: "::ffff:10.0.0.1", port: 1 })).toBe("10.0.0.1:1");
    for (const text of ["", ":1", "host", "host:", "host:65536", "::1:1", "[host]:1", "a b:1", "http://host:1"]) {
      expect(() => parseHostPort(text)).toThrow(expect.objectContaining({ code: "invalid-config" }));
    }
  });
});
