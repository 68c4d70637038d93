import { readFile } from "node:fs/promises";
import { openLog } from "@adit/role-kit";
import { expect, test, vi } from "vitest";
import { temporaryFolder } from "../testing/running-pool.ts";
import { BlockJudge, type ChainJudges } from "./block-judge.ts";
import type { ChainView } from "./chain-nodes.ts";
import { SimulatedChain } from "./testing/simulated-chain.ts";

/** Nodes whose answers come when the test says so. */
class HeldNodes implements ChainJudges {
  looks = 0;
  isDisposed = false;
  #answers: { readonly resolve: (view: ChainView) => void; readonly reject: (error: unknown) => void }[] = [];

  look(): Promise<ChainView> {
    this.looks += 1;
    return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }));
  }

  answer(view: ChainView): void {
    for (const { resolve } of this.#answers.splice(0)) resolve(view);
  }

  fail(error: unknown): void {
    for (const { reject } of this.#answers.splice(0)) reject(error);
  }

  /** Lets go of what is asked, as the real ones do. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true;
    this.fail(new Error("let go"));
  }
}

function judge(nodes: ChainJudges, folder: string) {
  const clock = { now: 0 };
  const onJudged = vi.fn();
  const log = openLog({ role: "pool", level: "info", file: `${folder}/pool.log` });
  const judging = new BlockJudge({ nodes, maturity: 6, onJudged, onLeft: () => {}, log, now: () => clock.now });
  return { judging, clock, onJudged };
}

test("a fault that nobody foresaw is logged as one, and the block is judged at the next look", async () => {
  await using folder = await temporaryFolder();
  const chain = new SimulatedChain(9);
  const nodes = new HeldNodes();
  const { judging, clock, onJudged } = judge(nodes, folder.path);
  judging.follow({ ...chain.take(chain.make()), result: "pending" });
  judging.tipTold(chain.tip.hash);
  nodes.fail(new TypeError("a bug"));
  await vi.waitFor(() => expect(judging.status().trouble).toBe("a bug"));
  clock.now += 1_000;
  judging.tick();
  nodes.answer({ name: "node:1", tip: chain.tip, places: async (asked) => asked.map((one) => chain.place(one)) });
  await vi.waitFor(() => expect(onJudged).toHaveBeenCalledTimes(1));
  expect(judging.status()).toMatchObject({ node: "node:1", trouble: null, height: 10, open: 1 });
  await judging[Symbol.asyncDispose]();
  const lines = await readFile(`${folder.path}/pool.log`, "utf8");
  expect(lines).toMatch(/"level":50.*"a block could not be judged; it is tried again"/);
});

test("a judge that is disposed lets go of the node, and neither asks nor tells anything any more", async () => {
  await using folder = await temporaryFolder();
  const chain = new SimulatedChain(9);
  const nodes = new HeldNodes();
  const { judging, clock, onJudged } = judge(nodes, folder.path);
  judging.follow({ ...chain.take(chain.make()), result: "pending" });
  judging.tipTold(chain.tip.hash);
  await judging[Symbol.asyncDispose]();
  clock.now += 60_000;
  judging.tick();
  judging.tipTold(chain.tip.hash);
  expect([nodes.isDisposed, nodes.looks]).toEqual([true, 1]);
  expect(onJudged).not.toHaveBeenCalled();
  expect(await readFile(`${folder.path}/pool.log`, "utf8")).toBe("");
});
