import { HDKey } from "@scure/bip32";
import { p2pkh, p2sh, p2tr, p2wpkh } from "@scure/btc-signer";
import { scriptOfAddress } from "./address.ts";
import { descriptorChecksum } from "./descriptor-checksum.ts";
import { BitcoinError } from "./errors.ts";
import { fromHex } from "./hex.ts";
import { type Network, networkNames, networks } from "./network.ts";

/** Bitcoin Core treats longer output scripts as unspendable. */
const MAX_SCRIPT = 10_000;

/**
 * The output script of a descriptor: where a reward goes.
 *
 * `addr(ADDRESS)`, `pkh(KEY)`, `wpkh(KEY)`, `sh(wpkh(KEY))`, `tr(KEY)` (spent by key only, BIP86) and `raw(HEX)`,
 * each with or without a BIP380 `#checksum`. KEY is a public key in hexadecimal, or an xpub or tpub with a path of plain
 * numbers, either behind an optional `[fingerprint/path]`. Error messages never repeat the text, which might be a
 * private key put here by mistake.
 *
 * @throws BitcoinError `bad-descriptor`, or `wrong-network` for an address or extended key of another network.
 */
export function scriptFromDescriptor(descriptor: string, network: Network): Uint8Array {
  const [, name, argument] = /^([a-z]+)\((.*)\)$/.exec(withoutChecksum(descriptor)) ?? [];
  if (name === undefined || argument === undefined) {
    throw new BitcoinError("bad-descriptor", "write it as addr(ADDRESS), wpkh(KEY) or another descriptor");
  }
  switch (name) {
    case "addr":
      return scriptOfAddress(argument, network);
    case "raw":
      return rawScript(argument);
    case "pkh":
      return payTo(() => p2pkh(publicKey(argument, { network, sizes: [33, 65] })));
    case "wpkh":
      return witnessKeyHash(argument, network).script;
    case "sh":
      return scriptHash(argument, network);
    case "tr":
      return taproot(argument, network);
    default:
      throw new BitcoinError("bad-descriptor", `${name}() is not one of addr, pkh, wpkh, sh(wpkh), tr and raw`);
  }
}

function withoutChecksum(descriptor: string): string {
  const at = descriptor.indexOf("#");
  if (at < 0) return descriptor;
  const body = descriptor.slice(0, at);
  if (descriptor.slice(at + 1) !== descriptorChecksum(body)) {
    throw new BitcoinError("bad-descriptor", "the checksum behind # does not match: there is a typing mistake in it");
  }
  return body;
}

function rawScript(text: string): Uint8Array {
  if (text.length > 2 * MAX_SCRIPT) throw new BitcoinError("bad-descriptor", "a script has at most 10000 bytes");
  const script = hexIn(text, "raw()");
  if (script.length === 0) throw new BitcoinError("bad-descriptor", "raw() needs a script in hexadecimal");
  return script;
}

function scriptHash(argument: string, network: Network): Uint8Array {
  const [, key] = /^wpkh\((.*)\)$/.exec(argument) ?? [];
  if (key === undefined) throw new BitcoinError("bad-descriptor", "of sh() only sh(wpkh(KEY)) is supported");
  return payTo(() => p2sh(witnessKeyHash(key, network)));
}

function witnessKeyHash(key: string, network: Network): ReturnType<typeof p2wpkh> {
  const bytes = publicKey(key, { network, sizes: [33] });
  return checked(() => p2wpkh(bytes));
}

function taproot(argument: string, network: Network): Uint8Array {
  if (argument.includes(","))
    throw new BitcoinError("bad-descriptor", "of tr() only tr(KEY) without scripts is supported");
  const key = publicKey(argument, { network, sizes: [32, 33] });
  // BIP386: a 33-byte key stands for its x coordinate, but must be a valid key.
  if (key.length === 33) checked(() => p2wpkh(key));
  return payTo(() => p2tr(key.slice(-32)));
}

function payTo(make: () => { readonly script: Uint8Array }): Uint8Array {
  return checked(make).script;
}

function checked<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (cause instanceof BitcoinError) throw cause;
    throw new BitcoinError("bad-descriptor", "the key is not a valid public key", { cause });
  }
}

interface KeyRules {
  readonly network: Network;
  /** Sizes in bytes that the script can take. */
  readonly sizes: readonly number[];
}

function publicKey(expression: string, { network, sizes }: KeyRules): Uint8Array {
  const text = expression.replace(/^\[[0-9a-fA-F]{8}(?:\/\d+['hH]?)*\]/, "");
  if (/^(?:[xyzt]prv|[uv]prv|[5KLc9][1-9A-HJ-NP-Za-km-z]{50,51}$)/.test(text)) {
    throw new BitcoinError(
      "bad-descriptor",
      "that is a PRIVATE key: put the public key here and keep the other secret",
    );
  }
  const key = /^[xt]pub/.test(text) ? derivedKey(text, network) : hexIn(text, "a key");
  if (!sizes.includes(key.length)) {
    throw new BitcoinError(
      "bad-descriptor",
      `the key has ${key.length} bytes, ${sizes.join(" or ")} are possible here`,
    );
  }
  return key;
}

/** The public key at the end of `xpub/0/7`. */
function derivedKey(text: string, network: Network): Uint8Array {
  const [, extended, path] = /^([1-9A-HJ-NP-Za-km-z]{111})((?:\/\d{1,10}){0,16})$/.exec(text) ?? [];
  if (extended === undefined || path === undefined) {
    throw new BitcoinError("bad-descriptor", "an xpub takes a path of plain numbers: no *, no hardened step");
  }
  const owners = networkNames.filter((name) => extended.startsWith("xpub") === (name === "mainnet"));
  if (!owners.includes(network)) {
    throw new BitcoinError("wrong-network", `the extended key is for ${owners.join(" or ")}, but ${network} is set`);
  }
  const key = checked(() => {
    const root = HDKey.fromExtendedKey(extended, networks[network].bip32);
    return path
      .split("/")
      .slice(1)
      .reduce((node, index) => node.deriveChild(childIndex(index)), root).publicKey;
  });
  if (key === null) throw new BitcoinError("bad-descriptor", "the extended key holds no public key");
  return key;
}

function childIndex(text: string): number {
  const index = Number(text);
  if (index > 0x7fffffff) throw new BitcoinError("bad-descriptor", "a step of a path is at most 2147483647");
  return index;
}

function hexIn(text: string, where: string): Uint8Array {
  try {
    return fromHex(text);
  } catch (cause) {
    throw new BitcoinError("bad-descriptor", `${where} is not hexadecimal`, { cause });
  }
}
