import type { CloseChannel, UpdateChannel } from "@adit/codec";
import type { Channel } from "./channel.ts";
import { clampHashrate, isHashrate, maxTargetOf, targetFor } from "./channel-opening.ts";
import { type Connection, GROUP_CHANNEL_ID } from "./connection.ts";
import type { ConnectionId } from "./effects.ts";
import { log, type ServerState, send } from "./server-state.ts";

/** Error codes of `UpdateChannel.Error`, spelt as on the wire. */
export type UpdateErrorCode = "invalid-channel-id" | "invalid-nominal-hashrate" | "max-target-out-of-range";

/** A nominal hashrate that moved less than this says nothing new. */
const NOMINAL_CHANGE = 0.1;

/** Takes a client's update, at once or, when it comes too soon after the last, at the next tick that may. */
export function onUpdate(state: ServerState, connection: Connection, message: UpdateChannel): void {
  const channel = connection.channels.get(message.channelId);
  const maxTarget = maxTargetOf(message.maximumTarget);
  const refuse = (errorCode: UpdateErrorCode): void => {
    send(state, connection.id, { name: "UpdateChannelError", channelId: message.channelId, errorCode });
    connection.ladder.count("excess");
    endFlood(state, connection);
  };
  if (channel === undefined) return refuse("invalid-channel-id");
  if (!isHashrate(message.nominalHashRate)) return refuse("invalid-nominal-hashrate");
  if (maxTarget === undefined) return refuse("max-target-out-of-range");
  channel.pendingUpdate = { nominalHashRate: message.nominalHashRate, maxTarget };
  applyUpdate(state, channel);
}

/** Acts on a channel's waiting update when its turn has come. */
export function applyUpdate(state: ServerState, channel: Channel): void {
  const update = channel.pendingUpdate;
  if (update === undefined || state.now - channel.lastUpdateAt < state.options.limits.updateIntervalMs) return;
  channel.pendingUpdate = undefined;
  channel.lastUpdateAt = state.now;
  channel.maxTarget = update.maxTarget;
  const before = channel.nominalHashRate;
  channel.nominalHashRate = update.nominalHashRate;
  const hashrate = clampHashrate(state, hintedHashrate(channel, before));
  if (hashrate === channel.hashrate) retarget(state, channel, hashrate);
  else restart(state, channel, hashrate);
}

/** Sets a hashrate that comes from elsewhere than the channel's shares, which then prove nothing any more. */
export function restart(state: ServerState, channel: Channel, hashrate: number): void {
  channel.vardiff?.reset(clampHashrate(state, hashrate), state.now);
  retarget(state, channel, hashrate);
  channel.restartsVardiff = channel.targetPendingSince !== undefined;
}

/**
 * Sets a channel's hashrate estimate and, when that or its bounds give another target, sends the target. Jobs being
 * mined keep theirs (spec 5.3.21).
 */
export function retarget(state: ServerState, channel: Channel, hashrate: number): void {
  channel.hashrate = clampHashrate(state, hashrate);
  const target = targetFor(state, channel.hashrate, channel.maxTarget);
  if (target === channel.terms.target) return;
  channel.setTarget(target, state.serial + 1, state.jobs);
  channel.vardiff?.suspend(state.now);
  channel.targetPendingSince ??= state.now;
  const maximumTarget = channel.terms.targetBytes;
  send(state, channel.connection, { name: "SetTarget", channelId: channel.id, maximumTarget });
}

/** Closes a channel, or with the group's id all channels of the group (spec 5.3.9). */
export function onClose(state: ServerState, connection: Connection, message: CloseChannel): void {
  const isGroup = message.channelId === GROUP_CHANNEL_ID && connection.mode !== "standard-jobs";
  const channel = connection.channels.get(message.channelId);
  const closed = isGroup ? [...connection.channels.values()] : channel === undefined ? [] : [channel];
  if (closed.length === 0) {
    // A close that crosses ours is no fault.
    log(state, { level: "debug", event: "close-of-unknown-channel" }, { connection: connection.id });
  }
  for (const one of closed) removeChannel(state, connection, one);
}

/** Closes a channel from this side. */
export function closeChannel(
  state: ServerState,
  connection: Connection,
  { channel, reasonCode }: { readonly channel: Channel; readonly reasonCode: string },
): void {
  removeChannel(state, connection, channel);
  send(state, connection.id, { name: "CloseChannel", channelId: channel.id, reasonCode });
  const fields = { connection: connection.id, channelId: channel.id, reasonCode };
  log(state, { level: "info", event: "channel-closed" }, fields);
}

/** Forgets a connection and all its channels. */
export function removeConnection(state: ServerState, connection: Connection): void {
  for (const channel of connection.channels.values()) removeChannel(state, connection, channel);
  state.pendingOpens = state.pendingOpens.filter((open) => open.connection !== connection.id);
  state.waitingCustomJobs = state.waitingCustomJobs.filter((job) => job.connection !== connection.id);
  state.connections.delete(connection.id);
}

/** Ends a connection that is refused so much, whatever it asks for, that it can mean no work. */
export function endFlood(state: ServerState, connection: Connection): void {
  const { floodRejects, ladderMinShares } = state.options.limits;
  if (connection.ladder.refused <= floodRejects + ladderMinShares * connection.channels.size) return;
  log(state, { level: "info", event: "refusal-flood" }, { connection: connection.id });
  closeConnection(state, connection, "too many refused shares or requests");
}

/** Ends a connection from this side. */
export function closeConnection(state: ServerState, connection: Connection, reason: string): void {
  removeConnection(state, connection);
  state.effects.push({ type: "close-connection", connection: connection.id, reason });
}

/** Gives a channel another extranonce prefix, which its later jobs use (spec 5.3.10). */
export function rotateExtranoncePrefix(state: ServerState, connection: ConnectionId, channelId: number): void {
  const channel = state.connections.get(connection)?.channels.get(channelId);
  if (channel === undefined) return;
  const lease = state.allocator.allocate();
  if (lease === undefined) {
    log(state, { level: "warn", event: "extranonce-exhausted" }, { connection, channelId });
    return;
  }
  const extranoncePrefix = channel.kind === "extended" ? lease.prefix : state.allocator.padded(lease);
  channel.setExtranoncePrefix(extranoncePrefix, state.nextJobId, state.jobs);
  state.allocator.retire(channel.lease, state.nextJobId - 1);
  channel.lease = lease;
  send(state, connection, { name: "SetExtranoncePrefix", channelId, extranoncePrefix });
}

function removeChannel(state: ServerState, connection: Connection, channel: Channel): void {
  connection.channels.delete(channel.id);
  connection.requestIds.delete(channel.requestId);
  if (channel.accounting.counts.accepted > 0) {
    state.remembered.put(channel.userIdentity, channel.hashrate, state.now);
  }
  state.allocator.retire(channel.lease, state.nextJobId - 1);
  state.allocator.releaseRetired(state.jobs.oldestLiveId);
}

/**
 * The client's claim scales the estimate, so that what was measured stays in it; but a client that tells what it has
 * measured itself says nothing that the estimate has not said: as far as that has moved towards the claim already, it is
 * not moved again. Zero or no news leaves it alone.
 */
function hintedHashrate(channel: Channel, before: number): number {
  const { hashrate: estimate, nominalHashRate: claimed } = channel;
  if (channel.vardiff === null || (before === 0 && claimed > 0)) return claimed;
  if (claimed === 0 || Math.abs(claimed - before) <= before * NOMINAL_CHANGE) return estimate;
  if (claimed > before && estimate > before) return Math.max(estimate, claimed);
  if (claimed < before && estimate < before) return Math.min(estimate, claimed);
  return estimate * (claimed / before);
}
