import { type MiningMessage, type SetNewPrevHash, u256 } from "@adit/codec";
import type { Channel } from "./channel.ts";
import { type Connection, GROUP_CHANNEL_ID } from "./connection.ts";
import type { UntoldJob } from "./held-work.ts";
import { type ActivatedJob, type ChainTip, isSameTip, type Job, type TemplateOrigin } from "./job-store.ts";
import { allChannels, type ServerState, send } from "./server-state.ts";
import { coinbaseOf } from "./share-validation.ts";

const NO_EXTRANONCE = new Uint8Array(0);

/** Gives a job its id and tells every channel of it as work for a tip to come. */
export function tellFuture(state: ServerState, untold: UntoldJob): Job<TemplateOrigin> {
  const job = withId(state, untold);
  state.jobs.addFuture(job);
  broadcastJob(state, job, null);
  return job;
}

/** Gives a job its id and tells every channel to mine it at once; nothing without a tip. */
export function tellCurrent(state: ServerState, untold: UntoldJob): void {
  if (state.tip === undefined) return;
  const job = withId(state, untold);
  const active = activate(state, job, state.tip);
  broadcastJob(state, job, active.minNtime);
  state.effects.push({ type: "job-activated", job: active });
}

/** Tells a tip with its job. Clients must know the job as a future one first: they are told it unless they have been. */
export function announceTip(state: ServerState, named: Job<TemplateOrigin> | UntoldJob, announced: ChainTip): void {
  const isTold = "id" in named && state.jobs.find(named.id)?.phase === "future";
  const job = isTold ? named : tellFuture(state, named);
  const tip = setTip(state, announced);
  const active = activate(state, job, tip);
  state.unannouncedTemplate = undefined;
  const grouped = groupedConnections(state);
  const toGroup = prevHashMessage(GROUP_CHANNEL_ID, active);
  if (grouped.length > 0) state.effects.push({ type: "send", to: grouped, message: toGroup });
  for (const channel of ungroupedChannels(state)) send(state, channel.connection, prevHashMessage(channel.id, active));
  state.effects.push({ type: "job-activated", job: active });
}

/** The tip kept: one that only repeats the block of the last keeps its hash object, which counters compare by. */
export function setTip(state: ServerState, announced: ChainTip): ChainTip {
  const before = state.tip;
  if (before !== undefined && isSameTip(before, announced)) {
    state.tip = { ...announced, prevHash: before.prevHash };
    return state.tip;
  }
  state.tip = announced;
  state.seen.setTip(announced.prevHash, state.now);
  for (const channel of allChannels(state)) channel.tipChanged();
  return announced;
}

/** A newly opened channel's first messages: the active job as a future one, its prevhash, then the future jobs. */
export function giveFirstJobs(state: ServerState, connection: Connection, channel: Channel): void {
  const active = state.jobs.active;
  if (connection.mode === "work-selection" || active === undefined) return;
  send(state, connection.id, jobMessage(state, channel, { job: active, minNtime: null }));
  send(state, connection.id, prevHashMessage(channel.id, active));
  for (const job of state.jobs.futures) {
    send(state, connection.id, jobMessage(state, channel, { job, minNtime: null }));
  }
}

/**
 * Gives one channel a job of its own: the newest work under a new id and a later nTime, so that it is not the same
 * search again. Nothing happens while there is none or while the nTime would run ahead of the clock.
 */
export function refreshJob(state: ServerState, connection: Connection, channel: Channel): void {
  const base = state.jobs.active;
  if (connection.mode === "work-selection" || base === undefined) return;
  const newest = channel.newestJob(state.jobs) ?? base;
  const minNtime = base.tip.ntime + Math.max(0, Math.floor((state.now - base.tip.since) / 1000));
  if (minNtime <= newest.minNtime) return;
  state.serial += 1;
  const job = { ...base, id: state.nextJobId, minNtime, serial: state.serial };
  state.nextJobId += 1;
  channel.giveOwnJob(job);
  send(state, connection.id, jobMessage(state, channel, { job, minNtime }));
}

function withId(state: ServerState, job: UntoldJob): Job<TemplateOrigin> {
  const id = state.nextJobId;
  state.nextJobId += 1;
  return { ...job, id, workId: id };
}

function activate(state: ServerState, job: Job<TemplateOrigin>, tip: ChainTip): ActivatedJob<TemplateOrigin> {
  state.serial += 1;
  const activation = { tip, minNtime: tip.ntime, serial: state.serial };
  state.jobs.activate(job, activation);
  state.allocator.releaseRetired(state.jobs.oldestLiveId);
  return { ...job, ...activation };
}

/** One message for all groups, and one for each channel outside a group. */
function broadcastJob(state: ServerState, job: Job, minNtime: number | null): void {
  const grouped = groupedConnections(state);
  const message = extendedJobMessage(GROUP_CHANNEL_ID, job, minNtime);
  if (grouped.length > 0) state.effects.push({ type: "send", to: grouped, message });
  for (const channel of ungroupedChannels(state)) {
    send(state, channel.connection, jobMessage(state, channel, { job, minNtime }));
  }
}

function groupedConnections(state: ServerState): readonly number[] {
  const connections = [...state.connections.values()];
  return connections.filter(({ mode, channels }) => mode === "grouped" && channels.size > 0).map(({ id }) => id);
}

function* ungroupedChannels(state: ServerState): Generator<Channel> {
  for (const connection of state.connections.values()) {
    if (connection.mode === "standard-jobs") yield* connection.channels.values();
  }
}

interface JobNotice {
  readonly job: Job;
  readonly minNtime: number | null;
}

/** A job addressed to one channel, in the form of its kind. */
function jobMessage(state: ServerState, channel: Channel, { job, minNtime }: JobNotice): MiningMessage {
  if (channel.kind === "extended") return extendedJobMessage(channel.id, job, minNtime);
  const prefix = channel.prefixOf(job.id) ?? channel.extranoncePrefix;
  const merkleRoot = state.options.hashing.merkleRoot(coinbaseOf(job, prefix, NO_EXTRANONCE), job.merklePath);
  return {
    name: "NewMiningJob",
    channelId: channel.id,
    jobId: job.id,
    minNtime,
    version: job.version,
    merkleRoot: u256(merkleRoot),
  };
}

function extendedJobMessage(channelId: number, job: Job, minNtime: number | null): MiningMessage {
  return {
    name: "NewExtendedMiningJob",
    channelId,
    jobId: job.id,
    minNtime,
    version: job.version,
    versionRollingAllowed: job.versionRollingAllowed,
    merklePath: job.merklePath,
    coinbaseTxPrefix: job.coinbaseTxPrefix,
    coinbaseTxSuffix: job.coinbaseTxSuffix,
  };
}

function prevHashMessage(channelId: number, { id, tip, minNtime }: ActivatedJob): SetNewPrevHash {
  return { name: "SetNewPrevHash", channelId, jobId: id, prevHash: u256(tip.prevHash), minNtime, nbits: tip.nbits };
}
