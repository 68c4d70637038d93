import { concatBytes } from "@noble/hashes/utils.js";
import { authorityPublicKey } from "./authority-key.ts";
import { type Certificate, encodeSignatureNoiseMessage, signCertificate } from "./certificate.ts";
import type { EllSwiftKeypair, Entropy, NoiseCrypto } from "./crypto.ts";
import { expectLength } from "./errors.ts";
import { ACT1_SIZE } from "./initiator.ts";
import { spendable } from "./step.ts";
import { type Ciphers, SymmetricState } from "./symmetric-state.ts";

/** Ready ephemeral keys a `ResponderIdentity` keeps unless told otherwise. */
const DEFAULT_EPHEMERAL_POOL = 64;
/** Bound of the above: secret keys should not lie about by the thousand. */
const MAX_EPHEMERAL_POOL = 1024;
/** A certificate's times are U32 seconds. */
const MAX_VALIDITY_SEC = 0xffffffff;

/** The responder before it has received anything. */
export interface ResponderStart {
  /**
   * Takes act 1, 64 bytes, and makes act 2, 234 bytes to send, and the session. Any 64 bytes are a valid act 1; whether the
   * peer got the same session shows with its first frame. Throws NoiseError `bad-length`, `step-reused`; the step is spent
   * either way.
   */
  act1(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly ciphers: Ciphers };
}

/** What a `ResponderIdentity` is made of. */
export interface ResponderIdentityOptions {
  readonly crypto: NoiseCrypto;
  readonly entropy: Entropy;
  /** Signs the certificates; 32 bytes, copied. */
  readonly authoritySecretKey: Uint8Array;
  /** How long a certificate is valid, in seconds. It is replaced at half that age. */
  readonly certValiditySec: number;
  /** How many ephemeral keys `prepare` makes ready at most; 64 when left out, at most 1,024, 0 for none. */
  readonly ephemeralPool?: number;
}

/**
 * Who a server is, for all its handshakes: a static key with its encoding, certified once and replaced together with the
 * certificate at half its life, so that a static key is worth no more than its certificate; and a pool of ephemeral keys
 * made in idle time, each used once.
 */
export class ResponderIdentity {
  /** The X coordinate, 32 bytes, that clients configure. */
  readonly authorityPublicKey: Uint8Array;
  readonly #options: ResponderIdentityOptions;
  readonly #poolSize: number;
  readonly #ephemerals: EllSwiftKeypair[] = [];
  #credential: Credential | undefined;

  /** Throws NoiseError `bad-key`, and RangeError for a validity or a pool size outside its bounds. */
  constructor(options: ResponderIdentityOptions) {
    this.authorityPublicKey = authorityPublicKey(options.authoritySecretKey);
    expectInteger("certValiditySec", options.certValiditySec, { min: 1, max: MAX_VALIDITY_SEC });
    this.#poolSize = options.ephemeralPool ?? DEFAULT_EPHEMERAL_POOL;
    expectInteger("ephemeralPool", this.#poolSize, { min: 0, max: MAX_EPHEMERAL_POOL });
    this.#options = { ...options, authoritySecretKey: options.authoritySecretKey.slice() };
  }

  /** Starts a handshake as the side that listens, with the certificate that is fresh at `now` (Unix milliseconds). */
  begin(now: number): ResponderStart {
    const { crypto, entropy } = this.#options;
    const credential = this.#credentialAt(now);
    const spend = spendable("act 1");
    return {
      act1: (bytes) => {
        spend();
        expectLength(bytes, ACT1_SIZE, "act 1");
        // Not before act 1 is here: a peer that connects and stays silent uses up no key.
        const ephemeral = this.#ephemerals.pop() ?? crypto.generateKeypair(entropy);
        return respond(crypto, bytes, { ephemeral, credential });
      },
    };
  }

  /** Makes up to `count` ephemeral keys ready, for idle time, and returns how many the pool still lacks. */
  prepare(count: number): number {
    const { crypto, entropy } = this.#options;
    for (let made = 0; made < count && this.#ephemerals.length < this.#poolSize; made++) {
      this.#ephemerals.push(crypto.generateKeypair(entropy));
    }
    return this.#poolSize - this.#ephemerals.length;
  }

  /** The certificate that a handshake started at `now` (Unix milliseconds) shows. */
  certificate(now: number): Certificate {
    return this.#credentialAt(now).certificate;
  }

  /** A clock set back makes a new one too: clients whose clocks are right would refuse the old one as not yet valid. */
  #credentialAt(now: number): Credential {
    const seconds = Math.floor(now / 1000);
    const { certValiditySec } = this.#options;
    const age = this.#credential === undefined ? Infinity : seconds - this.#credential.certificate.validFrom;
    if (this.#credential === undefined || age < 0 || age >= certValiditySec / 2) {
      this.#credential = makeCredential(this.#options, seconds);
    }
    return this.#credential;
  }
}

/** A certified static key. */
interface Credential {
  readonly staticKey: EllSwiftKeypair;
  readonly certificate: Certificate;
  readonly signatureNoiseMessage: Uint8Array;
}

function makeCredential(options: ResponderIdentityOptions, validFrom: number): Credential {
  const { crypto, entropy, authoritySecretKey, certValiditySec } = options;
  const staticKey = crypto.generateKeypair(entropy);
  const certificate = signCertificate(crypto, entropy, {
    authoritySecretKey,
    serverPublicKey: staticKey.xOnly,
    validFrom,
    validitySec: certValiditySec,
  });
  return { staticKey, certificate, signatureNoiseMessage: encodeSignatureNoiseMessage(certificate) };
}

/** Spec 4.5.1.2 and 4.5.2.1. */
function respond(
  crypto: NoiseCrypto,
  act1: Uint8Array,
  keys: { readonly ephemeral: EllSwiftKeypair; readonly credential: Credential },
): { bytes: Uint8Array; ciphers: Ciphers } {
  const { ephemeral, credential } = keys;
  const publicKey = act1.slice();
  // Decoded once for both agreements.
  const theirs = { publicKey, xOnly: crypto.xOnlyOf(publicKey) };
  const state = new SymmetricState(crypto);
  state.mixHash(theirs.publicKey);
  state.mixEmptyPayload();
  state.mixHash(ephemeral.publicKey);
  state.mixKey(crypto.ecdh(ephemeral, theirs, false));
  ephemeral.secretKey.fill(0);
  const sealedStatic = state.encryptAndHash(credential.staticKey.publicKey);
  state.mixKey(crypto.ecdh(credential.staticKey, theirs, false));
  const sealedSignature = state.encryptAndHash(credential.signatureNoiseMessage);
  return {
    bytes: concatBytes(ephemeral.publicKey, sealedStatic, sealedSignature),
    ciphers: state.split("responder"),
  };
}

function expectInteger(name: string, value: number, bounds: { readonly min: number; readonly max: number }): void {
  if (!Number.isInteger(value) || value < bounds.min || value > bounds.max) {
    throw new RangeError(`${name} must be an integer from ${bounds.min} to ${bounds.max}, got ${value}`);
  }
}
