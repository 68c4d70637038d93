import { defaultUpstreamPolicy } from "@adit/network-helpers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Attempt } from "./attempt.ts";
import { keepConnected } from "./keep-connected.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** One connection, as a test decides on it. */
class Line {
  readonly attempt: Attempt;
  isServing = false;
  isLeft = false;
  end: (error?: Error) => void = () => {};
  readonly #ended = new Promise<void>((resolve, reject) => {
    this.end = (error) => (error === undefined ? resolve() : reject(error));
  });

  constructor(attempt: Attempt) {
    this.attempt = attempt;
    attempt.signal.addEventListener("abort", () => {
      this.isLeft = true;
    });
  }

  async run(isReachable: boolean): Promise<void> {
    if (!isReachable) throw new Error("refused");
    await this.attempt.stand();
    this.isServing = true;
    this.attempt.connected();
    try {
      await this.#ended;
    } finally {
      this.isServing = false;
    }
  }
}

const policy = { ...defaultUpstreamPolicy, holdDownMs: 0 };

/** Keeps routes, of which some are reachable. */
function keep(routes: readonly number[], reachable: Set<number>) {
  const stop = new AbortController();
  const states: string[] = [];
  const lines: Line[] = [];
  const changes: string[] = [];
  const kept = keepConnected({
    plan: { routes: routes.map((id) => ({ id, upstream: 0 })), policy },
    signal: stop.signal,
    onState: ({ state }) => states.push(state),
    onReconnect: () => {},
    onChange: ({ from = "nothing", to = "nothing", reason, detail }) => {
      changes.push([from, "to", to, "for", reason, ...(detail === undefined ? [] : [detail])].join(" "));
    },
    attempt: async (attempt) => {
      const line = new Line(attempt);
      lines.push(line);
      await line.run(reachable.has(attempt.route));
    },
  });
  return {
    states,
    lines,
    changes,
    replace: (...ids: readonly number[]) => kept.replace({ routes: ids.map((id) => ({ id, upstream: id })), policy }),
    serving: () => lines.filter(({ isServing }) => isServing).map(({ attempt }) => attempt.route),
    seconds: (count: number) => vi.advanceTimersByTimeAsync(count * 1000),
    stop: async () => {
      stop.abort();
      for (const line of lines) line.end();
      await kept.ended;
    },
  };
}

describe("keeping connected", () => {
  test("tries again whatever ends a connection, and stops when told", async () => {
    const reachable = new Set<number>();
    const { states, lines, seconds, serving, stop } = keep([0], reachable);
    await seconds(0);
    expect(states).toEqual(["connecting", "waiting"]);
    reachable.add(0);
    await seconds(3);
    expect([states, serving()]).toEqual([["connecting", "waiting", "connecting", "connected"], [0]]);
    lines.at(-1)?.end(new Error("broken"));
    await seconds(0);
    expect(states.at(-1)).toBe("waiting");
    await seconds(5);
    expect(serving()).toEqual([0]);
    await stop();
    expect([serving(), lines.at(-1)?.isLeft]).toEqual([[], true]);
    const { length } = lines;
    await seconds(600);
    expect(lines).toHaveLength(length);
  });

  test("takes the second way when the first does not answer, returns to the first, and never serves over both", async () => {
    const reachable = new Set([1]);
    const { lines, seconds, serving, stop } = keep([0, 1], reachable);
    await seconds(1);
    expect(serving()).toEqual([1]);
    reachable.add(0);
    await seconds(60);
    // The first stands by until the second has ended.
    expect(serving()).toEqual([1]);
    const [left] = lines.filter(({ isServing }) => isServing);
    expect([left?.attempt.route, left?.isLeft]).toEqual([1, true]);
    left?.end();
    await seconds(0);
    expect(serving()).toEqual([0]);
    await stop();
  });

  test("tells each change of the way, and why", async () => {
    const reachable = new Set([1]);
    const { lines, changes, seconds, serving, stop } = keep([0, 1], reachable);
    await seconds(1);
    lines.find(({ isServing }) => isServing)?.end(new Error("broken"));
    await seconds(0);
    expect(changes).toEqual(["nothing to 1 for start", "1 to nothing for ended broken"]);
    reachable.delete(1);
    reachable.add(0);
    await seconds(60);
    expect(serving()).toEqual([0]);
    expect(changes.slice(2)).toEqual(["nothing to 0 for upstream-ready"]);
    await stop();
    expect(changes).toHaveLength(3);
  });

  test("needs no timer once it has what it prefers", async () => {
    const { seconds, serving, stop } = keep([0], new Set([0]));
    await seconds(1);
    expect([serving(), vi.getTimerCount()]).toEqual([[0], 0]);
    await stop();
  });

  test("tells nobody that it is connected when a connection that only stands by is let go", async () => {
    const reachable = new Set<number>();
    const { states, seconds, stop } = keep([0, 1], reachable);
    await seconds(0);
    await stop();
    expect(states).not.toContain("connected");
  });

  test("goes over to another way when the list changes, and lets what serves go only then", async () => {
    const reachable = new Set([0]);
    const { lines, seconds, serving, replace, stop } = keep([0], reachable);
    await seconds(1);
    replace(7);
    await seconds(30);
    expect(serving()).toEqual([0]);
    reachable.add(7);
    await seconds(60);
    const [left] = lines;
    expect([serving(), left?.isLeft]).toEqual([[0], true]);
    left?.end();
    await seconds(0);
    expect([serving(), vi.getTimerCount()]).toEqual([[7], 0]);
    await stop();
    // Nothing more happens to one that has ended.
    replace(8);
    expect(lines.some(({ attempt }) => attempt.route === 8)).toBe(false);
  });
});
