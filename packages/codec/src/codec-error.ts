/** What each code of a {@link CodecError} means. Codes are stable: operators and tests may rely on them. */
export const codecErrorCodes = {
  "short-read": "the bytes end before the field does",
  "unknown-message": "no message of this name exists",
  "wrong-protocol": "the message belongs to another sub-protocol than the connection's",
  "value-out-of-range": "a number, length or count is outside the bounds of the field's type",
  "not-utf8": "a string is not well-formed UTF-8",
  "bad-tlv": "the bytes after the message are not a sequence of TLV fields, or one breaks its extension's rules",
  "frame-too-large": "the payload would be longer than 16,777,215 bytes",
} as const satisfies Record<string, string>;

/** One of {@link codecErrorCodes}. */
export type CodecErrorCode = keyof typeof codecErrorCodes;

/** The only error that decoding throws, and the one encoding throws for values that do not fit the wire format. */
export class CodecError extends Error {
  override readonly name = "CodecError";
  /** What went wrong. */
  readonly code: CodecErrorCode;
  /** Where it went wrong: `Message.field`, e.g. `SubmitSharesExtended.extranonce`. */
  readonly at: string;

  constructor(code: CodecErrorCode, at: string, options?: ErrorOptions) {
    super(`${code} at ${at}: ${codecErrorCodes[code]}`, options);
    this.code = code;
    this.at = at;
  }
}
