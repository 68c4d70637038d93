import {
  type Block,
  type BlockFault,
  checkBlock,
  decodeBlock,
  decodeTransaction,
  displayHash,
  fromHex,
  subsidy,
  type Transaction,
  targetFromBits,
  txid,
} from "@adit/bitcoin";
import { type ChainHeader, headerOf } from "./chain-view.ts";
import type { TestNode } from "./test-node.ts";

const MEDIAN_OF = 11;

/**
 * Everything wrong with a block that spends outputs of the node's chain: the checks of `checkBlock`, among them witness
 * nonce, BIP34, weight and sigops, in the place where the node has or had it. The node only tells of the blocks before
 * and of the outputs spent; the rules are ours, since bcoin on regtest knows no BIP34 and repairs a missing witness nonce.
 * Signature operations of spent scripts are not counted: those of {@link CoinKind} have none.
 *
 * Rejects with BitcoinError for bytes that are no block, with RpcError for a block whose parent or coins the node lacks.
 */
export async function faultsOf(node: TestNode, bytes: Uint8Array): Promise<readonly BlockFault[]> {
  const block = decodeBlock(bytes);
  const ancestors = await lastHeaders(node, displayHash(block.header.prevHash));
  const [parent] = ancestors;
  if (parent === undefined) throw new Error("a block has a parent");
  const height = parent.height + 1;
  // Neither regtest nor the launcher's hardened form of it has a block with another target than its parent.
  const nbits = parent.bits;
  return checkBlock(bytes, {
    height,
    prevHash: block.header.prevHash,
    target: targetFromBits(nbits),
    nbits,
    medianTimePast: medianOf(ancestors.map(({ time }) => time)),
    now: Math.floor(Date.now() / 1000),
    subsidyPlusFees: subsidy(height, "regtest") + (await feesOf(node, block)),
  });
}

/** Headers of a block and of those before it, the newest first: as many as a median time takes. */
async function lastHeaders(node: TestNode, blockHash: string): Promise<readonly ChainHeader[]> {
  const headers: ChainHeader[] = [];
  for (let next: string | undefined = blockHash; next !== undefined && headers.length < MEDIAN_OF; ) {
    const header: ChainHeader = await headerOf(node, next);
    headers.push(header);
    next = header.previousblockhash;
  }
  return headers;
}

function medianOf(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

/** Satoshi that the block's transactions leave to its coinbase. */
async function feesOf(node: TestNode, { transactions: [, ...paying] }: Block): Promise<bigint> {
  const known = new Map(paying.map((tx) => [displayHash(txid(tx)), tx]));
  let fees = 0n;
  for (const tx of paying) {
    for (const { prevHash, index } of tx.inputs) {
      const id = displayHash(prevHash);
      const spent = known.get(id) ?? (await transactionOf(node, id));
      known.set(id, spent);
      fees += spent.outputs[index]?.value ?? 0n;
    }
    fees -= tx.outputs.reduce((sum, { value }) => sum + value, 0n);
  }
  return fees;
}

async function transactionOf(node: TestNode, id: string): Promise<Transaction> {
  return decodeTransaction(
    fromHex(await node.rpc<string>("getrawtransaction", [id, node.kind === "bcoin" ? false : 0])),
  );
}
