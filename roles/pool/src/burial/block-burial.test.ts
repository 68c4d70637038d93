import { describe, expect, test } from "vitest";
import { BlockBurial, type BurialEffect, type BurialInput, MAX_FOLLOWED, MAX_QUESTIONS } from "./block-burial.ts";
import { type SimulatedBlock, SimulatedChain } from "./testing/simulated-chain.ts";

const SECOND = 1_000;
const MINUTE = 60_000;

/** A burial with a node that answers at once, unless told otherwise. */
class Bench {
  readonly chain = new SimulatedChain(100);
  readonly burial = new BlockBurial({ maturity: 100 });
  /** Questions with the second they were asked in: `look`, or how many blocks. */
  readonly asked: (readonly [number, "look" | number])[] = [];
  readonly judged: (BurialEffect & { readonly type: "judged" })[] = [];
  /** How often a block was left. */
  left = 0;
  now = 0;
  isAway = false;

  take(input: BurialInput): void {
    for (const effect of this.handle(input)) this.#answer(effect);
  }

  /** Takes an input and leaves its questions without an answer. */
  handle(input: BurialInput): readonly BurialEffect[] {
    return this.burial.handle(input, this.now);
  }

  follow(block: SimulatedBlock, result = "pending"): SimulatedBlock {
    this.take({ type: "follow", block: { ...block, result } });
    return block;
  }

  tell(): void {
    this.take({ type: "tip-told", hash: this.chain.tip.hash });
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += SECOND) {
      this.now += SECOND;
      this.take({ type: "tick" });
    }
  }

  /** Forgets what was asked so far; the second that now is. */
  since(): number {
    this.asked.length = 0;
    return this.now / SECOND;
  }

  #answer(effect: BurialEffect): void {
    if (effect.type === "judged") this.judged.push(effect);
    if (effect.type === "left") this.left += 1;
    if (effect.type !== "look" && effect.type !== "ask") return;
    this.asked.push([this.now / SECOND, effect.type === "look" ? "look" : effect.blocks.length]);
    if (this.isAway) this.take({ type: "failed" });
    else if (effect.type === "look") this.take({ type: "tip", tip: this.chain.tip });
    else this.take({ type: "places", places: effect.blocks.map((block) => this.chain.place(block)) });
  }
}

/** A bench with one block in the chain, accepted. */
function accepted(): Bench & { readonly block: SimulatedBlock } {
  const bench = new Bench();
  const block = bench.follow(bench.chain.take(bench.chain.make()));
  bench.tell();
  return Object.assign(bench, { block });
}

describe("a block", () => {
  test("goes from accepted to the side, back, and becomes mature with its hundredth confirmation", () => {
    const bench = accepted();
    const { chain, block } = bench;
    chain.mine(2, block.parent);
    bench.tell();
    chain.mine(2, block);
    bench.tell();
    expect(bench.burial.confirmations(block.hash)).toBe(3);
    chain.mine(96);
    bench.tell();
    expect(bench.burial.open).toBe(1);
    chain.mine(1);
    bench.tell();
    expect(bench.judged.map(({ before, result, confirmations }) => [before, result, confirmations])).toEqual([
      ["pending", "accepted", 1],
      ["accepted", "side-branch", 0],
      ["side-branch", "accepted", 3],
      ["accepted", "matured", 100],
    ]);
    expect(bench.burial.open).toBe(0);
    expect(bench.burial.confirmations(block.hash)).toBeUndefined();
  });

  test("is orphaned when another of its height has a hundred confirmations, though the node never had it", () => {
    const bench = new Bench();
    const { hash } = bench.follow(bench.chain.make());
    expect(bench.burial.confirmations(hash)).toBeUndefined();
    bench.chain.mine(99);
    bench.tell();
    bench.chain.mine(1);
    bench.tell();
    expect(bench.judged.map(({ result }) => result)).toEqual(["side-branch", "orphaned"]);
  });

  test("that a node does not know stays as it is on record, and is asked about again", () => {
    const bench = new Bench();
    const block = bench.follow(bench.chain.make());
    bench.pass(5 * SECOND);
    expect(bench.judged).toEqual([]);
    bench.chain.take(block);
    bench.pass(5 * SECOND);
    expect(bench.judged).toMatchObject([{ before: "pending", result: "accepted", confirmations: 1 }]);
  });

  test("of an unknown height is judged once a node has it", () => {
    const bench = new Bench();
    const block = bench.chain.make();
    bench.take({ type: "follow", block: { hash: block.hash, height: undefined, result: "pending" } });
    bench.chain.mine(50);
    bench.tell();
    expect(bench.judged).toEqual([]);
    bench.chain.take(block);
    bench.pass(5 * SECOND);
    expect(bench.judged).toMatchObject([{ result: "side-branch" }]);
  });

  test("that was judged by tips alone before there was a node is judged anew", () => {
    const bench = new Bench();
    bench.follow(bench.chain.take(bench.chain.make()), "superseded");
    bench.tell();
    expect(bench.judged).toMatchObject([{ before: "superseded", result: "accepted" }]);
  });

  test("is followed once, whoever names it again", () => {
    const bench = accepted();
    bench.follow(bench.block);
    bench.tell();
    expect([bench.burial.open, bench.judged.length]).toEqual([1, 1]);
  });
});

describe("a node", () => {
  test("is asked where a block is two seconds after it was found, and then about a new tip alone, once a minute", () => {
    const bench = new Bench();
    bench.follow(bench.chain.take(bench.chain.make()));
    bench.pass(60 * MINUTE);
    expect(bench.asked.slice(0, 2)).toEqual([
      [2, "look"],
      [2, 1],
    ]);
    expect(bench.asked.slice(2).map(([at]) => at)).toEqual(Array.from({ length: 59 }, (_, minute) => 62 + 60 * minute));
    expect(bench.asked.slice(2).every(([, what]) => what === "look")).toBe(true);
  });

  test("tells within a minute of a reorganisation that the template provider did not tell of", () => {
    const bench = accepted();
    bench.chain.mine(2, bench.block.parent);
    bench.pass(MINUTE);
    expect(bench.judged.at(-1)).toMatchObject({ before: "accepted", result: "side-branch" });
  });

  test("is asked nothing while no block is open", () => {
    const bench = new Bench();
    bench.tell();
    bench.pass(5 * MINUTE);
    expect(bench.asked).toEqual([]);
  });

  test("is looked at anew when a tip is told while it is being asked", () => {
    const bench = accepted();
    const { chain, block } = bench;
    expect(bench.handle({ type: "tip-told", hash: chain.tip.hash })).toMatchObject([{ type: "look" }]);
    expect(bench.handle({ type: "tip", tip: chain.tip })).toMatchObject([{ type: "ask" }]);
    expect(bench.handle({ type: "tip-told", hash: chain.tip.hash })).toEqual([]);
    // Of before: the chain leaves the block for a moment and comes back to it.
    const beside = { place: "beside", height: block.height } as const;
    const after = bench.handle({ type: "places", places: [beside] });
    expect(after).toMatchObject([{ type: "judged", result: "side-branch" }, { type: "look" }]);
    bench.take({ type: "tip", tip: chain.tip });
    expect(bench.judged.at(-1)).toMatchObject({ before: "side-branch", result: "accepted" });
  });

  test("that has not got the tip it was told of is looked at again, less and less often", () => {
    const bench = accepted();
    const start = bench.since();
    bench.take({ type: "tip-told", hash: bench.chain.make().hash });
    bench.pass(3 * MINUTE);
    const looks = bench.asked.filter(([, what]) => what === "look").map(([at]) => at - start);
    expect(looks).toEqual([0, 1, 3, 7, 15, 31, 63, 123]);
  });

  test("that does not answer is tried less and less often, and at once at the next tip", () => {
    const bench = accepted();
    const start = bench.since();
    bench.isAway = true;
    bench.tell();
    bench.pass(20 * SECOND);
    bench.isAway = false;
    bench.chain.mine(1);
    bench.tell();
    expect(bench.asked.map(([at, what]) => [at - start, what])).toEqual([
      ...[0, 1, 3, 7, 15].map((at) => [at, "look"]),
      [20, "look"],
      [20, 1],
    ]);
    expect(bench.burial.confirmations(bench.block.hash)).toBe(2);
  });

  test("is asked about many blocks a few at a time, each once a tip", () => {
    const bench = new Bench();
    const blocks = Array.from({ length: 3 * MAX_QUESTIONS + 1 }, () => bench.chain.take(bench.chain.make()));
    for (const block of blocks) bench.follow(block);
    bench.tell();
    const batch = [0, MAX_QUESTIONS];
    expect(bench.asked).toEqual([[0, "look"], batch, batch, batch, [0, 1]]);
    expect(bench.judged).toHaveLength(blocks.length);
  });

  test("is asked about a thousand blocks at most: the oldest are left", () => {
    const bench = new Bench();
    for (let count = 0; count < MAX_FOLLOWED + 3; count += 1) bench.follow(bench.chain.make());
    expect([bench.burial.open, bench.left]).toEqual([MAX_FOLLOWED, 3]);
  });
});
