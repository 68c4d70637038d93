import { drawKeypair, type NoiseCrypto, NoiseError, taggedEcdhHash } from "@adit/noise";
import type * as secp256k1 from "tiny-secp256k1";

/** What this package uses of tiny-secp256k1. Every function throws when an argument has the wrong size or is out of range. */
export type Secp256k1 = Pick<
  typeof secp256k1,
  "pointMultiply" | "signSchnorr" | "verifySchnorr" | "xOnlyPointFromScalar"
>;

/** What tiny-secp256k1 does faster than @noble of Noise's cryptography. */
type Secp256k1Noise = Pick<NoiseCrypto, "generateKeypair" | "ecdh" | "sign" | "verify">;

/** SEC1's prefix of a compressed point with an even Y; the parity does not matter where only X is used. */
const EVEN_Y = 2;

/**
 * Keys, key agreement and signatures by tiny-secp256k1; ElligatorSwift, which it lacks, stays with @scure. Its point
 * multiplication takes time that depends a little on the secret key. Ephemeral keys are multiplied once, and a responder's
 * static key lives no longer than its certificate, so there is little to be learnt from it.
 */
export function secp256k1Noise(secp: Secp256k1): Secp256k1Noise {
  return {
    generateKeypair: (entropy) => drawKeypair(entropy, (secretKey) => secp.xOnlyPointFromScalar(secretKey)),
    ecdh: (ours, theirs, initiator) => {
      const shared = sharedX(secp, ours.secretKey, theirs.xOnly);
      const secret = initiator ? taggedEcdhHash(shared, ours, theirs) : taggedEcdhHash(shared, theirs, ours);
      shared.fill(0);
      return secret;
    },
    sign: (message, secretKey, aux) => {
      try {
        return secp.signSchnorr(message, secretKey, aux);
      } catch {
        throw new NoiseError("bad-key", "cannot sign with this key");
      }
    },
    verify: (signature, message, xOnlyPublicKey) => {
      try {
        return secp.verifySchnorr(message, xOnlyPublicKey, signature);
      } catch {
        return false;
      }
    },
  };
}

function sharedX(secp: Secp256k1, secretKey: Uint8Array, xOnly: Uint8Array): Uint8Array {
  const point = Uint8Array.of(EVEN_Y, ...xOnly);
  let product: Uint8Array | null = null;
  try {
    product = secp.pointMultiply(point, secretKey, true);
  } catch {
    // Falls through to the one error that pure cryptography has for this.
  }
  if (product === null) throw new NoiseError("bad-key", "no shared secret can be computed with these keys");
  return product.subarray(1);
}
