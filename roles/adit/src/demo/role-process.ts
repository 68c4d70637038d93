import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ReadyMessage } from "@adit/role-kit";

/** How a role process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A role in a process of its own. */
export class RoleProcess {
  readonly name: string;
  readonly logFile: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  #state: "starting" | "ready" | "ended" = "starting";

  /** Starts `adit ROLE -c CONFIG -f LOG`. */
  constructor(
    { name, role }: { readonly name: string; readonly role: string },
    files: { readonly config: string; readonly log: string },
  ) {
    this.name = name;
    this.logFile = files.log;
    const main = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../main.ts" : "../main.js", import.meta.url));
    // A group of its own: Ctrl-C reaches the demo alone, which then stops the roles in order. Should the demo be killed, the
    // channel to it breaks and the role drains by itself.
    this.#child = fork(main, [role, "-c", files.config, "-f", files.log], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        this.#state = "ended";
        resolve({ code, signal });
      });
      this.#child.once("error", () => resolve({ code: null, signal: null }));
    });
  }

  get state(): "starting" | "ready" | "ended" {
    return this.#state;
  }

  /** Resolves when the process has ended, whatever ended it. */
  get ended(): Promise<Ended> {
    return this.#ended;
  }

  /** Resolves with what the role says of itself once it serves. @throws Error when it ends before. */
  async ready(signal: AbortSignal): Promise<ReadyMessage> {
    let complaint = "";
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(-4096);
    });
    const early = this.#ended.then(({ code }) => {
      const why = complaint.trim() === "" ? `see ${this.logFile}` : complaint.trim();
      throw new Error(`${this.name} ended with code ${code} before it was ready: ${why}`);
    });
    const message = once(this.#child, "message", { signal }).then(([first]) => first as ReadyMessage);
    const ready = await Promise.race([message, early]);
    this.#state = "ready";
    early.catch(() => {});
    return ready;
  }

  /** Asks the role to drain, and after `graceMs` ends it. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    if (this.#state === "ended") return;
    this.#child.kill("SIGTERM");
    const force = setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
    await this.#ended;
    clearTimeout(force);
  }
}
