import { encodeBlock, encodeHeader, encodeTransaction, sha256d } from "@adit/bitcoin";
import type { FiledBlock } from "../block-files.ts";
import type { SubmittedBlock } from "../block-submitter.ts";
import { hashOf } from "./node-events.ts";

/** A block as it is filed: well-formed, with a coinbase and no work. No two of one height and seed are alike. */
export function filedBlock(height: number, seed = 0): FiledBlock {
  const { hash, bytes } = solvedBlock(height, seed);
  return { height, hash, bytes };
}

/** The same, as a client solved it. */
export function solvedBlock(height: number, seed = 0): SubmittedBlock {
  const header = encodeHeader({
    version: 0x20000000,
    prevHash: hashOf(height - 1),
    merkleRoot: hashOf(seed),
    ntime: 1_800_000_000,
    nbits: 0x207fffff,
    nonce: seed,
  });
  const coinbase = encodeTransaction({
    version: 2,
    inputs: [
      {
        prevHash: hashOf(0),
        index: 0xffffffff,
        script: new Uint8Array(8),
        sequence: 0xffffffff,
        witness: [new Uint8Array(32)],
      },
    ],
    outputs: [{ value: 5_000_000_000n, script: Uint8Array.of(0x51) }],
    locktime: height - 1,
    segwit: true,
  });
  const bytes = encodeBlock(header, [coinbase]);
  return { height, hash: sha256d(header), header, coinbase, bytes };
}
