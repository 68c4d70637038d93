import {
  checkBlock,
  decodeBlock,
  hex,
  MAX_MONEY,
  type Network,
  subsidy,
  type Transaction,
  targetFromBits,
} from "@adit/bitcoin";
import type { DeclaratorTip } from "./tip.ts";

/** What a block without proof of work is held against where there is no node. */
export interface StructuralContext {
  readonly tip: DeclaratorTip;
  readonly network: Network;
  /** Unix milliseconds. */
  readonly now: number;
}

/**
 * What is wrong with a declared block as far as it can be seen without the coins it spends, in Bitcoin Core's words;
 * undefined when nothing is. Its work is not looked at. Fees are known of a block without transactions only: any other may
 * pay as much as there is.
 */
export function structuralFault(block: Uint8Array, { tip, network, now }: StructuralContext): string | undefined {
  const faults = checkBlock(block, {
    height: tip.height,
    prevHash: tip.prevHash,
    target: targetFromBits(tip.nbits),
    nbits: tip.nbits,
    medianTimePast: tip.minNtime - 1,
    now: Math.floor(now / 1000),
    subsidyPlusFees: MAX_MONEY,
  });
  const [first] = faults.filter((name) => name !== "high-hash");
  if (first !== undefined) return first;
  const { transactions } = decodeBlock(block);
  return valueFault(transactions, subsidy(tip.height, network)) ?? spendingFault(transactions);
}

function valueFault(transactions: readonly Transaction[], reward: bigint): string | undefined {
  const [coinbase, ...others] = transactions;
  if (coinbase === undefined || others.length > 0) return undefined;
  const paid = coinbase.outputs.reduce((sum, { value }) => sum + value, 0n);
  return paid > reward ? "bad-cb-amount" : undefined;
}

/** Coins spent twice within the block. */
function spendingFault(transactions: readonly Transaction[]): string | undefined {
  const spent = new Set<string>();
  for (const { inputs } of transactions.slice(1)) {
    for (const { prevHash, index } of inputs) {
      const coin = `${hex(prevHash)}:${index}`;
      if (spent.has(coin)) return "bad-txns-inputs-missingorspent";
      spent.add(coin);
    }
  }
  return undefined;
}
