import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BitcoinError,
  compactSize,
  decodeOutputs,
  decodeTransaction,
  encodeOutputs,
  encodeTransaction,
  fromHex,
  hash,
  hex,
  isCoinbase,
  legacySigops,
  type Transaction,
  txid,
  wtxid,
} from "./index.ts";

const script = fc.uint8Array({ maxLength: 300 });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const output = fc.record({ value: fc.bigInt(0n, 2n ** 64n - 1n), script });
const input = fc.record({
  prevHash: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hash),
  index: u32,
  script,
  sequence: u32,
  witness: fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 3 }),
});
const transaction: fc.Arbitrary<Transaction> = fc
  .record({
    version: u32,
    inputs: fc.array(input, { minLength: 1, maxLength: 4 }),
    outputs: fc.array(output, { maxLength: 4 }),
    locktime: u32,
  })
  .map((tx) => ({ ...tx, segwit: tx.inputs.some(({ witness }) => witness.length > 0) }));

// BIP143, the native P2WPKH example: its unsigned and its signed form.
const unsigned =
  "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000";
const signed =
  "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000";

describe("transactions", () => {
  test("survive both ways, with and without witnesses", () => {
    fc.assert(
      fc.property(transaction, (tx) => {
        const bytes = encodeTransaction(tx);
        expect(decodeTransaction(bytes)).toEqual(tx);
        const bare = { ...tx, segwit: false, inputs: tx.inputs.map((input) => ({ ...input, witness: [] })) };
        expect(decodeTransaction(encodeTransaction(tx, false))).toEqual(bare);
        expect(txid(bytes)).toEqual(txid(bare));
        expect(wtxid(bytes)).toEqual(wtxid(tx));
      }),
    );
  });

  test("of BIP143 read as that document says", () => {
    const tx = decodeTransaction(fromHex(signed));
    expect(tx).toMatchObject({ version: 1, locktime: 17, segwit: true });
    expect(tx.outputs.map(({ value }) => value)).toEqual([112340000n, 223450000n]);
    expect(tx.inputs.map(({ witness }) => witness.length)).toEqual([0, 2]);
    expect(hex(encodeTransaction(tx))).toBe(signed);
    expect(hex(encodeTransaction(decodeTransaction(fromHex(unsigned))))).toBe(unsigned);
    expect(txid(tx)).not.toEqual(wtxid(tx));
  });

  test.each([
    [
      "a marker with nothing but empty witnesses",
      "010000000001010000000000000000000000000000000000000000000000000000000000000000ffffffff0000000000000000000000",
    ],
    ["no input", "01000000000000000000"],
    ["a byte too many", `${unsigned}00`],
    ["a byte too few", unsigned.slice(0, -2)],
    ["a count that is not in its shortest form", unsigned.replace("0100000002", "01000000fd0200")],
  ])("with %s are refused", (_, text) => {
    expect(() => decodeTransaction(fromHex(text))).toThrow(expect.objectContaining({ code: "bad-transaction" }));
  });

  test("that cannot be written are refused", () => {
    const tx = decodeTransaction(fromHex(unsigned));
    expect(() => encodeTransaction({ ...tx, inputs: [] })).toThrow(BitcoinError);
    expect(() => encodeTransaction({ ...tx, locktime: -1 })).toThrow(BitcoinError);
    expect(() => encodeTransaction({ ...tx, outputs: [{ value: -1n, script: new Uint8Array(0) }] })).toThrow(
      BitcoinError,
    );
  });

  test("that fit in no block are not even read", () => {
    const tx = decodeTransaction(fromHex(unsigned));
    const bytes = encodeTransaction({ ...tx, outputs: [{ value: 0n, script: new Uint8Array(4_000_000) }] });
    expect(() => decodeTransaction(bytes)).toThrow(expect.objectContaining({ code: "bad-transaction" }));
  });

  test("that spend something are no coinbase", () => {
    expect(isCoinbase(decodeTransaction(fromHex(unsigned)))).toBe(false);
  });
});

describe("signature operations", () => {
  const sigops = (text: string): number => {
    const tx = decodeTransaction(fromHex(unsigned));
    return legacySigops({ ...tx, outputs: [{ value: 0n, script: fromHex(text) }] });
  };

  test.each([
    ["each check", "acad", 2],
    ["every multisig as twenty, whatever its keys", "ae51ae52af", 60],
    ["nothing inside pushes", "02acac4c02acac4d0200acac4e02000000acacac", 1],
    ["nothing behind a push that runs out", "ac03acac", 1],
    ["nothing behind a cut-off length", "ac4dac", 1],
  ])("count %s", (_, script, count) => expect(sigops(script)).toBe(count));
});

describe("outputs", () => {
  test("survive both ways, and only in the stated number", () => {
    fc.assert(
      fc.property(fc.array(output, { maxLength: 5 }), (outputs) => {
        const bytes = encodeOutputs(outputs);
        expect(decodeOutputs(bytes, outputs.length)).toEqual(outputs);
        expect(() => decodeOutputs(bytes, outputs.length + 1)).toThrow(
          expect.objectContaining({ code: "bad-outputs" }),
        );
        expect(() => decodeOutputs(Uint8Array.of(...bytes, 0), outputs.length)).toThrow(BitcoinError);
      }),
    );
    for (const count of [-1, 0.5, 2 ** 32, Number.NaN]) {
      expect(() => decodeOutputs(Uint8Array.of(1), count)).toThrow(BitcoinError);
    }
    expect(() => encodeOutputs([{ value: 1n << 64n, script: new Uint8Array(0) }])).toThrow(BitcoinError);
  });
});

describe("CompactSize", () => {
  test.each([
    [0, "00"],
    [252, "fc"],
    [253, "fdfd00"],
    [0xffff, "fdffff"],
    [0x10000, "fe00000100"],
    [0xffffffff, "feffffffff"],
    [0x100000000, "ff0000000001000000"],
  ])("writes %i in its shortest form", (n, text) => expect(hex(compactSize(n))).toBe(text));

  test.each([-1, 0.5, 2 ** 53])("refuses %d", (n) => expect(() => compactSize(n)).toThrow(RangeError));
});
