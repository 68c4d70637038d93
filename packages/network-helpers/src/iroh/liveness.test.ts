import { describe, expect, test } from "vitest";
import { defaultLiveness, receivesExcess, Watchdog } from "./liveness.ts";

/** Looks once a second at the counters given and lists the verdicts. */
function verdicts(watchdog: Watchdog, counters: readonly number[]): readonly string[] {
  return counters.map((counter, second) => watchdog.look(counter, second * 1_000));
}

function repeat(count: number, counter: number): readonly number[] {
  return Array.from({ length: count }, () => counter);
}

describe("the watchdog", () => {
  test("stays quiet on an idle link whose keep-alives come every five to six seconds", () => {
    const counters = Array.from({ length: 600 }, (_, second) => Math.floor(second / 6));
    expect(new Set(verdicts(new Watchdog(defaultLiveness, false, 0), counters))).toEqual(new Set(["alive"]));
  });

  test("probes after six silent seconds and gives up after thirteen", () => {
    const seen = verdicts(new Watchdog(defaultLiveness, false, 0), repeat(15, 7));
    expect(seen.indexOf("probe")).toBe(6);
    expect(seen.indexOf("dead")).toBe(13);
  });

  test("outlasts the 15 seconds QUIC takes to fail over to a relay when one is configured", () => {
    const seen = verdicts(new Watchdog(defaultLiveness, true, 0), repeat(30, 7));
    expect(seen.indexOf("dead")).toBe(22);
    expect(defaultLiveness.deadAfterWithRelayMs).toBeGreaterThanOrEqual(20_000);
  });

  test("starts over with every datagram, also when the counter goes back because a path closed", () => {
    const counters = [...repeat(12, 7), 3, ...repeat(12, 3)];
    expect(verdicts(new Watchdog(defaultLiveness, false, 0), counters)).not.toContain("dead");
  });

  test("does not blame the peer for a pause of its own process", () => {
    const watchdog = new Watchdog(defaultLiveness, false, 0);
    expect(watchdog.look(7, 0)).toBe("alive");
    expect(watchdog.look(7, 600_000)).toBe("alive");
    expect(watchdog.look(7, 606_000)).not.toBe("dead");
    expect(watchdog.look(7, 607_000)).not.toBe("dead");
  });

  test("gives up on a peer that was never heard", () => {
    const watchdog = new Watchdog({ ...defaultLiveness, checkIntervalMs: 5_000 }, false, 0);
    expect(watchdog.look(0, 5_000)).toBe("alive");
    expect(watchdog.look(0, 10_000)).toBe("alive");
    expect(watchdog.look(0, 18_000)).toBe("dead");
  });
});

describe("the excess check", () => {
  test("accepts what bulk transfer on loopback and an idle day look like", () => {
    // Measured: 1,000,000 bytes in 728 datagrams of 1,039,820 bytes.
    expect(receivesExcess({ udpBytes: 1_039_820, udpDatagrams: 728, streamBytes: 1_000_000, streams: 1 })).toBe(false);
    expect(receivesExcess({ udpBytes: 17_280 * 60, udpDatagrams: 17_280, streamBytes: 0, streams: 1 })).toBe(false);
  });

  test("accepts a full unread window of the stream itself", () => {
    expect(receivesExcess({ udpBytes: 1_300_000, udpDatagrams: 950, streamBytes: 0, streams: 1 })).toBe(false);
  });

  test("accepts a third of everything sent twice", () => {
    expect(
      receivesExcess({ udpBytes: 1_400_000_000, udpDatagrams: 1_000_000, streamBytes: 1_000_000_000, streams: 1 }),
    ).toBe(false);
  });

  test("finds three full windows on streams nobody reads", () => {
    expect(receivesExcess({ udpBytes: 4_000_000, udpDatagrams: 2_900, streamBytes: 100, streams: 1 })).toBe(true);
  });
});
