import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { peerBinary } from "./peer-binary.ts";

/** What noise-peer says, a line each. */
export type NoisePeerLine =
  /** Its address over TCP; its endpoint id, with its addresses, over Iroh. */
  | { readonly listening: string; readonly addresses?: readonly string[] }
  | { readonly handshake: "done" }
  /** Our side ended between two frames; how many it sent back. */
  | { readonly ended: number }
  /** Why it gave up, in the words of the crates. */
  | { readonly error: string };

/** The Noise of the reference implementation in a process of its own: one connection on which every frame comes back. */
export class NoisePeer implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #lines: AsyncIterator<string, undefined>;
  readonly #exited: Promise<unknown>;
  #complaint = "";

  private constructor(args: readonly string[]) {
    this.#child = spawn(peerBinary("noise-peer"), args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#exited = once(this.#child, "exit");
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-4096);
    });
  }

  /** Starts it. See its main.rs for what it can be told. */
  static start(...args: readonly string[]): NoisePeer {
    return new NoisePeer(args);
  }

  /** What it says next. Rejects when it has ended without a word. */
  async line(): Promise<NoisePeerLine> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error(`noise-peer ended: ${this.#complaint}`);
    return JSON.parse(next.value) as NoisePeerLine;
  }

  /** Where it listens, as a dial address: `host:port`, or the endpoint id with its addresses. */
  async address(): Promise<string> {
    const line = await this.line();
    if (!("listening" in line)) throw new Error(`noise-peer does not listen: ${JSON.stringify(line)}`);
    const { listening, addresses } = line;
    return addresses === undefined ? listening : `${listening}?${addresses.map((one) => `addr=${one}`).join("&")}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }
}
