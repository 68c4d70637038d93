import { defaultUpstreamPolicy } from "@adit/network-helpers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Attempt, ReconnectNews } from "./attempt.ts";
import { keepConnected } from "./keep-connected.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

const elsewhere = { newHost: "other.example", newPort: 3333 };

/** One connection, as a test decides on it. */
class Line {
  readonly attempt: Attempt;
  isServing = false;
  end: (error?: Error) => void = () => {};
  open: () => void = () => {};
  readonly #opened: Promise<void>;
  readonly #ended: Promise<void>;

  constructor(attempt: Attempt) {
    this.attempt = attempt;
    this.#opened = new Promise((resolve) => {
      this.open = resolve;
    });
    this.#ended = new Promise((resolve, reject) => {
      this.end = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.#ended.catch(() => {});
    attempt.signal.addEventListener("abort", () => this.end());
  }

  async run(): Promise<void> {
    await Promise.race([this.#opened, this.#ended]);
    await this.attempt.stand();
    this.isServing = true;
    this.attempt.connected();
    await this.#ended.finally(() => {
      this.isServing = false;
    });
  }
}

/** Keeps one route, whose own address answers at once; another address when the test says so. */
async function keep() {
  const stop = new AbortController();
  const lines: Line[] = [];
  const news: ReconnectNews[] = [];
  const states: string[] = [];
  const kept = keepConnected({
    plan: { routes: [{ id: 0, upstream: 0 }], policy: defaultUpstreamPolicy },
    signal: stop.signal,
    onState: ({ state }) => states.push(state),
    onReconnect: (one) => news.push(one),
    attempt: async (attempt) => {
      const line = new Line(attempt);
      lines.push(line);
      if (attempt.to === undefined) line.open();
      await line.run();
    },
  });
  const seconds = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 1000);
  await seconds(0);
  const [first] = lines;
  if (first === undefined) throw new Error("nothing was dialled");
  return {
    first,
    lines,
    states,
    told: () => news.map((one) => (one.type === "refused" ? one.refusal : one.type)),
    serving: () => lines.filter(({ isServing }) => isServing),
    seconds,
    stop: async () => {
      stop.abort();
      await kept.ended;
    },
  };
}

describe("a peer that asks to be reached elsewhere", () => {
  test("serves until the connection to there can, which then has its place", async () => {
    const { first, lines, told, serving, seconds, stop, states } = await keep();
    first.attempt.asked(elsewhere);
    await seconds(1);
    const [, next] = lines;
    expect([lines.length, next?.attempt.to, serving(), told()]).toEqual([2, elsewhere, [first], ["followed"]]);
    next?.open();
    await seconds(0);
    expect([serving(), told()]).toEqual([[next], ["followed", "reconnected"]]);
    expect([first.attempt.signal.aborted, states]).toEqual([true, ["connecting", "connected", "connected"]]);
    // When that ends, the way in the config is gone again.
    next?.end();
    await seconds(60);
    expect(serving().map(({ attempt }) => attempt.to)).toEqual([undefined]);
    await stop();
  });

  test("may end before: its place is kept until it is known whether there is another", async () => {
    const { first, lines, told, serving, seconds, stop, states } = await keep();
    first.attempt.asked(elsewhere);
    await seconds(0);
    first.end();
    await seconds(10);
    expect([lines.length, serving(), states.at(-1)]).toEqual([2, [], "connecting"]);
    lines[1]?.open();
    await seconds(0);
    expect([serving(), told()]).toEqual([[lines[1]], ["followed", "reconnected"]]);
    await stop();
  });

  test("serves on when there is nobody elsewhere, and is dialled again when it has ended as well", async () => {
    const { first, lines, told, serving, seconds, stop } = await keep();
    first.attempt.asked(elsewhere);
    await seconds(0);
    lines[1]?.end(new Error("refused"));
    await seconds(0);
    expect([serving(), told()]).toEqual([[first], ["followed", "failed"]]);
    first.attempt.asked(elsewhere);
    await seconds(0);
    first.end();
    lines[2]?.end(new Error("refused"));
    await seconds(5);
    expect(serving().map(({ attempt }) => attempt.to)).toEqual([undefined]);
    await stop();
  });

  test("is not waited for longer than half a minute", async () => {
    const { first, lines, told, serving, seconds, stop } = await keep();
    first.attempt.asked(elsewhere);
    await seconds(29);
    expect(told()).toEqual(["followed"]);
    await seconds(2);
    expect([told(), lines[1]?.attempt.signal.aborted]).toEqual([["followed", "failed"], true]);
    expect(serving()).toEqual([first]);
    await stop();
  });

  test("is followed three times in a row, and then once a minute", async () => {
    const { lines, told, seconds, stop } = await keep();
    const ask = async (): Promise<void> => {
      lines.at(-1)?.attempt.asked(elsewhere);
      await seconds(0);
      lines.at(-1)?.open();
      await seconds(0);
    };
    for (let asked = 0; asked < 5; asked++) await ask();
    expect(told().filter((one) => one !== "reconnected")).toEqual([
      "followed",
      "followed",
      "followed",
      "too-often",
      "too-often",
    ]);
    await seconds(60);
    await ask();
    await ask();
    expect(told().slice(-3)).toEqual(["followed", "reconnected", "too-often"]);
    await stop();
  });

  test("is not followed twice at once, nor when it is not the one in use", async () => {
    const { first, lines, told, seconds, stop } = await keep();
    first.attempt.asked(elsewhere);
    await seconds(0);
    first.attempt.asked(elsewhere);
    lines[1]?.attempt.asked(elsewhere);
    await seconds(0);
    expect([told(), lines.length]).toEqual([["followed", "under-way", "not-in-use"], 2]);
    lines[1]?.open();
    await seconds(0);
    first.attempt.asked(elsewhere);
    expect(told()).toHaveLength(4);
    await stop();
  });

  test("leaves nothing behind when all ends while it is being followed", async () => {
    const { first, lines, seconds, stop } = await keep();
    first.attempt.asked(elsewhere);
    await seconds(0);
    await stop();
    expect(lines.map(({ attempt }) => attempt.signal.aborted)).toEqual([true, true]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
