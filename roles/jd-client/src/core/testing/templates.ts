import {
  bip34Prefix,
  encodeOutputs,
  MAX_TARGET,
  pureHashing,
  targetToBytes,
  witnessCommitmentOutput,
} from "@adit/bitcoin";
import { type NewTemplate, type TemplateSetNewPrevHash, u256 } from "@adit/codec";

/** A target no test reaches by accident. */
export const HARD_BITS = 0x1d00ffff;
/** Regtest's: every second hash is a block. */
export const EASY_BITS = 0x207fffff;
/** Where tests begin, in milliseconds. */
export const START = 1_700_000_000_000;

/** 32 bytes, all the same. */
export function bytes32(fill: number): ReturnType<typeof u256> {
  return u256(new Uint8Array(32).fill(fill));
}

/** Three transactions, as opaque to a jd-client as any. */
export function transactionsOf(templateId: bigint): readonly Uint8Array[] {
  return [1, 2, 3].map((nth) => Uint8Array.of(Number(templateId & 0xffn), nth, 7));
}

/** A template on a tip; each has a merkle path of its own. */
export function template(templateId: bigint, tip: number, changes: Partial<NewTemplate> = {}): NewTemplate {
  const commitment = witnessCommitmentOutput(transactionsOf(templateId).map((bytes) => pureHashing.sha256d(bytes)));
  return {
    name: "NewTemplate",
    templateId,
    futureTemplate: true,
    version: 0x20000000,
    coinbaseTxVersion: 2,
    coinbasePrefix: bip34Prefix(800_000 + tip),
    coinbaseTxInputSequence: 0xfffffffe,
    coinbaseTxValueRemaining: 5_000_000_000n,
    coinbaseTxOutputsCount: 1,
    coinbaseTxOutputs: encodeOutputs([commitment]),
    merklePath: [bytes32(Number(templateId & 0xffn)), bytes32(7)],
    coinbaseTxLocktime: 799_999 + tip,
    ...changes,
  };
}

/** The prevhash of a tip, with the template to mine on it. */
export function prevHash(templateId: bigint, tip: number, nBits: number): TemplateSetNewPrevHash {
  return {
    name: "SetNewPrevHash",
    templateId,
    prevHash: bytes32(0xa0 + tip),
    headerTimestamp: START / 1000 + tip,
    nBits,
    target: u256(targetToBytes(MAX_TARGET)),
  };
}
