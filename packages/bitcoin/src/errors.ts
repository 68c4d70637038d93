/**
 * Stable codes of {@link BitcoinError}.
 *
 * - `bad-block`: bytes that are not one serialized block
 * - `bad-coinbase`: a transaction that is not a coinbase, or a coinbase that cannot be put together
 * - `bad-descriptor`: a descriptor this package does not support or that is misspelt
 * - `bad-hash`: text that is not 64 hexadecimal digits
 * - `bad-header`: bytes that are not an 80-byte block header
 * - `bad-hex`: text that is not an even number of hexadecimal digits
 * - `bad-outputs`: bytes that are not the stated number of serialized outputs
 * - `bad-tag`: a coinbase tag that is not printable ASCII or longer than 75 bytes
 * - `bad-transaction`: bytes that are not one serialized transaction, or fields that cannot be serialized
 * - `extranonce-too-long`: an extranonce of more than 32 bytes
 * - `extranonce-too-short`: an extranonce of no bytes
 * - `prefix-too-long`: a template's scriptSig prefix of more than 8 bytes
 * - `script-sig-too-long`: a coinbase scriptSig of more than 100 bytes
 * - `wrong-network`: an address or extended key that belongs to another network
 */
export type BitcoinErrorCode =
  | "bad-block"
  | "bad-coinbase"
  | "bad-descriptor"
  | "bad-hash"
  | "bad-header"
  | "bad-hex"
  | "bad-outputs"
  | "bad-tag"
  | "bad-transaction"
  | "extranonce-too-long"
  | "extranonce-too-short"
  | "prefix-too-long"
  | "script-sig-too-long"
  | "wrong-network";

/** Bytes or text from outside that are not what they should be, or a coinbase that would make invalid blocks. */
export class BitcoinError extends Error {
  override readonly name = "BitcoinError";
  /** What went wrong, for programs. */
  readonly code: BitcoinErrorCode;

  /** `detail` says for people what is wrong and, where they can act, what to do. */
  constructor(code: BitcoinErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
