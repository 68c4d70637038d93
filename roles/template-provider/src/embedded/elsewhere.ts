import {
  assembleCoinbase,
  buildCoinbase,
  encodeHeader,
  type Hash,
  meetsTarget,
  pureHashing,
  restoreWitness,
  type ShareHashing,
  type TxOutput,
  targetToBytes,
} from "@adit/bitcoin";
import type { BlockTemplate, CoinbaseRoom } from "../template/block-template.ts";
import { checkSolution, type SolutionOutcome } from "../template/solution.ts";

/** A block this process mines as if another miner had, still without its nonce. */
export interface ElsewhereCandidate {
  readonly template: BlockTemplate;
  /** The coinbase without its witness. */
  readonly coinbase: Uint8Array;
  /** 80 bytes, nonce 0. */
  readonly header: Uint8Array;
  /** Header time, Unix seconds. */
  readonly ntime: number;
}

/** The room {@link elsewhereCandidate}'s one output takes, with some to spare. */
export const elsewhereRoom: CoinbaseRoom = { maxAdditionalSize: 64, maxAdditionalSigops: 0 };

const NONCES = 0x100000000;
const EXTRANONCE_SIZE = 8;
/** Pays to a taproot key nobody has: the coins of a development chain are of no use. */
const NOBODY = Uint8Array.from({ length: 34 }, (_, at) => [0x51, 32][at] ?? 1);

/** Lays out the block; `extranonce` makes it different from every other, so that its hash is. */
export function elsewhereCandidate(
  template: BlockTemplate,
  { ntime, extranonce }: { readonly ntime: number; readonly extranonce: bigint },
): ElsewhereCandidate {
  const reward: TxOutput = { value: template.valueRemaining, script: NOBODY };
  const parts = buildCoinbase({
    txVersion: template.coinbaseVersion,
    scriptSigPrefix: template.coinbasePrefix,
    tag: "elsewhere",
    extranonceSize: EXTRANONCE_SIZE,
    inputSequence: template.coinbaseSequence,
    outputs: [reward],
    templateOutputs: template.outputs,
    templateOutputsCount: template.outputsCount,
    locktime: template.coinbaseLocktime,
  });
  const bytes = new Uint8Array(EXTRANONCE_SIZE);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, extranonce), true);
  const coinbase = assembleCoinbase(parts, bytes);
  const merkleRoot = pureHashing.merkleRoot(coinbase, template.merklePath);
  const { version, prevHash, bits } = template;
  return {
    template,
    coinbase,
    ntime,
    header: encodeHeader({ version, prevHash, merkleRoot, ntime, nbits: bits, nonce: 0 }),
  };
}

/** Searches nonces for a candidate, a slice at a time, so that whoever calls stays responsive. */
export class NonceSearch {
  readonly #hashing: ShareHashing;
  readonly #header: Uint8Array;
  readonly #view: DataView;
  readonly #target: Uint8Array;
  #next = 0;

  constructor(candidate: ElsewhereCandidate, hashing: ShareHashing) {
    this.#hashing = hashing;
    this.#header = candidate.header.slice();
    this.#view = new DataView(this.#header.buffer);
    this.#target = targetToBytes(candidate.template.target);
  }

  /** Every nonce has been tried. */
  get exhausted(): boolean {
    return this.#next >= NONCES;
  }

  /** Tries the next `count` nonces and returns the one that solves the block, if any does. */
  advance(count: number): number | undefined {
    const end = Math.min(this.#next + count, NONCES);
    while (this.#next < end) {
      const nonce = this.#next++;
      this.#view.setUint32(76, nonce, true);
      if (meetsTarget(this.#hash(), this.#target)) return nonce;
    }
    return undefined;
  }

  #hash(): Hash {
    return this.#hashing.headerHash(this.#header);
  }
}

/** The candidate with its nonce, checked as any client's solution is. `now` is Unix milliseconds. */
export function solvedElsewhere(
  { template, coinbase, ntime }: ElsewhereCandidate,
  { nonce, now }: { readonly nonce: number; readonly now: number },
): SolutionOutcome {
  const solution = {
    version: template.version,
    headerTimestamp: ntime,
    headerNonce: nonce,
    coinbaseTx: restoreWitness(coinbase),
  };
  return checkSolution(solution, { template, headerTimestamp: ntime, now, solvedBy: "elsewhere" });
}
