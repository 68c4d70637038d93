import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Namespace } from "./namespace.ts";

const program = fileURLToPath(new URL("../../nat/link.py", import.meta.url));

/** Which packets are lost is the same in every run, as far as their order is. */
const SEED = 28;

/** What a way does to packets, in either direction. What is left out is 0. */
export interface Weather {
  /** From one end to the other, in milliseconds. */
  readonly delay_ms?: number;
  /** Most by which a packet's delay differs from that, in milliseconds: packets overtake each other. */
  readonly jitter_ms?: number;
  /** Probability of each packet's loss. */
  readonly loss?: number;
}

/** Packets so far, in both directions. */
export interface LinkCounts {
  readonly carried: number;
  readonly lost: number;
}

/** Two devices in two namespaces, joined by a way that can be long and lossy. Disposing it takes the devices away. */
export class Link implements Disposable {
  readonly #child;
  readonly #lines: AsyncIterator<string>;
  #weather: Weather = {};

  private constructor(command: readonly string[]) {
    const [file = "", ...args] = command;
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin.on("error", () => {});
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** Each end is a device that is made in a namespace. The weather is fine at first. */
  static async open(
    [here, device]: readonly [Namespace, string],
    [there, peer]: readonly [Namespace, string],
  ): Promise<Link> {
    const ends = [here.name, device, there.name, peer];
    const link = new Link([...here.prefix, "python3", program, ...ends, String(SEED)]);
    await link.#answer();
    return link;
  }

  /** Changes the weather. */
  async set(weather: Weather): Promise<void> {
    this.#weather = weather;
    await this.counts();
  }

  async counts(): Promise<LinkCounts> {
    this.#child.stdin.write(`${JSON.stringify(this.#weather)}\n`);
    return JSON.parse(await this.#answer()) as LinkCounts;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }

  async #answer(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("link.py has ended; what it said stands above");
    return value;
  }
}
