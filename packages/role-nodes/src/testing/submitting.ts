import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { displayHash } from "@adit/bitcoin";
import { type MetricsRegister, metricsRegister, openLog } from "@adit/role-kit";
import { BlockFiles, type FiledBlock } from "../block-files.ts";
import { BlockSubmitter } from "../block-submitter.ts";
import { nodeMetrics } from "../node-metrics.ts";
import { type NodeReply, NodeServer } from "./node-server.ts";

/** A {@link BlockSubmitter} with real files and real nodes' servers, and a clock that a test moves. */
export class Submitting implements AsyncDisposable {
  readonly submitter: BlockSubmitter;
  readonly servers: readonly NodeServer[];
  readonly files: BlockFiles;
  readonly metrics: MetricsRegister;
  /** Nodes that said that they took a block. */
  readonly taken: number[] = [];
  /** What nobody foresaw. */
  readonly failures: unknown[] = [];
  now = 0;
  readonly #folder: string;
  readonly #stack: readonly AsyncDisposable[];

  private constructor(folder: string, files: BlockFiles, servers: readonly NodeServer[]) {
    this.#folder = folder;
    this.files = files;
    this.servers = servers;
    this.metrics = metricsRegister();
    const nodes = servers.map((server) => server.client());
    this.submitter = new BlockSubmitter({
      files,
      nodes,
      metrics: nodeMetrics(this.metrics, "template_provider"),
      onTaken: (node) => this.taken.push(node),
      onFailure: (error) => this.failures.push(error),
      log: openLog({ role: "template-provider", level: "debug", file: join(folder, "log") }),
      now: () => this.now,
    });
    this.#stack = [this.submitter, ...nodes, ...servers];
  }

  /** Starts a submitter with so many nodes; blocks are filed in `folder`/blocks. */
  static async start(folder: string, nodes: number): Promise<Submitting> {
    const servers = await Promise.all(Array.from({ length: nodes }, () => NodeServer.start()));
    return new Submitting(folder, await BlockFiles.open(join(folder, "blocks")), servers);
  }

  /** From now on a node answers so to a submitted block. */
  onSubmit(node: number, reply: () => NodeReply | Promise<NodeReply>): void {
    this.servers[node]?.on("submitblock", reply);
  }

  /** From now on a node knows the block, in its chain when there are any `confirmations`. */
  onLookUp(node: number, block: FiledBlock, confirmations: number): void {
    const result = {
      hash: displayHash(block.hash),
      height: block.height,
      time: 1_800_000_000,
      bits: "207fffff",
      confirmations,
    };
    this.servers[node]?.on("getblockheader", () => ({ result }));
  }

  /** Lets time pass, and looks. */
  pass(ms: number, bestHeight?: number): void {
    this.now += ms;
    this.submitter.tick(bestHeight);
  }

  /** Lines of the log, as level, text and a few fields. */
  async log(): Promise<readonly { readonly level: number; readonly msg: string; readonly answer?: string }[]> {
    const text = await readFile(join(this.#folder, "log"), "utf8");
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  /** The samples of one metric. */
  async samples(name: string): Promise<readonly string[]> {
    const { body } = await this.metrics.expose();
    return body.split("\n").filter((line) => line.startsWith(`sv2_template_provider_${name}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#stack) await one[Symbol.asyncDispose]();
  }
}
