import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { open, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { displayHash, hex } from "@adit/bitcoin";
import { describe, expect, test, vi } from "vitest";
import { filedBlock, solvedBlock } from "./testing/filed-block.ts";
import type { NodeReply } from "./testing/node-server.ts";
import { Submitting } from "./testing/submitting.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const HEIGHT = 500;
const block = solvedBlock(HEIGHT);
const ok: NodeReply = { result: null };
const refuses: NodeReply = { result: "bad-cb-amount" };
const never = new Promise<NodeReply>(() => {});
const ERROR = 50;

/** Looks again until `check` passes; the nodes are real and take their time. */
const eventually = (check: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 10_000, interval: 5 });

function outcomeFile(submitting: Submitting): string {
  return submitting.files.path(block).replace(".hex", ".json");
}

/** Keeps every thread that this process has for files busy, with pipes that nobody writes to, until it is called back. */
function holdUpFiles(folder: string): () => Promise<void> {
  const threads = Number(process.env["UV_THREADPOOL_SIZE"] ?? 4);
  const pipes = Array.from({ length: threads }, (_, at) => join(folder, `pipe-${at}`));
  execFileSync("mkfifo", pipes);
  const opening = pipes.map((pipe) => open(pipe, "r"));
  return async () => {
    for (const pipe of pipes) closeSync(openSync(pipe, "w"));
    for (const handle of await Promise.all(opening)) await handle.close();
  };
}

async function errorsOf(submitting: Submitting): Promise<readonly string[]> {
  return (await submitting.log()).filter(({ level }) => level >= ERROR).map(({ msg }) => msg);
}

describe("a solved block", () => {
  test("is on the disk before a node gets it, as the very bytes", async () => {
    await using folder = await temporaryFolder();
    await using submitting = await Submitting.start(folder.path, 1);
    const whenItCame: boolean[] = [];
    submitting.onSubmit(0, () => {
      whenItCame.push(existsSync(submitting.files.path(block)));
      return ok;
    });
    await submitting.submitter.submit(block);
    await submitting.servers[0]!.called("submitblock", 1);
    expect(submitting.servers[0]!.calls[0]).toMatchObject({ method: "submitblock", params: [hex(block.bytes)] });
    expect(whenItCame).toEqual([true]);
  });

  test("goes to every node at once, and what came of it is shown, counted and filed", async () => {
    await using folder = await temporaryFolder();
    await using submitting = await Submitting.start(folder.path, 3);
    const { submitter, files } = submitting;
    submitting.onSubmit(0, () => never);
    submitting.onSubmit(1, () => ok);
    submitting.onLookUp(1, block, 1);
    submitting.onSubmit(2, () => refuses);
    await submitter.submit(block);
    expect(submitter.pending).toBe(1);
    await eventually(async () => {
      const filed = JSON.parse(await readFile(outcomeFile(submitting), "utf8")) as { readonly nodes: object };
      expect(filed).toMatchObject({ height: HEIGHT, hash: displayHash(block.hash), outcome: "accepted" });
      expect(Object.values(filed.nodes)).toContain("accepted");
      expect(submitter.status()[0]?.nodes[2]?.answer).toBe("rejected: bad-cb-amount");
    });
    expect(submitter.status()).toMatchObject([
      {
        height: HEIGHT,
        outcome: "accepted",
        file: files.path(block),
        nodes: [{ answer: null }, { answer: "accepted" }, { answer: "rejected: bad-cb-amount" }],
      },
    ]);
    expect([submitter.accepted, submitter.pending, submitting.taken]).toEqual([1, 0, [1]]);
    expect(await submitting.samples('blocks_total{solved_by="client"}')).toEqual([
      'sv2_template_provider_blocks_total{solved_by="client"} 1',
    ]);
    expect(submitting.failures).toEqual([]);
  });

  test("that comes again while it is followed is not submitted again", async () => {
    await using folder = await temporaryFolder();
    await using submitting = await Submitting.start(folder.path, 1);
    submitting.onSubmit(0, () => never);
    await submitting.submitter.submit(block);
    await submitting.submitter.submit({ ...block });
    expect(submitting.submitter.status()).toHaveLength(1);
    const texts = (await submitting.log()).map(({ msg }) => msg);
    expect(texts).toEqual(["block submitted"]);
  });

  test("is tried again until a node that was gone is back, and the operator is told once", async () => {
    await using folder = await temporaryFolder();
    await using submitting = await Submitting.start(folder.path, 1);
    const { submitter } = submitting;
    submitting.onSubmit(0, () => "hang-up");
    await submitter.submit(block);
    for (const [attempts, wait] of [250, 500, 1_000].entries()) {
      await eventually(() => expect(submitter.status()[0]?.nodes[0]).toMatchObject({ attempts: attempts + 1 }));
      await eventually(() => expect(submitter.status()[0]?.nodes[0]?.answer).toMatch(/no connection/));
      await eventually(async () => {
        const answers = (await submitting.log()).filter((line) => line.answer !== undefined);
        expect(answers).toHaveLength(attempts + 1);
      });
      if (attempts === 2) {
        submitting.onSubmit(0, () => ok);
        submitting.onLookUp(0, block, 1);
      }
      submitting.pass(wait, HEIGHT - 1);
    }
    await eventually(() => expect(submitter.status()[0]?.outcome).toBe("accepted"));
    expect(await errorsOf(submitting)).toEqual(["block could not be submitted to a node; it is tried again"]);
  });

  test("that every node refuses is told as an error, and shown after it is over", async () => {
    await using folder = await temporaryFolder();
    await using submitting = await Submitting.start(folder.path, 2);
    const { submitter } = submitting;
    for (const node of [0, 1]) submitting.onSubmit(node, () => refuses);
    await submitter.submit(block);
    await eventually(() => expect(existsSync(outcomeFile(submitting))).toBe(true));
    submitting.pass(200, HEIGHT - 1);
    expect(submitter.status()).toMatchObject([{ outcome: "rejected", nodes: [{ attempts: 1 }, { attempts: 1 }] }]);
    expect([submitter.accepted, submitter.pending]).toEqual([0, 0]);
    expect(await errorsOf(submitting)).toEqual([
      "a node refused our block",
      "a node refused our block",
      "block not in the best chain",
    ]);
  });

  test("is counted once though a reorganisation takes it away and another brings it back", async () => {
    await using folder = await temporaryFolder();
    await using submitting = await Submitting.start(folder.path, 1);
    const { submitter } = submitting;
    submitting.onSubmit(0, () => ok);
    const outcomes: string[] = [];
    for (const [at, confirmations] of [1, -1, 1].entries()) {
      submitting.onLookUp(0, block, confirmations);
      if (at === 0) await submitter.submit(block);
      else submitting.pass(5_000, HEIGHT);
      const outcome = confirmations === 1 ? "accepted" : "side-branch";
      await eventually(() => expect(submitter.status()[0]?.outcome).toBe(outcome));
      outcomes.push(outcome);
    }
    expect(outcomes).toEqual(["accepted", "side-branch", "accepted"]);
    expect(submitter.accepted).toBe(1);
  });

  test("that is followed no longer leaves the sixteen that came to an end last to be shown", async () => {
    await using folder = await temporaryFolder();
    await using submitting = await Submitting.start(folder.path, 1);
    const { submitter } = submitting;
    submitting.onSubmit(0, () => refuses);
    for (let height = 1; height <= 18; height++) {
      await submitter.submit(solvedBlock(height));
      await eventually(() => expect(submitter.status()[0]?.outcome).toBe("rejected"));
      submitting.pass(200, height);
    }
    const heights = submitter.status().map(({ height }) => height);
    expect(heights).toEqual(Array.from({ length: 16 }, (_, at) => 18 - at));
  });

  test("is left to its file when there are more than can be followed, and the operator is told", async () => {
    await using folder = await temporaryFolder();
    await using submitting = await Submitting.start(folder.path, 1);
    const { submitter, files } = submitting;
    submitting.onSubmit(0, () => never);
    for (let height = 1; height <= 65; height++) await submitter.submit(solvedBlock(height));
    expect(submitter.status()).toHaveLength(64);
    expect(await errorsOf(submitting)).toContain("too many blocks at once; one is left to its file");
    expect(existsSync(files.path(filedBlock(1)))).toBe(true);
  });
});

describe("a disk", () => {
  test("that takes no block does not hold it up, and the operator is told", async () => {
    await using folder = await temporaryFolder();
    await using submitting = await Submitting.start(folder.path, 1);
    const { submitter, files } = submitting;
    const blocks = dirname(files.path(block));
    await rm(blocks, { recursive: true });
    await writeFile(blocks, "no folder any more");
    submitting.onSubmit(0, () => ok);
    submitting.onLookUp(0, block, 1);
    await submitter.submit(block);
    await eventually(() => expect(submitter.status()).toMatchObject([{ outcome: "accepted", file: null }]));
    expect(await errorsOf(submitting)).toEqual([
      "block not written to disk, it is submitted all the same; free the disk",
    ]);
    const unwritten = { header: hex(block.header), coinbase: hex(block.coinbase), error: { code: "ENOTDIR" } };
    expect((await submitting.log()).find(({ level }) => level >= ERROR)).toMatchObject(unwritten);
    expect(await submitting.samples("block_files_failed_total")).toEqual([
      "sv2_template_provider_block_files_failed_total 1",
    ]);
    expect(submitting.failures).toEqual([]);
  });

  test.skipIf(process.platform === "win32")(
    "that is too slow does not hold it up either, and what came of it is filed when the block is",
    async () => {
      await using folder = await temporaryFolder();
      await using submitting = await Submitting.start(folder.path, 1);
      const { submitter, files } = submitting;
      submitting.onSubmit(0, () => ok);
      submitting.onLookUp(0, block, 1);
      const release = holdUpFiles(folder.path);
      await submitter.submit(block);
      await eventually(() => expect(submitter.status()).toMatchObject([{ outcome: "accepted", file: null }]));
      expect(existsSync(files.path(block))).toBe(false);
      await release();
      await eventually(() => expect(existsSync(outcomeFile(submitting))).toBe(true));
      expect(submitter.status()).toMatchObject([{ file: files.path(block) }]);
      expect(await readFile(files.path(block), "utf8")).toBe(`${hex(block.bytes)}\n`);
      expect(await errorsOf(submitting)).toEqual([
        "the disk is too slow for a block, which is submitted before it is written",
      ]);
    },
  );
});

describe("the next process", () => {
  test("submits again what no node has judged, and leaves the rest alone", async () => {
    await using folder = await temporaryFolder();
    const [judged, torn] = [filedBlock(501), filedBlock(502)];
    await using submitting = await Submitting.start(folder.path, 1);
    const { submitter, files } = submitting;
    for (const one of [block, judged]) await files.add(one);
    await files.judge(judged, { height: 501, hash: displayHash(judged.hash), outcome: "accepted", nodes: {} });
    await writeFile(files.path(torn), hex(torn.bytes).slice(0, -2));
    submitting.onSubmit(0, () => ({ result: "duplicate" }));
    submitting.onLookUp(0, block, 3);
    await submitter.restore();
    await eventually(() => expect(existsSync(outcomeFile(submitting))).toBe(true));
    expect(submitter.status()).toMatchObject([
      { height: HEIGHT, outcome: "accepted", file: files.path(block), nodes: [{ answer: "known" }] },
    ]);
    const submitted = submitting.servers[0]!.calls.filter(({ method }) => method === "submitblock");
    expect(submitted.map(({ params }) => params)).toEqual([[hex(block.bytes)]]);
    const texts = (await submitting.log()).map(({ msg }) => msg);
    expect(texts).toContain("file of a block does not hold that block and is not submitted; restore it from a copy");
  });

  test("takes up a block that was still on its way when this one stopped", async () => {
    await using folder = await temporaryFolder();
    const first = await Submitting.start(folder.path, 1);
    first.onSubmit(0, () => never);
    await first.submitter.submit(block);
    await first.servers[0]!.called("submitblock", 1);
    await first[Symbol.asyncDispose]();
    expect(first.failures).toEqual([]);
    expect(await errorsOf(first)).toEqual([]);
    await using next = await Submitting.start(folder.path, 1);
    next.onSubmit(0, () => ok);
    next.onLookUp(0, block, 1);
    await next.submitter.restore();
    await eventually(() => expect(next.submitter.accepted).toBe(1));
  });
});
