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
}

/** Connections of each target that fit a view of several. */
const MAX_CONNECTIONS = 8;

/** The live view, one string a line, none wider than `width`. */
export function renderTop(entries: readonly TopEntry[], width: number): readonly string[] {
  return fitted(entries.flatMap(renderEntry), width);
}

function renderEntry({ name, status, sharesPerMinute, trouble }: TopEntry): readonly string[] {
  const troubles = trouble === null ? [] : [`  ${trouble}`];
  if (status === undefined) return [`${name}  ${trouble === null ? "connecting" : "no answer"}`, ...troubles, ""];
  const connections = connectionsOf(status.document);
  const hidden = (status.cut["connections"] ?? connections.length) - Math.min(connections.length, MAX_CONNECTIONS);
  return [
    `${name}  ${trouble === null ? "" : "no answer, last: "}${renderHead(status)}`,
    ...troubles,
    ...renderTotals(status).map((line) => `  ${line}`),
    ...(sharesPerMinute === undefined ? [] : [`  rate       ${sharesPerMinute.toFixed(1)} shares a minute`]),
    ...connections.slice(0, MAX_CONNECTIONS).map((connection) => `  ${renderConnection(connection)}`),
    ...(hidden > 0 ? [`  and ${hidden} more connections`] : []),
    "",
  ];
}
