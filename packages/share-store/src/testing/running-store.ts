import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { StoreStats } from "../share-store.ts";

/** What a store process has said so far; hashes are hex. */
export interface Said {
  readonly shares: string[];
  readonly blocks: string[];
  /** Code by hash, in the order of the refusals. */
  readonly refused: Map<string, string>;
  readonly stats: StoreStats[];
  /** What it wrote to its standard error. */
  errors: string;
}

/** The command that runs `store-process.ts` with these arguments. */
export function storeCommand(...args: readonly string[]): readonly string[] {
  const program = fileURLToPath(new URL("./store-process.ts", import.meta.url));
  return [process.execPath, "--import", "tsx", "--conditions=@adit/source", program, ...args];
}

/** A store process, possibly inside of another command. It is killed when it is disposed. */
export class RunningStore implements AsyncDisposable {
  readonly said: Said = { shares: [], blocks: [], refused: new Map(), stats: [], errors: "" };
  /** Resolves when the process has ended and all that it said is read. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #lines = 0;
  #waiting: { readonly lines: number; readonly resolve: () => void }[] = [];

  constructor([command = "", ...args]: readonly string[]) {
    // A group of its own, so that a kill reaches the process behind a shell or strace too.
    this.#child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.said.errors = (this.said.errors + chunk.toString()).slice(-4_000);
    });
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on("line", (line) => this.#hear(line));
    }
    this.ended = once(this.#child, "close").then(() => this.#wake(Number.POSITIVE_INFINITY));
  }

  /** Resolves when it has said so many lines, `open` included, or has ended. */
  async until(lines: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push({ lines, resolve });
      this.#wake(this.#child.exitCode === null ? this.#lines : Number.POSITIVE_INFINITY);
    });
  }

  async kill(): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      process.kill(-this.#child.pid, "SIGKILL");
    }
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #hear(line: string): void {
    const [word, value = "", code = ""] = line.split(" ");
    if (word === "share") this.said.shares.push(value);
    if (word === "block") this.said.blocks.push(value);
    if (word === "refused") this.said.refused.set(value, code);
    if (word === "stats") this.said.stats.push(JSON.parse(value) as StoreStats);
    this.#lines += 1;
    this.#wake(this.#lines);
  }

  #wake(lines: number): void {
    for (const { lines: wanted, resolve } of this.#waiting) if (wanted <= lines) resolve();
    this.#waiting = this.#waiting.filter(({ lines: wanted }) => wanted > lines);
  }
}
