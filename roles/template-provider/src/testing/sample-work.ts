import { decodeTransaction, encodeTransaction, type Transaction } from "@adit/bitcoin";
import type { SubmitSolution } from "@adit/codec";
import { chainBits } from "../config.ts";
import { type ChainTip, genesisTip } from "../embedded/chain-tip.ts";
import { embeddedTemplate } from "../embedded/embedded-chain.ts";
import { SyntheticMempool } from "../embedded/synthetic-mempool.ts";
import type { BlockTemplate } from "../template/block-template.ts";
import { newTemplateMessage, setNewPrevHashMessage } from "../template-messages.ts";
import { seeded } from "./random.ts";
import { coinbaseFor, solve, type Work } from "./solve.ts";

/** Unix seconds. */
export const NOW = 1_800_000_000;
/** `header_timestamp` that goes with {@link template}. */
export const TIMESTAMP: number = NOW - 100;
/** What {@link template} builds on. */
export const tip: ChainTip = { ...genesisTip, height: 499, times: [NOW - 1000] };
/** A template with room for two outputs and one signature operation. */
export const template: BlockTemplate = embeddedTemplate({
  tip,
  bits: chainBits({ hashesPerBlock: 16 }),
  waiting: new SyntheticMempool({ size: 9, random: seeded(2) }).transactions,
  room: { maxAdditionalSize: 2 * 31, maxAdditionalSigops: 1 },
});
/** The same as a client gets it. */
export const work: Work = {
  template: newTemplateMessage(1n, template, true),
  prevHash: setNewPrevHashMessage(1n, template, TIMESTAMP),
};

/** A solved block whose coinbase was changed by someone. */
export function withCoinbase(change: (coinbase: Transaction) => Transaction): SubmitSolution {
  return solve(work, { coinbaseTx: encodeTransaction(change(decodeTransaction(coinbaseFor(work)))) });
}

/** The same with a changed input. */
export function withInput(change: Partial<Transaction["inputs"][number]>): SubmitSolution {
  return withCoinbase((tx) => ({ ...tx, inputs: tx.inputs.map((input) => ({ ...input, ...change })) }));
}

/** A solved block whose coinbase has these outputs before the template's. */
export function paying(...own: Transaction["outputs"]): SubmitSolution {
  return solve(work, { coinbaseTx: coinbaseFor(work, { outputs: own }) });
}
