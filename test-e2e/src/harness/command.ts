import { spawn } from "node:child_process";
import { aditMain, root, sourceFlags } from "./test-role.ts";

/** What became of a command. */
export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command while it runs. */
export interface RunningCommand {
  readonly pid: number;
  /** What it has complained of so far. */
  stderr(): string;
  /** Resolves when it is over. */
  readonly ended: Promise<CommandResult>;
}

/** Starts a Node program from the root of the repository, as leader of a process group of its own, like a terminal does. */
export function startNode(args: readonly string[]): RunningCommand {
  const child = spawn(process.execPath, args, { cwd: root, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<CommandResult>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { pid: child.pid ?? 0, stderr: () => stderr, ended };
}

/** Runs the command `adit` from its source to its end. */
export async function runAdit(args: readonly string[]): Promise<CommandResult> {
  return await startNode([...sourceFlags, aditMain, ...args]).ended;
}
