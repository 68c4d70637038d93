import type { PeerStats } from "@adit/network-helpers/peers";
import { peerText } from "@adit/role-kit";
import type { TargetView } from "./target-board.ts";

/** A target as the status document shows it; `now` is of the view's clock, in milliseconds. */
export function targetStatus(
  { name, state, answeredAt }: TargetView,
  { breaker, now }: { readonly breaker: PeerStats["breaker"]; readonly now: number },
): Readonly<Record<string, unknown>> {
  const health = state.phase === "up" ? state.answer.health : null;
  return {
    name,
    state: state.phase,
    breaker,
    role: health === null ? null : peerText(health.role),
    version: health === null ? null : peerText(health.version),
    ready: health?.ready ?? null,
    not_ready_reason: health === null || health.reason === null ? null : peerText(health.reason),
    trouble: state.phase === "down" ? state.reason : null,
    answered_secs_ago: answeredAt === null ? null : Math.floor((now - answeredAt) / 1000),
  };
}
