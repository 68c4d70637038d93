import { describe, expect, test } from "vitest";
import { ChoiceDecisions } from "./choice-decision.ts";
import { choicePolicy as policy, startedChoice as started } from "./testing/started-choice.ts";

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
  const { choice, start, wait, ready, failed } = started(2);
  start();
  wait(2);
  expect(ready(0)).toEqual(["nothing -> 0: start", "release 1"]);
  expect([...ready(1), ...failed(1)]).toEqual([]);
  expect(choice.inUse).toBe(0);
});

describe("a role that cannot do without an upstream", () => {
  const must = { soloAfterMs: undefined };

  test("takes whatever is ready, held down or not, and says what it has lost", () => {
    const { start, ready, failed, wait } = started(1, must);
    start();
    expect(wait(30)).toEqual([]);
    expect(ready(0)).toEqual(["nothing -> 0: start"]);
    expect(failed(0)).toEqual(["0 -> nothing: connection-lost"]);
    wait(10);
    expect(ready(0)).toEqual(["nothing -> 0: upstream-ready"]);
  });

  test("dials nothing while nobody needs it, and at once when somebody does", () => {
    const { choice, start, ready, failed, wait, wanted } = started(2, must);
    start();
    ready(0);
    choice.unwanted();
    expect(failed(0, { blames: "nobody" })).toEqual(["0 -> nothing: connection-lost"]);
    expect(wait(600)).toEqual([]);
    expect(wanted()).toEqual(["dial 0"]);
    expect(ready(0)).toEqual(["nothing -> 0: upstream-ready"]);
  });
});

describe("two routes to one upstream", () => {
  const routes = [
    { id: 0, upstream: 0 },
    { id: 1, upstream: 0 },
    { id: 2, upstream: 1 },
  ];

  test("are raced: the second begins when the first has taken its head start, and the first wins when it comes", () => {
    const { start, wait, ready } = started(0, { routes });
    start();
    expect(wait(2)).toEqual(["dial 1"]);
    expect(ready(1)).toEqual(["nothing -> 1: start"]);
    expect(ready(0)).toEqual(["1 -> 0: better-upstream-ready", "release 1"]);
  });

  test("begin together without a head start", () => {
    const { start } = started(0, { routes, policy: { ...policy, headStartMs: 0 } });
    expect(start()).toEqual(["dial 0", "dial 1", "dial 2"]);
  });

  test("are one another's stand-in when a connection is lost, and not when the upstream is no good", () => {
    const lost = started(0, { routes });
    lost.start();
    lost.ready(0);
    expect(lost.failed(0)).toEqual(["0 -> solo: connection-lost", "dial 1"]);
    const bad = started(0, { routes });
    bad.start();
    bad.ready(0);
    const nature = { blames: "upstream", unworthy: false } as const;
    expect(bad.failed(0, nature)).toEqual(["0 -> solo: connection-lost", "dial 2"]);
  });
});

describe("an upstream that stands and does not deliver", () => {
  const routes = [
    { id: 0, upstream: 0 },
    { id: 1, upstream: 0 },
    { id: 2, upstream: 1 },
  ];
  const unworthy = { blames: "upstream", unworthy: true } as const;
  const must = { routes, soloAfterMs: undefined };

  test("is trusted last, longer each time, over whichever route, and never shut out while there is no other", () => {
    const { start, ready, failed, wait } = started(0, must);
    start();
    ready(0);
    for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
      failed(0, unworthy);
      ready(2);
      while (!wait(1).includes("dial 0"));
      ready(0);
      let waited = 0;
      while (!wait(1).includes("2 -> 0: better-upstream-ready")) waited += 1;
      expect(waited).toBeGreaterThan(minutes * 60 - 310);
      expect(waited).toBeLessThan(minutes * 60 + 1);
    }
    failed(0, unworthy);
    while (!wait(1).includes("dial 1"));
    expect(ready(1)).toContain("nothing -> 1: upstream-ready");
  });

  test("has done nothing wrong once it delivers", () => {
    const { choice, start, ready, failed, wait } = started(0, must);
    start();
    ready(0);
    for (let times = 0; times < 5; times += 1) {
      failed(0, unworthy);
      ready(2);
      while (!wait(1).includes("dial 0"));
      ready(0);
      choice.proven(1);
      wait(121);
      expect(choice.inUse).toBe(0);
    }
  });
});

test("decisions that come of carrying out another wait for those that were made with it", () => {
  const done: number[] = [];
  const decisions = new ChoiceDecisions<"connection-lost">((decision) => {
    if (decision.type !== "dial") return;
    done.push(decision.route);
    if (decision.route === 1) decisions.add([{ type: "dial", route: 3 }]);
  });
  decisions.add([
    { type: "dial", route: 1 },
    { type: "dial", route: 2 },
  ]);
  decisions.add([{ type: "dial", route: 4 }]);
  expect(done).toEqual([1, 2, 3, 4]);
});
