import { Address, OutScript } from "@scure/btc-signer";
import { BitcoinError } from "./errors.ts";
import { type Network, networkNames, networks } from "./network.ts";

/** Kinds of output script told apart for people. `nulldata` carries data and pays nobody. */
export type ScriptKind =
  | "p2pk"
  | "p2pkh"
  | "p2sh"
  | "p2wpkh"
  | "p2wsh"
  | "p2tr"
  | "p2a"
  | "multisig"
  | "nulldata"
  | "unknown";

type OutputScript = Parameters<typeof OutScript.encode>[0];

const kinds: Readonly<Partial<Record<OutputScript["type"], ScriptKind>>> = {
  pk: "p2pk",
  pkh: "p2pkh",
  sh: "p2sh",
  wpkh: "p2wpkh",
  wsh: "p2wsh",
  tr: "p2tr",
  p2a: "p2a",
  ms: "multisig",
};

const OP_RETURN = 0x6a;

/** No script with an address is longer; anything beyond is not worth parsing. */
const MAX_KNOWN_SCRIPT = 1_000;

/** The address an output script pays on a network, or undefined when it has none. */
export function addressOf(script: Uint8Array, network: Network): string | undefined {
  const known = recognize(script);
  if (known === undefined) return undefined;
  switch (known.type) {
    case "pkh":
    case "sh":
    case "wpkh":
    case "wsh":
    case "tr":
    case "p2a":
      return Address(networks[network]).encode(known);
    default:
      return undefined;
  }
}

/** What kind of output script this is. */
export function scriptKind(script: Uint8Array): ScriptKind {
  if (script[0] === OP_RETURN) return "nulldata";
  const known = recognize(script);
  return (known && kinds[known.type]) ?? "unknown";
}

/**
 * The output script an address stands for.
 *
 * @throws BitcoinError `wrong-network` for an address of another network, `bad-descriptor` for text that is no address
 *   or one that anybody could spend from.
 */
export function scriptOfAddress(address: string, network: Network): Uint8Array {
  const script = decodeAddress(address, network);
  if (script !== undefined) return script;
  const others = networkNames.filter((other) => decodeAddress(address, other) !== undefined);
  if (others.length === 0)
    throw new BitcoinError("bad-descriptor", "the text in addr() is not an address of a known kind");
  const owner = others.join(" or ");
  throw new BitcoinError("wrong-network", `the address is for ${owner}, but ${network} is set: use one for ${network}`);
}

function decodeAddress(address: string, network: Network): Uint8Array | undefined {
  try {
    const decoded = Address(networks[network]).decode(address);
    // A pay-to-anchor address is anyone's to spend, so it is never a place for a reward.
    return decoded.type === "p2a" ? undefined : OutScript.encode(decoded);
  } catch {
    return undefined;
  }
}

function recognize(script: Uint8Array): OutputScript | undefined {
  if (script.length > MAX_KNOWN_SCRIPT) return undefined;
  try {
    const decoded = OutScript.decode(script);
    // The library also recognises scripts with roundabout pushes, which pay no address.
    const canonical = OutScript.encode(decoded);
    return canonical.length === script.length && canonical.every((byte, at) => byte === script[at])
      ? decoded
      : undefined;
  } catch {
    return undefined;
  }
}
