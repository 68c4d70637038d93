import type { Client } from "@adit/network-helpers/rpc";
import { peerText } from "@adit/role-kit";
import type { statusService } from "@adit/role-network";
import { type ConnectionStatus, formatHashrate, renderConnection } from "../render.ts";

/** What a role answers to `status.get`. */
export type StatusAnswer = Awaited<ReturnType<Client<(typeof statusService)["methods"]>["get"]>>;

/** Longer than a ticket with a dozen addresses. */
const MAX_TICKET = 1024;

type Document = Readonly<Record<string, unknown>>;

/** A role in a page of lines. What the document lacks is left out: it is of another version, or its role has no such thing. */
export function renderStatus(status: StatusAnswer): readonly string[] {
  const { document } = status;
  return [
    renderHead(status),
    ...renderTotals(status).map((line) => `  ${line}`),
    ...listOf(document, "listeners").map((listener) => `  listening  ${renderListener(listener)}`),
    ...connectionsOf(document).map(
      (connection) => `  ${String(connection.id).padStart(6)}  ${renderConnection(connection)}`,
    ),
    ...numbered(document, "miners").map((miner) => `  ${idOf(miner)}  ${renderMiner(miner)}`),
    ...numbered(document, "rpc_connections").map((operator) => `  ${idOf(operator)}  ${renderOperator(operator)}`),
    ...(status.ticket === null ? [] : [`  ticket     ${peerText(status.ticket, MAX_TICKET)}`]),
    ...Object.entries(status.cut).map(([name, length]) => `  ${length} ${peerText(name)}, not all of them shown`),
  ];
}

/** The first line: what it is and how it is. */
export function renderHead({ role, version, ready, reason, uptime_secs }: StatusAnswer): string {
  const state = ready ? "ready" : `not ready: ${peerText(reason ?? "")}`;
  return `${peerText(role)} ${peerText(version)}  up ${formatSeconds(uptime_secs)}  ${state}`;
}

/** Hashrate, shares, upstream, channels, miners, blocks, targets: each that the document has. */
export function renderTotals({ document, cut }: StatusAnswer): readonly string[] {
  const lines: string[] = [];
  const hashrate = document["hashrate"];
  if (typeof hashrate === "number") lines.push(`hashrate   ${formatHashrate(hashrate)}`);
  const accepted = document["shares_accepted"];
  const rejected = document["shares_rejected"];
  const refused = typeof rejected === "number" ? `, ${rejected} rejected` : "";
  if (typeof accepted === "number") lines.push(`shares     ${accepted} accepted${refused}`);
  const upstream = objectOf(document["upstream"]);
  if (typeof upstream["state"] === "string") {
    const via = [upstream["transport"], upstream["path"]].filter((part) => typeof part === "string").join(" ");
    lines.push(`upstream   ${[peerText(upstream["state"]), peerText(via)].filter(Boolean).join(", ")}`);
  }
  for (const [key, name] of counts) {
    const value = Array.isArray(document[key]) ? (cut[key] ?? document[key].length) : document[key];
    if (typeof value === "number") lines.push(`${name.padEnd(10)} ${value}`);
  }
  return lines;
}

const counts = [
  ["channels_open", "channels"],
  ["miners", "miners"],
  ["blocks_found", "blocks"],
  ["targets", "targets"],
] as const;

/** The connections of a document that are up, upstream first. */
export function connectionsOf(document: Document): readonly (ConnectionStatus & { readonly id: number })[] {
  const up = listOf(document, "connections").filter(({ transport }) => typeof transport === "string");
  const all = up.map(connectionOf);
  return all.toSorted((a, b) => Number(b.direction === "upstream") - Number(a.direction === "upstream"));
}

interface ListenerWords extends Document {
  readonly transport?: unknown;
  readonly state?: unknown;
  readonly address?: unknown;
  readonly error?: unknown;
  readonly identity?: unknown;
}

function renderListener(listener: ListenerWords): string {
  const { transport, state, address, error, identity } = listener;
  // The current one is nothing to remark on; the former is dialled by those who are to be given the new one.
  const former = identity === "former" ? "former" : undefined;
  return [transport, address, state, former, error]
    .filter((part) => typeof part === "string")
    .map((part) => peerText(part))
    .join("  ");
}

/** What of a list can be broken off. */
function numbered(document: Document, key: string): readonly Document[] {
  return listOf(document, key).filter(({ id }) => typeof id === "number");
}

function idOf({ id }: Document): string {
  return String(Number(id)).padStart(6);
}

function renderMiner({ peer, user_name: userName }: Document): string {
  return `from ${wordOf(peer)}  sv1 ${wordOf(userName)}`;
}

function renderOperator({ peer, path }: Document): string {
  return `from ${wordOf(peer).slice(0, 10)}…  rpc ${wordOf(path)}`;
}

function wordOf(value: unknown): string {
  return typeof value === "string" ? peerText(value) : "?";
}

function connectionOf(connection: Document): ConnectionStatus & { readonly id: number } {
  const text = (key: string): string => {
    const value = connection[key];
    return typeof value === "string" ? peerText(value) : "?";
  };
  const rtt = connection["rtt_ms"];
  return {
    id: Number(connection["connection_id"] ?? connection["id"]),
    direction: connection["direction"] === "upstream" ? "upstream" : "downstream",
    transport: text("transport"),
    encryption: text("encryption"),
    peer: text("peer"),
    path: typeof connection["path"] === "string" ? text("path") : null,
    rtt_ms: typeof rtt === "number" ? rtt : null,
  };
}

function listOf(document: Document, key: string): readonly Document[] {
  const value = document[key];
  return Array.isArray(value) ? value.map(objectOf) : [];
}

function objectOf(value: unknown): Document {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** A time span as a person says it. */
export function formatSeconds(seconds: number): string {
  const units = [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
  ] as const;
  const [unit, size] = units.find(([, length]) => seconds >= 2 * length) ?? ["s", 1];
  return `${Math.floor(seconds / size)} ${unit}`;
}
