import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Random } from "../harness/random.ts";
import { type Command, type Settings, settings as usual } from "./channels/commands.ts";
import { Comparison, exchanges } from "./channels/compare.ts";
import { OurChannels } from "./channels/our-channels.ts";
import { RandomRun, type ShareKind, shareKinds } from "./channels/random-run.ts";
import { ScenarioMaker } from "./channels/scenario.ts";
import { interopSeed as seed } from "./seed.ts";

const RUNS = 4;
const SHARES_A_RUN = 500;

/** What channels-sv2.test.ts compares with where there is no cargo. */
const sampleFile = join(import.meta.dirname, "../vectors/channels-sv2.json");
const SAMPLE_SEED = 1;
const SAMPLE_SHARES = 60;

/** So few past jobs that some are forgotten. */
const settings: Settings = { ...usual, max_past_jobs: 4 };

test(`${RUNS * SHARES_A_RUN} shares of every kind get the same verdicts, on the same jobs`, async () => {
  const made = new Map<ShareKind, number>();
  const verdicts = new Map<string, number>();
  for (let run = 0; run < RUNS; run += 1) {
    const random = new Random(seed, run);
    const maker = new ScenarioMaker(new OurChannels(settings), random);
    const commands = function* () {
      for (const [command, kind] of new RandomRun(maker, random).commands(SHARES_A_RUN)) {
        if (kind !== undefined) made.set(kind, (made.get(kind) ?? 0) + 1);
        yield command;
      }
    };
    const comparison = new Comparison(settings);
    let index = 0;
    for await (const exchange of exchanges(maker.ours, commands())) {
      const [ours, theirs] = comparison.of(exchange);
      const what = `command ${index} of run ${run}, INTEROP_SEED=${seed}: ${JSON.stringify(exchange.command)}`;
      expect(theirs, what).toEqual(ours);
      index += 1;
      if (exchange.command.do !== "share") continue;
      const { valid, refused, block } = exchange.ours as { valid?: string; refused?: string; block?: object };
      const verdict = refused ?? (block === undefined ? "valid" : "block");
      expect(valid === undefined, what).toBe(refused !== undefined);
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    }
  }
  expect([...made.keys()].toSorted()).toEqual([...new Set(shareKinds)].toSorted());
  expect(Object.fromEntries(verdicts)).toEqual({
    valid: expect.any(Number),
    block: expect.any(Number),
    "stale-share": expect.any(Number),
    "duplicate-share": expect.any(Number),
    "difficulty-too-low": expect.any(Number),
    "invalid-share": expect.any(Number),
    "invalid-job-id": expect.any(Number),
    "bad-extranonce-size": expect.any(Number),
    "invalid-non-rollable-version-bit": expect.any(Number),
  });
});

test("requests that make no sense are refused alike", async () => {
  const maker = new ScenarioMaker(new OurChannels(settings), new Random(seed, 0));
  const extended = { extended: true, grouped: true };
  const commands = function* () {
    yield maker.template(true);
    yield maker.prevHash();
    yield maker.open(0, { ...extended, max_target: "00".repeat(32) });
    yield maker.open(0, { ...extended, nominal_hash_rate: -1 });
    yield maker.open(0, extended);
    yield { ...maker.update(0, 1), nominal_hash_rate: -1 };
  };
  const refusals: unknown[] = [];
  for await (const { ours, theirs } of exchanges(maker.ours, commands())) {
    if ("error" in ours || "error" in theirs) refusals.push([ours, theirs]);
  }
  const codes = ["max-target-out-of-range", "invalid-nominal-hashrate", "invalid-nominal-hashrate"];
  expect(refusals).toEqual(codes.map((error) => [{ error }, { error }]));
});

test("a pool that forbids version rolling refuses rolled versions of extended channels alike", async () => {
  const maker = new ScenarioMaker(
    new OurChannels({ ...settings, version_rolling_allowed: false }),
    new Random(seed, 0),
  );
  const commands = function* () {
    yield maker.template(true);
    yield maker.prevHash();
    yield maker.open(0, { extended: true, grouped: true });
    yield maker.template(false);
    const { version = 0 } = maker.ours.job(0, 2) ?? {};
    for (const bit of [0x20, 0x10000000, 1]) yield maker.share(0, 2, { version: (version ^ bit) >>> 0 });
    yield maker.share(0, 2);
  };
  const verdicts: unknown[] = [];
  for await (const { command, ours, theirs } of exchanges(maker.ours, commands())) {
    if (command.do !== "share") continue;
    expect(theirs).toEqual(ours);
    verdicts.push("refused" in ours ? ours.refused : "valid");
  }
  const refusal = "version-rolling-not-allowed";
  expect(verdicts).toEqual([refusal, refusal, refusal, "valid"]);
});

test("the recorded sample is what the crates answer", async () => {
  const random = new Random(SAMPLE_SEED, 0);
  const maker = new ScenarioMaker(new OurChannels(settings), random);
  const commands = function* (): Generator<Command, void, undefined> {
    for (const [command] of new RandomRun(maker, random).commands(SAMPLE_SHARES)) yield command;
  };
  const answers: (readonly [Command, unknown])[] = [];
  for await (const { command, theirs } of exchanges(maker.ours, commands())) answers.push([command, theirs]);
  const source = `Answers of the Stratum Reference Implementation's channels_sv2 to random commands, seed ${SAMPLE_SEED}. Recorded by INTEROP_RECORD=1 pnpm test:interop.`;
  const text = `${JSON.stringify({ source, settings, answers }, null, 1)}\n`;
  if (process.env["INTEROP_RECORD"] === "1") writeFileSync(sampleFile, text);
  expect(JSON.parse(readFileSync(sampleFile, "utf8"))).toEqual(JSON.parse(text));
});
