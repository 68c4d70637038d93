import { type Hash, sha256d } from "./hash.ts";
import { encodeHeader, type HeaderFields } from "./header.ts";
import { hashPair } from "./merkle.ts";

/** What a share's hash is made from. */
export interface UnhashedShare {
  /** The coinbase without marker, flag and witness, extranonce in place. */
  readonly coinbase: Uint8Array;
  /** Hashes to pair with the coinbase's id, deepest first, internal order. */
  readonly merklePath: readonly Uint8Array[];
  /** The header but for the merkle root, which follows from the other two. */
  readonly header: Omit<HeaderFields, "merkleRoot">;
}

/** A share's proof of work. */
export interface HashedShare {
  /** Header hash, internal order. */
  readonly hash: Hash;
  /** The 80 bytes that were hashed. */
  readonly header: Uint8Array;
}

/** Hashing in one call a share, so that a faster implementation crosses into native code once. */
export interface ShareHashing {
  /** Name for logs and benchmarks. */
  readonly name: string;
  /** SHA-256d, internal order. */
  sha256d(data: Uint8Array): Hash;
  /** Merkle root from a stripped coinbase and its path (deepest first). RangeError when a path entry is not 32 bytes. */
  merkleRoot(coinbase: Uint8Array, path: readonly Uint8Array[]): Hash;
  /** Hash of an 80-byte header, internal order. */
  headerHash(header: Uint8Array): Hash;
  /** Everything from coinbase to header hash. RangeError when a hash in the share is not 32 bytes. */
  shareHash(share: UnhashedShare): HashedShare;
}

/** Share hashing in plain JavaScript: always there, and the oracle for faster ones. */
export const pureHashing: ShareHashing = {
  name: "pure",
  sha256d,
  merkleRoot,
  headerHash: sha256d,
  shareHash: (share) => {
    const header = encodeHeader({ ...share.header, merkleRoot: merkleRoot(share.coinbase, share.merklePath) });
    return { hash: sha256d(header), header };
  },
};

function merkleRoot(coinbase: Uint8Array, path: readonly Uint8Array[]): Hash {
  let root = sha256d(coinbase);
  for (const sibling of path) root = hashPair(root, sibling);
  return root;
}
