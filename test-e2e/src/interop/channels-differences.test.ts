import {
  bip34Prefix,
  decodeTransaction,
  type Hash,
  meetsTarget,
  pureHashing,
  type TxOutput,
  targetFromBits,
  targetToBytes,
} from "@adit/bitcoin";
import type { ClientJob } from "@adit/channels";
import { type SetCustomMiningJob, u256 } from "@adit/codec";
import { expect, test } from "vitest";
import { Random } from "../harness/random.ts";
import { type Answer, type Command, type Settings, type ShareAnswer, settings } from "./channels/commands.ts";
import { exchanges } from "./channels/compare.ts";
import { countedOutputs } from "./channels/custom-work.ts";
import { OurChannels, START } from "./channels/our-channels.ts";
import { type CustomCommand, isBlock, NBITS, ScenarioMaker } from "./channels/scenario.ts";
import { interopSeed as seed } from "./seed.ts";

/**
 * Where we differ from channels_sv2 on purpose: docs/decisions/0016. Each case ends with the command that shows it; when a
 * new version of the crates agrees, its case fails and goes.
 */
interface Difference {
  readonly settings?: Partial<Settings>;
  readonly commands: (maker: ScenarioMaker) => Iterable<Command>;
  readonly ours: unknown;
  readonly theirs: unknown;
}

const EXTENDED = 0;
const STANDARD = 1;
const DECLARING = 2;
const SAME_BLOCK = 0;
const valid = { valid: expect.any(String) as unknown };
const block = { template: expect.any(Number) as unknown, coinbase: expect.any(String) as unknown };
const refused = (refusal: string): object => ({ refused: refusal });

/** Two channels on a first tip with template 1 as their job. */
function* opened(maker: ScenarioMaker): Generator<Command, void, undefined> {
  yield maker.template(true);
  yield maker.prevHash({ block: SAME_BLOCK });
  yield maker.open(EXTENDED, { extended: true, grouped: true });
  yield maker.open(STANDARD, { extended: false, grouped: true });
  yield maker.template(false);
}

/** {@link opened}, and a channel whose client has set a custom job. Returns the command that set it. */
function* declared(
  maker: ScenarioMaker,
  changes: Partial<SetCustomMiningJob> = {},
): Generator<Command, CustomCommand, undefined> {
  yield* opened(maker);
  yield maker.open(DECLARING, { extended: true, grouped: false, custom: true });
  const command = maker.custom(DECLARING, changes);
  yield command;
  return command;
}

function notBlock(hash: Hash, job: ClientJob): boolean {
  return meetsTarget(hash, job.targetBytes) && !isBlock(hash, job);
}

const differences: Readonly<Record<string, Difference>> = {
  "a share refused for its time that is a block goes to the network": {
    *commands(maker) {
      yield* opened(maker);
      yield maker.share(EXTENDED, 2, { ntime: START / 1000 - 100, accept: isBlock });
    },
    ours: { ...refused("invalid-share"), block },
    theirs: refused("invalid-share"),
  },
  "a stale share that is a block goes to the network": {
    *commands(maker) {
      yield* opened(maker);
      yield maker.template(true);
      const late = maker.share(EXTENDED, 2, { accept: isBlock });
      yield maker.prevHash();
      yield late;
    },
    ours: { ...refused("stale-share"), block },
    theirs: refused("stale-share"),
  },
  "a share of other version bits that is a block goes to the network": {
    *commands(maker) {
      yield* opened(maker);
      yield maker.share(EXTENDED, 2, { version: 0x60000000, accept: isBlock });
    },
    ours: { ...refused("invalid-non-rollable-version-bit"), block },
    theirs: refused("invalid-non-rollable-version-bit"),
  },
  "a block above its job's target is no share": {
    *commands(maker) {
      yield* opened(maker);
      // Twice as hard as a block.
      yield maker.update(EXTENDED, 4_096);
      yield maker.template(false);
      yield maker.share(EXTENDED, 3, {
        accept: (hash, job) => isBlock(hash, job) && !meetsTarget(hash, job.targetBytes),
      });
    },
    ours: { ...refused("difficulty-too-low"), block },
    theirs: { ...valid, block },
  },
  "a block's target may be harder than nbits says": {
    *commands(maker) {
      const half = targetToBytes(targetFromBits(NBITS)).fill(0xff, 0, 30);
      half[30] = 0x10;
      yield maker.template(true);
      yield maker.prevHash({ target: half });
      yield maker.open(EXTENDED, { extended: true, grouped: true });
      yield maker.template(false);
      yield maker.share(EXTENDED, 2, { accept: (hash, job) => isBlock(hash, job) && !meetsTarget(hash, half) });
    },
    ours: valid,
    theirs: { ...valid, block },
  },
  "a share is credited once when a tip comes back": {
    *commands(maker) {
      yield* opened(maker);
      const again = maker.contents();
      yield maker.template(true, again);
      yield maker.prevHash({ block: 2 });
      yield maker.template(true, again);
      yield maker.prevHash({ block: SAME_BLOCK });
      const first = maker.share(EXTENDED, 4, { accept: notBlock });
      yield first;
      yield maker.template(true, again);
      yield maker.prevHash({ block: 2 });
      yield maker.template(true, again);
      yield maker.prevHash({ block: SAME_BLOCK });
      yield { ...first, template: 6 };
    },
    ours: refused("duplicate-share"),
    theirs: valid,
  },
  "a share of a job two tips old is stale": {
    *commands(maker) {
      yield* opened(maker);
      const late = maker.share(EXTENDED, 2, { accept: notBlock });
      for (let tip = 0; tip < 2; tip += 1) {
        yield maker.template(true);
        yield maker.prevHash();
      }
      yield late;
    },
    ours: refused("stale-share"),
    theirs: refused("invalid-job-id"),
  },
  "jobs stay valid when their tip is only told again": {
    *commands(maker) {
      yield* opened(maker);
      const share = maker.share(EXTENDED, 2, { accept: notBlock });
      yield maker.template(true);
      yield maker.prevHash({ block: SAME_BLOCK });
      yield share;
    },
    ours: valid,
    theirs: refused("stale-share"),
  },
  "a tip whose template is not known ends the work on the last": {
    *commands(maker) {
      yield* opened(maker);
      yield maker.template(true);
      const late = maker.share(EXTENDED, 2, { accept: notBlock });
      yield maker.prevHash({ template: 99 });
      yield late;
    },
    ours: refused("stale-share"),
    theirs: valid,
  },
  "the latest time of a share moves on with the age of its tip": {
    *commands(maker) {
      yield* opened(maker);
      maker.ours.now += 1_000_000;
      yield maker.share(EXTENDED, 2, { ntime: START / 1000 + 7_200 + 600, accept: notBlock });
    },
    ours: valid,
    theirs: refused("invalid-share"),
  },
  "a pool that forbids version rolling forbids it on standard channels too": {
    settings: { version_rolling_allowed: false },
    *commands(maker) {
      yield* opened(maker);
      const { version = 0 } = maker.ours.job(STANDARD, 2) ?? {};
      yield maker.share(STANDARD, 2, { version: (version ^ 0x2000) >>> 0, accept: notBlock });
    },
    ours: refused("version-rolling-not-allowed"),
    theirs: valid,
  },
  "no channel is opened with a target that every hash meets": {
    *commands(maker) {
      yield* opened(maker);
      yield maker.open(2, { extended: true, grouped: true, nominal_hash_rate: 0 });
    },
    ours: { target: expect.not.stringMatching(/^f+$/) },
    theirs: { target: "f".repeat(64) },
  },
  "a custom job's shares are stale as soon as the tip changes, whether a custom job follows or not": {
    *commands(maker) {
      const { template } = yield* declared(maker);
      yield maker.template(true);
      const late = maker.share(DECLARING, template, { accept: notBlock });
      yield maker.prevHash();
      yield late;
    },
    ours: refused("stale-share"),
    theirs: valid,
  },
  "a custom job stays valid when the next one on its tip begins later": {
    *commands(maker) {
      const { template } = yield* declared(maker);
      const share = maker.share(DECLARING, template, { accept: notBlock });
      yield maker.custom(DECLARING, { minNtime: START / 1000 + 2 });
      yield share;
    },
    ours: valid,
    theirs: refused("stale-share"),
  },
  "a custom job on another block than the pool's is refused": {
    *commands(maker) {
      yield* declared(maker, { prevHash: u256(pureHashing.sha256d(Uint8Array.of(1))) });
    },
    ours: { error: "stale-chain-tip" },
    theirs: {},
  },
  "a custom job that pays the pool nothing is refused": {
    *commands(maker) {
      yield* declared(maker, { coinbaseTxOutputs: countedOutputs([{ value: 5n, script: Uint8Array.of(0x52) }]) });
    },
    ours: { error: "invalid-coinbase-tx-outputs" },
    theirs: {},
  },
  "a custom job of another height is refused": {
    *commands(maker) {
      yield* declared(maker, { coinbasePrefix: Uint8Array.of(...bip34Prefix(1), 20) });
    },
    ours: { error: "invalid-coinbase-prefix" },
    theirs: {},
  },
  "a template that leaves more money than there is is refused": {
    *commands(maker) {
      yield* opened(maker);
      yield maker.template(false, { value: 2_100_000_000_000_001 });
    },
    ours: { error: expect.stringMatching(/more than there/) },
    theirs: expect.objectContaining({ group: expect.any(String) }),
  },
};

test.each(Object.entries(differences))("%s", async (_what, { settings: changes, commands, ours, theirs }) => {
  const maker = new ScenarioMaker(new OurChannels({ ...settings, ...changes }), new Random(seed, 0));
  let last: readonly [Answer, Answer] | undefined;
  for await (const exchange of exchanges(maker.ours, commands(maker))) last = [exchange.ours, exchange.theirs];
  expect(last).toEqual([ours, theirs]);
});

test("custom jobs that make no coinbase are refused by both", async () => {
  const maker = new ScenarioMaker(new OurChannels(settings), new Random(seed, 3));
  const wrong: readonly Partial<SetCustomMiningJob>[] = [
    { coinbasePrefix: Uint8Array.of(...bip34Prefix(900_001), ...new Uint8Array(80)) },
    { coinbaseTxOutputs: Uint8Array.of(7) },
    { coinbaseTxOutputs: new Uint8Array(0) },
  ];
  const commands = function* (): Generator<Command, void, undefined> {
    yield* declared(maker);
    for (const changes of wrong) yield maker.custom(DECLARING, changes);
  };
  const refusals: unknown[] = [];
  for await (const { ours, theirs } of exchanges(maker.ours, commands())) {
    if ("error" in ours || "error" in theirs) refusals.push([ours, theirs]);
  }
  const outputs = ["invalid-coinbase-tx-outputs", "JobFactoryError(DeserializeCoinbaseOutputsError)"];
  const prefix = ["invalid-coinbase-prefix", "JobFactoryError(ScriptSigSizeTooLarge)"];
  expect(refusals).toEqual([prefix, outputs, outputs].map((pair) => pair.map((error) => ({ error }))));
});

test("the coinbase of a standard channel's block on a group's job is that of its merkle root", async () => {
  const maker = new ScenarioMaker(new OurChannels(settings), new Random(seed, 1));
  const commands = function* (): Generator<Command, void, undefined> {
    yield* opened(maker);
    yield maker.template(false, { outputs: [{ value: 0n, script: Uint8Array.of(0x6a) }] });
    yield maker.share(STANDARD, 3, { accept: isBlock });
  };
  let last: readonly [Answer, Answer] | undefined;
  for await (const exchange of exchanges(maker.ours, commands())) last = [exchange.ours, exchange.theirs];
  expect(last?.[0]).toMatchObject({ block });
  expect(last?.[1]).toMatchObject({ block });
  expect(outputsOf(last?.[0])).toHaveLength(outputsOf(last?.[1]).length - 1);
});

function outputsOf(answer: Answer | undefined): readonly TxOutput[] {
  const coinbase = (answer as ShareAnswer | undefined)?.block?.coinbase ?? "";
  return decodeTransaction(Buffer.from(coinbase, "hex")).outputs;
}
