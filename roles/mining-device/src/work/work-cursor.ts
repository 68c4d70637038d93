import { encodeHeader } from "@adit/bitcoin";
import { rolledVersion, versionCount } from "./version-bits.ts";
import type { Share, Work } from "./work.ts";

/** A header and the nonces of it that nobody else is given. */
export interface HeaderRange {
  /** What a nonce found in the range makes a share with. */
  readonly found: Omit<Share, "nonce">;
  /** 80 bytes; the nonce is zero. */
  readonly header: Uint8Array;
  readonly nonceStart: number;
  readonly nonceCount: number;
}

/** Jobs carry a time near now, and peers refuse a time more than two hours ahead of it. */
const LONGEST_ROLL_SEC = 7_000;
const NONCES = 2 ** 32;
/** A header's time has 32 bits. */
const LATEST_NTIME = 0xffffffff;
const EXTRANONCES = 2 ** 48;

/**
 * Walks what one connection may hash, and never gives the same header twice: nonces first, then versions, then
 * extranonces. It goes on where it was when work changes, since a pool may send the same coinbase under another job id.
 * When a job without extranonce is used up, it waits for the second to change, which makes all its headers new.
 */
export class WorkCursor {
  readonly #nonces: number;
  /** The first version index, so that connections roll different bits from the start. */
  readonly #firstVersion: number;
  #work: Work | undefined;
  #nonce = 0;
  #version = 0;
  #extranonce = 0;
  /** Headers with an earlier time are used up. */
  #earliestNtime = 0;
  #ntime = 0;
  #root: { readonly extranonce: Uint8Array; readonly merkleRoot: Uint8Array } | undefined;

  /** @param options.random from 0 up to 1; `nonces` is smaller than 2^32 in tests only. */
  constructor(options: { readonly random: number; readonly nonces?: number }) {
    this.#firstVersion = Math.floor(options.random * 2 ** 16);
    this.#nonces = options.nonces ?? NONCES;
  }

  /** At most `count` nonces of a header of this work; undefined when there is nothing new to hash at this time. */
  next(work: Work, count: number, now: number): HeaderRange | undefined {
    if (work !== this.#work) this.#take(work);
    this.#ntime = work.minNtime + rolledSeconds(work, now);
    if (this.#nonce >= this.#nonces) this.#advance(work);
    if (this.#ntime < this.#earliestNtime) return undefined;
    const nonceStart = this.#nonce;
    const nonceCount = Math.min(count, this.#nonces - nonceStart);
    this.#nonce += nonceCount;
    return { ...this.#header(work), nonceStart, nonceCount };
  }

  #take(work: Work): void {
    this.#work = work;
    this.#root = undefined;
    this.#earliestNtime = 0;
    this.#extranonce %= extranonceCount(work);
    // A mask with fewer bits must not bring a version back for this extranonce.
    if (this.#version >= versionCount(work.versionMask)) this.#nonce = this.#nonces;
  }

  #advance(work: Work): void {
    this.#nonce = 0;
    this.#version++;
    if (this.#version < versionCount(work.versionMask)) return;
    this.#version = 0;
    this.#extranonce++;
    this.#root = undefined;
    if (this.#extranonce < extranonceCount(work)) return;
    this.#extranonce = 0;
    this.#earliestNtime = this.#ntime + 1;
  }

  #header(work: Work): Pick<HeaderRange, "found" | "header"> {
    this.#root ??= this.#rootOf(work);
    const { extranonce, merkleRoot } = this.#root;
    const index = (this.#firstVersion + this.#version) % versionCount(work.versionMask);
    const version = rolledVersion(work.version, work.versionMask, index);
    const { prevHash, nbits } = work;
    const ntime = this.#ntime;
    const header = encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce: 0 });
    return { found: { work, extranonce, ntime, version }, header };
  }

  #rootOf(work: Work): { readonly extranonce: Uint8Array; readonly merkleRoot: Uint8Array } {
    const extranonce = new Uint8Array(work.extranonceSize);
    let rest = this.#extranonce;
    for (let at = extranonce.length - 1; at >= 0 && rest > 0; at--) {
      extranonce[at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    return { extranonce, merkleRoot: work.merkleRoot(extranonce) };
  }
}

function rolledSeconds({ receivedAt, minNtime }: Work, now: number): number {
  const seconds = Math.max(Math.floor((now - receivedAt) / 1000), 0);
  return Math.min(seconds, LONGEST_ROLL_SEC, LATEST_NTIME - minNtime);
}

function extranonceCount(work: Work): number {
  return Math.min(256 ** work.extranonceSize, EXTRANONCES);
}
