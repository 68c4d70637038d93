import type { Channel } from "./channel.ts";
import { applyUpdate, closeChannel, closeConnection, retarget } from "./channel-control.ts";
import { boundHashrate } from "./channel-opening.ts";
import type { Connection } from "./connection.ts";
import { type ServerState, send } from "./server-state.ts";
import { refreshJob } from "./work-distribution.ts";

/** A target this much harder or easier than the one in force does not wait long for its job. */
const URGENT_FACTOR = 4n;

/** What is done once a second: acknowledgements by time, difficulty, the ladder for invalid shares, idle peers. */
export function onTick(state: ServerState): void {
  state.seen.prune(state.now);
  for (const connection of state.connections.values()) {
    const reason = closingReason(state, connection);
    if (reason !== undefined) {
      closeConnection(state, connection, reason);
      continue;
    }
    for (const channel of connection.channels.values()) tickChannel(state, connection, channel);
  }
}

function closingReason(state: ServerState, connection: Connection): string | undefined {
  const { firstChannelMs, noShareMs } = state.options.limits;
  const rung = connection.ladder.tick(state.now);
  if (rung !== undefined && rung >= 3) return "invalid shares for three minutes";
  if (!connection.hasAsked && state.now - connection.since >= firstChannelMs) return "no channel was opened";
  return state.now - connection.lastShareAt >= noShareMs ? "no share was accepted" : undefined;
}

function tickChannel(state: ServerState, connection: Connection, channel: Channel): void {
  const acknowledgement = channel.accounting.due(state.now, state.options.ackIntervalMs);
  if (acknowledgement !== undefined) send(state, connection.id, acknowledgement);
  const rung = channel.ladder.tick(state.now) ?? 0;
  if (rung === 1) refreshJob(state, connection, channel);
  if (rung >= 2) {
    closeChannel(state, connection, { channel, reasonCode: "invalid-shares" });
    return;
  }
  applyUpdate(state, channel);
  settleTarget(state, connection, channel);
  if (channel.targetPendingSince !== undefined) return;
  const hashrate = channel.vardiff?.tick(state.now);
  if (hashrate === undefined) return;
  retarget(state, channel, hashrate);
  // A bound may have kept the target as it is: then there is no job to wait for.
  if (channel.targetPendingSince === undefined) channel.vardiff?.applied(state.now, boundHashrate(state, channel));
}

/** Tells the difficulty adjustment when a changed target came into force, and gives it a job when none comes. */
function settleTarget(state: ServerState, connection: Connection, channel: Channel): void {
  if (channel.targetPendingSince === undefined) return;
  if (channel.isTargetPending(state.jobs)) {
    const { jobRefreshMs, urgentJobRefreshMs } = state.options.limits;
    const patience = isUrgent(state, channel) ? urgentJobRefreshMs : jobRefreshMs;
    if (state.now - channel.targetPendingSince < patience) return;
    refreshJob(state, connection, channel);
    if (channel.isTargetPending(state.jobs)) return;
  }
  channel.targetPendingSince = undefined;
  const inEffect = boundHashrate(state, channel);
  if (channel.restartsVardiff) channel.vardiff?.reset(channel.hashrate, state.now, inEffect);
  else channel.vardiff?.applied(state.now, inEffect);
  channel.restartsVardiff = false;
}

function isUrgent(state: ServerState, channel: Channel): boolean {
  const before = channel.termsInForce(state.jobs)?.work;
  const after = channel.terms.work;
  return before !== undefined && (after >= before * URGENT_FACTOR || before >= after * URGENT_FACTOR);
}
