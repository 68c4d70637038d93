import { describe, expect, test } from "vitest";
import { Fallback, type FallbackDecision, type FallbackOptions } from "./fallback.ts";

/** A fallback with a clock, and jitter that always draws the middle. */
function started(upstreams: number, changes: Partial<FallbackOptions> = {}) {
  let now = 0;
  const fallback = new Fallback({ upstreams, soloAfterMs: 5000, random: () => 0.5, ...changes }, 0);
  const decisions: FallbackDecision[] = [];
  return {
    fallback,
    ready: (upstream: number) => brief(fallback.ready(upstream, now)),
    failed: (upstream: number) => brief(fallback.failed(upstream, "connection-lost", now)),
    /** Seconds go by, one tick each. */
    wait: (seconds: number) => {
      decisions.length = 0;
      for (let second = 0; second < seconds; second += 1) {
        now += 1000;
        decisions.push(...fallback.tick(now));
      }
      return brief(decisions);
    },
    start: () => brief(fallback.tick(now)),
  };
}

function brief(decisions: readonly FallbackDecision[]): readonly string[] {
  return decisions.map((decision) => {
    if (decision.type === "use") return `${decision.from} -> ${decision.to}: ${decision.reason}`;
    return `${decision.type} ${decision.upstream}`;
  });
}

describe("at the start", () => {
  test("upstreams are dialled in order, and the first that is ready is used", () => {
    const { start, failed, ready } = started(3);
    expect(start()).toEqual(["dial 0"]);
    expect(failed(0)).toEqual(["dial 1"]);
    expect(ready(1)).toEqual(["nothing -> 1: start"]);
  });

  test("one that takes long is not waited for, and still taken when it comes", () => {
    const { start, wait, ready } = started(2);
    start();
    expect(wait(2)).toEqual(["dial 1"]);
    expect(ready(1)).toEqual(["nothing -> 1: start"]);
    expect(ready(0)).toEqual(["1 -> 0: better-upstream-ready", "release 1"]);
  });

  test("solo mining begins when every upstream has failed once", () => {
    const { start, failed } = started(2);
    start();
    failed(0);
    expect(failed(1)).toEqual(["nothing -> solo: no-upstream-ready"]);
  });

  test("solo mining begins when no upstream was ready in time", () => {
    const { start, wait, ready } = started(1);
    start();
    expect(wait(4)).toEqual([]);
    expect(wait(1)).toEqual(["nothing -> solo: no-upstream-ready"]);
    expect(ready(0)).toEqual(["solo -> 0: upstream-ready"]);
  });

  test("without upstreams there is nothing to wait for", () => {
    expect(started(0).start()).toEqual(["nothing -> solo: solo-mode"]);
  });
});

describe("an upstream in use that fails", () => {
  test("is left at once for solo mining, while the next is dialled", () => {
    const { start, ready, failed } = started(2);
    start();
    ready(0);
    expect(failed(0)).toEqual(["0 -> solo: connection-lost", "dial 1"]);
    expect(ready(1)).toEqual(["solo -> 1: upstream-ready"]);
  });

  test("is left for another that is ready, even one that is still held down", () => {
    const { start, ready, failed, wait } = started(2);
    start();
    ready(0);
    failed(0);
    ready(1);
    expect(wait(3)).toEqual(["dial 0"]);
    expect(ready(0)).toEqual([]);
    expect(failed(1)).toEqual(["1 -> 0: connection-lost"]);
  });

  test("is held down when it is ready again, longer the more often that happens", () => {
    const { start, ready, failed, wait } = started(1);
    start();
    ready(0);
    // The fifth time it has shown that it stays, so that all begins anew.
    for (const holdDown of [10, 20, 40, 80, 120, 10]) {
      failed(0);
      wait(300);
      expect(ready(0)).toEqual([]);
      expect(wait(holdDown - 1)).toEqual([]);
      expect(wait(1)).toEqual(["solo -> 0: upstream-ready"]);
    }
  });

  test("counts as never having failed once it was steady", () => {
    const { start, ready, failed, wait } = started(1);
    start();
    ready(0);
    for (let flap = 0; flap < 3; flap += 1) {
      failed(0);
      wait(300);
      ready(0);
    }
    expect(wait(120)).toEqual(["solo -> 0: upstream-ready"]);
    failed(0);
    expect(wait(5)).toEqual(["dial 0"]);
    ready(0);
    expect(wait(10)).toEqual(["solo -> 0: upstream-ready"]);
  });
});

describe("an upstream that cannot be reached", () => {
  test("is dialled less and less often, and used at once when it comes", () => {
    const { start, failed, wait, ready } = started(1);
    start();
    failed(0);
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 9; attempt += 1) {
      let pause = 1;
      while (!wait(1).includes("dial 0")) pause += 1;
      pauses.push(pause);
      failed(0);
    }
    expect(pauses).toEqual([3, 6, 11, 21, 41, 81, 151, 151, 151]);
    wait(151);
    expect(ready(0)).toEqual(["solo -> 0: upstream-ready"]);
  });

  test("is tried in the background while a worse one is in use, which is not left for a worse one still", () => {
    const { start, failed, ready, wait } = started(3);
    start();
    failed(0);
    ready(1);
    expect(wait(3)).toEqual(["dial 0"]);
    failed(0);
    expect(wait(6)).toEqual(["dial 0"]);
    expect(ready(0)).toEqual(["1 -> 0: better-upstream-ready", "release 1"]);
  });
});

test("what is said of a session that was released changes nothing", () => {
  const { fallback, start, wait, ready, failed } = started(2);
  start();
  wait(2);
  expect(ready(0)).toEqual(["nothing -> 0: start", "release 1"]);
  expect([...ready(1), ...failed(1)]).toEqual([]);
  expect(fallback.inUse).toBe(0);
});
