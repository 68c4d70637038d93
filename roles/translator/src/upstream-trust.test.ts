import { describe, expect, test } from "vitest";
import { UpstreamTrust } from "./upstream-trust.ts";

const MINUTE = 60_000;
const idle = { wanting: false, working: false };
const starving = { wanting: true, working: false };
const working = { wanting: true, working: true };

describe("an upstream is left", () => {
  test("when miners have been without work for half a minute, and not when there are none", () => {
    const trust = new UpstreamTrust();
    expect(trust.tick(0, idle)).toBeUndefined();
    expect(trust.tick(MINUTE, starving)).toBeUndefined();
    expect(trust.tick(MINUTE + 29_000, starving)).toBeUndefined();
    expect(trust.tick(MINUTE + 29_500, working)).toBeUndefined();
    expect(trust.tick(MINUTE + 30_000, starving)).toBeUndefined();
    expect(trust.tick(MINUTE + 60_000, starving)).toMatchObject({ code: "no-work" });
  });

  test("when it answers none of a thousand shares for a minute, or of a hundred for half an hour", () => {
    const busy = new UpstreamTrust();
    for (let share = 0; share < 1000; share += 1) busy.submitted(share);
    expect(busy.tick(MINUTE - 1, working)).toBeUndefined();
    expect(busy.tick(MINUTE, working)).toMatchObject({ code: "shares-unanswered" });
    const quiet = new UpstreamTrust();
    for (let share = 0; share < 100; share += 1) quiet.submitted(share);
    expect(quiet.tick(30 * MINUTE - 1, working)).toBeUndefined();
    expect(quiet.tick(30 * MINUTE, working)).toMatchObject({ code: "shares-unanswered" });
  });

  test("not when it answers late, or has had too few shares to fill a batch", () => {
    const trust = new UpstreamTrust();
    for (let share = 0; share < 1000; share += 1) trust.submitted(share);
    trust.credited();
    for (let share = 0; share < 99; share += 1) trust.submitted(MINUTE);
    expect(trust.tick(90 * MINUTE, working)).toBeUndefined();
  });

  test("when it refuses twenty shares in a row over a minute, and not when it credits one between", () => {
    const trust = new UpstreamTrust();
    const refuse = (count: number, at: number): void => {
      for (let share = 0; share < count; share += 1) trust.refused(at);
    };
    refuse(19, 0);
    trust.credited();
    refuse(19, MINUTE);
    expect(trust.tick(9 * MINUTE, working)).toBeUndefined();
    refuse(1, 9 * MINUTE);
    expect(trust.tick(9 * MINUTE, working)).toMatchObject({ code: "shares-refused" });
  });

  test("when it breaks rule after rule, and not for one a minute", () => {
    const patient = new UpstreamTrust();
    for (let fault = 0; fault < 1000; fault += 1) expect(patient.broke(fault * MINUTE, "bad-group")).toBeUndefined();
    const trust = new UpstreamTrust();
    for (let fault = 0; fault < 16; fault += 1) expect(trust.broke(0, "bad-group")).toBeUndefined();
    expect(trust.broke(0, "bad-group")).toEqual({
      code: "protocol-fault",
      detail: "the upstream keeps breaking the protocol: bad-group",
    });
  });
});

test("an upstream has delivered when it credited work, and has failed to when it was sent some and credited none", () => {
  const trust = new UpstreamTrust();
  expect(trust.delivered).toBe(true);
  trust.submitted(0);
  expect(trust.delivered).toBe(false);
  trust.refused(0);
  expect(trust.delivered).toBe(false);
  trust.credited();
  trust.refused(0);
  expect(trust.delivered).toBe(true);
});
