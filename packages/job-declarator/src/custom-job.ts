import { sameBytes } from "@adit/bitcoin";
import { VERSION_ROLLING_MASK } from "@adit/channels";
import type { SetCustomMiningJob } from "@adit/codec";
import type { NoiseCrypto } from "@adit/noise";
import { type JobCommitment, merklePathDigest, type Token, tokenDigest, userDigest, verifyToken } from "./token.ts";
import type { UsedTokens } from "./used-tokens.ts";

/** `SetCustomMiningJob.Error.error_code` of a job that is not what its token says, spelt as in the reference implementation. */
export type CustomJobErrorCode =
  | "invalid-mining-job-token"
  | "job-not-yet-validated"
  | "stale-chain-tip"
  | "invalid-nbits"
  | "invalid-min-ntime"
  | "invalid-version"
  | "invalid-coinbase-tx-version"
  | "invalid-coinbase-prefix"
  | "invalid-coinbase-tx-input-n-sequence"
  | "invalid-coinbase-tx-outputs"
  | "invalid-coinbase-tx-locktime"
  | "invalid-coinbase-tx"
  | "invalid-merkle-path";

/** What the pool knows when a custom job comes. */
export interface CustomJobContext {
  /** `user_identity` of the channel. */
  readonly userIdentity: string;
  /** Size of the channel's whole extranonce, prefixes included, in bytes. */
  readonly extranonceSize: number;
  /** Unix milliseconds. */
  readonly now: number;
  /** X coordinates, 32 bytes each, of the job-declarator servers' authorities. */
  readonly authorities: readonly Uint8Array[];
  readonly used: UsedTokens;
  readonly crypto: Pick<NoiseCrypto, "sha256" | "verify">;
}

/** What a custom job's token comes to. An accepted one is to be given to {@link UsedTokens.add} once the job is taken. */
export type CustomJobVerdict =
  | {
      readonly kind: "accepted";
      /** `declared` when a job-declarator server has seen the whole template. */
      readonly mode: "coinbase-only" | "declared";
      /** The token's id and the last second of its life in Unix time, copied. */
      readonly token: { readonly id: Uint8Array; readonly notAfter: number };
    }
  | {
      readonly kind: "refused";
      readonly errorCode: CustomJobErrorCode;
      /** What is wrong, for the log. */
      readonly detail: string;
    };

/** A block may be this far ahead of the clock, in seconds. */
const MAX_FUTURE_SECONDS = 7_200;

/**
 * Holds a custom job against its token: the signer, its time, its first use, its user, and each field of a declared job.
 * Whether the message makes a block on the pool's tip that pays the pool is for the caller to check.
 */
export function judgeCustomJob(message: SetCustomMiningJob, context: CustomJobContext): CustomJobVerdict {
  const { crypto, used, userIdentity } = context;
  const verified = verifyToken(message.miningJobToken, context);
  if ("fault" in verified) return refused("invalid-mining-job-token", `the token is ${verified.fault}`);
  const { token } = verified;
  if (!sameBytes(token.user, userDigest(crypto, userIdentity))) {
    return refused("invalid-mining-job-token", "the token was allocated to another user_identifier");
  }
  if (used.has(token.id)) return refused("invalid-mining-job-token", "the token was used before");
  return judgeByKind(message, token, context);
}

function judgeByKind(message: SetCustomMiningJob, token: Token, context: CustomJobContext): CustomJobVerdict {
  if (token.kind === "full-template") {
    return refused("job-not-yet-validated", "DeclareMiningJob.Success gives the token that belongs here");
  }
  const latest = Math.floor(context.now / 1000) + MAX_FUTURE_SECONDS;
  if (message.minNtime > latest) return refused("invalid-min-ntime", "min_ntime is more than two hours ahead");
  const fault = token.kind === "declared" ? commitmentFault(message, token.job, context) : undefined;
  if (fault !== undefined) return refused(fault, "the job is not the one that was declared");
  return {
    kind: "accepted",
    mode: token.kind,
    token: { id: token.id.slice(), notAfter: token.notAfter },
  };
}

/** The first field that differs from the declared job; undefined when none does. */
function commitmentFault(
  message: SetCustomMiningJob,
  job: JobCommitment,
  { crypto, extranonceSize }: CustomJobContext,
): CustomJobErrorCode | undefined {
  const commitsTo = (digest: Uint8Array, bytes: Uint8Array): boolean => sameBytes(digest, tokenDigest(crypto, bytes));
  const checks: readonly (readonly [CustomJobErrorCode, boolean])[] = [
    ["stale-chain-tip", sameBytes(message.prevHash, job.prevHash)],
    ["invalid-nbits", message.nbits === job.nbits],
    // DeclareMiningJob has no time: what is known is the earliest one the chain allows.
    ["invalid-min-ntime", message.minNtime >= job.minNtime],
    ["invalid-version", ((message.version ^ job.version) & ~VERSION_ROLLING_MASK) === 0],
    ["invalid-coinbase-tx-version", message.coinbaseTxVersion === job.coinbaseTxVersion],
    ["invalid-coinbase-prefix", commitsTo(job.coinbasePrefix, message.coinbasePrefix)],
    ["invalid-coinbase-tx-input-n-sequence", message.coinbaseTxInputNSequence === job.coinbaseTxInputNSequence],
    ["invalid-coinbase-tx-outputs", commitsTo(job.coinbaseTxOutputs, message.coinbaseTxOutputs)],
    ["invalid-coinbase-tx-locktime", message.coinbaseTxLocktime === job.coinbaseTxLocktime],
    ["invalid-coinbase-tx", extranonceSize === job.extranonceSize],
    ["invalid-merkle-path", sameBytes(job.merklePath, merklePathDigest(crypto, message.merklePath))],
  ];
  return checks.find(([, holds]) => !holds)?.[0];
}

function refused(errorCode: CustomJobErrorCode, detail: string): CustomJobVerdict {
  return { kind: "refused", errorCode, detail };
}
