import type { PeerStats } from "@adit/network-helpers/peers";
import { fitted, renderConnection } from "../render.ts";
import { connectionsOf, renderHead, renderTotals, type StatusAnswer } from "./status-view.ts";

/** One target at one moment. */
export interface TopEntry {
  readonly name: string;
  /** The newest answer; undefined before the first. */
  readonly status: StatusAnswer | undefined;
  /** Shares a minute since the answer before; undefined where there was none. */
  readonly sharesPerMinute: number | undefined;
  /** Why there is no answer now; null while there is. */
  readonly trouble: string | null;
  /** Whether it is dialled at will (`closed`), left alone for a while (`open`), or on trial (`half-open`). */
  readonly breaker: PeerStats["breaker"];
}

/** Connections of each target that fit a view of several. */
const MAX_CONNECTIONS = 8;

/** The live view, one string a line, none wider than `width`. */
export function renderTop(entries: readonly TopEntry[], width: number): readonly string[] {
  return fitted(entries.flatMap(renderEntry), width);
}

function renderEntry(entry: TopEntry): readonly string[] {
  const { name, status, sharesPerMinute, trouble } = entry;
  const troubles = trouble === null ? [] : [`  ${trouble}`];
  const away = renderAway(entry);
  if (status === undefined) return [`${name}  ${away ?? "connecting"}`, ...troubles, ""];
  const connections = connectionsOf(status.document);
  const hidden = (status.cut["connections"] ?? connections.length) - Math.min(connections.length, MAX_CONNECTIONS);
  return [
    `${name}  ${away === undefined ? "" : `${away}, last: `}${renderHead(status)}`,
    ...troubles,
    ...renderTotals(status).map((line) => `  ${line}`),
    ...(sharesPerMinute === undefined ? [] : [`  rate       ${sharesPerMinute.toFixed(1)} shares a minute`]),
    ...connections.slice(0, MAX_CONNECTIONS).map((connection) => `  ${renderConnection(connection)}`),
    ...(hidden > 0 ? [`  and ${hidden} more connections`] : []),
    "",
  ];
}

/** Why there is nothing new of a target; undefined while it answers. */
function renderAway({ trouble, breaker }: TopEntry): string | undefined {
  if (breaker === "open") return "no answer, breaker open: left alone for a while";
  if (breaker === "half-open") return "no answer, breaker half-open: on trial";
  return trouble === null ? undefined : "no answer";
}
