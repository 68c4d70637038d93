import { displayHash, encodeTransaction, hash, sha256d, type Transaction, txid } from "@adit/bitcoin";

/** A transaction as `getblocktemplate` writes it. */
export interface RawTransaction {
  readonly data: string;
  readonly txid: string;
  readonly hash: string;
  readonly depends: readonly number[];
  readonly fee: number;
  readonly sigops: number;
  readonly weight: number;
}

/** A small segwit transaction; no two seeds give the same. */
function transactionOf(seed: number): Transaction {
  return {
    version: 2,
    inputs: [
      {
        prevHash: hash(new Uint8Array(32).fill(7)),
        index: seed,
        script: new Uint8Array(),
        sequence: 0xffff_fffd,
        witness: [Uint8Array.of(1, 2, seed & 0xff)],
      },
    ],
    outputs: [{ value: 1_000n, script: Uint8Array.of(0x51) }],
    locktime: 0,
    segwit: true,
  };
}

/** The same, serialized. */
export function bytesOf(seed: number): Uint8Array {
  return encodeTransaction(transactionOf(seed));
}

/** The same, as a node writes it into a template. */
export function rawTransaction(seed: number, fields: Partial<RawTransaction> = {}): RawTransaction {
  const bytes = bytesOf(seed);
  return {
    data: Buffer.from(bytes).toString("hex"),
    txid: displayHash(txid(bytes)),
    hash: displayHash(sha256d(bytes)),
    depends: [],
    fee: 1_000 + seed,
    sigops: 1,
    weight: 400,
    ...fields,
  };
}

/** A hash as displayed; no two numbers give the same. */
export function displayed(seed: number): string {
  return seed.toString(16).padStart(64, "0");
}

/** The result of `getblocktemplate` as Core 28 gives it on regtest, without transactions. */
export function rawTemplate(fields: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    capabilities: ["proposal"],
    version: 0x2000_0000,
    rules: ["csv", "!segwit", "taproot"],
    vbavailable: {},
    vbrequired: 0,
    previousblockhash: displayed(1),
    transactions: [],
    coinbaseaux: {},
    coinbasevalue: 5_000_000_000,
    longpollid: `${displayed(1)}7`,
    target: "7fffff0000000000000000000000000000000000000000000000000000000000",
    mintime: 1_700_000_000,
    mutable: ["time", "transactions", "prevblock"],
    noncerange: "00000000ffffffff",
    sigoplimit: 80_000,
    sizelimit: 4_000_000,
    weightlimit: 4_000_000,
    curtime: 1_700_000_600,
    bits: "207fffff",
    height: 102,
    default_witness_commitment: `6a24aa21a9ed${"e2".repeat(32)}`,
    ...fields,
  };
}

/** The result of `getblockchaininfo` as Core 28 gives it on regtest. */
export function rawChain(fields: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    chain: "regtest",
    blocks: 101,
    headers: 101,
    bestblockhash: displayed(1),
    difficulty: 4.656542373906925e-10,
    time: 1_700_000_500,
    mediantime: 1_699_999_999,
    verificationprogress: 1,
    initialblockdownload: false,
    chainwork: "cc".padStart(64, "0"),
    size_on_disk: 30_000,
    pruned: false,
    warnings: [],
    ...fields,
  };
}
