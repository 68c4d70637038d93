import { setMaxListeners } from "node:events";
import { join } from "node:path";
import { displayHash } from "@adit/bitcoin";
import { BitcoinNode, type NodeCall, NodeError, NodeWatch } from "@adit/bitcoin-node";
import {
  type Backend,
  type BackendPorts,
  type BackendShell,
  type BackendStatus,
  type ClientsBlock,
  chainStatus,
} from "../backend.ts";
import { type BlockStatus, blockStatus } from "../block-status.ts";
import type { BitcoinNodeSettings } from "../config.ts";
import { admitSolution } from "../template/solution.ts";
import { TemplateFile } from "../template/template-file.ts";
import type { SourceChange } from "../template-source.ts";
import { BlockFiles } from "./block-files.ts";
import { BlockSubmitter } from "./block-submitter.ts";
import { type RpcSettings, rpcAuth, rpcUrl } from "./node-access.ts";
import { type ChoiceEffect, type ChoiceInput, NodeChoice } from "./node-choice.ts";
import { type NodeMetrics, nodeMetrics, watchNodes } from "./node-metrics.ts";
import { NodeSource } from "./node-source.ts";
import { type NodeStatus, nodeStatus } from "./node-status.ts";

/**
 * Bitcoin nodes as a backend: templates come from the most preferred one that has the best known tip, and every block
 * goes to a file first and then to all of them.
 */
export class NodeBackend implements Backend {
  readonly source = new NodeSource(monotonic);
  readonly server: Backend["server"];
  readonly templates: TemplateFile;
  readonly #settings: BitcoinNodeSettings;
  readonly #ports: BackendPorts;
  readonly #metrics: NodeMetrics;
  /** Those that are followed come first, then those that only take blocks. */
  readonly #nodes: readonly BitcoinNode[];
  readonly #choice: NodeChoice;
  readonly #blocks: BlockSubmitter;
  readonly #stopping = new AbortController();
  #watches: readonly NodeWatch[] = [];
  #shell: BackendShell | undefined;
  #lastBlock: BlockStatus | null = null;

  private constructor(
    settings: BitcoinNodeSettings,
    files: { readonly blocks: BlockFiles; readonly templates: TemplateFile },
    ports: BackendPorts,
  ) {
    this.#settings = settings;
    this.#ports = ports;
    this.templates = files.templates;
    this.#metrics = nodeMetrics(ports.metrics);
    this.#nodes = [...settings.nodes, ...settings.extraSubmit].map((node) => this.#nodeOf(node));
    this.#choice = new NodeChoice({
      nodes: settings.nodes.length,
      network: settings.network,
      emptyTemplateAfterMs: settings.emptyTemplateAfterSecs * 1000,
    });
    this.server = {
      feeThreshold: BigInt(settings.feeThreshold),
      minIntervalMs: settings.minInterval * 1000,
      judge: admitSolution,
      lateBlocks: "solved",
      former: files.templates.former,
    };
    this.#blocks = new BlockSubmitter({
      files: files.blocks,
      nodes: this.#nodes,
      metrics: this.#metrics,
      onTaken: (node) => this.#watches[node]?.refresh(),
      onFailure: (error) => this.#shell?.fail(error),
      log: ports.log,
      now: monotonic,
    });
    // One listener for each node and each call that is under way.
    setMaxListeners(0, this.#stopping.signal);
    watchNodes(ports.metrics, {
      nodes: () => this.#nodeStatus(),
      templateAge: () => this.#templateAge(),
      pending: () => this.#blocks.pending,
    });
  }

  /** Opens the backend's files. Nodes are asked from {@link start} on. Errors of the file system as they are. */
  static async open(settings: BitcoinNodeSettings, ports: BackendPorts): Promise<NodeBackend> {
    const { dataPath } = settings;
    const blocks = await BlockFiles.open(join(dataPath, "blocks"));
    const templates = await TemplateFile.open(dataPath);
    const backend = new NodeBackend(settings, { blocks, templates }, ports);
    await backend.#blocks.restore();
    return backend;
  }

  start(shell: BackendShell): void {
    this.#shell = shell;
    const { pollIntervalSecs, templateIntervalSecs, nodes } = this.#settings;
    this.#watches = nodes.flatMap(({ zmqHashblock }, at) => {
      const node = this.#nodes[at];
      if (node === undefined) return [];
      return new NodeWatch({
        node,
        pollIntervalMs: pollIntervalSecs * 1000,
        templateIntervalMs: templateIntervalSecs * 1000,
        ...(zmqHashblock === undefined ? {} : { zmqHashblock }),
        onEvent: (event) => this.#queue({ type: "node", node: at, event }),
        signal: this.#stopping.signal,
      });
    });
  }

  async tick(): Promise<readonly SourceChange[]> {
    this.#blocks.tick(this.source.tip?.height);
    return this.#take({ type: "tick" });
  }

  async solved({ block, templateId, faults }: ClientsBlock): Promise<readonly SourceChange[]> {
    const { height, hash } = block;
    await this.#blocks.submit(block);
    const { log } = this.#ports;
    const fields = { height, hash: displayHash(hash), templateId: templateId.toString() };
    if (faults.length > 0) log.warn({ ...fields, faults }, "the solved block departs from its template");
    log.info({ ...fields, bytes: block.bytes.length }, "block solved");
    this.#lastBlock = blockStatus(block, this.#settings.network);
    return [];
  }

  get trouble(): string | null {
    const age = this.#templateAge();
    const errors = this.#nodeStatus().flatMap(({ error }) => (error === null ? [] : [error]));
    const why = errors.length > 0 ? `: ${errors.join("; ")}` : "";
    if (age === undefined) return `no template yet${why === "" ? ": no node has answered" : why}`;
    // The age itself would be another trouble every second, each with its line in the log.
    const { templateAlarmSecs } = this.#settings;
    return age > templateAlarmSecs ? `no template for more than ${templateAlarmSecs} s${why}` : null;
  }

  status(): BackendStatus {
    const { tip, received, fees } = this.source;
    return {
      network: this.#settings.network,
      chain: tip === undefined || received === undefined ? null : chainStatus(tip, received.template.bits),
      mempool: { transactions: received?.template.transactions.length ?? 0, fees: Number(fees) },
      accepted: this.#blocks.accepted,
      elsewhere: 0,
      last_block: this.#lastBlock,
      nodes: this.#nodeStatus(),
      submissions: this.#blocks.status(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#watches.map((watch) => watch[Symbol.asyncDispose]()));
    await this.#blocks[Symbol.asyncDispose]();
    await Promise.all(this.#nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.templates[Symbol.asyncDispose]();
  }

  #nodeOf(settings: RpcSettings): BitcoinNode {
    const { rpcTimeoutSecs, pollTimeoutSecs, network } = this.#settings;
    const node = new BitcoinNode({
      url: rpcUrl(settings, network),
      auth: rpcAuth(settings),
      network,
      timeoutMs: rpcTimeoutSecs * 1000,
      chainTimeoutMs: pollTimeoutSecs * 1000,
      onCall: (call) => this.#onCall(node.name, call),
    });
    return node;
  }

  #onCall(node: string, { method, ms, outcome }: NodeCall): void {
    this.#metrics.calls.inc({ node, method, outcome });
    this.#metrics.callSeconds.observe({ method }, ms / 1000);
  }

  /** From outside of the server's order. */
  #queue(input: ChoiceInput): void {
    if (this.#stopping.signal.aborted) return;
    // The shell ends the role when this fails.
    this.#shell?.run(async () => this.#take(input)).catch(() => {});
  }

  #take(input: ChoiceInput): readonly SourceChange[] {
    return this.#choice.handle(input, monotonic()).flatMap((effect) => this.#perform(effect));
  }

  #perform(effect: ChoiceEffect): readonly SourceChange[] {
    const { log } = this.#ports;
    const node = this.#nodes[effect.node]?.name ?? "";
    switch (effect.type) {
      case "want-templates":
        this.#watches[effect.node]?.wantTemplates(effect.wanted);
        return [];
      case "serve":
        return this.#serve(node, effect);
      case "ask-header":
        this.#askHeader(effect);
        return [];
      case "chosen":
        log.info({ node }, "templates come from this node");
        return [];
      case "node-up":
        log.info({ node }, "node answers");
        this.#blocks.nodeUp(effect.node);
        return [];
      case "node-down":
        log.warn({ node, code: effect.error.code, error: effect.error.message }, "node does not answer");
        return [];
      case "node-fault":
        log.warn({ node, code: effect.error.code, error: effect.error.message }, "node answers with a fault");
        return [];
      case "template-behind": {
        const { height, bestHeight } = effect;
        this.#metrics.templatesBehind.inc({ node });
        log.warn({ node, height, bestHeight }, "template does not build on the best known tip; not served");
        return [];
      }
      default:
        return effect satisfies never;
    }
  }

  #serve(node: string, { received }: ChoiceEffect & { readonly type: "serve" }): readonly SourceChange[] {
    const { isStopgap, template } = received;
    const change = this.source.take(received);
    this.#metrics.templatesReceived.inc({ node, stopgap: String(isStopgap) });
    const { height, prevHash, transactions } = template;
    const fields = {
      node,
      height: height - 1,
      tip: displayHash(prevHash),
      transactions: transactions.length,
      isStopgap,
    };
    if (change.type === "tip") this.#ports.log.info(fields, "new tip");
    else this.#ports.log.debug(fields, "template taken");
    return [change];
  }

  #askHeader({ node, hash }: ChoiceEffect & { readonly type: "ask-header" }): void {
    const { signal } = this.#stopping;
    this.#nodes[node]
      ?.header(hash, { signal })
      // Without the header there is no stopgap, and the full template is on its way all the same.
      .catch((error: unknown) => {
        if (error instanceof NodeError) return undefined;
        throw error;
      })
      .then((header) => this.#queue({ type: "header", node, header }))
      .catch((error: unknown) => this.#shell?.fail(error));
  }

  #nodeStatus(): readonly NodeStatus[] {
    return this.#choice.views(monotonic()).map((view, at) => nodeStatus(this.#nodes[at]?.name ?? "", view));
  }

  /** Seconds since the newest template came; undefined before the first. */
  #templateAge(): number | undefined {
    const { age } = this.source;
    return age === undefined ? undefined : age / 1000;
  }
}

/** Milliseconds; whatever happens to the machine's time of day. */
function monotonic(): number {
  return performance.now();
}
