/**
 * Why a byte stream or a line cannot be taken. Stable: hosts count and branch on these.
 *
 * - `line-too-long`: more bytes than the limit without a newline.
 * - `not-utf8`: a line that is not UTF-8.
 * - `not-json`: a line that is not JSON.
 * - `not-an-object`: JSON, but no object.
 * - `too-deep`: arrays and objects nested deeper than the limit.
 * - `string-too-long`: a member name or a string longer than the limit.
 * - `bad-id`: an `id` that is an array, an object, or longer than the limit.
 * - `bad-method`: a `method` that is no string.
 * - `bad-params`: `params` that is no array, or longer than the limit.
 */
export type Sv1ErrorCode =
  | "line-too-long"
  | "not-utf8"
  | "not-json"
  | "not-an-object"
  | "too-deep"
  | "string-too-long"
  | "bad-id"
  | "bad-method"
  | "bad-params";

/** A byte stream that cannot be Stratum V1. The connection it came from can only be closed. */
export class Sv1Error extends Error {
  override readonly name: string = "Sv1Error";
  /** What is wrong. */
  readonly code: Sv1ErrorCode;
  /** Where the fault was found. */
  readonly at: string;

  /** `at` names the place, `options.cause` keeps the original error. */
  constructor(code: Sv1ErrorCode, at: string, options?: ErrorOptions) {
    super(`${code} at ${at}`, options);
    this.code = code;
    this.at = at;
  }
}
