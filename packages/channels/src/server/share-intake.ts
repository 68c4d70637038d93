import { difficultyOf, restoreWitness, target, targetFromBytes, type Work } from "@adit/bitcoin";
import type { SubmitSharesExtended, SubmitSharesStandard } from "@adit/codec";
import type { Channel } from "./channel.ts";
import { endFlood, restart } from "./channel-control.ts";
import type { Connection } from "./connection.ts";
import type { CustomDeclaration } from "./custom-job.ts";
import type { AcceptedShare, ConnectionId, FoundBlock, ShareErrorCode } from "./effects.ts";
import { type ServerState, send } from "./server-state.ts";
import { type HashedCandidate, type ShareVerdict, validateShare } from "./share-validation.ts";

/** A share as it came in. */
interface Submission {
  readonly connection: Connection;
  readonly message: SubmitSharesStandard | SubmitSharesExtended;
  readonly worker: string | undefined;
}

/** What a refusal is about; the channel may be gone or never have been. */
interface Refusal {
  readonly connection: ConnectionId;
  readonly channelId: number;
  readonly sequenceNumber: number;
  readonly userIdentity: string;
  readonly worker: string | undefined;
  readonly errorCode: ShareErrorCode;
}

/** Blocks remembered so that none is handed out twice. */
const MAX_SUBMITTED_BLOCKS = 64;
/** How much harder a channel gets that uses up the memory for its shares of one tip. */
const FLOOD_HARDENING = 4;
const NO_EXTRANONCE = new Uint8Array(0);

/** Refusals that say nothing about the validity of the peer's work. */
const blameless: ReadonlySet<ShareErrorCode> = new Set([
  "share-rate-exceeded",
  "too-many-shares",
  "share-not-recorded",
]);

/** Judges a share. A block leaves first, whatever the verdict; a valid share goes to the store before it is credited. */
export function onShare(state: ServerState, submission: Submission): void {
  const { connection, message } = submission;
  const channel = connection.channels.get(message.channelId);
  const kind = message.name === "SubmitSharesExtended" ? "extended" : "standard";
  if (channel?.kind !== kind) {
    refuse(state, { ...refOf(submission, ""), errorCode: "invalid-channel-id" });
    return;
  }
  const verdict = judge(state, channel, submission);
  if (verdict.candidate !== undefined && verdict.isBlock)
    submitBlock(state, verdict.candidate, { submission, channel });
  const errorCode = verdict.kind === "rejected" ? verdict.errorCode : admit(state, channel, verdict);
  if (errorCode !== undefined) {
    if (!blameless.has(errorCode)) channel.ladder.count("bad");
    refuse(state, { ...refOf(submission, channel.userIdentity), errorCode });
    return;
  }
  channel.ladder.count("good");
  connection.ladder.count("good");
  if (verdict.kind === "valid") record(state, verdict, { submission, channel });
}

/** Acknowledges or refuses a share after the store's answer. A channel that has gone is not written to. */
export function onShareRecorded(
  state: ServerState,
  share: AcceptedShare,
  result: "recorded" | "duplicate" | "failed",
): void {
  const connection = state.connections.get(share.connection);
  const channel = connection?.channels.get(share.channelId);
  if (result === "recorded") {
    state.totals.accepted += 1;
    state.totals.work += share.work;
    if (share.declaration !== undefined) state.totals.customShares += 1;
    if (connection === undefined || channel === undefined) return;
    connection.lastShareAt = state.now;
    const success = channel.accounting.recorded(share, state.now);
    if (success !== undefined) send(state, connection.id, success);
    return;
  }
  if (result === "failed") forget(state, share, channel);
  const errorCode = result === "failed" ? "share-not-recorded" : "duplicate-share";
  refuse(state, { ...share, errorCode });
}

function judge(state: ServerState, channel: Channel, { message }: Submission): ShareVerdict {
  const { options, jobs, tip, now } = state;
  const given = channel.findJob(jobs, message.jobId);
  return validateShare(
    {
      nonce: message.nonce,
      ntime: message.ntime,
      version: message.version,
      extranonce: message.name === "SubmitSharesExtended" ? message.extranonce : NO_EXTRANONCE,
    },
    {
      hashing: options.hashing,
      found: given.found,
      targetBytes: given.terms?.targetBytes,
      extranoncePrefix: given.extranoncePrefix,
      extranonceSize: channel.extranonceSize,
      tip,
      ntimeWindowSec: options.limits.ntimeWindowSec,
      now,
    },
  );
}

/** Lets a valid share in unless it was credited before or comes above a bound. Counts it for the difficulty. */
function admit(
  state: ServerState,
  channel: Channel,
  { candidate }: { readonly candidate: HashedCandidate },
): ShareErrorCode | undefined {
  if (state.seen.has(candidate.hash)) return "duplicate-share";
  const isFresh = channel.findJob(state.jobs, candidate.job.id).terms === channel.terms;
  if (isFresh) channel.vardiff?.share(state.now);
  if (!channel.bucket.take(state.now)) return "share-rate-exceeded";
  if (channel.seenTip !== state.tip?.prevHash) {
    channel.seenTip = state.tip?.prevHash;
    channel.seenCount = 0;
  }
  const { seenSharesPerChannel } = state.options.limits;
  if (channel.seenCount >= seenSharesPerChannel || state.seen.add(candidate.hash) === "full") {
    return tooMany(state, channel);
  }
  channel.seenCount += 1;
  return undefined;
}

/** Nothing is forgotten to make room; the channel gets a harder target, once until the next tip. */
function tooMany(state: ServerState, channel: Channel): ShareErrorCode {
  if (channel.hardenedTip !== state.tip?.prevHash) {
    channel.hardenedTip = state.tip?.prevHash;
    restart(state, channel, channel.hashrate * FLOOD_HARDENING);
  }
  return "too-many-shares";
}

interface Origin {
  readonly submission: Submission;
  readonly channel: Channel;
}

function record(
  state: ServerState,
  { candidate, isBlock }: { readonly candidate: HashedCandidate; readonly isBlock: boolean },
  { submission, channel }: Origin,
): void {
  const { job, hash, extranonce } = candidate;
  const { terms } = channel.findJob(state.jobs, job.id);
  if (terms === undefined) return;
  const { sequenceNumber, ntime, nonce, version } = submission.message;
  const { workId } = job;
  const declaration = declarationOf(job);
  const share: AcceptedShare = {
    connection: submission.connection.id,
    channelId: channel.id,
    sequenceNumber,
    hash,
    prevHash: job.tip.prevHash,
    userIdentity: channel.userIdentity,
    worker: submission.worker,
    work: declaration === undefined ? terms.work : partOf(terms.work, declaration),
    difficulty: terms.difficulty,
    shareDifficulty: hash.every((byte) => byte === 0) ? difficultyOf(target(1n)) : difficultyOf(targetFromBytes(hash)),
    ntime,
    nonce,
    version,
    extranonce,
    isBlock,
    jobId: job.id,
    workId,
    declaration,
    receivedAt: state.now,
  };
  state.effects.push({ type: "record-share", share });
}

function declarationOf({ origin }: HashedCandidate["job"]): CustomDeclaration | undefined {
  return origin.kind === "custom" ? origin.declaration : undefined;
}

/** What work is worth of which a part goes elsewhere (spec 6.4.3). */
function partOf(work: Work, { payout, value }: CustomDeclaration): Work {
  return ((work * payout) / value) as Work;
}

/** Hands a block out once, with the coinbase rebuilt from its job and the witness the template provider needs. */
function submitBlock(state: ServerState, candidate: HashedCandidate, { submission, channel }: Origin): void {
  const { job, hash, header, extranonce } = candidate;
  const { origin, workId } = job;
  if (state.submittedBlocks.some((other) => other.every((byte, at) => byte === hash[at]))) return;
  state.submittedBlocks = [hash, ...state.submittedBlocks].slice(0, MAX_SUBMITTED_BLOCKS);
  state.totals.blocks += 1;
  const coinbase = restoreWitness(candidate.coinbase);
  const block: FoundBlock = {
    hash,
    header,
    coinbase,
    height: origin.height,
    templateId: origin.kind === "template" ? origin.templateId : undefined,
    declaration: declarationOf(job),
    workId,
    extranonce,
    connection: submission.connection.id,
    channelId: channel.id,
    userIdentity: channel.userIdentity,
    worker: submission.worker,
    prevHash: job.tip.prevHash,
  };
  if (origin.kind === "custom") {
    state.effects.push({ type: "custom-block", block });
    return;
  }
  const { version, ntime: headerTimestamp, nonce: headerNonce } = submission.message;
  const fields = { version, headerTimestamp, headerNonce, coinbaseTx: coinbase };
  const solution = { name: "SubmitSolution", templateId: origin.templateId, ...fields } as const;
  state.effects.push({ type: "submit-solution", solution, block });
}

function forget(state: ServerState, share: AcceptedShare, channel: Channel | undefined): void {
  state.seen.forget(share.prevHash, share.hash);
  if (channel !== undefined && channel.seenTip === share.prevHash) channel.seenCount -= 1;
}

function refOf(submission: Submission, userIdentity: string): Omit<Refusal, "errorCode"> {
  const { connection, message, worker } = submission;
  const { channelId, sequenceNumber } = message;
  return { connection: connection.id, channelId, sequenceNumber, userIdentity, worker };
}

/** Answers and counts. */
function refuse(state: ServerState, refusal: Refusal): void {
  const { channelId, sequenceNumber, userIdentity, worker, errorCode } = refusal;
  state.totals.rejected.set(errorCode, (state.totals.rejected.get(errorCode) ?? 0) + 1);
  const source = { connection: refusal.connection, channelId, userIdentity, worker };
  const connection = state.connections.get(refusal.connection);
  const isUnknown = errorCode === "invalid-channel-id";
  const channel = isUnknown ? undefined : connection?.channels.get(channelId);
  const error = { name: "SubmitSharesError", channelId, sequenceNumber, errorCode } as const;
  if (connection !== undefined && (isUnknown || channel !== undefined)) send(state, connection.id, error);
  state.effects.push({ type: "reject-share", ...source, errorCode });
  if (connection === undefined) return;
  const success = channel?.accounting.rejected(errorCode);
  if (success !== undefined) send(state, connection.id, success);
  connection.ladder.count(blameless.has(errorCode) ? "excess" : "bad");
  endFlood(state, connection);
}
