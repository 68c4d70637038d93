import { readdirSync, readFileSync } from "node:fs";

/** A process that runs on this machine. */
export interface FoundProcess {
  readonly pid: number;
  readonly command: string;
}

/** Processes whose command line has `text` in it. */
export function processesWith(text: string): readonly FoundProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), command: commandOf(name) }))
    .filter(({ command }) => command.includes(text));
}

/** Arguments with spaces between them; empty for a process that has just ended, and for a zombie. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}
