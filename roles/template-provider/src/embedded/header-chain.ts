import { decodeHeader, type Hash, type HeaderFields, hash, hex, sha256d, targetFromBits, workOf } from "@adit/bitcoin";
import type { ChainTip } from "./chain-tip.ts";
import { genesisBlock } from "./genesis-block.ts";

/** A block of the chain by its header. */
export interface ChainHeader {
  readonly height: number;
  /** Internal order. */
  readonly hash: Hash;
  /** 80 bytes. */
  readonly bytes: Uint8Array;
  readonly fields: HeaderFields;
  /** Expected hashes behind this block and all before it. */
  readonly work: bigint;
}

const HEADER_SIZE = 80;
/** As many header times as a tip has (BIP113). */
const TIMES = 11;

/** The headers of the whole chain, genesis first, found by height and by hash. A block takes about 600 bytes of memory. */
export class HeaderChain {
  readonly #headers: ChainHeader[] = [];
  readonly #byHash = new Map<string, ChainHeader>();

  /** `headers`: those above genesis in their order, 80 bytes each, kept. */
  constructor(headers: Iterable<Uint8Array>) {
    this.add(genesisBlock.slice(0, HEADER_SIZE));
    for (const header of headers) this.add(header);
  }

  /** Height of the last block. */
  get height(): number {
    return this.#headers.length - 1;
  }

  /** The block at a height; undefined above the tip. */
  at(height: number): ChainHeader | undefined {
    return this.#headers[height];
  }

  /** The block with this hash, if the chain has it. */
  find(blockHash: Uint8Array): ChainHeader | undefined {
    return this.#byHash.get(hex(blockHash));
  }

  /** What a block on top of this one depends on. */
  tipAt({ height, hash: blockHash }: ChainHeader): ChainTip {
    const last = this.#headers.slice(Math.max(0, height + 1 - TIMES), height + 1);
    return { height, hash: blockHash, times: last.map(({ fields }) => fields.ntime) };
  }

  /** Adds the next block's header. */
  add(bytes: Uint8Array): void {
    const fields = decodeHeader(bytes);
    const work = (this.#headers.at(-1)?.work ?? 0n) + workOf(targetFromBits(fields.nbits));
    const header = { height: this.#headers.length, hash: hash(sha256d(bytes)), bytes, fields, work };
    this.#headers.push(header);
    this.#byHash.set(hex(header.hash), header);
  }
}
