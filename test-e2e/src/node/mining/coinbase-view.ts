import { decodeBlock, displayHash, fromHex, txid } from "@adit/bitcoin";
import { blockOf } from "../chain-view.ts";
import type { TestNode } from "../test-node.ts";

/** A coinbase as a node reads it. */
export interface CoinbaseView {
  /** What its scriptSig pushes, in order: in our blocks the height, the tag and the extranonce. */
  readonly pushes: readonly Uint8Array[];
  /** What it pays to whom, in order. */
  readonly outputs: readonly {
    /** Satoshi. */
    readonly value: bigint;
    /** Output script, hexadecimal. */
    readonly script: string;
  }[];
}

/** The parts of a verbose `getrawtransaction` of a coinbase. */
interface VerboseCoinbase {
  readonly vin: readonly { readonly coinbase?: string }[];
  /** `value` is in bitcoins. */
  readonly vout: readonly { readonly value: number; readonly scriptPubKey: { readonly hex: string } }[];
}

const SATOSHIS = 1e8;

/** The coinbase of a block of the best chain, by its hash in displayed order. The node decodes it, not our code. */
export async function coinbaseOf(node: TestNode, blockHash: string): Promise<CoinbaseView> {
  const [coinbase] = decodeBlock(await blockOf(node, blockHash)).transactions;
  if (coinbase === undefined) throw new Error(`block ${blockHash} has no coinbase`);
  const verbose = node.kind === "bcoin" ? true : 1;
  const told = await node.rpc<VerboseCoinbase>("getrawtransaction", [displayHash(txid(coinbase)), verbose]);
  return {
    pushes: pushesOf(fromHex(told.vin[0]?.coinbase ?? "")),
    outputs: told.vout.map(({ value, scriptPubKey }) => ({
      value: BigInt(Math.round(value * SATOSHIS)),
      script: scriptPubKey.hex,
    })),
  };
}

/** What pushes of up to 75 bytes, each announced by its length, have on them. */
function pushesOf(script: Uint8Array): readonly Uint8Array[] {
  const pushes: Uint8Array[] = [];
  for (let at = 0; at < script.length; ) {
    const end = at + 1 + (script[at] ?? 0);
    pushes.push(script.subarray(at + 1, end));
    at = end;
  }
  return pushes;
}
