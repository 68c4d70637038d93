import { hex } from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlockBurial, type BurialEffect, type BurialInput } from "./block-burial.ts";
import { type SimulatedBlock, SimulatedChain } from "./testing/simulated-chain.ts";

const MATURITY = 6;
const FINAL = ["matured", "orphaned"];

/** What happens next, at the node, at the template provider, in the pool, or between them. */
type Step =
  /** The pool finds a block on the tip, or beside it, or the node never gets it. */
  | { readonly type: "find"; readonly where: "tip" | "aside" | "lost" }
  /** Others find blocks on the tip. */
  | { readonly type: "others"; readonly count: number }
  /** The branch of one of the pool's blocks, or a new one, becomes the longest. */
  | { readonly type: "reorganise"; readonly which: number; readonly depth: number }
  | { readonly type: "tell" }
  | { readonly type: "answer" }
  | { readonly type: "fail" }
  | { readonly type: "pass"; readonly ms: number }
  | { readonly type: "restart" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("find" as const), where: fc.constantFrom("tip", "aside", "lost") }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("others" as const), count: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("reorganise" as const),
      which: fc.nat({ max: 50 }),
      depth: fc.integer({ min: 1, max: MATURITY - 1 }),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ type: "tell" as const }) },
  { weight: 8, arbitrary: fc.constant({ type: "answer" as const }) },
  { weight: 1, arbitrary: fc.constant({ type: "fail" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("pass" as const), ms: fc.constantFrom(1_000, 5_000, 60_000) }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "restart" as const }) },
) as fc.Arbitrary<Step>;
const history = fc.array(step, { maxLength: 120, size: "max" });

/** A pool whose node reorganises at will. Every effect is taken as the shell does. */
class Life {
  readonly chain = new SimulatedChain(100);
  /** The pool's blocks. */
  readonly found: SimulatedBlock[] = [];
  /** Results on record by hash, in order. */
  readonly record = new Map<string, string[]>();
  now = 0;
  #burial = new BlockBurial({ maturity: MATURITY });
  #open: (BurialEffect & { readonly type: "look" | "ask" }) | undefined;

  do(one: Step): void {
    switch (one.type) {
      case "find":
        return this.#find(one.where);
      case "others":
        return void this.chain.mine(one.count);
      case "reorganise":
        return this.#reorganise(one);
      case "tell":
        return this.#take({ type: "tip-told", hash: this.chain.tip.hash });
      case "answer":
        return this.#answer();
      case "fail":
        return this.#open && this.#reply({ type: "failed" });
      case "pass":
        this.now += one.ms;
        return this.#take({ type: "tick" });
      case "restart":
        return this.#restart();
      default:
        return one satisfies never;
    }
  }

  /** Nothing happens any more, and the node answers: until all is judged that can be. */
  settle(): void {
    this.do({ type: "tell" });
    for (let second = 0; second < 120; second += 1) {
      while (this.#open !== undefined) this.do({ type: "answer" });
      this.do({ type: "pass", ms: 1_000 });
    }
  }

  resultOf({ hash }: SimulatedBlock): string {
    return this.record.get(hex(hash))?.at(-1) ?? "pending";
  }

  #find(where: "tip" | "aside" | "lost"): void {
    const { tip } = this.chain;
    const block = this.chain.make(where === "aside" ? tip.parent : tip);
    this.found.push(block);
    if (where !== "lost") this.chain.take(block);
    this.#take({ type: "follow", block: { ...block, result: "pending" } });
  }

  /** No deeper than what is final. */
  #reorganise({ which, depth }: Step & { readonly type: "reorganise" }): void {
    const aside = this.found.filter(
      (block) => this.chain.place(block).place === "beside" && block.parent !== undefined,
    );
    let onto = aside.at(which % Math.max(1, aside.length));
    if (onto === undefined || this.chain.depthOf(onto) >= MATURITY) {
      onto = this.chain.tip;
      for (let left = depth; left > 0; left -= 1) onto = onto.parent ?? onto;
    }
    this.chain.take(onto);
    this.chain.mine(this.chain.tip.height + 1 - onto.height, onto);
  }

  #answer(): void {
    if (this.#open?.type === "look") this.#reply({ type: "tip", tip: this.chain.tip });
    else if (this.#open) this.#reply({ type: "places", places: this.#open.blocks.map((one) => this.chain.place(one)) });
  }

  #reply(input: BurialInput): void {
    this.#open = undefined;
    this.#take(input);
  }

  #restart(): void {
    this.#burial = new BlockBurial({ maturity: MATURITY });
    this.#open = undefined;
    for (const block of this.found) {
      const result = this.resultOf(block);
      if (!FINAL.includes(result)) this.#take({ type: "follow", block: { ...block, result } });
    }
  }

  #take(input: BurialInput): void {
    for (const effect of this.#burial.handle(input, this.now)) {
      if (effect.type === "left") throw new Error("too many blocks for this test");
      if (effect.type === "judged") {
        const key = hex(effect.hash);
        const results = this.record.get(key) ?? [];
        if ((results.at(-1) ?? "pending") !== effect.before) throw new Error("a change from what is not on record");
        this.record.set(key, [...results, effect.result]);
      } else {
        if (this.#open !== undefined) throw new Error("two questions at once");
        this.#open = effect;
      }
    }
  }
}

/** What the chain says of a block; a block that it has not reached and does not know stays as it was. */
function truth(chain: SimulatedChain, block: SimulatedBlock): string {
  const { place } = chain.place(block);
  if (place === "unknown") return "pending";
  const isDeep = chain.tip.height - block.height + 1 >= MATURITY;
  if (place === "in-chain") return isDeep ? "matured" : "accepted";
  return isDeep ? "orphaned" : "side-branch";
}

describe("whatever the chain does, short of undoing what is final", () => {
  test("in the end the record says of every block what the chain says", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const life = new Life();
        for (const one of steps) life.do(one);
        life.settle();
        for (const block of life.found) expect(life.resultOf(block)).toBe(truth(life.chain, block));
      }),
      { numRuns: 1_000 },
    );
  });

  test("every change on record is one, and nothing follows a final result", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const life = new Life();
        for (const one of steps) life.do(one);
        life.settle();
        for (const results of life.record.values()) {
          const changes = ["pending", ...results];
          expect(changes.every((result, at) => result !== changes[at - 1])).toBe(true);
          expect(changes.slice(0, -1).filter((result) => FINAL.includes(result))).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("once a chain has grown by the maturity and stays, nothing is open", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const life = new Life();
        for (const one of steps) life.do(one);
        life.chain.mine(MATURITY + 1);
        life.settle();
        for (const block of life.found) expect(FINAL).toContain(life.resultOf(block));
      }),
      { numRuns: 300 },
    );
  });
});
