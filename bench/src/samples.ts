import { bip34Prefix, type TxOutput, targetFromBits, targetToBytes } from "@adit/bitcoin";
import {
  type NewExtendedMiningJob,
  type NewTemplate,
  type SubmitSharesExtended,
  type TemplateSetNewPrevHash,
  u256,
} from "@adit/codec";

/** The depth of the merkle path of a full block: 2^12 transactions. */
export const FULL_DEPTH = 12;
/** Mainnet's first target: no share of a benchmark is a block. */
const HARD_BITS = 0x1d00ffff;
const HEIGHT = 900_000;

/** Time of the simulated tip, Unix milliseconds. */
export const START = 1_700_000_000_000;

/** What the pool is paid. */
export const REWARD: TxOutput = { value: 312_500_000n, script: bytes(22, 0x51) };

/** Some bytes that are not all the same. */
export function bytes(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (seed + at * 7) & 0xff);
}

/** A template with a witness commitment, as a node makes them. */
export function newTemplate(
  templateId: number,
  options: { readonly depth: number; readonly future: boolean },
): NewTemplate {
  return {
    name: "NewTemplate",
    templateId: BigInt(templateId),
    futureTemplate: options.future,
    version: 0x20000000,
    coinbaseTxVersion: 2,
    coinbasePrefix: bip34Prefix(HEIGHT),
    coinbaseTxInputSequence: 0xfffffffe,
    coinbaseTxValueRemaining: REWARD.value,
    coinbaseTxOutputsCount: 1,
    coinbaseTxOutputs: Uint8Array.of(...new Uint8Array(8), 38, 0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed, ...bytes(32, 9)),
    merklePath: Array.from({ length: options.depth }, (_, at) => u256(bytes(32, templateId + at))),
    coinbaseTxLocktime: HEIGHT - 1,
  };
}

/** Makes a future template the one to mine. */
export function newPrevHash(templateId: number): TemplateSetNewPrevHash {
  return {
    name: "SetNewPrevHash",
    templateId: BigInt(templateId),
    prevHash: u256(bytes(32, 0xa0)),
    headerTimestamp: START / 1000,
    nBits: HARD_BITS,
    target: u256(targetToBytes(targetFromBits(HARD_BITS))),
  };
}

/** A job of a full block. */
export const sampleJob: NewExtendedMiningJob = {
  name: "NewExtendedMiningJob",
  channelId: 1,
  jobId: 17,
  minNtime: START / 1000,
  version: 0x20000000,
  versionRollingAllowed: true,
  merklePath: newTemplate(1, { depth: FULL_DEPTH, future: false }).merklePath,
  coinbaseTxPrefix: bytes(58, 3),
  coinbaseTxSuffix: bytes(120, 5),
};

/** A share as ASICs send them by the million. */
export const sampleShare: SubmitSharesExtended = {
  name: "SubmitSharesExtended",
  channelId: 1,
  sequenceNumber: 4711,
  jobId: 17,
  nonce: 0x12345678,
  ntime: START / 1000,
  version: 0x20004000,
  extranonce: bytes(16, 1),
};
