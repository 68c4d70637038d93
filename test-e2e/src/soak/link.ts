import { type Hash, meetsTarget } from "@adit/bitcoin";
import { doubleHash } from "../harness/double-hash.ts";

/** A header to search, and the target its hash must meet. */
export interface Work {
  /** 80 bytes; the nonce in it is written over. */
  readonly header: Uint8Array;
  readonly target: Uint8Array;
  /** Submits what was found. */
  readonly submit: (nonce: number, hash: Hash) => void;
}

/** A share as its finder knows it. */
export interface FoundShare {
  /** Of its header. */
  readonly hash: Hash;
  /** 80 bytes. */
  readonly header: Uint8Array;
  /** Target of the job it was found with. */
  readonly target: Uint8Array;
}

/** An answer for one or more shares. */
export interface Acknowledgement {
  /** `new_shares_sum`; 0 on a connection that has no such thing. */
  readonly sum: bigint;
  /** Those that were open up to its sequence number. */
  readonly shares: readonly FoundShare[];
}

/** What a link tells its seat. */
export interface LinkEvents {
  submitted(share: FoundShare): void;
  acknowledged(count: number, latencyMs: readonly number[], acknowledgement: Acknowledgement): void;
  rejected(reason: string, share: FoundShare | undefined): void;
  /** A submit whose answer will not come. */
  uncertain(share: FoundShare): void;
  /** New work, on this block. */
  job(prevHash: Uint8Array, at: number): void;
  fault(what: string): void;
}

/** One miner's connection. */
export interface Link {
  readonly work: Work | undefined;
  /** Submits without an answer. */
  readonly pending: number;
  /** Resolves with the cause once it is over, whoever ended it. */
  readonly ended: Promise<string>;
  /** Says goodbye, or breaks it off. */
  leave(how: "clean" | "reset"): void;
}

/** Tries `count` nonces from `from`. */
export function search(work: Work, from: number, count: number): void {
  const view = new DataView(work.header.buffer, work.header.byteOffset);
  for (let tries = 0; tries < count; tries += 1) {
    const nonce = (from + tries) >>> 0;
    view.setUint32(76, nonce, true);
    const found = doubleHash(work.header);
    if (meetsTarget(found, work.target)) work.submit(nonce, found);
  }
}
