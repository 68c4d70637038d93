import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCampaign } from "./campaign.ts";
import { readFindings, writeFinding } from "./finding.ts";
import { MOST_GROWTH } from "./growth.ts";
import { inputOf } from "./input-form.ts";
import type { Job, JobResult } from "./messages.ts";
import { readOptions } from "./options.ts";
import { runJob } from "./run-job.ts";
import { targetNames } from "./targets.ts";

const { signal } = new AbortController();
const patience = { hangMs: 10_000, signal };
/** What every run takes the same inputs from; a nightly run looks further. */
const SEED = 20_261_128;
/** Over all targets; each process takes about half a second to start on top of its share. */
const SHORT_MS = 10_000;
const CORES = 2;

async function search(target: string, change: Partial<Extract<Job, { type: "search" }>> = {}): Promise<JobResult> {
  return await runJob({ type: "search", target, seed: SEED, ms: 2_500, by: "generator", ...change }, patience);
}

test("a short search of every target finds nothing", async () => {
  const findings = mkdtempSync(join(tmpdir(), "adit-findings-"));
  const quiet = { findings, say: () => {}, atOnce: CORES, generatedOnly: true };
  const tallies = await runCampaign({ targets: targetNames, seed: SEED, ms: SHORT_MS, ...patience, ...quiet });
  expect(tallies.flatMap(({ target, faults }) => faults.map((fault) => `${target}: ${fault}`))).toEqual([]);
  expect(tallies.filter(({ executions }) => executions === 0).map(({ target }) => target)).toEqual([]);
  expect(new Set(tallies.map(({ target }) => target))).toEqual(new Set(targetNames));
  rmSync(findings, { recursive: true });
});

const recorded = [...readFindings()];

test.each(recorded)("%s breaks no rule any more", async (_name, { target, form, input }) => {
  const { fault } = await runJob({ type: "replay", target, input: { form, input } }, patience);
  expect(fault?.error ?? null).toBeNull();
});

test("an input that breaks a rule is found and made as small as it can be", async () => {
  const { fault } = await search("planted-crash");
  expect(fault).toMatchObject({ input: { form: "bytes", input: "c9c9c9" }, endedProcess: false });
  expect(fault?.error).toContain("three bytes above 200");
});

test("coverage leads to four bytes that random inputs do not hit upon", async () => {
  const [guided, unguided] = await Promise.all([
    search("planted-magic", { by: "coverage", ms: 60_000 }),
    search("planted-magic"),
  ]);
  expect(guided.fault?.input.input).toMatch(/^6d616769/);
  expect(unguided.fault).toBeNull();
  expect(guided.executions).toBeLessThan(2 ** 24);
});

test("a hang is ended, and its input is kept", async () => {
  const { fault } = await runJob(
    { type: "search", target: "planted-hang", seed: SEED, ms: 4_000, by: "generator" },
    { hangMs: 1_500, signal },
  );
  expect(fault).toMatchObject({ endedProcess: true, error: "no end after 1500 ms" });
  expect((inputOf(fault!.input) as Uint8Array)[0]).toBeGreaterThan(250);
});

test("the end of the process is a fault of the input it was busy with", async () => {
  const { fault } = await search("planted-exit");
  expect(fault?.error).toContain("the process ended with SIGABRT");
  expect((inputOf(fault!.input) as Uint8Array)[0]).toBeGreaterThan(250);
});

test("an input that takes its time each time it is tried is found", async () => {
  const { fault } = await search("planted-slow");
  expect(fault?.error).toMatch(/took \d+ ms each time, at most 100 are allowed/);
  expect(Math.max(...(inputOf(fault!.input) as readonly number[]))).toBeGreaterThan(900);
});

test("what a search leaves behind in memory is measured", async () => {
  const [leak, sound] = await Promise.all([search("planted-leak"), search("planted-sound")]);
  expect(leak.growth).toBeGreaterThan(MOST_GROWTH);
  expect(sound.growth).toBeLessThan(MOST_GROWTH / 4);
  expect([leak.fault, sound.fault]).toEqual([null, null]);
});

test("a finding is read back as it was written", () => {
  const folder = mkdtempSync(join(tmpdir(), "adit-findings-"));
  const finding = {
    target: "codec-frames",
    seed: 1,
    fault: "f",
    form: "bytes",
    input: "00ff",
    shown: '"\\u0000ÿ"',
  } as const;
  const path = writeFinding(folder, finding);
  expect(readFileSync(path, "utf8")).toContain('"input": "00ff"');
  expect([...readFindings(folder).values()]).toEqual([finding]);
  rmSync(folder, { recursive: true });
});

test("the command line is read, and refused with what is wrong", () => {
  expect(readOptions(["--minutes", "0.5", "--target", "codec-tlvs", "--seed", "7"], 0)).toMatchObject({
    ms: 30_000,
    targets: ["codec-tlvs"],
    seed: 7,
  });
  expect(readOptions([], 1_700_000_000_000)).toMatchObject({ ms: 600_000, targets: targetNames, seed: 1_700_000_000 });
  expect(() => readOptions(["--minutes", "none"], 0)).toThrow(RangeError);
  expect(() => readOptions(["--seed", "-1"], 0)).toThrow(TypeError);
  expect(() => readOptions(["--target", "codec"], 0)).toThrow("no target codec; there are codec-frames, ");
});
