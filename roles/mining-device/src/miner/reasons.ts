/**
 * Why a share earned nothing, spelt as on the wire of Stratum V2 where it has a word; a closed set, so that it can label
 * metrics. `other` is whatever else an upstream says.
 */
export const rejectReasons = [
  "stale-share",
  "duplicate-share",
  "difficulty-too-low",
  "invalid-job-id",
  "invalid-channel-id",
  "invalid-share",
  "invalid-ntime",
  "invalid-non-rollable-version-bit",
  "version-rolling-not-allowed",
  "bad-extranonce-size",
  "malformed-submit",
  "share-not-recorded",
  "share-rate-exceeded",
  "too-many-shares",
  "unauthorized",
  "not-subscribed",
  "other",
] as const;

/** One of {@link rejectReasons}. */
export type RejectReason = (typeof rejectReasons)[number];

/**
 * Why a share was given up without an answer: none came in time, the connection ended first, or too many waited already.
 */
export type LossReason = "timeout" | "connection-ended" | "too-many-pending";

const known: ReadonlySet<string> = new Set(rejectReasons);

/** What the numbers of Stratum V1's `error[0]` mean. */
const meanings: Readonly<Record<number, RejectReason>> = {
  21: "invalid-job-id",
  22: "duplicate-share",
  23: "difficulty-too-low",
  24: "unauthorized",
  25: "not-subscribed",
};

/** What Stratum V1 pools say where the number does not tell: no two of them use the same words. */
const phrases: readonly (readonly [RegExp, RejectReason])[] = [
  [/stale/i, "stale-share"],
  [/\btime\b|ntime/i, "invalid-ntime"],
  [/extranonce/i, "bad-extranonce-size"],
  [/version/i, "invalid-non-rollable-version-bit"],
  [/too many shares/i, "too-many-shares"],
  [/malformed/i, "malformed-submit"],
];

/** Sorts an upstream's words into the closed set. `code` is Stratum V1's, for pools whose words are their own. */
export function rejectReason(text: string, code?: number): RejectReason {
  if (known.has(text)) return text as RejectReason;
  const phrase = phrases.find(([pattern]) => pattern.test(text));
  if (phrase !== undefined) return phrase[1];
  return (code === undefined ? undefined : meanings[code]) ?? "other";
}
