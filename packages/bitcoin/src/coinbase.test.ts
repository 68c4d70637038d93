import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  assembleCoinbase,
  type BitcoinErrorCode,
  bip34Prefix,
  buildCoinbase,
  type CoinbaseSpec,
  decodeTransaction,
  describeCoinbase,
  encodeOutputs,
  fromHex,
  hex,
  isCoinbase,
  parseBip34,
  restoreWitness,
  scriptFromDescriptor,
  scriptSigSizeOf,
  stripWitness,
  txid,
  witnessCommitmentOutput,
} from "./index.ts";

const reward = scriptFromDescriptor("addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)", "mainnet");
const commitment = witnessCommitmentOutput([]);
const spec: CoinbaseSpec = {
  txVersion: 2,
  scriptSigPrefix: bip34Prefix(840_000),
  tag: "Sv2/pool/miner/",
  extranonceSize: 20,
  inputSequence: 0xfffffffe,
  outputs: [{ value: 312_500_000n, script: reward }],
  templateOutputs: encodeOutputs([commitment]),
  templateOutputsCount: 1,
  locktime: 839_999,
};
const code = (expected: BitcoinErrorCode): unknown => expect.objectContaining({ code: expected });

describe("a coinbase", () => {
  const extranonce = new Uint8Array(20).fill(0xee);
  const stripped = assembleCoinbase(buildCoinbase(spec), extranonce);
  const tx = decodeTransaction(stripped);

  test("carries prefix, tag and extranonce in its scriptSig, each pushed as it should be", () => {
    expect(tx.inputs.map(({ script }) => hex(script))).toEqual([
      `0340d10c0f${hex(new TextEncoder().encode(spec.tag))}14${"ee".repeat(20)}`,
    ]);
    expect(buildCoinbase(spec).scriptSigSize).toBe(tx.inputs[0]?.script.length);
    expect(isCoinbase(tx)).toBe(true);
  });

  test("pays the role's outputs first and the template's last", () => {
    expect(tx.outputs).toEqual([...spec.outputs, commitment]);
    expect(tx).toMatchObject({ version: 2, locktime: 839_999, segwit: false, inputs: [{ sequence: 0xfffffffe }] });
  });

  test("gets its witness back for a block without changing its id", () => {
    const full = restoreWitness(stripped);
    expect(decodeTransaction(full).inputs[0]?.witness).toEqual([new Uint8Array(32)]);
    expect(txid(full)).toEqual(txid(stripped));
    expect(stripWitness(full)).toEqual(stripped);
    expect(() => restoreWitness(full)).toThrow(code("bad-coinbase"));
    expect(() => restoreWitness(stripped, new Uint8Array(31))).toThrow(code("bad-coinbase"));
  });

  test("is described for a person", () => {
    const description = describeCoinbase(restoreWitness(stripped), "mainnet");
    expect(description).toMatchObject({
      height: 840_000,
      tag: "Sv2/pool/miner/",
      outputs: [
        { value: 312_500_000n, address: "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", type: "p2wpkh" },
        { value: 0n, address: undefined, type: "witness-commitment" },
      ],
    });
    expect(describeCoinbase(stripped, "regtest").outputs[0]?.address).toMatch(/^bcrt1q/);
  });

  test("of any layout decodes to what it was built from", () => {
    const layouts = fc.record({
      scriptSigPrefix: fc.uint8Array({ maxLength: 8 }),
      tag: fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)), maxLength: 58 }),
      extranonceSize: fc.integer({ min: 1, max: 32 }),
      outputs: fc.array(
        fc.record({ value: fc.bigInt(0n, 21n * 10n ** 14n), script: fc.uint8Array({ maxLength: 40 }) }),
        {
          maxLength: 300,
        },
      ),
    });
    fc.assert(
      fc.property(layouts, (layout) => {
        const parts = buildCoinbase({ ...spec, ...layout });
        const bytes = assembleCoinbase(parts, new Uint8Array(layout.extranonceSize));
        const tx = decodeTransaction(bytes);
        expect(tx.outputs).toEqual([...layout.outputs, commitment]);
        expect(tx.inputs[0]?.script.length).toBe(parts.scriptSigSize);
        expect(stripWitness(restoreWitness(bytes))).toEqual(bytes);
      }),
    );
  });
});

describe("coinbase faults that would lose a reward", () => {
  test("a scriptSig over 100 bytes is refused with the template's real prefix, not a guess of its size", () => {
    const tight = { ...spec, tag: "x".repeat(61), extranonceSize: 32 };
    expect(buildCoinbase({ ...tight, scriptSigPrefix: new Uint8Array(5) }).scriptSigSize).toBe(100);
    expect(() => buildCoinbase({ ...tight, scriptSigPrefix: new Uint8Array(6) })).toThrow(code("script-sig-too-long"));
  });

  test("whoever wants to change a prefix, tag or extranonce can ask first, and nothing changes", () => {
    const parts = { scriptSigPrefix: new Uint8Array(4), tag: "x".repeat(61) };
    expect(scriptSigSizeOf({ ...parts, extranonceSize: 32 })).toBe(99);
    expect(() => scriptSigSizeOf({ ...parts, tag: "x".repeat(63), extranonceSize: 32 })).toThrow(
      code("script-sig-too-long"),
    );
  });

  test("a template prefix of more than 8 bytes is refused, as is one of 250", () => {
    for (const size of [9, 250]) {
      const bad = { ...spec, scriptSigPrefix: new Uint8Array(size) };
      expect(() => buildCoinbase(bad)).toThrow(code("prefix-too-long"));
    }
    expect(buildCoinbase({ ...spec, scriptSigPrefix: new Uint8Array(8) }).scriptSigSize).toBe(8 + 16 + 21);
  });

  test("an extranonce of another size than the job's is refused, as the push opcode before it would be wrong", () => {
    const parts = buildCoinbase(spec);
    expect(parts.prefix.at(-1)).toBe(20);
    for (const size of [0, 16, 19, 21]) {
      expect(() => assembleCoinbase(parts, new Uint8Array(size))).toThrow(code("bad-coinbase"));
    }
  });

  test("pushes longer than one opcode can announce are refused", () => {
    expect(() => buildCoinbase({ ...spec, tag: "x".repeat(76), extranonceSize: 1 })).toThrow(code("bad-tag"));
    expect(buildCoinbase({ ...spec, tag: "x".repeat(75), extranonceSize: 1 }).scriptSigSize).toBe(4 + 76 + 2);
    expect(() => buildCoinbase({ ...spec, extranonceSize: 33 })).toThrow(code("extranonce-too-long"));
    expect(() => buildCoinbase({ ...spec, extranonceSize: 76 })).toThrow(code("extranonce-too-long"));
    for (const size of [0, -1, 1.5, Number.NaN]) {
      expect(() => buildCoinbase({ ...spec, extranonceSize: size })).toThrow(code("extranonce-too-short"));
    }
  });

  test("template outputs that are not as counted are refused", () => {
    expect(() => buildCoinbase({ ...spec, templateOutputsCount: 2 })).toThrow(code("bad-outputs"));
    expect(() => buildCoinbase({ ...spec, templateOutputsCount: 0 })).toThrow(code("bad-outputs"));
    const none = { outputs: [], templateOutputs: new Uint8Array(0), templateOutputsCount: 0 };
    expect(() => buildCoinbase({ ...spec, ...none })).toThrow(code("bad-coinbase"));
  });

  test("tags and numbers that do not fit are refused", () => {
    for (const tag of ["é", "a\nb", "\u001b[31m", "\u007f"]) {
      expect(() => buildCoinbase({ ...spec, tag })).toThrow(code("bad-tag"));
    }
    expect(() => buildCoinbase({ ...spec, locktime: -1 })).toThrow(code("bad-coinbase"));
    expect(() => buildCoinbase({ ...spec, txVersion: 2 ** 32 })).toThrow(code("bad-coinbase"));
  });
});

describe("BIP34 heights", () => {
  test.each([
    [0, "00"],
    [1, "51"],
    [16, "60"],
    [17, "0111"],
    [127, "017f"],
    [128, "028000"],
    [255, "02ff00"],
    [256, "020001"],
    [32767, "02ff7f"],
    [32768, "03008000"],
    [227_931, "035b7a03"],
    [840_000, "0340d10c"],
    [0x7fffffff, "04ffffff7f"],
  ])("%i is pushed as Bitcoin Core pushes it", (height, text) => {
    expect(hex(bip34Prefix(height))).toBe(text);
  });

  test("are read back, whatever follows", () => {
    fc.assert(
      fc.property(fc.nat(0x7fffffff), fc.uint8Array({ maxLength: 20 }), (height, rest) => {
        expect(parseBip34(Uint8Array.of(...bip34Prefix(height), ...rest))).toBe(height);
      }),
    );
  });

  test.each(["", "03", "0340d1", "0105", "02ff", "020100", "0181", "0500000000ff", "4c0111", "04ffffffff"])(
    "in the wrong form (%s) are not read",
    (text) => expect(parseBip34(fromHex(text))).toBeUndefined(),
  );

  test("outside what a height can be are refused", () => {
    for (const height of [-1, 0.5, 2 ** 31]) expect(() => bip34Prefix(height)).toThrow(RangeError);
  });
});

describe("describing a coinbase", () => {
  const withScriptSig = (script: Uint8Array): Uint8Array => {
    const size = Uint8Array.of(0xfd, script.length & 0xff, script.length >> 8);
    const count = script.length < 0xfd ? size.subarray(1, 2) : size;
    const start = [1, 0, 0, 0, 1, ...new Uint8Array(32), 255, 255, 255, 255];
    return Uint8Array.of(...start, ...count, ...script, 0, 0, 0, 0, 1, ...new Uint8Array(8), 0, 0, 0, 0, 0);
  };

  test("finds text that was written without a push", () => {
    const script = Uint8Array.of(3, 0x40, 0xd1, 0x0c, 0xfe, ...new TextEncoder().encode("/slush/"), 0xff, 1);
    expect(describeCoinbase(withScriptSig(script), "mainnet").tag).toBe("/slush/");
  });

  test("shows only printable text of any scriptSig, however long", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (script) => {
        expect(describeCoinbase(withScriptSig(script), "signet").tag).toMatch(/^[\x20-\x7e]{0,100}$/);
      }),
    );
  });

  test("refuses what is not a coinbase", () => {
    const spends = withScriptSig(new Uint8Array(4));
    spends[5] = 1;
    expect(() => describeCoinbase(spends, "mainnet")).toThrow(code("bad-coinbase"));
    expect(() => restoreWitness(spends)).toThrow(code("bad-coinbase"));
    expect(() => describeCoinbase(new Uint8Array(3), "mainnet")).toThrow(code("bad-transaction"));
  });
});
