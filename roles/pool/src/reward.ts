import {
  BitcoinError,
  encodeOutputs,
  hash,
  legacySigops,
  type Network,
  scriptFromDescriptor,
  type TxOutput,
} from "@adit/bitcoin";
import type { CoinbaseOutputConstraints, NewTemplate } from "@adit/codec";

/** Where the pool's blocks pay to. */
export interface Reward {
  /** Output script of `coinbase_reward_script`. */
  readonly script: Uint8Array;
  readonly network: Network;
}

/** Without `network` in the config, the first of these that the reward script is valid on. */
const networksToTry: readonly Network[] = ["mainnet", "testnet4", "regtest"];
/** A legacy signature operation counts four times against a block's limit of 80,000 (BIP141). */
const SIGOP_COST = 4;

/**
 * Reads the reward script's descriptor. An address names its network; a script is the same on all of them.
 *
 * @throws BitcoinError `bad-descriptor`, or `wrong-network` when it belongs to another network than the one given.
 */
export function rewardOf(config: { readonly coinbaseRewardScript: string; readonly network?: Network }): Reward {
  const networks = config.network === undefined ? networksToTry : [config.network];
  let problem: unknown;
  for (const network of networks) {
    try {
      return { script: scriptFromDescriptor(config.coinbaseRewardScript, network), network };
    } catch (error) {
      if (!(error instanceof BitcoinError)) throw error;
      problem ??= error;
    }
  }
  throw problem;
}

/** One output that takes all a template leaves to the pool. */
export function rewardOutputs({ script }: Reward, template: NewTemplate): readonly TxOutput[] {
  return [{ value: template.coinbaseTxValueRemaining, script }];
}

/** What the template provider must keep free in its templates for {@link rewardOutputs} (spec 7.1). */
export function outputConstraints({ script }: Reward): CoinbaseOutputConstraints {
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
