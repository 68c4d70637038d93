import {
  decodeHeader,
  encodeHeader,
  fromHex,
  meetsTarget,
  pureHashing,
  targetFromBits,
  targetToBytes,
} from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NonceSearch } from "./nonce-search.ts";

/** Header of Bitcoin's genesis block. Source: any full node, `getblockheader 000000000019d668... false`. */
const GENESIS = fromHex(
  "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
);

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });

describe("a nonce search", () => {
  test("finds the nonce of the genesis block, and nothing right before or after it", () => {
    const { nonce, nbits } = decodeHeader(GENESIS);
    const search = new NonceSearch(GENESIS, targetToBytes(targetFromBits(nbits)));
    expect(search.find(nonce - 2_000, nonce + 2_000)).toBe(nonce);
    expect(search.find(nonce - 2_000, nonce)).toBe(-1);
    expect(search.find(nonce + 1, nonce + 2_000)).toBe(-1);
  });

  test("finds exactly the nonces that hashing each header whole finds, whatever header and target", () => {
    const targets = fc.tuple(bytes(32), fc.integer({ min: 0, max: 255 })).map(([target, top]) => {
      target[31] = top;
      return target;
    });
    fc.assert(
      fc.property(bytes(80), targets, fc.integer({ min: 0, max: 0xffffffff - 40 }), (header, target, start) => {
        const fields = decodeHeader(header);
        const expected = Array.from({ length: 40 }, (_, index) => start + index).filter((nonce) =>
          meetsTarget(pureHashing.headerHash(encodeHeader({ ...fields, nonce })), target),
        );
        expect(all(new NonceSearch(header, target), start, start + 40)).toEqual(expected);
      }),
    );
  });

  test("compares the whole target, not only its top word", () => {
    const hash = pureHashing.headerHash(GENESIS);
    const { nonce } = decodeHeader(GENESIS);
    const below = hash.slice();
    below[0] = (below[0] ?? 0) - 1;
    expect(new NonceSearch(GENESIS, hash).find(nonce, nonce + 1)).toBe(nonce);
    expect(new NonceSearch(GENESIS, below).find(nonce, nonce + 1)).toBe(-1);
  });

  test("reaches the last nonce there is", () => {
    expect(all(new NonceSearch(GENESIS, new Uint8Array(32).fill(0xff)), 0xfffffffe, 2 ** 32)).toEqual([
      0xfffffffe, 0xffffffff,
    ]);
  });

  test("refuses what is no header and what is no target", () => {
    expect(() => new NonceSearch(new Uint8Array(79), new Uint8Array(32))).toThrow(RangeError);
    expect(() => new NonceSearch(new Uint8Array(80), new Uint8Array(31))).toThrow(RangeError);
  });
});

function all(search: NonceSearch, start: number, end: number): readonly number[] {
  const found: number[] = [];
  for (let nonce = search.find(start, end); nonce !== -1; nonce = search.find(nonce + 1, end)) found.push(nonce);
  return found;
}
