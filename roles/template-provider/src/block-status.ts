import {
  decodeBlock,
  describeCoinbase,
  displayHash,
  encodeTransaction,
  hex,
  type Network,
  sha256d,
} from "@adit/bitcoin";
import type { SolvedBlock } from "./template/solved-block.ts";

/** A block as the status document shows it. */
export interface BlockStatus {
  readonly height: number;
  readonly hash: string;
  readonly coinbase: {
    readonly height: number | null;
    readonly tag: string;
    readonly outputs: readonly {
      readonly address: string | null;
      readonly value: number;
      readonly type: string;
      readonly script: string;
    }[];
  };
  readonly solved_by: string;
}

/** Describes a block: whom its coinbase pays and who found it. */
export function blockStatus(
  { bytes, solvedBy }: Pick<SolvedBlock, "bytes" | "solvedBy">,
  { height, network }: { readonly height: number; readonly network: Network },
): BlockStatus {
  const [first] = decodeBlock(bytes).transactions;
  if (first === undefined) throw new RangeError("a block has a coinbase");
  const coinbase = describeCoinbase(encodeTransaction(first), network);
  return {
    height,
    hash: displayHash(sha256d(bytes.subarray(0, 80))),
    coinbase: {
      height: coinbase.height ?? null,
      tag: coinbase.tag,
      outputs: coinbase.outputs.map(({ address, value, type, script }) => ({
        address: address ?? null,
        value: Number(value),
        type,
        script: hex(script),
      })),
    },
    solved_by: solvedBy,
  };
}
