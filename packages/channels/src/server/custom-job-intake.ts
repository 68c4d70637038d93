import { hex } from "@adit/bitcoin";
import { type SetCustomMiningJob, u256 } from "@adit/codec";
import type { Channel } from "./channel.ts";
import { endFlood } from "./channel-control.ts";
import { type Connection, GROUP_CHANNEL_ID } from "./connection.ts";
import { type CustomJobErrorCode, customJobOf } from "./custom-job.ts";
import type { ConnectionId } from "./effects.ts";
import { log, type ServerState, send } from "./server-state.ts";

/** A custom job on a block that this server has not heard of: the client's node may have been faster than ours. */
export interface WaitingCustomJob {
  readonly connection: ConnectionId;
  /** With bytes of its own. */
  readonly message: SetCustomMiningJob;
  /** Unix milliseconds. */
  readonly since: number;
}

/** Custom jobs of one connection that may wait for a tip at once. */
const MAX_WAITING = 2;

/** Answers a custom job, or keeps it for a moment when it builds on a block that may become the tip. */
export function onCustomJob(state: ServerState, connection: Connection, message: SetCustomMiningJob): void {
  const errorCode = requestFault(state, connection, message);
  if (errorCode !== undefined) {
    refuse(state, connection, { message, errorCode });
    connection.ladder.count("excess");
    return endFlood(state, connection);
  }
  if (state.tip !== undefined && state.seen.knowsTip(message.prevHash)) return judge(state, connection, message);
  wait(state, connection, message);
}

/** Judges the waiting custom jobs, at a new tip, or those that have waited long enough. */
export function judgeWaiting(state: ServerState): void {
  const { customTipWaitMs } = state.options.limits;
  const waiting = state.waitingCustomJobs;
  const isDue = ({ message, since }: WaitingCustomJob): boolean =>
    state.seen.knowsTip(message.prevHash) || state.now - since >= customTipWaitMs;
  state.waitingCustomJobs = waiting.filter((one) => !isDue(one));
  for (const one of waiting.filter(isDue)) {
    const connection = state.connections.get(one.connection);
    if (connection !== undefined) judge(state, connection, one.message);
  }
}

function requestFault(
  state: ServerState,
  connection: Connection,
  message: SetCustomMiningJob,
): CustomJobErrorCode | undefined {
  if (state.options.customJobs === null || connection.mode !== "work-selection") return "jd-not-supported";
  if (addressed(connection, message).length === 0) return "invalid-channel-id";
  return connection.customJobs.take(state.now) ? undefined : "custom-job-rate-exceeded";
}

function wait(state: ServerState, connection: Connection, message: SetCustomMiningJob): void {
  const own = state.waitingCustomJobs.filter((one) => one.connection === connection.id);
  const [oldest] = own;
  if (oldest !== undefined && own.length >= MAX_WAITING) {
    state.waitingCustomJobs = state.waitingCustomJobs.filter((one) => one !== oldest);
    refuse(state, connection, { message: oldest.message, errorCode: "stale-chain-tip" });
  }
  state.waitingCustomJobs.push({ connection: connection.id, message: owned(message), since: state.now });
}

function judge(state: ServerState, connection: Connection, message: SetCustomMiningJob): void {
  const { customJobs: policy, versionRollingAllowed, limits } = state.options;
  const channels = addressed(connection, message);
  const [first] = channels;
  // The channel may have been closed while its job waited.
  if (policy === null || first === undefined) {
    return refuse(state, connection, { message, errorCode: "invalid-channel-id" });
  }
  if (state.tip === undefined) return refuse(state, connection, { message, errorCode: "stale-chain-tip" });
  if (channels.some(({ userIdentity }) => userIdentity !== first.userIdentity)) {
    return refuse(state, connection, { message, errorCode: "invalid-mining-job-token" });
  }
  const outcome = customJobOf(message, {
    policy,
    tip: state.tip,
    height: state.jobs.active?.origin.height,
    userIdentity: first.userIdentity,
    extranonceSize: state.allocator.totalSize,
    versionRollingAllowed,
    limits,
    now: state.now,
  });
  if (outcome.kind === "refused") return refuse(state, connection, { message, errorCode: outcome.errorCode });
  const id = state.nextJobId;
  state.nextJobId += 1;
  state.serial += 1;
  const job = { ...outcome.job, id, workId: id, tip: state.tip, minNtime: outcome.minNtime, serial: state.serial };
  for (const channel of channels) channel.giveOwnJob(job);
  state.totals.customJobs += 1;
  const { channelId, requestId } = message;
  send(state, connection.id, { name: "SetCustomMiningJobSuccess", channelId, requestId, jobId: id });
  const { declaration, height } = job.origin;
  const fields = { connection: connection.id, channelId, jobId: id, height, declaration: hex(declaration.id) };
  log(state, { level: "debug", event: "custom-job-taken" }, fields);
}

/** The extended channel with this id, or all of the group with it (spec 5.3.18). */
function addressed(connection: Connection, { channelId }: SetCustomMiningJob): readonly Channel[] {
  if (channelId === GROUP_CHANNEL_ID) return [...connection.channels.values()];
  const channel = connection.channels.get(channelId);
  return channel === undefined ? [] : [channel];
}

function refuse(
  state: ServerState,
  connection: Connection,
  { message, errorCode }: { readonly message: SetCustomMiningJob; readonly errorCode: CustomJobErrorCode },
): void {
  const { channelId, requestId } = message;
  state.totals.refusedCustomJobs.set(errorCode, (state.totals.refusedCustomJobs.get(errorCode) ?? 0) + 1);
  send(state, connection.id, { name: "SetCustomMiningJobError", channelId, requestId, errorCode });
  log(state, { level: "info", event: "custom-job-refused" }, { connection: connection.id, channelId, errorCode });
}

function owned(message: SetCustomMiningJob): SetCustomMiningJob {
  return {
    ...message,
    miningJobToken: message.miningJobToken.slice(),
    prevHash: u256(message.prevHash.slice()),
    coinbasePrefix: message.coinbasePrefix.slice(),
    coinbaseTxOutputs: message.coinbaseTxOutputs.slice(),
    merklePath: message.merklePath.map((sibling) => u256(sibling.slice())),
  };
}
