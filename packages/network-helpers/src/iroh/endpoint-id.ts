import { ed25519 } from "@noble/curves/ed25519.js";
import { base32nopad, hex } from "@scure/base";
import { NetworkError, printable } from "../errors.ts";

/** Length of an Iroh secret key and of an endpoint id, in bytes. */
export const KEY_SIZE = 32;

/** The endpoint id (64 lowercase hex digits of the ed25519 public key) of a 32-byte secret key. */
export function endpointIdOf(secretKey: Uint8Array): string {
  return hex.encode(ed25519.getPublicKey(secretKey));
}

/**
 * Reads an endpoint id written as 64 hex digits or 52 base32 characters, and returns 64 lowercase hex digits.
 * Throws NetworkError "invalid-config" when it is neither, or no ed25519 public key.
 */
export function parseEndpointId(text: string): string {
  const bytes = decodeKey(text);
  if (bytes === undefined || !ed25519.utils.isValidPublicKey(bytes, true)) {
    throw new NetworkError("invalid-config", {
      peer: "",
      message: `not an Iroh endpoint id: "${printable(text, 12)}"; copy the 64 hex digits the other node prints at start`,
    });
  }
  return hex.encode(bytes);
}

/** 32 bytes from 64 hex digits or 52 base32 characters (either case, no padding); undefined for any other text. */
export function decodeKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return hex.decode(text.toLowerCase());
  if (!/^[a-z2-7]{52}$/i.test(text)) return undefined;
  try {
    return base32nopad.decode(text.toUpperCase());
  } catch {
    return undefined;
  }
}
