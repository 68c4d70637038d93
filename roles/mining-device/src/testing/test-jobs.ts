import { bip34Prefix, type Hash, hash, MAX_TARGET, targetToBytes } from "@adit/bitcoin";
import { type NewTemplate, type TemplateSetNewPrevHash, u256 } from "@adit/codec";
import type { Sv1Job } from "@adit/sv1";

/** Unix milliseconds at which the jobs here start. */
export const START = 1_700_000_000_000;
const REWARD = 5_000_000_000n;
/** Compact target that no test reaches by accident. */
const HARD_BITS = 0x1d00ffff;

/** A hash whose bytes are all `fill`. */
function hashOf(fill: number): Hash {
  return hash(new Uint8Array(32).fill(fill));
}

/** A Stratum V1 job on the tip `tip`. */
export function sv1Job(id: string, options: { readonly tip?: number; readonly clean?: boolean } = {}): Sv1Job {
  return {
    id,
    prevHash: hashOf(options.tip ?? 1),
    coinb1: new Uint8Array(42).fill(id.length),
    coinb2: new TextEncoder().encode(`coinbase of ${id}`),
    merklePath: [hashOf(3), hashOf(4)],
    version: 0x20000000,
    nbits: HARD_BITS,
    ntime: START / 1000,
    clean: options.clean ?? false,
    upstream: id,
  };
}

/** A template, future unless told. */
export function template(templateId: number, options: { readonly future?: boolean } = {}): NewTemplate {
  return {
    name: "NewTemplate",
    templateId: BigInt(templateId),
    futureTemplate: options.future ?? true,
    version: 0x20000000,
    coinbaseTxVersion: 2,
    coinbasePrefix: bip34Prefix(800_000),
    coinbaseTxInputSequence: 0xfffffffe,
    coinbaseTxValueRemaining: REWARD,
    coinbaseTxOutputsCount: 0,
    coinbaseTxOutputs: new Uint8Array(0),
    merklePath: [u256(new Uint8Array(32).fill(templateId)), u256(new Uint8Array(32).fill(7))],
    coinbaseTxLocktime: 799_999,
  };
}

/** Where the reward of {@link template} goes. */
export const rewardOutputs = [{ value: REWARD, script: Uint8Array.of(0x51) }] as const;

/** The prevhash that makes a template current, on the tip `tip`. */
export function prevHash(templateId: number, tip: number, ntime = START / 1000): TemplateSetNewPrevHash {
  return {
    name: "SetNewPrevHash",
    templateId: BigInt(templateId),
    prevHash: u256(new Uint8Array(32).fill(tip)),
    headerTimestamp: ntime,
    nBits: HARD_BITS,
    target: u256(targetToBytes(MAX_TARGET)),
  };
}
