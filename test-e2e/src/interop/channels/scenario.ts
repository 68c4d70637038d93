import {
  bip34Prefix,
  encodeHeader,
  encodeOutputs,
  type Hash,
  hash,
  meetsTarget,
  pureHashing,
  type TxOutput,
  targetFromBits,
  targetFromHashrate,
  targetToBytes,
} from "@adit/bitcoin";
import { type ClientJob, coinbaseOf, VERSION_ROLLING_MASK } from "@adit/channels";
import { type SetCustomMiningJob, type U256, u256 } from "@adit/codec";
import type { Random } from "../../harness/random.ts";
import { hex } from "../codec-peer.ts";
import type { Command, OpenCommand } from "./commands.ts";
import { type CustomTip, customFields } from "./custom-work.ts";
import { type OurChannels, START } from "./our-channels.ts";
import { payloadOf } from "./payload.ts";

/** About two thousand hashes a block. */
export const NBITS = 0x1f200000;
const VALUE = 5_000_000_000;
/** Longest `coinbase_prefix` of a template (spec 7.2). */
const MAX_COINBASE_PREFIX = 8;
const ANY_TARGET = "ff".repeat(32);
/** Hashrates whose shares take few hashes, at one share a second. */
const hashrates = [3, 8, 20, 33.5, 64];

/** What a template says, and what a pool makes of its money. */
export interface TemplateContents {
  readonly version: number;
  readonly coinbaseTxVersion: number;
  readonly coinbasePrefix: Uint8Array;
  readonly coinbaseTxInputSequence: number;
  readonly outputs: readonly TxOutput[];
  readonly merklePath: readonly U256[];
  readonly coinbaseTxLocktime: number;
  /** Satoshis for the pool. */
  readonly value: number;
  /** Satoshis of the pool's outputs but the last, which has the rest. */
  readonly paid: readonly number[];
  /** Scripts of the pool's outputs. */
  readonly scripts: readonly Uint8Array[];
}

/** Fields of a share that differ from its job's. */
export interface ShareChanges {
  readonly ntime?: number;
  readonly version?: number;
  /** Bytes of the extranonce, if not those of the channel. */
  readonly extranonceSize?: number;
  /** Which hashes will do; without it, those that meet the job's target. */
  readonly accept?: (hash: Hash, job: ClientJob) => boolean;
}

/** Whether a hash is a block on the job's tip. */
export function isBlock(hash: Hash, job: ClientJob): boolean {
  return meetsTarget(hash, targetToBytes(targetFromBits(job.nbits)));
}

/** A job that a channel was given. */
export interface Given {
  readonly channel: number;
  readonly template: number;
  readonly job: ClientJob;
}

/** A share to submit. */
export type ShareCommand = Extract<Command, { readonly do: "share" }>;

/** A custom job to set. */
export type CustomCommand = Extract<Command, { readonly do: "custom" }>;

/**
 * Makes commands as it goes, from what our side's clients were sent. Every command is to be answered by our side before the
 * next one is made.
 */
export class ScenarioMaker {
  readonly ours: OurChannels;
  readonly #random: Random;
  readonly #extended = new Map<number, boolean>();
  readonly #declaring = new Set<number>();
  #tips = 0;
  #templates = 0;
  #sequenceNumber = 0;
  #height = 900_000;
  /** Names of custom jobs are no template's. */
  #customJobs = 1_000_000;
  /** Heights of templates. */
  readonly #heights = new Map<number, number>();
  #tip: CustomTip | undefined;

  constructor(ours: OurChannels, random: Random) {
    this.ours = ours;
    this.#random = random;
  }

  /** Opens channel `name`. */
  open(
    name: number,
    changes: Pick<OpenCommand, "extended" | "grouped" | "custom"> &
      Partial<Pick<OpenCommand, "nominal_hash_rate" | "max_target">>,
  ): OpenCommand {
    const rate = changes.nominal_hash_rate ?? this.#random.pick(hashrates);
    const prefix = this.ours.nextPrefix(changes.extended);
    this.#extended.set(name, changes.extended);
    if (changes.custom) this.#declaring.add(name);
    return {
      do: "open",
      channel: name,
      user_identity: `user.${name}`,
      max_target: ANY_TARGET,
      extranonce_prefix: prefix,
      rollable_extranonce_size: this.ours.settings.full_extranonce_size - prefix.length / 2,
      // Which target a channel without hashrate gets is no business of the formula.
      ...(rate > 0 ? { target: this.#targetOf(rate) } : {}),
      ...changes,
      nominal_hash_rate: rate,
    };
  }

  /** Contents for a template, at random. */
  contents(): TemplateContents {
    const random = this.#random;
    const outputs = Array.from({ length: random.upTo(3) }, (_, at) => ({
      value: BigInt(at * random.upTo(1_000)),
      script: random.bytes(random.length(60, 34)),
    }));
    const prefix = bip34Prefix(this.#height);
    return {
      version: 0x20000000 | (random.oneIn(2) ? random.uint32() & VERSION_ROLLING_MASK : 0),
      coinbaseTxVersion: random.pick([1, 2]),
      coinbasePrefix: Buffer.concat([prefix, random.bytes(random.upTo(MAX_COINBASE_PREFIX - prefix.length))]),
      coinbaseTxInputSequence: random.pick([0xffffffff, 0xfffffffe, 0]),
      outputs,
      merklePath: Array.from({ length: random.upTo(14) }, () => u256(random.bytes(32))),
      coinbaseTxLocktime: random.pick([0, this.#height - 1]),
      value: VALUE,
      paid: [random.upTo(VALUE / 2), random.upTo(VALUE / 4)].slice(0, random.upTo(2)),
      scripts: [0, 1, 2].map(() => random.bytes(1 + random.upTo(33))),
    };
  }

  /** A template; its name is its id. */
  template(future: boolean, changes: Partial<TemplateContents> = {}): Command {
    this.#templates += 1;
    this.#heights.set(this.#templates, this.#height);
    if (!future && this.#tip !== undefined) this.#tip = { ...this.#tip, height: this.#height };
    const { outputs, value, paid, scripts, ...fields } = { ...this.contents(), ...changes };
    const template = {
      name: "NewTemplate",
      templateId: BigInt(this.#templates),
      futureTemplate: future,
      coinbaseTxValueRemaining: BigInt(value),
      coinbaseTxOutputsCount: outputs.length,
      coinbaseTxOutputs: encodeOutputs(outputs),
      ...fields,
    };
    const rest = value - paid.reduce((sum, part) => sum + part, 0);
    return {
      do: "template",
      payload: payloadOf("template_distribution", template),
      outputs: [...paid, rest].map((part, at) => ({ value: part, script: hex(scripts[at] ?? new Uint8Array(0)) })),
    };
  }

  /** A tip that activates a future template, the newest unless told; of another block unless told. */
  prevHash(
    changes: { readonly template?: number; readonly block?: number; readonly target?: Uint8Array } = {},
  ): Command {
    this.#tips += changes.block === undefined ? 1 : 0;
    this.#height += 1;
    const message = {
      name: "SetNewPrevHash",
      templateId: BigInt(changes.template ?? this.#templates),
      prevHash: u256(pureHashing.sha256d(Buffer.from(`block ${changes.block ?? this.#tips}`))),
      headerTimestamp: START / 1000 + this.#tips,
      nBits: NBITS,
      target: u256(changes.target ?? targetToBytes(targetFromBits(NBITS))),
    };
    this.#tip = {
      prevHash: hash(message.prevHash),
      nbits: NBITS,
      minNtime: message.headerTimestamp,
      height: this.#heights.get(Number(message.templateId)) ?? 0,
    };
    return { do: "prev_hash", payload: payloadOf("template_distribution", message) };
  }

  /** A custom job on the tip; its name is that of no template. */
  custom(channel: number, changes: Partial<SetCustomMiningJob> = {}): CustomCommand {
    if (this.#tip === undefined) throw new Error("a custom job builds on a tip");
    this.#customJobs += 1;
    const extranonceSize = this.ours.settings.full_extranonce_size;
    const tag = this.#random.bytes(this.#random.upTo(40));
    const message = {
      name: "SetCustomMiningJob",
      channelId: 0,
      requestId: 0,
      miningJobToken: this.#random.bytes(this.#random.upTo(40)),
      ...customFields(this.contents(), { tip: this.#tip, extranonceSize, tag }),
      ...changes,
    };
    return { do: "custom", channel, template: this.#customJobs, payload: payloadOf("mining", message) };
  }

  /** Another hashrate for a channel. */
  update(channel: number, rate: number = this.#random.pick(hashrates)): Command {
    return { do: "update", channel, nominal_hash_rate: rate, target: this.#targetOf(rate) };
  }

  /** Another extranonce prefix for a channel. */
  rotate(channel: number): Command {
    return { do: "prefix", channel, extranonce_prefix: this.ours.nextPrefix(this.isExtended(channel)) };
  }

  /** A share of a job that the channel was given, found by hashing. */
  share(channel: number, template: number, changes: ShareChanges = {}): ShareCommand {
    const job = this.ours.job(channel, template);
    if (job === undefined) throw new Error(`channel ${channel} was not given a job of template ${template}`);
    return this.shareOf({ channel, template, job }, changes);
  }

  /** The channels that were asked for, by name, and the name of the newest template. */
  get channels(): readonly number[] {
    return [...this.#extended.keys()];
  }

  get newestTemplate(): number {
    return this.#templates;
  }

  /** The channels among them that are given custom jobs. */
  get declaring(): readonly number[] {
    return [...this.#declaring];
  }

  /** Whether a channel is an extended one. */
  isExtended(channel: number): boolean {
    return this.#extended.get(channel) === true;
  }

  #targetOf(rate: number): string {
    return hex(targetToBytes(targetFromHashrate(rate, this.ours.settings.shares_per_minute)));
  }

  /** The same share under a new sequence number. */
  again({ channel, template, payload }: ShareCommand): ShareCommand {
    this.#sequenceNumber += 1;
    const bytes = Buffer.from(payload, "hex");
    bytes.writeUInt32LE(this.#sequenceNumber, 4);
    return { do: "share", channel, template, payload: bytes.toString("hex") };
  }

  /** A share of a job, found by hashing. */
  shareOf({ channel, template, job }: Given, changes: ShareChanges): ShareCommand {
    const { accept = (hash) => meetsTarget(hash, job.targetBytes) } = changes;
    const { ntime = job.minNtime, version = job.version } = changes;
    const own = this.isExtended(channel) ? this.ours.channel(channel).extranonceSize : 0;
    const extranonce = this.#random.bytes(changes.extranonceSize ?? own);
    const merkleRoot = job.merkleRoot ?? rootOf(job, extranonce);
    const first = this.#random.uint32();
    for (let tried = 0; ; tried += 1) {
      const nonce = (first + tried) >>> 0;
      const header = { version, prevHash: job.prevHash, merkleRoot, ntime, nbits: job.nbits, nonce };
      if (!accept(pureHashing.headerHash(encodeHeader(header)), job)) continue;
      this.#sequenceNumber += 1;
      const fields = { channelId: channel, sequenceNumber: this.#sequenceNumber, jobId: 0, nonce, ntime, version };
      const message = this.isExtended(channel)
        ? { name: "SubmitSharesExtended", ...fields, extranonce }
        : { name: "SubmitSharesStandard", ...fields };
      return { do: "share", channel, template, payload: payloadOf("mining", message) };
    }
  }
}

function rootOf(job: ClientJob, extranonce: Uint8Array): Hash {
  const { coinbaseTxPrefix, coinbaseTxSuffix, merklePath } = job;
  if (coinbaseTxPrefix === undefined || coinbaseTxSuffix === undefined || merklePath === undefined) {
    throw new Error("neither a merkle root nor a coinbase");
  }
  return pureHashing.merkleRoot(
    coinbaseOf({ coinbaseTxPrefix, coinbaseTxSuffix }, job.extranoncePrefix, extranonce),
    merklePath,
  );
}
