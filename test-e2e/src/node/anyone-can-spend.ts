import { fromHex } from "@adit/bitcoin";

/**
 * Kinds of output that need no key, both standard: the hash of the script OP_TRUE, as P2SH (spent with a scriptSig) and as
 * P2WSH (spent with a witness).
 */
export type CoinKind = "legacy" | "segwit";

/** What spends an output: its scriptSig and its witness. */
export interface Unlocking {
  readonly script: Uint8Array;
  readonly witness: readonly Uint8Array[];
}

const OP_TRUE = Uint8Array.of(0x51);

const lockingScripts: Readonly<Record<CoinKind, Uint8Array>> = {
  // OP_HASH160, the RIPEMD-160 of the SHA-256 of OP_TRUE, OP_EQUAL.
  legacy: fromHex("a914da1745e9b549bd0bfa1a569971c77eba30cd5a4b87"),
  // OP_0 and the SHA-256 of OP_TRUE.
  segwit: fromHex("00204ae81572f06e1b88fd5ced7a1a000945432e83e1551e6f721ee9c00b8cc33260"),
};

const unlockings: Readonly<Record<CoinKind, Unlocking>> = {
  legacy: { script: Uint8Array.of(OP_TRUE.length, ...OP_TRUE), witness: [] },
  segwit: { script: new Uint8Array(0), witness: [OP_TRUE] },
};

/** Output script of a kind. */
export function lockingScript(kind: CoinKind): Uint8Array {
  return lockingScripts[kind];
}

/** What spends an output of a kind. */
export function unlocking(kind: CoinKind): Unlocking {
  return unlockings[kind];
}

/** The kind of an output script, or undefined when it is another one. */
export function kindOf(script: Uint8Array): CoinKind | undefined {
  if (Buffer.compare(script, lockingScripts.legacy) === 0) return "legacy";
  return Buffer.compare(script, lockingScripts.segwit) === 0 ? "segwit" : undefined;
}
