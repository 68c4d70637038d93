import { describe, expect, test } from "vitest";
import { Tolerance } from "./tolerance.ts";

const T = 1_000_000;

describe("a refused job", () => {
  test("is a race when the tip has moved under it or the pool knows another, for two times in a row", () => {
    const tolerance = new Tolerance();
    tolerance.tipMoved(T);
    expect(tolerance.jobRefused("stale-chain-tip", false, T)).toBe("race");
    expect(tolerance.jobRefused("invalid-job", true, T + 2000)).toBe("race");
    expect(tolerance.jobRefused("stale-chain-tip", false, T + 4000)).toBe("fault");
  });

  test("is a fault for any other reason", () => {
    expect(new Tolerance().jobRefused("invalid-job", false, T)).toBe("fault");
  });

  test("is forgotten when another is taken, or after a minute", () => {
    const tolerance = new Tolerance();
    const refuse = (now: number) => tolerance.jobRefused("stale-chain-tip", true, now);
    refuse(T);
    refuse(T + 2000);
    tolerance.jobAccepted();
    expect([refuse(T + 4000), refuse(T + 6000)]).toEqual(["race", "race"]);
    const later = T + 66_000;
    expect([refuse(later), refuse(later + 2000), refuse(later + 4000)]).toEqual(["race", "race", "fault"]);
  });

  test("is not made up for by shares of an older one", () => {
    const tolerance = new Tolerance();
    tolerance.jobRefused("stale-chain-tip", true, T);
    tolerance.jobRefused("stale-chain-tip", true, T + 2000);
    tolerance.sharesAccepted(100);
    expect(tolerance.jobRefused("stale-chain-tip", true, T + 4000)).toBe("fault");
  });

  test("counts once, however many were asked about together", () => {
    const tolerance = new Tolerance();
    const refuse = (now: number) => tolerance.jobRefused("stale-chain-tip", false, now);
    expect([refuse(T), refuse(T), refuse(T + 1), refuse(T + 1999)]).toEqual(["race", "race", "race", "race"]);
    expect([refuse(T + 2000), refuse(T + 4000)]).toEqual(["race", "fault"]);
  });

  test("for a tip that we do not hear of in ten seconds was no race", () => {
    const tolerance = new Tolerance();
    tolerance.tipMoved(T);
    tolerance.jobRefused("stale-chain-tip", false, T + 10_000);
    expect([tolerance.isOverdue(T + 19_999), tolerance.isOverdue(T + 20_000)]).toEqual([false, true]);
    tolerance.tipMoved(T + 20_000);
    expect(tolerance.isOverdue(T + 40_000)).toBe(false);
  });
});

describe("a refused share", () => {
  test("is late, with any number of others, when the tip has just moved", () => {
    const tolerance = new Tolerance();
    tolerance.tipMoved(T);
    const verdicts = Array.from({ length: 50 }, (_, late) => tolerance.shareRefused("stale-share", T + late * 100));
    expect(new Set(verdicts)).toEqual(new Set(["race"]));
    expect(tolerance.isOverdue(T + 60_000)).toBe(false);
  });

  test("is a fault at the third tip in a row whose shares are all refused, within a minute", () => {
    const tolerance = new Tolerance();
    const refuseAt = (now: number) => {
      tolerance.tipMoved(now);
      return tolerance.shareRefused("stale-share", now);
    };
    expect([refuseAt(T), refuseAt(T + 15_000), refuseAt(T + 30_000)]).toEqual(["race", "race", "fault"]);
  });

  test("is hard luck when the target has just changed, and a fault later", () => {
    const tolerance = new Tolerance();
    tolerance.targetSet(T);
    expect(tolerance.shareRefused("difficulty-too-low", T + 9999)).toBe("race");
    expect(tolerance.shareRefused("difficulty-too-low", T + 10_000)).toBe("fault");
  });

  test.each(["duplicate-share", "invalid-job-id", "whatever"])("is a fault when it is called %s", (errorCode) => {
    const tolerance = new Tolerance();
    tolerance.tipMoved(T);
    tolerance.targetSet(T);
    expect(tolerance.shareRefused(errorCode, T)).toBe("fault");
  });

  test("through nobody's fault is one when half of the last shares are refused so", () => {
    const tolerance = new Tolerance();
    tolerance.sharesAccepted(1000);
    const verdicts = Array.from({ length: 10 }, () => tolerance.shareRefused("share-rate-exceeded", T));
    expect(verdicts).toEqual([...Array.from({ length: 9 }, () => "race"), "fault"]);
  });

  test("through nobody's fault means nothing while there are few answers", () => {
    const tolerance = new Tolerance();
    const verdicts = Array.from({ length: 10 }, () => tolerance.shareRefused("too-many-shares", T));
    expect(verdicts.lastIndexOf("race")).toBe(8);
  });
});
