import { readUint32, uint32Hex } from "./hex-field.ts";
import { isObject, own } from "./message.ts";

/** The version bits that BIP320 gives to miners, the most this package ever grants or asks for. */
export const ROLLABLE_VERSION_BITS = 0x1fffe000;

/** `mining.configure` (BIP310) as read. */
export interface Configure {
  /** The extensions asked for, each once, in the order asked. */
  readonly extensions: ReadonlySet<string>;
  /** The version bits the miner wants to roll; `undefined` when it did not ask or asked for nonsense. */
  readonly versionMask: number | undefined;
  /** The value given for `minimum-difficulty`, unchecked. */
  readonly minimumDifficulty: unknown;
}

/** Reads the params of `mining.configure`; `undefined` when they are not of its shape. */
export function readConfigure(params: readonly unknown[]): Configure | undefined {
  const [names, values = {}] = params;
  if (!Array.isArray(names) || !isObject(values)) return undefined;
  const extensions = new Set<string>();
  for (const name of names) {
    if (typeof name !== "string") return undefined;
    extensions.add(name);
  }
  const mask = own(values, "version-rolling.mask");
  return {
    extensions,
    versionMask: extensions.has("version-rolling") ? readUint32(mask ?? "ffffffff") : undefined,
    minimumDifficulty: own(values, "minimum-difficulty.value"),
  };
}

/**
 * The result of `mining.configure` as JSON text, with a member for every extension asked for. When no bit is granted
 * rolling is refused and the mask says so too, since firmware exists that reads the mask alone.
 *
 * `minimum-difficulty` is refused: a miner held above the upstream target would do work that nobody credits. Its value
 * still reaches the host as a suggestion.
 */
export function configureResult(asked: Configure, grantedMask: number): string {
  const members: string[] = [];
  for (const extension of asked.extensions) {
    const name = JSON.stringify(extension);
    switch (extension) {
      case "version-rolling":
        members.push(`${name}:${grantedMask !== 0}`, `"version-rolling.mask":"${uint32Hex(grantedMask)}"`);
        break;
      case "subscribe-extranonce":
      case "info":
        members.push(`${name}:true`);
        break;
      default:
        members.push(`${name}:false`);
    }
  }
  return `{${members.join(",")}}`;
}
