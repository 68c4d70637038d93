/**
 * `DeclareMiningJob.Error.error_code`, spelt as in the reference implementation.
 *
 * - `invalid-mining-job-token`: unknown, expired, used, or somebody else's
 * - `invalid-coinbase-tx`: it does not parse, pays wrongly, or its witness commitment is not that of the transactions
 * - `invalid-coinbase-tx-input`: not the one input that a block of that height needs
 * - `missing-txs`: transactions that were asked for did not come in time
 * - `stale-chain-tip`: made for another block than the next one
 * - `invalid-job`: the transactions make no valid block
 * - `internal-error`: this server could not judge it
 */
export type DeclareErrorCode =
  | "invalid-mining-job-token"
  | "invalid-coinbase-tx"
  | "invalid-coinbase-tx-input"
  | "missing-txs"
  | "stale-chain-tip"
  | "invalid-job"
  | "internal-error";

/** Why a declaration is refused. */
export interface DeclarationFault {
  readonly errorCode: DeclareErrorCode;
  /** What is wrong, in plain words: for `error_details` and the log. */
  readonly detail: string;
}

/** Makes a {@link DeclarationFault}. */
export function fault(errorCode: DeclareErrorCode, detail: string): DeclarationFault {
  return { errorCode, detail };
}
