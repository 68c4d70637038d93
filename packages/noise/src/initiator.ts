import { expectPublicKey } from "./authority-key.ts";
import { type Certificate, decodeSignatureNoiseMessage, expectKnownVersion, verifyCertificate } from "./certificate.ts";
import type { EllSwiftKeypair, Entropy, NoiseCrypto } from "./crypto.ts";
import { expectLength } from "./errors.ts";
import { spendable } from "./step.ts";
import { type Ciphers, SymmetricState } from "./symmetric-state.ts";

/** Length of act 1: the initiator's ephemeral key. */
export const ACT1_SIZE = 64;
/** Length of act 2: ephemeral key 64, sealed static key 80, sealed SIGNATURE_NOISE_MESSAGE 90. */
export const ACT2_SIZE = 234;
/** Where act 2's parts end. */
const EPHEMERAL_END = 64;
const STATIC_END = 144;

/** The initiator before it has sent anything. Each step is spent by calling it, and hands over the only legal next one. */
export interface InitiatorStart {
  /** Makes act 1, 64 bytes to send. Throws NoiseError `step-reused`, `bad-key`. */
  act1(): { readonly bytes: Uint8Array; readonly next: AwaitingAct2 };
}

/** The initiator that has sent act 1. */
export interface AwaitingAct2 {
  /**
   * Takes act 2, 234 bytes, at `now` (Unix milliseconds), checks the certificate, and hands over the session.
   * Throws NoiseError: `bad-length`, `decrypt-failed`, `step-reused`, `authority-mismatch`, `certificate-version`,
   * `certificate-expired`, `certificate-not-yet-valid`. The step is spent either way.
   */
  act2(bytes: Uint8Array, now: number): { readonly ciphers: Ciphers; readonly certificate: Certificate };
}

/** What an initiator is made of. */
export interface InitiatorOptions {
  readonly crypto: NoiseCrypto;
  readonly entropy: Entropy;
  /**
   * The X coordinate, 32 bytes, of the authority whose signature the responder must show. Null accepts any responder, whoever
   * it is: nothing of its certificate but the version is checked then, as anybody can make one.
   */
  readonly authority: Uint8Array | null;
}

/** Starts a handshake as the side that connects (spec 4.5). Throws NoiseError `bad-key` when the authority is not a key. */
export function initiator(options: InitiatorOptions): InitiatorStart {
  const { crypto, entropy, authority } = options;
  if (authority !== null) expectPublicKey(authority);
  const spend = spendable("act 1");
  return {
    act1: () => {
      spend();
      const ephemeral = crypto.generateKeypair(entropy);
      const state = new SymmetricState(crypto);
      state.mixHash(ephemeral.publicKey);
      state.mixEmptyPayload();
      return { bytes: ephemeral.publicKey.slice(), next: awaitingAct2(options, ephemeral, state) };
    },
  };
}

function awaitingAct2(options: InitiatorOptions, ephemeral: EllSwiftKeypair, state: SymmetricState): AwaitingAct2 {
  const { crypto, authority } = options;
  const spend = spendable("act 2");
  const readAct2 = (bytes: Uint8Array): Certificate => {
    expectLength(bytes, ACT2_SIZE, "act 2");
    const theirEphemeral = keyIn(crypto, bytes.slice(0, EPHEMERAL_END));
    state.mixHash(theirEphemeral.publicKey);
    state.mixKey(crypto.ecdh(ephemeral, theirEphemeral, true));
    const theirStatic = keyIn(crypto, state.decryptAndHash(bytes.subarray(EPHEMERAL_END, STATIC_END)));
    state.mixKey(crypto.ecdh(ephemeral, theirStatic, true));
    return decodeSignatureNoiseMessage(state.decryptAndHash(bytes.subarray(STATIC_END)), theirStatic.xOnly);
  };
  return {
    act2: (bytes, now) => {
      spend();
      try {
        const certificate = readAct2(bytes);
        if (authority === null) expectKnownVersion(certificate);
        else verifyCertificate(crypto, certificate, { authority, now });
        return { ciphers: state.split("initiator"), certificate };
      } finally {
        ephemeral.secretKey.fill(0);
      }
    },
  };
}

function keyIn(crypto: NoiseCrypto, publicKey: Uint8Array): { publicKey: Uint8Array; xOnly: Uint8Array } {
  return { publicKey, xOnly: crypto.xOnlyOf(publicKey) };
}
