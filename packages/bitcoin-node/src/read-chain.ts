import type { Network } from "@adit/bitcoin";
import { z } from "zod";
import { count, displayedHash, fitting, uint32 } from "./answer.ts";
import type { ChainInfo, NodeHeader } from "./chain-info.ts";
import { bitsOf, networkNamed } from "./differences.ts";
import { NodeError } from "./errors.ts";
import { type CallSite, printable } from "./node-faults.ts";

const chainInfo = z.object({
  chain: z.string(),
  blocks: count,
  bestblockhash: displayedHash,
  chainwork: z
    .string()
    .regex(/^[0-9a-f]{1,64}$/)
    .transform((text) => BigInt(`0x${text}`))
    .optional(),
  initialblockdownload: z.boolean().default(false),
  pruned: z.boolean().default(false),
});

const header = z.object({
  height: count,
  time: uint32,
  mediantime: uint32.optional(),
  bits: z.union([z.string().regex(/^[0-9a-f]{1,8}$/), uint32]),
  confirmations: z.int().min(-1),
  hash: displayedHash,
  previousblockhash: displayedHash.nullish(),
});

/** A header, and whether its confirmations have to be checked against the best chain. */
export type RawHeader = z.output<typeof header>;

/**
 * The chain in the result of `getblockchaininfo`.
 *
 * @throws NodeError `bad-response`, or `wrong-network` when it is not `network`.
 */
export function readChainInfo(result: unknown, network: Network, site: CallSite): ChainInfo {
  const { chain, blocks, bestblockhash, chainwork, initialblockdownload, pruned } = fitting(chainInfo, result, site);
  const named = networkNamed(chain);
  if (named !== network) {
    const message =
      `the node runs on ${printable(named, 32)}, but ${network} is configured; ` +
      "give the address of a node on that network, or change the network here";
    throw new NodeError("wrong-network", { ...site, message });
  }
  return {
    chain: network,
    height: blocks,
    tip: bestblockhash,
    work: chainwork,
    initialBlockDownload: initialblockdownload,
    pruned,
  };
}

/**
 * The result of `getblockheader`, as the node wrote it.
 *
 * @throws NodeError `bad-response`
 */
export function readHeader(result: unknown, site: CallSite): RawHeader {
  return fitting(header, result, site);
}

/** The header in Adit's terms, with `confirmations` as found out. */
export function nodeHeader(raw: RawHeader, confirmations: number): NodeHeader {
  return {
    hash: raw.hash,
    prevHash: raw.previousblockhash ?? undefined,
    height: raw.height,
    time: raw.time,
    medianTimePast: raw.mediantime,
    bits: bitsOf(raw.bits),
    confirmations,
  };
}
