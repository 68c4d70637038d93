import {
  assembleCoinbase,
  type CoinbaseParts,
  encodeBlock,
  encodeHeader,
  type Hash,
  meetsTarget,
  type ShareHashing,
  sameBytes,
  sha256d,
  targetFromBits,
  targetToBytes,
} from "@adit/bitcoin";
import type { PushSolution } from "@adit/codec";
import { blockCoinbase } from "./declared-coinbase.ts";
import type { KnownTransaction } from "./known-transaction.ts";

/** A job that was declared and found good: a block but for its extranonce, time and nonce. */
export interface DeclaredJob {
  /** Id of its token, in hexadecimal. */
  readonly tokenId: string;
  /** Connection it was declared on. */
  readonly connection: number;
  readonly userIdentifier: string;
  /** Height the block will have. */
  readonly height: number;
  /** Hash of the block it builds on. */
  readonly prevHash: Hash;
  /** Compact target. */
  readonly nbits: number;
  readonly parts: CoinbaseParts;
  readonly reservedValue: Uint8Array | undefined;
  /** All transactions but the coinbase, in block order. */
  readonly transactions: readonly KnownTransaction[];
  /** Hashes to pair with the coinbase's id, deepest first. */
  readonly merklePath: readonly Hash[];
}

/** A block that a solution made of a declared job. Nothing in it is a view into a frame. */
export interface DeclaredBlock {
  readonly height: number;
  readonly hash: Hash;
  /** 80 bytes. */
  readonly header: Uint8Array;
  /** The whole coinbase with its witness. */
  readonly coinbase: Uint8Array;
  /** The whole block, serialized. */
  readonly bytes: Uint8Array;
  readonly userIdentifier: string;
}

/** A solution as it came: spec 6.4.9. */
export type Solution = Omit<PushSolution, "name">;

/** What comes of a solution and one job. */
export type SolutionOutcome =
  | { readonly kind: "block"; readonly block: DeclaredBlock }
  /** It belongs to another job: another extranonce size, another block before it, another target. */
  | { readonly kind: "other-job" }
  /** It lacks the work. */
  | { readonly kind: "high-hash" };

/** Tries a solution on a job. Only when it has the work is the block put together; without, it costs a few hashes. */
export function solve(job: DeclaredJob, solution: Solution, hashing: ShareHashing): SolutionOutcome {
  const { extranonce, prevHash, nbits } = solution;
  const isFit =
    extranonce.length === job.parts.extranonceSize && nbits === job.nbits && sameBytes(prevHash, job.prevHash);
  if (!isFit) return { kind: "other-job" };
  const { hash, header } = hashing.shareHash({
    coinbase: assembleCoinbase(job.parts, extranonce),
    merklePath: job.merklePath,
    header: { ...solution, prevHash: job.prevHash },
  });
  if (!meetsTarget(hash, targetToBytes(targetFromBits(job.nbits)))) return { kind: "high-hash" };
  return { kind: "block", block: blockOf(job, header, extranonce) };
}

/** The block of a job, a header and the extranonce in its coinbase. */
export function blockOf(job: DeclaredJob, header: Uint8Array, extranonce: Uint8Array): DeclaredBlock {
  const coinbase = blockCoinbase(job, extranonce);
  const bytes = encodeBlock(header, [coinbase, ...job.transactions.map((tx) => tx.bytes)]);
  const { height, userIdentifier } = job;
  return { height, hash: sha256d(header), header: header.slice(), coinbase, bytes, userIdentifier };
}

/** A block of a job without any work, for a node to check: zeros as its extranonce and nonce. */
export function proposalOf(
  job: Omit<DeclaredJob, "tokenId" | "connection" | "userIdentifier" | "height">,
  { version, ntime, hashing }: { readonly version: number; readonly ntime: number; readonly hashing: ShareHashing },
): Uint8Array {
  const extranonce = new Uint8Array(job.parts.extranonceSize);
  const merkleRoot = hashing.merkleRoot(assembleCoinbase(job.parts, extranonce), job.merklePath);
  const { prevHash, nbits } = job;
  const header = encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce: 0 });
  return encodeBlock(header, [blockCoinbase(job, extranonce), ...job.transactions.map((tx) => tx.bytes)]);
}
