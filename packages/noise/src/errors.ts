/**
 * What went wrong, stable for programs and metrics:
 *
 * - `decrypt-failed`: a MAC did not verify; the peer's session or the connection is broken, close it.
 * - `bad-length`: an act, a frame or a ciphertext does not have the size its place requires.
 * - `step-reused`: a handshake step was called a second time, or a frame's parts were opened out of order.
 * - `authority-mismatch`: the certificate is not signed by the configured authority.
 * - `certificate-expired`: `not_valid_after` lies more than the leeway in the past.
 * - `certificate-not-yet-valid`: `valid_from` lies more than the leeway in the future.
 * - `certificate-version`: the certificate has a format this package does not know.
 * - `bad-key`: a key, or its text form, is not a valid key.
 * - `nonce-exhausted`: a cipher used up its nonces; the session must end.
 */
export type NoiseErrorCode =
  | "decrypt-failed"
  | "bad-length"
  | "step-reused"
  | "authority-mismatch"
  | "certificate-expired"
  | "certificate-not-yet-valid"
  | "certificate-version"
  | "bad-key"
  | "nonce-exhausted";

/** A fault in a handshake, a session, a certificate or a key. Its message never holds key material. */
export class NoiseError extends Error {
  override readonly name = "NoiseError";
  /** What went wrong, stable for programs. */
  readonly code: NoiseErrorCode;

  constructor(code: NoiseErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}

/** Throws NoiseError `bad-length` unless `bytes` has exactly `length` bytes; `what` names the value in the message. */
export function expectLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) {
    throw new NoiseError("bad-length", `${what} must be ${length} bytes, got ${bytes.length}`);
  }
}
