import type { DecodedCoinbase } from "@adit/bitcoin";
import { type BlockResult, blockResults } from "@adit/channels";
import type { BlockRow } from "@adit/share-store";
import type { Judgement } from "./burial/block-burial.ts";

/** What can become of a block, by the tips or by a node. */
export type PoolBlockResult = Exclude<BlockResult, "pending"> | Judgement;

const lost = { level: "warn", text: "block not in the chain" } as const;

/** How a block's new result is told to the operator. */
export const resultLines: Readonly<
  Record<PoolBlockResult, { readonly level: "info" | "warn"; readonly text: string }>
> = {
  accepted: { level: "info", text: "block accepted" },
  matured: { level: "info", text: "block matured" },
  orphaned: { level: "warn", text: "block orphaned" },
  "side-branch": lost,
  superseded: lost,
  unknown: lost,
};

/** A result as the ledger knows it, which is told of tips alone. */
export function ledgerResult({ result }: BlockRow): BlockResult {
  if (result === "matured") return "accepted";
  if (result === "orphaned" || result === "side-branch") return "superseded";
  return blockResults.find((known) => known === result) ?? "unknown";
}

/** A coinbase as logs and the status document show it. */
export function coinbaseFields(coinbase: DecodedCoinbase | undefined): unknown {
  if (coinbase === undefined) return null;
  const outputs = coinbase.outputs.map(({ value, address, type }) => ({
    value: value.toString(),
    address: address ?? null,
    type,
  }));
  return { height: coinbase.height ?? null, tag: coinbase.tag, outputs };
}
