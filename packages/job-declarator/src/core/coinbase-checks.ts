import { MAX_MONEY, sameBytes, type TxOutput, witnessCommitmentOf, witnessCommitmentOutput } from "@adit/bitcoin";
import type { DeclaredCoinbase } from "./declared-coinbase.ts";
import { type DeclarationFault, fault } from "./fault.ts";
import type { DeclaratorTip } from "./tip.ts";

const LOCKTIME_THRESHOLD = 500_000_000;
const FINAL_SEQUENCE = 0xffffffff;

/** What of a coinbase can be checked without the transactions themselves. */
export interface CoinbaseDemands {
  /** Output script that has to be paid. */
  readonly payoutScript: Uint8Array;
  /** Hashes with witnesses of all other transactions, in block order. */
  readonly wtxids: readonly Uint8Array[];
}

/** What is wrong with a coinbase's outputs and its witness commitment; undefined when nothing is. */
export function coinbaseFault(coinbase: DeclaredCoinbase, demands: CoinbaseDemands): DeclarationFault | undefined {
  return outputFault(coinbase.outputs, demands.payoutScript) ?? commitmentFault(coinbase, demands.wtxids);
}

/** Whether the coinbase's lock time lets it into the next block (BIP113); the fault when not. */
export function finalityFault(
  { locktime, inputSequence }: DeclaredCoinbase,
  { height, minNtime }: DeclaratorTip,
): DeclarationFault | undefined {
  const passed = locktime < LOCKTIME_THRESHOLD ? height : minNtime - 1;
  if (locktime === 0 || locktime < passed || inputSequence === FINAL_SEQUENCE) return undefined;
  return fault("invalid-coinbase-tx", `the coinbase's lock time ${locktime} is not over at height ${height}`);
}

function outputFault(outputs: readonly TxOutput[], payoutScript: Uint8Array): DeclarationFault | undefined {
  const sum = outputs.reduce((total, { value }) => total + value, 0n);
  if (sum > MAX_MONEY) return fault("invalid-coinbase-tx", "the outputs pay more than 21 million bitcoins");
  const payouts = outputs.filter(({ script }) => sameBytes(script, payoutScript));
  if (payouts.length === 0) return fault("invalid-coinbase-tx", "the pool payout output is missing");
  if (payouts.every(({ value }) => value === 0n)) {
    return fault("invalid-coinbase-tx", "the pool payout output pays nothing");
  }
  return undefined;
}

function commitmentFault(
  { outputs, reservedValue }: DeclaredCoinbase,
  wtxids: readonly Uint8Array[],
): DeclarationFault | undefined {
  const commitment = witnessCommitmentOf(outputs);
  if (commitment === undefined && reservedValue === undefined && wtxids.length === 0) return undefined;
  if (commitment === undefined) {
    return fault("invalid-coinbase-tx", "the output with the witness commitment is missing (BIP141)");
  }
  if (reservedValue === undefined) {
    return fault("invalid-coinbase-tx", "the witness reserved value is missing: BIP141 fields must not be stripped");
  }
  const expected = witnessCommitmentOf([witnessCommitmentOutput(wtxids, reservedValue)]);
  const holds = expected !== undefined && sameBytes(commitment, expected);
  return holds ? undefined : fault("invalid-coinbase-tx", "the witness commitment is not that of wtxid_list");
}
