import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../nat/dialler.mjs", import.meta.url));

/** What became of one request to connect: a socket, or what went wrong. */
type Outcome = Socket | string;

/**
 * Opens TCP connections in a network namespace for this process, which is in another: a process there connects and hands
 * its sockets over. Whoever asks for a connection must speak first on it.
 */
export class Dialler implements Disposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  #asked = 0;

  /** `prefix`: what a command line begins with to be run there. */
  constructor(prefix: readonly string[]) {
    const [command, ...args] = [...prefix, process.execPath, program];
    this.#child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child.on("message", (message, handle) => {
      const { id, fault } = message as { readonly id: number; readonly fault: string | null };
      this.#answer(id, fault ?? (handle as Socket));
    });
    this.#child.once("exit", () => {
      for (const id of this.#waiting.keys()) this.#answer(id, "the dialler has ended");
    });
  }

  /** Connects to a port of loopback there. Rejects when nothing listens. */
  async connect(port: number): Promise<Socket> {
    this.#asked += 1;
    const id = this.#asked;
    const outcome = await new Promise<Outcome>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, port });
    });
    if (typeof outcome === "string") throw new Error(`port ${port}: ${outcome}`);
    return outcome;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }

  #answer(id: number, outcome: Outcome): void {
    this.#waiting.get(id)?.(outcome);
    this.#waiting.delete(id);
  }
}
