import {
  bip34Prefix,
  type CoinbaseParts,
  coinbaseAround,
  compactSize,
  encodeOutputs,
  type Hash,
  hash,
  type Target,
  type TxOutput,
  targetToBytes,
} from "@adit/bitcoin";
import type { ClientChannel, ClientJob, ClientJobState } from "@adit/channels";
import { type SetCustomMiningJob, u256 } from "@adit/codec";
import type { TemplateContents } from "./scenario.ts";

/** Script that our side wants custom jobs to pay to: OP_TRUE. */
export const PAYOUT: Uint8Array = Uint8Array.of(0x51);

/** What a custom job builds on. */
export interface CustomTip {
  readonly prevHash: Hash;
  readonly nbits: number;
  readonly minNtime: number;
  /** Of the block to be mined. */
  readonly height: number;
}

/** The fields of a custom job but for its addresses. `tag`: bytes of the script between height and extranonce. */
export function customFields(
  contents: TemplateContents,
  { tip, extranonceSize, tag }: { readonly tip: CustomTip; readonly extranonceSize: number; readonly tag: Uint8Array },
): Omit<SetCustomMiningJob, "name" | "channelId" | "requestId" | "miningJobToken"> {
  const outputs: readonly TxOutput[] = [
    { value: BigInt(contents.value), script: PAYOUT },
    ...contents.outputs.map(({ script }) => ({ value: 0n, script })),
  ];
  return {
    version: contents.version,
    prevHash: u256(tip.prevHash),
    minNtime: tip.minNtime,
    nbits: tip.nbits,
    coinbaseTxVersion: contents.coinbaseTxVersion,
    coinbasePrefix: Uint8Array.of(...bip34Prefix(tip.height), ...tag, extranonceSize),
    coinbaseTxInputNSequence: contents.coinbaseTxInputSequence,
    coinbaseTxOutputs: countedOutputs(outputs),
    coinbaseTxLocktime: 0,
    merklePath: contents.merklePath,
  };
}

/** Outputs behind their CompactSize count. */
export function countedOutputs(outputs: readonly TxOutput[]): Uint8Array {
  return Uint8Array.of(...compactSize(outputs.length), ...encodeOutputs(outputs));
}

/** A custom job that a server has taken, as its client mines it: with the target and the prefix of that moment. */
export class CustomWork implements ClientJob {
  state: ClientJobState = "active";
  readonly jobId: number;
  readonly target: Target;
  readonly targetBytes: Uint8Array;
  readonly version: number;
  readonly versionRollingAllowed: boolean;
  readonly prevHash: Hash;
  readonly nbits: number;
  readonly minNtime: number;
  readonly extranoncePrefix: Uint8Array;
  readonly merkleRoot: undefined;
  readonly coinbaseTxPrefix: Uint8Array;
  readonly coinbaseTxSuffix: Uint8Array;
  readonly merklePath: readonly Hash[];

  constructor(message: SetCustomMiningJob, jobId: number, channel: ClientChannel) {
    const { prefix, suffix } = coinbaseOf(message, channel);
    this.jobId = jobId;
    this.target = channel.target;
    this.targetBytes = targetToBytes(channel.target);
    this.version = message.version;
    this.versionRollingAllowed = true;
    this.prevHash = hash(message.prevHash);
    this.nbits = message.nbits;
    this.minNtime = message.minNtime;
    this.extranoncePrefix = channel.extranoncePrefix;
    this.coinbaseTxPrefix = prefix;
    this.coinbaseTxSuffix = suffix;
    this.merklePath = message.merklePath.map((sibling) => hash(sibling));
  }
}

function coinbaseOf(message: SetCustomMiningJob, channel: ClientChannel): CoinbaseParts {
  return coinbaseAround({
    txVersion: message.coinbaseTxVersion,
    scriptSigStart: message.coinbasePrefix,
    extranonceSize: channel.extranoncePrefix.length + channel.extranonceSize,
    inputSequence: message.coinbaseTxInputNSequence,
    countedOutputs: message.coinbaseTxOutputs,
    locktime: message.coinbaseTxLocktime,
  });
}

/** The custom jobs of every channel, by the name that the tests have for each. */
export class CustomWorks {
  readonly #works = new Map<number, { readonly channel: number; readonly work: CustomWork }>();

  /** The server has taken a job: those before it on the channel are past. */
  add(name: number, channel: number, work: CustomWork): void {
    for (const other of this.#works.values()) {
      if (other.channel === channel && other.work.state === "active") other.work.state = "past";
    }
    this.#works.set(name, { channel, work });
  }

  /** A channel's job. */
  find(name: number, channel: number): CustomWork | undefined {
    const found = this.#works.get(name);
    return found?.channel === channel ? found.work : undefined;
  }

  /** The server builds on another block: no job is good any more. */
  tipChanged(): void {
    for (const { work } of this.#works.values()) work.state = "stale";
  }
}
