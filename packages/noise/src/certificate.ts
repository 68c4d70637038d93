import { concatBytes } from "@noble/hashes/utils.js";
import type { Entropy, NoiseCrypto } from "./crypto.ts";
import { draw, KEY_SIZE } from "./elligator-swift.ts";
import { expectLength, NoiseError } from "./errors.ts";

/** How far the two sides' clocks may differ, in seconds, before a certificate counts as expired or not yet valid. */
export const CLOCK_LEEWAY_SEC = 10;
/** The one known format. */
const CERTIFICATE_VERSION = 0;
/** Length of version, valid_from and not_valid_after together. */
const SIGNED_FIELDS_SIZE = 10;
/** Length of SIGNATURE_NOISE_MESSAGE (spec 4.5.2). */
const SIGNATURE_NOISE_MESSAGE_SIZE = 74;
/** Times are U32 seconds: the year 2106. */
const MAX_TIME = 0xffffffff;

/** An authority's word that a static key is its server's, for a time (spec 4.5.3). */
export interface Certificate {
  /** Format version, U16; 0 is the only one. */
  readonly version: number;
  /** First second of validity, Unix time. */
  readonly validFrom: number;
  /** Last second of validity, Unix time. */
  readonly notValidAfter: number;
  /** The responder's static key, X coordinate, 32 bytes. */
  readonly serverPublicKey: Uint8Array;
  /** BIP340 signature of the authority, 64 bytes. */
  readonly signature: Uint8Array;
}

/** What `signCertificate` takes besides the cryptography. */
export interface CertificateRequest {
  /** The authority's secret key, 32 bytes. */
  readonly authoritySecretKey: Uint8Array;
  /** The responder's static key, X coordinate, 32 bytes. */
  readonly serverPublicKey: Uint8Array;
  /** First second of validity, Unix time. */
  readonly validFrom: number;
  /** Length of the validity in seconds. */
  readonly validitySec: number;
}

/** Signs a certificate; its end is capped at the last second a U32 can say. Throws NoiseError `bad-key`. */
export function signCertificate(crypto: NoiseCrypto, entropy: Entropy, request: CertificateRequest): Certificate {
  const unsigned = {
    version: CERTIFICATE_VERSION,
    validFrom: request.validFrom,
    notValidAfter: Math.min(request.validFrom + request.validitySec, MAX_TIME),
    serverPublicKey: request.serverPublicKey,
  };
  const signature = crypto.sign(signedHash(crypto, unsigned), request.authoritySecretKey, draw(entropy, KEY_SIZE));
  return { ...unsigned, signature };
}

/**
 * Accepts a certificate signed by `authority` (X coordinate, 32 bytes) and valid at `now` (Unix milliseconds) with
 * `CLOCK_LEEWAY_SEC` at both ends, inclusive. Throws NoiseError `certificate-version`, `authority-mismatch`,
 * `certificate-expired` or `certificate-not-yet-valid`.
 */
export function verifyCertificate(
  crypto: NoiseCrypto,
  certificate: Certificate,
  expected: { readonly authority: Uint8Array; readonly now: number },
): void {
  expectKnownVersion(certificate);
  if (!crypto.verify(certificate.signature, signedHash(crypto, certificate), expected.authority)) {
    throw new NoiseError(
      "authority-mismatch",
      "the server's certificate is not signed by the configured authority; check the authority public key and the address",
    );
  }
  const now = Math.floor(expected.now / 1000);
  // Written so that a time that is not a number is refused.
  if (!(now + CLOCK_LEEWAY_SEC >= certificate.validFrom)) {
    throw new NoiseError(
      "certificate-not-yet-valid",
      `the server's certificate starts at ${iso(certificate.validFrom)}, it is ${iso(now)} here; check both clocks`,
    );
  }
  if (!(now - CLOCK_LEEWAY_SEC <= certificate.notValidAfter)) {
    throw new NoiseError(
      "certificate-expired",
      `the server's certificate ended at ${iso(certificate.notValidAfter)}, it is ${iso(now)} here; check both clocks`,
    );
  }
}

/** Throws NoiseError `certificate-version` for a format whose fields this package cannot read. */
export function expectKnownVersion(certificate: Certificate): void {
  if (certificate.version !== CERTIFICATE_VERSION) {
    throw new NoiseError(
      "certificate-version",
      `the server's certificate has the unknown version ${certificate.version}`,
    );
  }
}

/** SIGNATURE_NOISE_MESSAGE, 74 bytes: what travels of a certificate besides the static key (spec 4.5.2). */
export function encodeSignatureNoiseMessage(certificate: Certificate): Uint8Array {
  return concatBytes(signedFields(certificate), certificate.signature);
}

/** The certificate that a SIGNATURE_NOISE_MESSAGE and the static key make together. Throws NoiseError `bad-length`. */
export function decodeSignatureNoiseMessage(bytes: Uint8Array, serverPublicKey: Uint8Array): Certificate {
  expectLength(bytes, SIGNATURE_NOISE_MESSAGE_SIZE, "SIGNATURE_NOISE_MESSAGE");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    version: view.getUint16(0, true),
    validFrom: view.getUint32(2, true),
    notValidAfter: view.getUint32(6, true),
    serverPublicKey,
    signature: bytes.slice(SIGNED_FIELDS_SIZE),
  };
}

type Unsigned = Omit<Certificate, "signature">;

/** m of spec 4.5.3.1. */
function signedHash(crypto: NoiseCrypto, certificate: Unsigned): Uint8Array {
  return crypto.sha256(concatBytes(signedFields(certificate), certificate.serverPublicKey));
}

function signedFields({ version, validFrom, notValidAfter }: Unsigned): Uint8Array {
  const bytes = new Uint8Array(SIGNED_FIELDS_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, version, true);
  view.setUint32(2, validFrom, true);
  view.setUint32(6, notValidAfter, true);
  return bytes;
}

function iso(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString();
}
