/** A connection as a role's status document shows it. */
export interface ConnectionStatus {
  readonly direction: "upstream" | "downstream";
  readonly transport: string;
  readonly encryption: string;
  readonly peer: string;
  readonly path: string | null;
  readonly rtt_ms: number | null;
}

/** A connection in one line. */
export function renderConnection(connection: ConnectionStatus): string {
  const arrow = connection.direction === "upstream" ? "to  " : "from";
  const path = connection.path === null ? "" : ` ${connection.path}`;
  const rtt = connection.rtt_ms === null ? "" : ` ${connection.rtt_ms} ms`;
  const peer = connection.transport === "iroh" ? `${connection.peer.slice(0, 10)}…` : connection.peer;
  return `${arrow} ${peer}  ${connection.transport}${path} ${connection.encryption}${rtt}`;
}

/** Hashes a second with a unit a person reads. */
export function formatHashrate(hashesPerSecond: number): string {
  const units = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];
  let value = hashesPerSecond;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(value >= 100 || unit === 0 ? 0 : 1)} ${units[unit]}`;
}

/** Lines no wider than `width`. */
export function fitted(lines: readonly string[], width: number): readonly string[] {
  return lines.map((line) => (line.length > width ? `${line.slice(0, Math.max(0, width - 1))}…` : line));
}
