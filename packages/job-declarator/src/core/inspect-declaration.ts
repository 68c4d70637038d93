import { hex } from "@adit/bitcoin";
import type { DeclareMiningJob } from "@adit/codec";
import { coinbaseFault } from "./coinbase-checks.ts";
import { type DeclaredCoinbase, readDeclaredCoinbase } from "./declared-coinbase.ts";
import { type DeclarationFault, fault } from "./fault.ts";

/** No block holds more: 4,000,000 weight units, and the smallest transaction that can be in one has 240. */
export const MAX_TRANSACTIONS: number = 16_666;

/** A declaration that is sound as far as it can be told without tip and transactions. Nothing in it is a view into a frame. */
export interface SoundDeclaration {
  readonly coinbase: DeclaredCoinbase;
  readonly wtxids: readonly Uint8Array[];
}

/** Takes a declaration apart, cheapest checks first: nothing is looked up and nothing copied for one that cannot be good. */
export function inspectDeclaration(
  { wtxidList, coinbaseTxPrefix, coinbaseTxSuffix }: DeclareMiningJob,
  payoutScript: Uint8Array,
): SoundDeclaration | DeclarationFault {
  if (wtxidList.length > MAX_TRANSACTIONS) {
    return fault("invalid-job", `${wtxidList.length} transactions fit in no block, 16,666 are the most`);
  }
  const coinbase = readDeclaredCoinbase(coinbaseTxPrefix, coinbaseTxSuffix);
  if ("errorCode" in coinbase) return coinbase;
  if (new Set(wtxidList.map(hex)).size < wtxidList.length) {
    return fault("invalid-job", "a transaction is in wtxid_list twice");
  }
  return coinbaseFault(coinbase, { payoutScript, wtxids: wtxidList }) ?? { coinbase, wtxids: copied(wtxidList) };
}

function copied(hashes: readonly Uint8Array[]): readonly Uint8Array[] {
  const bytes = new Uint8Array(hashes.length * 32);
  hashes.forEach((hash, at) => bytes.set(hash, at * 32));
  return hashes.map((_, at) => bytes.subarray(at * 32, at * 32 + 32));
}
