import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BitcoinError,
  decodeBlock,
  decodeHeader,
  decodeTransaction,
  displayHash,
  encodeBlock,
  encodeHeader,
  encodeTransaction,
  fromHex,
  type HeaderFields,
  hex,
  merklePath,
  merkleRootOf,
  pureHashing,
  restoreWitness,
  sha256d,
  stripWitness,
  transactionWeight,
  txid,
  witnessCommitmentOutput,
  wtxid,
} from "./index.ts";

const { blocks } = JSON.parse(readFileSync(new URL("vectors/blocks.json", import.meta.url), "utf8")) as {
  readonly blocks: readonly { readonly name: string; readonly hash: string; readonly hex: string }[];
};
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const u32 = fc.integer({ min: 0, max: 0xffffffff });

describe.each(blocks)("the real block $name", ({ hash, hex: text }) => {
  const bytes = fromHex(text);
  const block = decodeBlock(bytes);
  const txids = block.transactions.map(txid);
  const [first] = block.transactions;
  if (first === undefined) throw new Error("no real block is empty");
  const coinbase = encodeTransaction(first);

  test("is put together again byte for byte", () => {
    const transactions = block.transactions.map((tx) => encodeTransaction(tx));
    expect(hex(encodeBlock(encodeHeader(block.header), transactions))).toBe(text);
  });

  test("has the hash and the merkle root it should have", () => {
    expect(displayHash(sha256d(encodeHeader(block.header)))).toBe(hash);
    expect(merkleRootOf(txids)).toEqual(block.header.merkleRoot);
  });

  test("gives the same hash when hashed as a share, from its stripped coinbase and merkle path", () => {
    const share = pureHashing.shareHash({
      coinbase: stripWitness(coinbase),
      merklePath: merklePath(txids.slice(1)),
      header: block.header,
    });
    expect(share.header).toEqual(bytes.subarray(0, 80));
    expect(displayHash(share.hash)).toBe(hash);
    expect(pureHashing.headerHash(share.header)).toEqual(share.hash);
  });

  test("has a coinbase whose witness can be taken out and put back", () => {
    const stripped = stripWitness(coinbase);
    expect(txid(stripped)).toEqual(txids[0]);
    expect(stripWitness(stripped)).toEqual(stripped);
    expect(stripWitness(restoreWitness(stripped))).toEqual(stripped);
    if (first.segwit) expect(restoreWitness(stripped)).toEqual(coinbase);
  });

  test("has the weight that its size comes to", () => {
    const weight = block.transactions.reduce((sum, tx) => sum + transactionWeight(tx), 4 * 81);
    const stripped = block.transactions.reduce((sum, tx) => sum + stripWitness(encodeTransaction(tx)).length, 81);
    expect(weight).toBe(stripped * 3 + bytes.length);
  });
});

test("the witness commitments of real blocks come out as they are in their coinbases", () => {
  let checked = 0;
  for (const { hex: text } of blocks) {
    const [coinbase, ...others] = decodeBlock(fromHex(text)).transactions;
    if (!coinbase?.segwit) continue;
    expect(coinbase.outputs).toContainEqual(witnessCommitmentOutput(others.map(wtxid)));
    checked++;
  }
  expect(checked).toBe(2);
});

describe("headers", () => {
  test("survive both ways", () => {
    fc.assert(
      fc.property(
        bytes32,
        bytes32,
        fc.tuple(u32, u32, u32, u32),
        (prevHash, merkleRoot, [version, ntime, nbits, nonce]) => {
          const header: HeaderFields = { version, prevHash, merkleRoot, ntime, nbits, nonce };
          expect(decodeHeader(encodeHeader(header))).toEqual(header);
        },
      ),
    );
  });

  test("have 80 bytes and hashes of 32", () => {
    expect(() => decodeHeader(new Uint8Array(79))).toThrow(expect.objectContaining({ code: "bad-header" }));
    expect(() => encodeBlock(new Uint8Array(81), [])).toThrow(BitcoinError);
    const header = decodeHeader(new Uint8Array(80));
    expect(() => encodeHeader({ ...header, prevHash: new Uint8Array(31) })).toThrow(RangeError);
  });
});

describe("merkle trees", () => {
  const leaf = (n: number): Uint8Array => sha256d(Uint8Array.of(n & 0xff, n >> 8));

  test("have the same root by path and by tree, with 0 to 600 transactions beside the coinbase", () => {
    const coinbase = Uint8Array.of(1, 2, 3);
    const others: Uint8Array[] = [];
    for (let count = 0; count <= 600; count++) {
      // Around powers of two the shape changes; elsewhere every seventh is enough.
      if (count < 70 || count % 7 === 0 || (count & (count - 1)) === 0) {
        const path = merklePath(others);
        expect(path.length).toBe(Math.ceil(Math.log2(count + 1)));
        expect(pureHashing.merkleRoot(coinbase, path)).toEqual(merkleRootOf([sha256d(coinbase), ...others]));
      }
      others.push(leaf(count));
    }
  });

  test("need a leaf, and hashes of 32 bytes", () => {
    expect(() => merkleRootOf([])).toThrow(RangeError);
    expect(() => merklePath([new Uint8Array(31)])).toThrow(RangeError);
    expect(() => pureHashing.merkleRoot(new Uint8Array(1), [new Uint8Array(33)])).toThrow(RangeError);
  });
});

describe("bytes from outside", () => {
  const decoders = { decodeHeader, decodeTransaction, decodeBlock, stripWitness, restoreWitness, txid, wtxid };

  const survives = (decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void => {
    try {
      decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(BitcoinError);
    }
  };

  test.each(Object.entries(decoders))("%s throws nothing but BitcoinError", (_, decode) => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => survives(decode, bytes)));
    const real = fromHex(blocks.at(-1)?.hex ?? "");
    fc.assert(
      fc.property(fc.nat(real.length - 1), fc.nat(255), fc.nat(real.length), (at, byte, length) => {
        const bent = real.slice(0, length);
        bent[at] = byte;
        survives(decode, bent);
        survives(decode, bent.subarray(81));
      }),
    );
  });

  test("announcing billions of things in a few bytes costs nothing", () => {
    const huge = fromHex("ffffffffffffffff7f");
    for (const count of [huge, fromHex("feffffffff")]) {
      const bytes = Uint8Array.from([...new Uint8Array(80), ...count, 0, 0, 0]);
      expect(() => decodeBlock(bytes)).toThrow(expect.objectContaining({ code: "bad-block" }));
      expect(() => decodeTransaction(bytes.subarray(76))).toThrow(expect.objectContaining({ code: "bad-transaction" }));
    }
  });
});
