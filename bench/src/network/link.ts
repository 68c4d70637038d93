import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Skipped } from "../suite.ts";

/** What is between both ends. */
export interface LinkSettings {
  /** One way, in milliseconds. */
  readonly delayMs: number;
  /** Of the packets each way. */
  readonly lossPercent: number;
}

/** One end of what is between client and server: how to start a process there, and its address. */
export interface Place {
  readonly host: string;
  /** Command and arguments that run the rest of a command line there; empty for this very place. */
  readonly enter: readonly string[];
}

/** Where both processes run. */
export interface Link extends AsyncDisposable {
  readonly client: Place;
  readonly server: Place;
}

/** Both on this machine, with nothing in between. */
export const loopback: Link = {
  client: { host: "127.0.0.1", enter: [] },
  server: { host: "127.0.0.1", enter: [] },
  [Symbol.asyncDispose]: async () => {},
};

/**
 * Two network namespaces with a link in user space between them.
 *
 * @throws Skipped where python3, nsenter, /dev/net/tun or the rights for namespaces are missing.
 */
export async function openLink({ delayMs, lossPercent }: LinkSettings): Promise<Link> {
  const script = fileURLToPath(new URL("./link.py", import.meta.url));
  const child = spawn("python3", [script, String(delayMs), String(lossPercent)], { stdio: ["pipe", "pipe", "pipe"] });
  const [first, second, pid] = await whenReady(child);
  const enter = (fd: string | undefined): readonly string[] => ["nsenter", `--net=/proc/${pid}/fd/${fd}`];
  return {
    client: { host: "10.77.0.1", enter: enter(first) },
    server: { host: "10.77.0.2", enter: enter(second) },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return;
      const exited = once(child, "exit");
      child.stdin?.end();
      await exited;
    },
  };
}

/** The words behind "ready" once the link is up. */
async function whenReady(child: ChildProcess): Promise<readonly string[]> {
  let said = "";
  const line = new Promise<readonly string[]>((resolve, reject) => {
    const hear = (text: string): void => {
      said += text;
      const ready = /^ready (.*)\n/m.exec(said);
      if (ready?.[1] !== undefined) resolve(ready[1].split(" "));
    };
    child.stdout?.setEncoding("utf8").on("data", hear);
    child.stderr?.setEncoding("utf8").on("data", hear);
    const end = (cause: unknown): void => {
      const why = said.trim().split("\n").at(-1) || String(cause);
      reject(new Skipped(`no link between network namespaces can be made here: ${why}`));
    };
    child.once("error", end);
    child.once("exit", end);
  });
  return await line;
}
