import type { Entropy, NoiseCrypto } from "@adit/noise";
import { encodeToken, type JobCommitment, TOKEN_ID_SIZE, tokenMessage, userDigest } from "./token.ts";

/** What a {@link TokenMinter} is made of. */
export interface TokenMinterOptions {
  readonly crypto: Pick<NoiseCrypto, "sha256" | "sign">;
  readonly entropy: Entropy;
  /** Signs the tokens; 32 bytes, copied. The pool knows its public key. */
  readonly authoritySecretKey: Uint8Array;
  /** Life of a token, in seconds. */
  readonly lifetimeSecs: number;
}

/** A token that was just made. */
export interface MintedToken {
  /** 16 bytes, by which it is told from others. */
  readonly id: Uint8Array;
  /** What the client is given, at most 223 bytes. */
  readonly bytes: Uint8Array;
  /** When its life ends, Unix milliseconds. */
  readonly expiresAt: number;
}

/** Makes and signs the tokens of one job-declarator server. */
export class TokenMinter {
  readonly #options: TokenMinterOptions;

  constructor(options: TokenMinterOptions) {
    this.#options = { ...options, authoritySecretKey: options.authoritySecretKey.slice() };
  }

  /** A token for a client to declare a job with, or to go straight to the pool with. `now` in Unix milliseconds. */
  allocate(kind: "coinbase-only" | "full-template", userIdentifier: string, now: number): MintedToken {
    return this.#mint({ kind }, userIdentifier, now);
  }

  /** A token that names a declared job. `now` in Unix milliseconds. */
  declare(job: JobCommitment, userIdentifier: string, now: number): MintedToken {
    return this.#mint({ kind: "declared", job }, userIdentifier, now);
  }

  #mint(
    content: { kind: "coinbase-only" | "full-template" } | { kind: "declared"; job: JobCommitment },
    userIdentifier: string,
    now: number,
  ): MintedToken {
    const { crypto, entropy, authoritySecretKey, lifetimeSecs } = this.#options;
    const id = entropy(TOKEN_ID_SIZE);
    const notAfter = Math.floor(now / 1000) + lifetimeSecs;
    const signed = encodeToken({ ...content, id, notAfter, user: userDigest(crypto, userIdentifier) });
    const signature = crypto.sign(tokenMessage(crypto, signed), authoritySecretKey, entropy(32));
    const bytes = new Uint8Array(signed.length + signature.length);
    bytes.set(signed);
    bytes.set(signature, signed.length);
    // The last second is part of its life.
    return { id, bytes, expiresAt: (notAfter + 1) * 1000 };
  }
}
