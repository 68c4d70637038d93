import { type Hash, hash, sha256d } from "./hash.ts";

/** A merkle root, and whether another list of leaves has the same one. */
export interface MerkleTree {
  /** The root, internal order. */
  readonly root: Hash;
  /** Two equal neighbours were hashed together: the tail of the list may be a repetition (CVE-2012-2459). */
  readonly repeated: boolean;
}

/**
 * The hashes to pair with the coinbase on the way up to the root, deepest first (spec 5.3.15, `merkle_path`).
 *
 * @param txids ids of the other transactions in block order, without the coinbase; internal order
 */
export function merklePath(txids: readonly Uint8Array[]): readonly Hash[] {
  const path: Hash[] = [];
  // The coinbase's place is left out of every level: `level[0]` is its sibling.
  let level: readonly Uint8Array[] = txids;
  while (level.length > 0) {
    const [sibling, ...others] = level;
    if (sibling !== undefined) path.push(hash(sibling));
    level = parentsOf(others);
  }
  return path;
}

/**
 * The merkle root over all transaction ids, the coinbase's first; internal order.
 *
 * @throws RangeError when the list is empty.
 */
export function merkleRootOf(txids: readonly Uint8Array[]): Hash {
  return merkleTree(txids).root;
}

/**
 * The merkle root, with the check for a repeated tail that Bitcoin Core's `ComputeMerkleRoot` makes.
 *
 * @throws RangeError when the list is empty.
 */
export function merkleTree(leaves: readonly Uint8Array[]): MerkleTree {
  let level = leaves;
  let repeated = false;
  while (level.length > 1) {
    repeated ||= hasEqualPair(level);
    level = parentsOf(level);
  }
  const [root] = level;
  if (root === undefined) throw new RangeError("a merkle tree has at least one leaf");
  return { root: hash(root), repeated };
}

/** SHA-256d of two hashes, the left one first. */
export function hashPair(left: Uint8Array, right: Uint8Array): Hash {
  const pair = new Uint8Array(64);
  pair.set(hash(left));
  pair.set(hash(right), 32);
  return sha256d(pair);
}

function parentsOf(level: readonly Uint8Array[]): readonly Hash[] {
  const parents: Hash[] = [];
  for (let at = 0; at < level.length; at += 2) {
    const left = level[at];
    if (left !== undefined) parents.push(hashPair(left, level[at + 1] ?? left));
  }
  return parents;
}

function hasEqualPair(level: readonly Uint8Array[]): boolean {
  for (let at = 0; at + 1 < level.length; at += 2) {
    const right = level[at + 1];
    if (level[at]?.every((byte, index) => byte === right?.[index])) return true;
  }
  return false;
}
