import { describe, expect, test } from "vitest";
import { startedChoice as started } from "./testing/started-choice.ts";

describe("another list", () => {
  test("leaves what stays as it is: its session, its rest, its hold-down", () => {
    const { start, ready, failed, list, wait } = started(3);
    start();
    ready(0);
    failed(0);
    ready(1);
    expect(list([0, 1, 2])).toEqual([]);
    expect(wait(2)).toEqual([]);
    expect(wait(1)).toEqual(["dial 0"]);
    expect(ready(0)).toEqual([]);
    expect(list([0, 1, 7])).toEqual([]);
    expect(wait(9)).toEqual([]);
    expect(wait(1)).toEqual(["1 -> 0: better-upstream-ready", "release 1"]);
  });

  test("tries what is new and better, and not what is new and worse", () => {
    const { start, ready, list } = started(1);
    start();
    ready(0);
    expect(list([0, 5])).toEqual([]);
    expect(list([6, 0, 5])).toEqual(["dial 6"]);
    expect(ready(6)).toEqual(["0 -> 6: better-upstream-ready", "release 0"]);
  });

  test("in another order is another preference", () => {
    const { start, ready, list } = started(2);
    start();
    ready(0);
    expect(list([1, 0])).toEqual(["dial 1"]);
    expect(list([0, 1])).toEqual(["release 1"]);
    expect(list([1, 0])).toEqual(["dial 1"]);
    expect(ready(1)).toEqual(["0 -> 1: better-upstream-ready", "release 0"]);
  });

  test("releases what is gone and not in use, whether it stands or is being dialled", () => {
    const { start, ready, failed, list, wait, choice } = started(3);
    start();
    wait(4);
    ready(2);
    expect(list([2])).toEqual(["release 0", "release 1"]);
    expect([ready(0), failed(1), [...choice.states.keys()]]).toEqual([[], [], [2]]);
  });
});

describe("the route in use, when it is gone from the list", () => {
  test("is left for the first other that is ready, which takes its place before it is released", () => {
    const { start, ready, list, choice } = started(1);
    start();
    ready(0);
    expect(list([4, 5])).toEqual(["dial 4"]);
    expect([choice.inUse, [...choice.states.keys()]]).toEqual([0, [4, 5, 0]]);
    expect(ready(4)).toEqual(["0 -> 4: upstream-removed", "release 0"]);
    expect([...choice.states.keys()]).toEqual([4, 5]);
  });

  test("is used as long as nothing else can be, and never dialled again when it fails", () => {
    const { start, ready, failed, list, wait, choice } = started(1, { soloAfterMs: undefined });
    start();
    ready(0);
    list([4]);
    failed(4);
    wait(3600);
    expect(choice.inUse).toBe(0);
    expect(list([])).toEqual(["release 4"]);
    expect([wait(60), choice.inUse]).toEqual([[], 0]);
    expect(failed(0)).toEqual(["0 -> nothing: connection-lost"]);
    expect([wait(600), [...choice.states.keys()]]).toEqual([[], []]);
  });

  test("comes back into its place when it is listed again", () => {
    const { start, ready, list } = started(1);
    start();
    ready(0);
    expect(list([4])).toEqual(["dial 4"]);
    expect(list([0, 4])).toEqual(["release 4"]);
    expect(list([4, 0])).toEqual(["dial 4"]);
    expect(ready(4)).toEqual(["0 -> 4: better-upstream-ready", "release 0"]);
  });

  test("gives way to solo mining when the list is empty, where there is such a thing", () => {
    const { start, ready, list, wait } = started(1);
    start();
    ready(0);
    expect(list([])).toEqual(["0 -> solo: solo-mode", "release 0"]);
    expect(wait(60)).toEqual([]);
    expect(list([3])).toEqual(["dial 3"]);
    expect(ready(3)).toEqual(["solo -> 3: upstream-ready"]);
  });
});

test("a policy with shorter rests holds for those that rest already", () => {
  const { start, failed, list, wait } = started(1);
  start();
  for (let times = 0; times < 8; times += 1) {
    failed(0);
    while (!wait(1).includes("dial 0"));
  }
  failed(0);
  expect(wait(60)).toEqual([]);
  list([0], { retryMaxMs: 1000 });
  expect(wait(1)).toEqual(["dial 0"]);
});

test("a new way to an upstream that did not deliver is not trusted more than the way that is known", () => {
  const known = { id: 0, upstream: 0 };
  const other = { id: 1, upstream: 1 };
  const { start, ready, failed, wait, choice, now } = started(0, { routes: [known, other], soloAfterMs: undefined });
  start();
  ready(0);
  failed(0, { blames: "upstream", unworthy: true });
  ready(1);
  const policy = { headStartMs: 0, retryMinMs: 5000, retryMaxMs: 5000, holdDownMs: 0, steadyMs: 1000 };
  choice.replace({ routes: [{ id: 2, upstream: 0 }, known, other], policy }, now());
  expect(ready(2)).toEqual([]);
  expect(wait(50)).not.toContain("1 -> 2: better-upstream-ready");
  expect(wait(10)).toContain("1 -> 2: better-upstream-ready");
});

test("two routes with one id are an error of the caller, and change nothing", () => {
  const { start, list, choice } = started(1);
  start();
  expect(() => list([3, 3])).toThrow(RangeError);
  expect([...choice.states.keys()]).toEqual([0]);
});
