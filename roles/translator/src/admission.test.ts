import { expect, test } from "vitest";
import { Admission } from "./admission.ts";

const limits = { maxMiners: 6, maxMinersPerSource: 3, newMinersPerSecond: 1, newMinersBurst: 4 };

test("a source may hold so many connections, and others are not affected", () => {
  const admission = new Admission(limits);
  const enter = (peer: string): string => admission.enter(peer, 0) ?? "in";
  expect([1, 2, 3, 4].map((port) => enter(`192.0.2.1:${port}`))).toEqual(["in", "in", "in", "max-miners-per-source"]);
  expect(enter("192.0.2.2:1")).toBe("in");
  admission.leave("192.0.2.1:1");
  expect(enter("192.0.2.1:5")).toBe("in");
});

test("other limits hold for what comes from now on; nobody who is in has to leave", () => {
  const admission = new Admission(limits);
  for (const port of [1, 2, 3]) expect(admission.enter(`192.0.2.1:${port}`, 0)).toBeUndefined();
  admission.setLimits({ ...limits, maxMiners: 3 });
  expect(admission.enter("192.0.2.2:1", 0)).toBe("max-miners");
  admission.setLimits({ ...limits, maxMinersPerSource: 4 });
  expect(admission.enter("192.0.2.1:4", 0)).toBeUndefined();
});

test("an IPv6 source is a /64, however it is written", () => {
  const admission = new Admission(limits);
  const peers = ["[2001:db8::1]:1", "[2001:db8:0:0:5::1]:1", "[2001:db8:0:0:ffff:1:2:3]:1", "[2001:db8::9]:1"];
  expect(peers.map((peer) => admission.enter(peer, 0))).toEqual([
    undefined,
    undefined,
    undefined,
    "max-miners-per-source",
  ]);
  expect(admission.enter("[2001:db8:0:1::1]:1", 0)).toBeUndefined();
});

test("there is a limit over all sources, and one on how fast a source may come", () => {
  const admission = new Admission(limits);
  for (let source = 1; source <= 6; source += 1) expect(admission.enter(`192.0.2.${source}:1`, 0)).toBeUndefined();
  expect(admission.enter("192.0.2.7:1", 0)).toBe("max-miners");
  const quick = new Admission(limits);
  const comeAndGo = (now: number): string | undefined => {
    const refusal = quick.enter("192.0.2.1:1", now);
    if (refusal === undefined) quick.leave("192.0.2.1:1");
    return refusal;
  };
  expect([0, 0, 0, 0, 0, 1000].map(comeAndGo)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    "new-miners",
    undefined,
  ]);
});
