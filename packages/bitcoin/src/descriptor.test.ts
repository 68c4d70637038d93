import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scriptKind } from "./address.ts";
import { descriptorChecksum } from "./descriptor-checksum.ts";
import { addressOf, BitcoinError, fromHex, hex, type Network, scriptFromDescriptor, subsidy } from "./index.ts";

const load = (name: string): unknown => JSON.parse(readFileSync(new URL(`vectors/${name}`, import.meta.url), "utf8"));
const descriptors = load("descriptors.json") as {
  readonly scripts: readonly { readonly descriptor: string; readonly script?: string; readonly address?: string }[];
  readonly badChecksums: readonly string[];
};
const addresses = load("addresses.json") as {
  readonly addresses: readonly {
    readonly network: Network;
    readonly address: string;
    readonly script: string;
    readonly kind: string;
  }[];
  readonly invalid: readonly string[];
};
const key = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd";
const tpub =
  "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B";
const bad = expect.objectContaining({ code: "bad-descriptor" });
const wrongNetwork = expect.objectContaining({ code: "wrong-network" });

describe("descriptors", () => {
  test.each(descriptors.scripts)("$descriptor", ({ descriptor, script, address }) => {
    const made = scriptFromDescriptor(descriptor, "mainnet");
    if (script !== undefined) expect(hex(made)).toBe(script);
    if (address !== undefined) expect(addressOf(made, "mainnet")).toBe(address);
    expect(script ?? address).toBeDefined();
  });

  test.each(descriptors.badChecksums)("with a bad checksum are refused: %s", (descriptor) => {
    expect(() => scriptFromDescriptor(descriptor, "mainnet")).toThrow(bad);
  });

  test("with one character changed do not match their checksum", () => {
    const descriptor = `wpkh(${key})#${descriptorChecksum(`wpkh(${key})`)}`;
    expect(scriptFromDescriptor(descriptor, "mainnet")).toHaveLength(22);
    fc.assert(
      fc.property(fc.nat(descriptor.length - 1), fc.constantFrom("0", "z", "q", "(", "'"), (at, character) => {
        fc.pre(descriptor[at] !== character);
        const typo = descriptor.slice(0, at) + character + descriptor.slice(at + 1);
        expect(() => scriptFromDescriptor(typo, "mainnet")).toThrow(bad);
      }),
    );
  });

  test.each([
    ["nothing", ""],
    ["a bare address", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"],
    ["an unknown function", `combo(${key})`],
    ["a wpkh of an uncompressed key", `wpkh(04${key.slice(2)}${"00".repeat(32)})`],
    ["a key that is not on the curve", `pkh(02${"ff".repeat(32)})`],
    ["an x-only key that is not on the curve", `tr(${"ff".repeat(32)})`],
    ["a compressed key in tr() with a bad first byte", `tr(05${key.slice(2)})`],
    ["an x-only key outside tr()", `wpkh(${key.slice(2)})`],
    ["a script tree", `tr(${key},pk(${key}))`],
    ["a multisig", `sh(multi(1,${key}))`],
    ["a nested sh()", `sh(sh(wpkh(${key})))`],
    ["no key", "pkh()"],
    ["a key with text behind it", `pkh(${key}/0)`],
    ["a broken origin", `pkh([deadbee/1]${key})`],
    ["an empty script", "raw()"],
    ["an odd script", "raw(abc)"],
    ["a script over 10000 bytes", `raw(${"51".repeat(10_001)})`],
    ["a wildcard", `wpkh(${tpub}/0/*)`],
    ["a hardened step", `wpkh(${tpub}/0'/1)`],
    ["a step too large", `wpkh(${tpub}/2147483648)`],
    ["a path without end", `wpkh(${tpub}${"/1".repeat(300)})`],
    ["an xpub with a typing mistake", `wpkh(${tpub.replace("GLnL4", "GLnL5")}/0/1)`],
  ])("with %s are refused", (_, descriptor) => {
    expect(() => scriptFromDescriptor(descriptor, "regtest")).toThrow(bad);
  });

  test.each([
    "KzoAz5CanayRKex3fSLQ2BwJpN7U52gZvxMyk78nDMHuqrUxuSJy",
    "5KYZdUEo39z3FPrtuX2QbbwGnNP5zTd7yyr2SC1j299sBCnWjss",
    "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK/1/1/0",
  ])("with a private key are refused, and the message does not repeat it", (secret) => {
    try {
      scriptFromDescriptor(`pkh(${secret})`, "regtest");
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "bad-descriptor", message: expect.stringMatching(/PRIVATE/) });
      expect(String(error)).not.toContain(secret.slice(0, 12));
    }
  });

  test("derive from extended keys of their own network only", () => {
    expect(scriptFromDescriptor(`wpkh(${tpub}/1/1/0)`, "regtest")).toHaveLength(22);
    expect(scriptFromDescriptor(`wpkh(${tpub})`, "signet")).toHaveLength(22);
    expect(() => scriptFromDescriptor(`wpkh(${tpub}/0)`, "mainnet")).toThrow(wrongNetwork);
    expect(() => scriptFromDescriptor(`wpkh(${tpub}/0)`, "mainnet")).toThrow(/for testnet4 or signet or regtest/);
  });

  test("of any text throw nothing but BitcoinError", () => {
    const names = fc.constantFrom("addr", "raw", "pkh", "wpkh", "sh", "tr", "sh(wpkh");
    const insides = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[0-9a-f]{0,70}$/),
      fc.constantFrom(tpub, key, `[`, `${tpub}/`),
    );
    fc.assert(
      fc.property(names, insides, (name, inside) => {
        try {
          scriptFromDescriptor(`${name}(${inside})`, "testnet4");
        } catch (error) {
          expect(error).toBeInstanceOf(BitcoinError);
        }
      }),
    );
  });
});

describe("addresses", () => {
  test.each(addresses.addresses)("$address on $network", ({ network, address, script, kind }) => {
    expect(hex(scriptFromDescriptor(`addr(${address})`, network))).toBe(script);
    expect(addressOf(fromHex(script), network)).toBe(address);
    expect(scriptKind(fromHex(script))).toBe(kind);
  });

  test.each(addresses.invalid)("%j is refused", (address) => {
    expect(() => scriptFromDescriptor(`addr(${address})`, "mainnet")).toThrow(bad);
  });

  test("of another network are refused, and the message says which", () => {
    const pay = (address: string, network: Network) => (): Uint8Array =>
      scriptFromDescriptor(`addr(${address})`, network);
    expect(pay("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "regtest")).toThrow(wrongNetwork);
    expect(pay("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "regtest")).toThrow(/is for mainnet, but regtest/);
    expect(pay("mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r", "mainnet")).toThrow(/for testnet4 or signet or regtest/);
    expect(pay("tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", "regtest")).toThrow(
      /testnet4 or signet,/,
    );
  });

  test("are not given to scripts without one", () => {
    for (const script of [
      "",
      "51",
      "6a0568656c6c6f",
      "4c",
      `21${key}ac`,
      `76a94c14${"00".repeat(20)}88ac`,
      "00".repeat(2000),
    ]) {
      expect(addressOf(fromHex(script), "mainnet")).toBeUndefined();
    }
    expect(scriptKind(fromHex("6a0568656c6c6f"))).toBe("nulldata");
    expect(scriptKind(fromHex(`21${key}ac`))).toBe("p2pk");
    expect(scriptKind(fromHex(`5121${key}51ae`))).toBe("multisig");
    expect(scriptKind(fromHex("4c"))).toBe("unknown");
  });
});

describe("the subsidy", () => {
  test("halves on schedule and ends", () => {
    expect(subsidy(0, "mainnet")).toBe(5_000_000_000n);
    expect(subsidy(209_999, "mainnet")).toBe(5_000_000_000n);
    expect(subsidy(840_000, "mainnet")).toBe(312_500_000n);
    expect(subsidy(150, "regtest")).toBe(2_500_000_000n);
    expect(subsidy(150, "signet")).toBe(5_000_000_000n);
    expect(subsidy(210_000 * 33, "mainnet")).toBe(0n);
    expect(subsidy(210_000 * 70, "mainnet")).toBe(0n);
  });

  test("comes to less than 21 million over all halvings", () => {
    let total = 0n;
    for (let halving = 0; halving < 64; halving++) total += 210_000n * subsidy(halving * 210_000, "mainnet");
    expect(total).toBe(2_099_999_997_690_000n);
  });
});
