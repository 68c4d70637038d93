import { cpus, loadavg } from "node:os";

/** What the numbers of a run belong to, in one line. Where the rounds of its parts differ, `rounds` names them all. */
export function machine({ quick, rounds }: { readonly quick: boolean; readonly rounds: number | string }): string {
  const [cpu] = cpus();
  const run = `${rounds} rounds${quick ? ", quick: do not quote these numbers" : ""}`;
  const { platform, arch, version } = process;
  return `Node ${version}, ${platform} ${arch}, ${cpus().length} cores (${cpu?.model.trim() ?? "unknown"}), ${run}; ${load()}`;
}

function load(): string {
  const average = loadavg()[0] ?? 0;
  const state = average > 0.5 ? "BUSY: other programs ran, or ran a moment ago" : "quiet";
  return `load average ${average.toFixed(2)} of ${cpus().length} cores (${state})`;
}
