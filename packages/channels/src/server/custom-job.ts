import {
  BitcoinError,
  type CoinbaseParts,
  coinbaseAround,
  decodeCountedOutputs,
  hex,
  MAX_MONEY,
  MAX_SCRIPT_SIG,
  parseBip34,
  type TxOutput,
} from "@adit/bitcoin";
import { type SetCustomMiningJob, u256 } from "@adit/codec";
import type { ChainTip, CustomOrigin, Job } from "./job-store.ts";
import type { ChannelLimits } from "./limits.ts";
import { isBlockVersion, MOST_SIBLINGS } from "./template-job.ts";

/** Error codes of `SetCustomMiningJob.Error`, spelt as on the wire. */
export type CustomJobErrorCode =
  /** This server, or this connection, serves no custom jobs. */
  | "jd-not-supported"
  /** No such extended channel or group of them on this connection. */
  | "invalid-channel-id"
  /** More custom jobs than the connection may set in that time. */
  | "custom-job-rate-exceeded"
  /** The token was never given out, to another user, for something else, was used before or has expired. */
  | "invalid-mining-job-token"
  /** The token's job has to be declared first. */
  | "job-not-yet-validated"
  /** The block it builds on is not the tip. */
  | "stale-chain-tip"
  | "invalid-min-ntime"
  | "invalid-nbits"
  | "invalid-version"
  | "invalid-coinbase-tx"
  | "invalid-coinbase-tx-version"
  /** The scriptSig would be too long, or starts with another height than the tip's next. */
  | "invalid-coinbase-prefix"
  | "invalid-coinbase-tx-input-n-sequence"
  /** The outputs cannot be read, are too many, or do not pay who they must. */
  | "invalid-coinbase-tx-outputs"
  | "invalid-coinbase-tx-locktime"
  | "invalid-merkle-path";

/** What a custom job was declared with. */
export interface CustomDeclaration {
  /** Names the declaration, the same for whoever took it: what the token says of itself. */
  readonly id: Uint8Array;
  /** Satoshi of the coinbase that go to the server's payout script. */
  readonly payout: bigint;
  /** Satoshi of all outputs of the coinbase. */
  readonly value: bigint;
}

/** A custom job that could be mined as it is, for whoever decides on its token. */
export interface CustomJobRequest {
  /** As it came; its bytes are views into the receive buffer. */
  readonly message: SetCustomMiningJob;
  /** Identity that its channel was opened with. */
  readonly userIdentity: string;
  /** Size of the whole extranonce of its channel, in bytes. */
  readonly extranonceSize: number;
  /** Unix milliseconds. */
  readonly now: number;
}

/** What is said of a token: the name of its declaration, or why not. */
export type TokenVerdict =
  | { readonly kind: "accepted"; readonly declarationId: Uint8Array }
  | { readonly kind: "refused"; readonly errorCode: CustomJobErrorCode };

/** How a server deals with custom jobs. */
export interface CustomJobPolicy {
  /** Output script that has to be paid (the pool payout output of spec 6.4.3). */
  readonly payoutScript: Uint8Array;
  /** Least part of a coinbase's value that goes there, in whole percent. Work on a job that pays less than all counts less. */
  readonly minPayoutPercent: number;
  /** Judges the token, for a job that is right in all else. The job is taken when it says so. */
  readonly judge: (request: CustomJobRequest) => TokenVerdict;
}

/** What a custom job has to fit. */
export interface CustomJobContext {
  readonly policy: CustomJobPolicy;
  /** The current tip. */
  readonly tip: ChainTip;
  /** Height of the block to be mined, if known. */
  readonly height: number | undefined;
  readonly userIdentity: string;
  readonly extranonceSize: number;
  readonly versionRollingAllowed: boolean;
  readonly limits: Pick<ChannelLimits, "ntimeWindowSec" | "customJobOutputBytes">;
  readonly now: number;
}

/** A custom job ready to be given an id, or why it cannot be one. */
export type CustomJobOutcome =
  | { readonly kind: "job"; readonly job: Omit<Job<CustomOrigin>, "id" | "workId">; readonly minNtime: number }
  | { readonly kind: "refused"; readonly errorCode: CustomJobErrorCode };

const FINAL_SEQUENCE = 0xffffffff;
const LOCKTIME_THRESHOLD = 500_000_000;

/** Makes a job of what a client has declared: first all that can be seen without its token, then the token. */
export function customJobOf(message: SetCustomMiningJob, context: CustomJobContext): CustomJobOutcome {
  const { policy, userIdentity, extranonceSize, now, height } = context;
  const errorCode = headerFault(message, context) ?? coinbaseFault(message, context);
  if (errorCode !== undefined) return { kind: "refused", errorCode };
  const paid = payoutOf(message, context);
  if (paid === undefined) return { kind: "refused", errorCode: "invalid-coinbase-tx-outputs" };
  const verdict = policy.judge({ message, userIdentity, extranonceSize, now });
  if (verdict.kind === "refused") return verdict;
  const parts = coinbaseParts(message, extranonceSize);
  const job = {
    origin: { kind: "custom", height, declaration: { ...paid, id: verdict.declarationId } },
    version: message.version,
    versionRollingAllowed: context.versionRollingAllowed,
    coinbaseTxPrefix: parts.prefix,
    coinbaseTxSuffix: parts.suffix,
    merklePath: message.merklePath.map((sibling) => u256(sibling.slice())),
  } as const;
  return { kind: "job", job, minNtime: message.minNtime };
}

function headerFault(
  message: SetCustomMiningJob,
  { tip, limits, now }: CustomJobContext,
): CustomJobErrorCode | undefined {
  if (hex(message.prevHash) !== hex(tip.prevHash)) return "stale-chain-tip";
  if (message.nbits !== tip.nbits) return "invalid-nbits";
  if (!isBlockVersion(message.version)) return "invalid-version";
  // The median time past, below which no block's time may be, is not known here; the client's node has seen to that.
  const tipAge = Math.max(0, Math.floor((now - tip.since) / 1000));
  const earliest = tip.ntime - limits.ntimeWindowSec;
  const latest = tip.ntime + tipAge + limits.ntimeWindowSec;
  if (message.minNtime < earliest || message.minNtime > latest) return "invalid-min-ntime";
  return message.merklePath.length > MOST_SIBLINGS ? "invalid-merkle-path" : undefined;
}

function coinbaseFault(
  message: SetCustomMiningJob,
  { extranonceSize, height, limits }: CustomJobContext,
): CustomJobErrorCode | undefined {
  const { coinbasePrefix, coinbaseTxOutputs, coinbaseTxLocktime, coinbaseTxInputNSequence } = message;
  if (coinbasePrefix.length + extranonceSize > MAX_SCRIPT_SIG) return "invalid-coinbase-prefix";
  const named = parseBip34(coinbasePrefix);
  if (named === undefined || (height !== undefined && named !== height)) return "invalid-coinbase-prefix";
  if (coinbaseTxOutputs.length > limits.customJobOutputBytes) return "invalid-coinbase-tx-outputs";
  const isFinal = coinbaseTxInputNSequence === FINAL_SEQUENCE || coinbaseTxLocktime < named;
  return isFinal && coinbaseTxLocktime < LOCKTIME_THRESHOLD ? undefined : "invalid-coinbase-tx-locktime";
}

/** What goes to the payout script, and what in all; undefined when that is not enough or no list of outputs. */
function payoutOf(
  { coinbaseTxOutputs }: SetCustomMiningJob,
  { policy }: CustomJobContext,
): { readonly payout: bigint; readonly value: bigint } | undefined {
  const outputs = outputsOf(coinbaseTxOutputs);
  const value = sum(outputs);
  const payout = sum(outputs.filter(({ script }) => hex(script) === hex(policy.payoutScript)));
  if (payout === 0n || outputs.some((output) => output.value > MAX_MONEY) || value > MAX_MONEY) return undefined;
  return payout * 100n < value * BigInt(policy.minPayoutPercent) ? undefined : { payout, value };
}

function outputsOf(bytes: Uint8Array): readonly TxOutput[] {
  try {
    return decodeCountedOutputs(bytes);
  } catch (error) {
    if (error instanceof BitcoinError) return [];
    throw error;
  }
}

function sum(outputs: readonly TxOutput[]): bigint {
  return outputs.reduce((total, { value }) => total + value, 0n);
}

function coinbaseParts(message: SetCustomMiningJob, extranonceSize: number): CoinbaseParts {
  return coinbaseAround({
    txVersion: message.coinbaseTxVersion,
    scriptSigStart: message.coinbasePrefix,
    extranonceSize,
    inputSequence: message.coinbaseTxInputNSequence,
    countedOutputs: message.coinbaseTxOutputs,
    locktime: message.coinbaseTxLocktime,
  });
}
