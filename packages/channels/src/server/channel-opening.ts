import { MAX_TARGET, type Target, target, targetFromBytes, targetFromHashrate } from "@adit/bitcoin";
import { u256 } from "@adit/codec";
import { Vardiff } from "../vardiff.ts";
import { Channel } from "./channel.ts";
import { type Connection, GROUP_CHANNEL_ID } from "./connection.ts";
import type { ExtranonceLease } from "./extranonce-allocator.ts";
import { log, type OpenRequest, type ServerState, send } from "./server-state.ts";
import { giveFirstJobs } from "./work-distribution.ts";

/** Error codes of `OpenMiningChannel.Error`, spelt as on the wire. */
export type OpenErrorCode =
  | "extended-channels-not-supported-for-standard-jobs"
  | "standard-channels-not-supported-for-custom-work"
  | "invalid-request-id"
  | "invalid-nominal-hashrate"
  | "max-target-out-of-range"
  | "min-extranonce-size-too-large"
  | "channel-capacity-exhausted";

/** More than any device: keeps every formula finite whatever a peer claims. */
const MAX_HASHRATE = 1e30;

/** Answers a request to open a channel, or keeps it until there is a first job to give. */
export function onOpen(state: ServerState, connection: Connection, request: OpenRequest): void {
  const errorCode = openFault(state, connection, request);
  if (errorCode !== undefined) {
    refuse(state, connection, { requestId: request.requestId, errorCode });
    return;
  }
  connection.hasAsked = true;
  if (connection.mode === "work-selection" || state.jobs.active !== undefined) {
    open(state, connection, request);
    return;
  }
  if (state.pendingOpens.length >= state.options.limits.pendingOpens) {
    refuse(state, connection, { requestId: request.requestId, errorCode: "channel-capacity-exhausted" });
    return;
  }
  connection.requestIds.add(request.requestId);
  const kept = { ...request, maxTarget: u256(request.maxTarget.slice()) };
  state.pendingOpens.push({ connection: connection.id, request: kept });
}

/** Opens the channels that waited for the first job. */
export function openPending(state: ServerState): void {
  if (state.jobs.active === undefined || state.pendingOpens.length === 0) return;
  const waiting = state.pendingOpens;
  state.pendingOpens = [];
  for (const { connection: id, request } of waiting) {
    const connection = state.connections.get(id);
    if (connection === undefined) continue;
    connection.requestIds.delete(request.requestId);
    open(state, connection, request);
  }
}

/** A hashrate within what formulas and this server allow. */
export function clampHashrate(state: ServerState, hashrate: number): number {
  return Math.min(Math.max(hashrate, state.options.minHashrate), MAX_HASHRATE);
}

/**
 * The target for a hashrate: never easier than the client asked for, nor, where the hardest allowed leaves room for that,
 * than this server's easiest.
 */
export function targetFor(state: ServerState, hashrate: number, maxTarget: Target): Target {
  const wanted = targetFromHashrate(clampHashrate(state, hashrate), state.options.sharesPerMinute);
  const usual = wanted < state.floorTarget ? wanted : state.floorTarget;
  const { hardestTarget = usual } = state;
  const allowed = usual < hardestTarget ? hardestTarget : usual;
  return allowed < maxTarget ? allowed : maxTarget;
}

/** The hashrate whose target a channel has, H/s, when a bound keeps that from being the one of its estimate. */
export function boundHashrate(state: ServerState, { hashrate, terms }: Channel): number | undefined {
  const { sharesPerMinute } = state.options;
  const isBound = terms.target !== targetFromHashrate(hashrate, sharesPerMinute);
  return isBound ? (Number(terms.work) * sharesPerMinute) / 60 : undefined;
}

/** A maximum target as sent by a peer, or undefined for zero, which no hash meets. */
export function maxTargetOf(bytes: Uint8Array): Target | undefined {
  if (bytes.every((byte) => byte === 0)) return undefined;
  const value = targetFromBytes(bytes);
  return value > MAX_TARGET ? MAX_TARGET : target(value);
}

/** Whether a hashrate claimed by a peer is a number one can reckon with; 0 means no miners yet. */
export function isHashrate(claimed: number): boolean {
  return Number.isFinite(claimed) && claimed >= 0;
}

function openFault(state: ServerState, connection: Connection, request: OpenRequest): OpenErrorCode | undefined {
  const extended = request.name === "OpenExtendedMiningChannel";
  if (extended && connection.mode === "standard-jobs") return "extended-channels-not-supported-for-standard-jobs";
  if (!extended && connection.mode === "work-selection") return "standard-channels-not-supported-for-custom-work";
  if (connection.requestIds.has(request.requestId)) return "invalid-request-id";
  if (!isHashrate(request.nominalHashRate)) return "invalid-nominal-hashrate";
  if (maxTargetOf(request.maxTarget) === undefined) return "max-target-out-of-range";
  if (extended && request.minExtranonceSize > state.allocator.rollableSize) return "min-extranonce-size-too-large";
  // requestIds has one entry for each channel that is open or waits.
  const isFull = connection.requestIds.size >= connection.maxChannels;
  return isFull || !connection.opens.take(state.now) ? "channel-capacity-exhausted" : undefined;
}

function refuse(
  state: ServerState,
  connection: Connection,
  answer: { readonly requestId: number; readonly errorCode: OpenErrorCode },
): void {
  send(state, connection.id, { name: "OpenMiningChannelError", ...answer });
  connection.ladder.count("excess");
  log(state, { level: "info", event: "open-refused" }, { connection: connection.id, errorCode: answer.errorCode });
}

function open(state: ServerState, connection: Connection, request: OpenRequest): void {
  const lease = state.allocator.allocate();
  if (lease === undefined) {
    refuse(state, connection, { requestId: request.requestId, errorCode: "channel-capacity-exhausted" });
    return;
  }
  const channel = newChannel(state, connection, { request, lease });
  connection.channels.set(channel.id, channel);
  connection.requestIds.add(request.requestId);
  const opened = {
    requestId: request.requestId,
    channelId: channel.id,
    target: channel.terms.targetBytes,
    extranoncePrefix: channel.extranoncePrefix,
    groupChannelId: channel.groupChannelId,
  };
  if (channel.kind === "standard") send(state, connection.id, { name: "OpenStandardMiningChannelSuccess", ...opened });
  else {
    const extranonceSize = channel.extranonceSize;
    send(state, connection.id, { name: "OpenExtendedMiningChannelSuccess", ...opened, extranonceSize });
  }
  giveFirstJobs(state, connection, channel);
}

function newChannel(
  state: ServerState,
  connection: Connection,
  { request, lease }: { readonly request: OpenRequest; readonly lease: ExtranonceLease },
): Channel {
  const { options, now } = state;
  const { userIdentity, nominalHashRate } = request;
  const extended = request.name === "OpenExtendedMiningChannel";
  const maxTarget = maxTargetOf(request.maxTarget) ?? MAX_TARGET;
  const hashrate = clampHashrate(state, state.remembered.take(userIdentity, nominalHashRate, now));
  const { sharesPerMinute, minHashrate, vardiff } = options;
  const vardiffChannel = { sharesPerMinute, minHashrate, hashrate, deferred: true };
  const channel = new Channel(
    {
      connection: connection.id,
      channelId: connection.newChannelId(),
      requestId: request.requestId,
      groupChannelId: connection.mode === "standard-jobs" ? 0 : GROUP_CHANNEL_ID,
      kind: extended ? "extended" : "standard",
      takesShared: connection.mode !== "work-selection",
      userIdentity,
      nominalHashRate,
      maxTarget,
      lease,
      extranoncePrefix: extended ? lease.prefix : state.allocator.padded(lease),
      extranonceSize: extended ? state.allocator.rollableSize : 0,
      target: targetFor(state, hashrate, maxTarget),
      fromSerial: state.jobs.active?.serial ?? state.serial,
      vardiff: vardiff === null ? null : new Vardiff({ ...vardiff, ...vardiffChannel }, now),
      hashrate,
      now,
    },
    options,
  );
  channel.vardiff?.applied(now, boundHashrate(state, channel));
  return channel;
}
