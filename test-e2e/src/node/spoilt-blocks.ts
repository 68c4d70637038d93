import { type BlockFault, decodeBlock, encodeBlock, encodeTransaction, type Transaction } from "@adit/bitcoin";
import { unlocking } from "./anyone-can-spend.ts";
import { type BlockPlan, type PlainBlock, solve } from "./mine-plain.ts";
import type { Coin } from "./spend.ts";

/** A block with enough work that was spoilt in one way. */
export interface SpoiltBlock {
  /** The rules it breaks, that which Bitcoin Core checks first in front. */
  readonly faults: readonly BlockFault[];
  readonly block: PlainBlock;
}

const HEADER_SIZE = 80;
const OP_CHECKSIG = 0xac;
const MOST_SIGOPS = 20_000;
/** Of a witness that makes a block too heavy, but not too long. */
const MUCH_WITNESS = 3_997_500;
const SEQUENCE = 0xffffffff;

/**
 * Breaks rules that a block made of a good template can break, in one way each time.
 *
 * @param plan a template's plan with a transaction that has a witness
 * @param coin what a transaction of the plan leaves to spend, segwit
 */
export function spoiltBlocks(plan: BlockPlan, coin: Coin): readonly SpoiltBlock[] {
  const spoilt = (fault: BlockFault, change: Partial<BlockPlan>): SpoiltBlock => ({
    faults: [fault],
    block: solve({ ...plan, ...change }),
  });
  const added = (tx: Uint8Array): Partial<BlockPlan> => ({ transactions: [...plan.transactions, tx] });
  return [
    spoilt("bad-cb-amount", { coinbaseValue: plan.coinbaseValue + 1n }),
    spoilt("bad-cb-height", { height: plan.height + 1 }),
    spoilt("bad-version", { version: 3 }),
    spoilt("time-too-new", { time: plan.time + 3 * 3_600 }),
    spoilt("unexpected-witness", { commits: false }),
    spoilt("bad-blk-sigops", added(spending(coin, { script: new Uint8Array(MOST_SIGOPS + 1).fill(OP_CHECKSIG) }))),
    spoilt("bad-blk-weight", added(spending(coin, { witness: new Uint8Array(MUCH_WITNESS) }))),
    { faults: ["bad-witness-nonce-size"], block: withoutNonce(solve(plan)) },
    {
      faults: ["bad-txnmrklroot", "bad-cb-amount", "bad-witness-merkle-match"],
      block: withoutLast(solve(plan)),
    },
  ];
}

/** A transaction that turns a coin into one output, with more in its witness than the coin asks for. */
function spending(
  { txid: prevHash, index, kind, value }: Coin,
  { script = new Uint8Array(0), witness = new Uint8Array(0) },
): Uint8Array {
  const unlocked = unlocking(kind);
  return encodeTransaction({
    version: 2,
    inputs: [{ prevHash, index, sequence: SEQUENCE, ...unlocked, witness: [witness, ...unlocked.witness] }],
    outputs: [{ value, script }],
    locktime: 0,
    segwit: true,
  });
}

/** Neither the hash of a block nor that of its coinbase covers the coinbase's witness. */
function withoutNonce(block: PlainBlock): PlainBlock {
  return changed(block, ([coinbase, ...others]) =>
    coinbase === undefined ? [] : [{ ...coinbase, segwit: false }, ...others],
  );
}

function withoutLast(block: PlainBlock): PlainBlock {
  return changed(block, (transactions) => transactions.slice(0, -1));
}

/** The header with other transactions. */
function changed(
  block: PlainBlock,
  change: (transactions: readonly Transaction[]) => readonly Transaction[],
): PlainBlock {
  const transactions = change(decodeBlock(block.bytes).transactions).map((tx) => encodeTransaction(tx));
  return { ...block, bytes: encodeBlock(block.bytes.subarray(0, HEADER_SIZE), transactions) };
}
