import { encodeOutputs, hash, legacySigops, type TxOutput } from "@adit/bitcoin";
import type { CoinbaseOutputConstraints, NewTemplate } from "@adit/codec";
import type { RewardScript } from "@adit/mining-shell";

/** A legacy signature operation counts four times against a block's limit of 80,000 (BIP141). */
const SIGOP_COST = 4;

/** One output that takes all a template leaves to the pool. */
export function rewardOutputs({ script }: Pick<RewardScript, "script">, template: NewTemplate): readonly TxOutput[] {
  return [{ value: template.coinbaseTxValueRemaining, script }];
}

/** What the template provider must keep free in its templates for {@link rewardOutputs} (spec 7.1). */
export function outputConstraints({ script }: Pick<RewardScript, "script">): CoinbaseOutputConstraints {
  const output = { value: 0n, script };
  const coinbase = {
    version: 2,
    inputs: [
      {
        prevHash: hash(new Uint8Array(32)),
        index: 0xffffffff,
        script: new Uint8Array(0),
        sequence: 0xffffffff,
        witness: [],
      },
    ],
    outputs: [output],
    locktime: 0,
    segwit: false,
  };
  return {
    name: "CoinbaseOutputConstraints",
    coinbaseOutputMaxAdditionalSize: encodeOutputs([output]).length,
    coinbaseOutputMaxAdditionalSigops: SIGOP_COST * legacySigops(coinbase),
  };
}
