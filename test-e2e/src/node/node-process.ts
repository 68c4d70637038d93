import { type ChildProcess, spawn } from "node:child_process";
import { until } from "../harness/until.ts";
import { type NodeRpc, nodeRpc } from "./node-rpc.ts";
import type { NodeKind, TestNode } from "./test-node.ts";

const START_MS = 60_000;
const KEPT_OUTPUT = 1_000_000;
const STOP_MS = 20_000;

/** User and password of every node of the tests. */
export const credentials = { user: "adit", password: "node-of-a-test" } as const;

/** What a node is run as. */
export interface NodeProgram {
  readonly kind: NodeKind;
  readonly command: string;
  readonly args: readonly string[];
  readonly rpcPort: number;
  readonly p2pPort: number;
  /** Whether it serves, asked until it says so or the process has ended. */
  readonly isReady: (rpc: NodeRpc) => Promise<boolean>;
}

/** A {@link TestNode} that any program can be. */
export class NodeProcess implements TestNode {
  readonly kind: NodeKind;
  readonly rpcUrl: string;
  readonly user = credentials.user;
  readonly password = credentials.password;
  readonly p2p: string;
  readonly rpc: NodeRpc;
  readonly #program: NodeProgram;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #log = "";

  private constructor(program: NodeProgram) {
    this.#program = program;
    this.kind = program.kind;
    this.rpcUrl = `http://127.0.0.1:${program.rpcPort}`;
    this.p2p = `127.0.0.1:${program.p2pPort}`;
    this.rpc = nodeRpc({ rpcUrl: this.rpcUrl, ...credentials });
  }

  /** Starts a node and resolves when it serves. */
  static async start(program: NodeProgram): Promise<NodeProcess> {
    const node = new NodeProcess(program);
    await node.restart();
    return node;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  get log(): string {
    return this.#log;
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#launch();
    const { kind, isReady } = this.#program;
    try {
      await until(`${kind} serves`, async () => !this.isRunning || (await isReady(this.rpc)), START_MS);
    } catch (cause) {
      await this.kill();
      throw new Error(`${kind} does not serve: ${this.#log.slice(-4000)}`, { cause });
    }
    if (!this.isRunning) throw new Error(`${kind} ended: ${this.#log.slice(-4000)}`);
  }

  async stop(): Promise<void> {
    this.#child?.kill("SIGTERM");
    const late = setTimeout(() => this.#child?.kill("SIGKILL"), STOP_MS);
    await this.#ended;
    clearTimeout(late);
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #launch(): void {
    const child = spawn(this.#program.command, this.#program.args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#log = (this.#log + text).slice(-KEPT_OUTPUT);
      });
    }
    this.#child = child;
    child.once("error", (error) => {
      this.#log += `${error.message}\n`;
    });
    this.#ended = new Promise<void>((resolve) => {
      child.once("close", () => {
        this.#child = undefined;
        resolve();
      });
    });
  }
}
