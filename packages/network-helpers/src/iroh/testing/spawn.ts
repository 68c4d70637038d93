import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

/** A child process that runs one task of child.ts. Disposing kills it. */
export interface Child extends AsyncDisposable {
  /** Its first line of output. */
  readonly firstLine: string;
  readonly process: ChildProcessByStdio<null, Readable, null>;
  /** Resolves with the exit code, null when a signal ended it. */
  readonly exited: Promise<number | null>;
}

/** Starts the task and waits for its first line. */
export async function startChild(task: string, env: Readonly<Record<string, string>> = {}): Promise<Child> {
  const file = fileURLToPath(new URL("./child.ts", import.meta.url));
  const child = spawn(process.execPath, ["--conditions=@adit/source", "--import", "tsx", file, task], {
    cwd: fileURLToPath(new URL("../../../", import.meta.url)),
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit").then(([code]: (number | null)[]) => code ?? null);
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, "line"), exited]);
  return {
    firstLine: Array.isArray(first) ? String(first[0]) : `exited with ${first}`,
    process: child,
    exited,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
