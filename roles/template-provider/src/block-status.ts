import { describeCoinbase, displayHash, hex, type Network } from "@adit/bitcoin";
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

/** Describes a block: whom its coinbase pays and who found it. Its other transactions, megabytes perhaps, are not read. */
export function blockStatus(
  { height, hash, coinbase, solvedBy }: Pick<SolvedBlock, "height" | "hash" | "coinbase" | "solvedBy">,
  network: Network,
): BlockStatus {
  const described = describeCoinbase(coinbase, network);
  return {
    height,
    hash: displayHash(hash),
    coinbase: {
      height: described.height ?? null,
      tag: described.tag,
      outputs: described.outputs.map(({ address, value, type, script }) => ({
        address: address ?? null,
        value: Number(value),
        type,
        script: hex(script),
      })),
    },
    solved_by: solvedBy,
  };
}
