import { defaultUpstreamPolicy } from "@adit/network-helpers";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Attempt } from "./attempt.ts";
import { keepConnected } from "./keep-connected.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** What happens, each to one of the connections there are. */
const happening = fc.oneof(
  fc.record({ type: fc.constantFrom("open", "open", "end", "ask"), nth: fc.nat({ max: 3 }) }),
  fc.record({ type: fc.constant("pass"), seconds: fc.integer({ min: 0, max: 40 }) }),
  fc.record({ type: fc.constant("list"), ids: fc.uniqueArray(fc.nat({ max: 4 }), { minLength: 1, maxLength: 3 }) }),
);

type Happening =
  | { readonly type: "open" | "end" | "ask"; readonly nth: number }
  | { readonly type: "pass"; readonly seconds: number }
  | { readonly type: "list"; readonly ids: readonly number[] };

/** A connection: it stands once it is opened, and ends when it is told so, or is left and told so. */
class Line {
  readonly attempt: Attempt;
  readonly open: () => void;
  readonly end: () => void;
  isServing = false;
  readonly #opened: Promise<void>;
  readonly #ended: Promise<void>;

  constructor(attempt: Attempt) {
    this.attempt = attempt;
    let open = (): void => {};
    let end = (): void => {};
    this.#opened = new Promise((resolve) => {
      open = resolve;
    });
    this.#ended = new Promise((resolve) => {
      end = resolve;
    });
    [this.open, this.end] = [open, end];
  }

  async run(): Promise<void> {
    const isOpen = await Promise.race([this.#opened.then(() => true), this.#ended.then(() => false)]);
    const used = isOpen && this.attempt.stand().then(() => true);
    if (!(await Promise.race([used, this.#ended.then(() => false)]))) return;
    this.isServing = true;
    this.attempt.connected();
    await this.#ended;
    this.isServing = false;
  }
}

const planOf = (ids: readonly number[]) => ({
  routes: ids.map((id) => ({ id, upstream: id })),
  policy: defaultUpstreamPolicy,
});

test("whatever happens, two connections never serve at once, and in the end nothing is left", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 10, maxLength: 40 }), async (happenings) => {
      const stop = new AbortController();
      const lines = new Set<Line>();
      let most = 0;
      const look = (): void => {
        most = Math.max(most, [...lines].filter(({ isServing }) => isServing).length);
      };
      const kept = keepConnected({
        plan: planOf([0, 1]),
        signal: stop.signal,
        onState: look,
        onReconnect: () => {},
        attempt: async (attempt) => {
          const line = new Line(attempt);
          lines.add(line);
          if (stop.signal.aborted) line.end();
          await line.run().finally(() => lines.delete(line));
        },
      });
      const happen = async (one: Happening): Promise<void> => {
        if (one.type === "list") kept.replace(planOf(one.ids));
        else if (one.type !== "pass") {
          const line = [...lines][one.nth];
          if (one.type === "ask") line?.attempt.asked({ newHost: "other.example", newPort: 1 });
          else if (one.type === "open") line?.open();
          else line?.end();
        }
        await vi.advanceTimersByTimeAsync(one.type === "pass" ? one.seconds * 1000 : 0);
        look();
      };
      for (const one of happenings as readonly Happening[]) await happen(one);
      stop.abort();
      for (const line of lines) line.end();
      await kept.ended;
      expect(most).toBeLessThanOrEqual(1);
      expect([lines.size, vi.getTimerCount()]).toEqual([0, 0]);
    }),
    { numRuns: 300 },
  );
});
