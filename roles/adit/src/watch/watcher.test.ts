import { aborted, NetworkError } from "@adit/network-helpers";
import { type Caller, RpcError } from "@adit/network-helpers/rpc";
import { metricsRegister } from "@adit/role-kit";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type NamedTarget, parseTarget } from "../operator/target.ts";
import { watchMetrics } from "./metrics.ts";
import { targetStatus } from "./status.ts";
import { Watcher } from "./watcher.ts";

const health = { role: "pool", version: "1", uptime_secs: 1, ready: false, reason: "no\u0007work" };
const metrics = { content_type: "text/plain", body: "a 1\nnonsense\n" };

function at(name: string, host = name): NamedTarget {
  const text = `http://${host}/`;
  return { name, text, target: parseTarget(text) };
}

const stop = (): never => {
  throw new Error("stopped");
};

type Answers = Readonly<Record<string, (service: string) => unknown>>;

/** A watcher of roles on a fake clock; what a role answers when the test does not say is that it is well. */
class World {
  readonly answers: Map<string, (service: string) => unknown>;
  readonly events: string[] = [];
  readonly looks: string[] = [];
  readonly called: string[] = [];
  readonly watcher: Watcher;

  constructor(names: readonly string[], answers: Answers = {}) {
    this.answers = new Map(Object.entries(answers));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    this.watcher = new Watcher({
      fleet: {
        setTargets: () => undefined,
        call: async (name, work, options) =>
          await Promise.race([work(this.#caller(name), options), aborted(options.signal).then(stop)]),
      },
      targets: names.map((name) => at(name)),
      intervalMs: 1000,
      onEvent: ({ type, target }) => void this.events.push(`${target} ${type}`),
      onLook: (target, result) => void this.looks.push(`${target} ${result}`),
    });
    onTestFinished(() => this.watcher[Symbol.asyncDispose]());
  }

  #caller(name: string): Caller {
    this.called.push(name);
    const call = async ({ service }: { readonly service: string }): Promise<unknown> => {
      const answer = this.answers.get(name);
      if (answer !== undefined) return await answer(service);
      return service === "health" ? health : metrics;
    };
    return { call } as unknown as Caller;
  }
}

const pass = async (ms: number): Promise<void> => void (await vi.advanceTimersByTimeAsync(ms));

describe("a watcher", () => {
  test("looks at each target once an interval, whatever another does", async () => {
    const world = new World(["a", "b"], { b: () => new Promise(() => undefined) });
    await pass(3999);
    expect(world.called.filter((name) => name === "a")).toHaveLength(5);
    expect(world.called.filter((name) => name === "b")).toHaveLength(1);
    expect(world.watcher.views().map(({ state }) => state.phase)).toEqual(["up", "unknown"]);
  });

  test("tells of a target that goes and comes back, and says how each look ended", async () => {
    const world = new World(["a"]);
    await pass(1);
    const left = new NetworkError("breaker-open", { peer: "a", message: "a: left alone" });
    for (const error of [new Error("gone"), left]) {
      world.answers.set("a", () => Promise.reject(error));
      await pass(1000);
    }
    expect(world.watcher.views()[0]?.state).toEqual({ phase: "down", reason: "gone" });
    world.answers.delete("a");
    await pass(1000);
    expect(world.events).toEqual(["a target-up", "a target-down", "a target-up"]);
    expect(world.looks).toEqual(["a ok", "a failed", "a breaker-open", "a ok"]);
  });

  test("does without the health of a role that does not serve it, and not without its metrics", async () => {
    const refuse = (served: string) => (service: string) => {
      if (service === served) return service === "health" ? health : metrics;
      throw new RpcError("not-found", `no ${service}`);
    };
    const world = new World(["a", "b"], { a: refuse("metrics"), b: refuse("health") });
    await pass(1);
    expect(world.watcher.views().map(({ state }) => state)).toMatchObject([
      { phase: "up", answer: { health: null } },
      { phase: "down", reason: "no metrics" },
    ]);
  });

  test("takes no answer of the role that a name stood for before", async () => {
    let answer = (): void => undefined;
    const late = (service: string): unknown => {
      if (service === "health") return health;
      return new Promise((resolve) => {
        answer = () => resolve({ ...metrics, body: "old 1\n" });
      });
    };
    const world = new World(["a"], { a: late });
    await pass(1);
    world.answers.delete("a");
    world.watcher.setTargets([at("a", "elsewhere")]);
    answer();
    await pass(1);
    const state = world.watcher.views()[0]?.state;
    expect(state).toMatchObject({ phase: "up" });
    expect(state?.phase === "up" && [...state.answer.page.families.keys()]).toEqual(["a"]);
    expect(world.looks).toEqual(["a ok"]);
  });

  test("breaks off what is under way when it is disposed, and leaves no timer behind", async () => {
    const world = new World(["a"]);
    await pass(1);
    await world.watcher[Symbol.asyncDispose]();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("what a watch shows of a target", () => {
  const parts = { breaker: "half-open", now: 5500 } as const;

  test("is in its metrics, and is not there when it is not known", async () => {
    const world = new World(["a", "b"], { b: () => Promise.reject(new Error("gone")) });
    const register = metricsRegister();
    const sources = {
      views: () => world.watcher.views(),
      breakers: () =>
        new Map([
          ["a", parts.breaker],
          ["b", parts.breaker],
        ]),
      now: () => performance.now(),
    };
    const count = watchMetrics(register, () => sources);
    count("a", "ok");
    await pass(400);
    const lines = (await register.expose()).body.split("\n").filter((line) => line.startsWith("sv2_watch"));
    expect(lines).toEqual([
      'sv2_watch_up{target="a"} 1',
      'sv2_watch_up{target="b"} 0',
      'sv2_watch_ready{target="a"} 0',
      ...["a", "b"].flatMap((target) => [
        `sv2_watch_breaker{target="${target}",state="closed"} 0`,
        `sv2_watch_breaker{target="${target}",state="open"} 0`,
        `sv2_watch_breaker{target="${target}",state="half-open"} 1`,
      ]),
      'sv2_watch_answer_age_seconds{target="a"} 0.4',
      'sv2_watch_look_seconds{target="a"} 0',
      'sv2_watch_look_seconds{target="b"} 0',
      'sv2_watch_refused_lines{target="a"} 1',
      'sv2_watch_looks_total{target="a",result="ok"} 1',
    ]);
  });

  test("is in its status, fit for a terminal", async () => {
    const world = new World(["a"]);
    await pass(1);
    const [view] = world.watcher.views();
    expect(view && targetStatus({ ...view, answeredAt: 1000 }, parts)).toEqual({
      name: "a",
      state: "up",
      breaker: "half-open",
      role: "pool",
      version: "1",
      ready: false,
      not_ready_reason: "no\\u0007work",
      trouble: null,
      answered_secs_ago: 4,
    });
  });
});
