import { setMaxListeners } from "node:events";
import type { Network } from "@adit/bitcoin";
import {
  BitcoinNode,
  type FollowedNodeSettings,
  type NodeCall,
  NodeError,
  NodeWatch,
  type RpcSettings,
  rpcAuth,
  rpcUrl,
} from "@adit/bitcoin-node";
import type { RoleContext } from "@adit/role-kit";
import { BlockFiles } from "./block-files.ts";
import { BlockSubmitter } from "./block-submitter.ts";
import { type ChoiceEffect, type ChoiceInput, NodeChoice } from "./node-choice.ts";
import { type NodeMetrics, nodeMetrics, watchNodes } from "./node-metrics.ts";
import { type NodeStatus, nodeStatus } from "./node-status.ts";
import type { ReceivedTemplate } from "./received-template.ts";

/** A role's nodes, as its config says. */
export interface RoleNodesSettings {
  readonly network: Network;
  /** Nodes that are followed, most preferred first. */
  readonly nodes: readonly FollowedNodeSettings[];
  /** Further nodes that only take blocks. */
  readonly extraSubmit: readonly RpcSettings[];
  readonly templateIntervalSecs: number;
  readonly pollIntervalSecs: number;
  readonly emptyTemplateAfterSecs: number;
  readonly pollTimeoutSecs: number;
  readonly rpcTimeoutSecs: number;
}

/** What {@link RoleNodes} works with. */
export interface RoleNodesOptions extends Pick<RoleContext, "log" | "metrics"> {
  /** The role's part of the metrics' names, e.g. `template_provider`. */
  readonly role: string;
  /** Folder of solved blocks. */
  readonly blocksFolder: string;
}

/** Who is told what {@link RoleNodes} sees. */
export interface RoleNodesListener {
  /** Called with each template that shall be worked on, one after the other. Must not throw. */
  readonly onTemplate: (received: ReceivedTemplate, node: string) => void;
  /** Something went wrong that nobody foresaw. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * The Bitcoin nodes of one role: templates come from the most preferred one that has the best known tip, and every block
 * goes to a file first and then to all of them. Follows them from {@link start} until it is disposed.
 */
export class RoleNodes implements AsyncDisposable {
  /** Where solved blocks go. */
  readonly blocks: BlockSubmitter;
  readonly #settings: RoleNodesSettings;
  readonly #options: RoleNodesOptions;
  readonly #metrics: NodeMetrics;
  /** Those that are followed come first, then those that only take blocks. */
  readonly #nodes: readonly BitcoinNode[];
  readonly #choice: NodeChoice;
  readonly #stopping = new AbortController();
  #listener: RoleNodesListener | undefined;
  #watches: readonly NodeWatch[] = [];
  #newest: ReceivedTemplate | undefined;
  #active: BitcoinNode | undefined;

  private constructor(settings: RoleNodesSettings, files: BlockFiles, options: RoleNodesOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#metrics = nodeMetrics(options.metrics, options.role);
    this.#nodes = [...settings.nodes, ...settings.extraSubmit].map((node) => this.#nodeOf(node));
    this.#choice = new NodeChoice({
      nodes: settings.nodes.length,
      network: settings.network,
      emptyTemplateAfterMs: settings.emptyTemplateAfterSecs * 1000,
    });
    this.blocks = new BlockSubmitter({
      files,
      nodes: this.#nodes,
      metrics: this.#metrics,
      onTaken: (node) => this.#watches[node]?.refresh(),
      onFailure: (error) => this.#listener?.onFailure(error),
      log: options.log,
      now: monotonic,
    });
    // One listener for each node and each call that is under way.
    setMaxListeners(0, this.#stopping.signal);
    watchNodes(options.metrics, options.role, {
      nodes: () => this.status(),
      templateAge: () => this.templateAgeSecs,
      pending: () => this.blocks.pending,
    });
  }

  /** Opens the folder of blocks and submits again what a former process left there. Errors of the file system as they are. */
  static async open(settings: RoleNodesSettings, options: RoleNodesOptions): Promise<RoleNodes> {
    const nodes = new RoleNodes(settings, await BlockFiles.open(options.blocksFolder), options);
    await nodes.blocks.restore();
    return nodes;
  }

  /** The node that templates come from; undefined before one is chosen. */
  get active(): BitcoinNode | undefined {
    return this.#active;
  }

  /** The followed nodes, the one that templates come from first. They stay the property of this. */
  get followed(): readonly BitcoinNode[] {
    const followed = this.#nodes.slice(0, this.#settings.nodes.length);
    const first = this.#active;
    return first === undefined ? followed : [first, ...followed.filter((node) => node !== first)];
  }

  /** Seconds since the newest template came; undefined before the first. */
  get templateAgeSecs(): number | undefined {
    return this.#newest === undefined ? undefined : (monotonic() - this.#newest.at) / 1000;
  }

  /** Begins to follow the nodes. Called once. */
  start(listener: RoleNodesListener): void {
    this.#listener = listener;
    const { pollIntervalSecs, templateIntervalSecs, nodes } = this.#settings;
    this.#watches = nodes.flatMap(({ zmqHashblock }, at) => {
      const node = this.#nodes[at];
      if (node === undefined) return [];
      return new NodeWatch({
        node,
        pollIntervalMs: pollIntervalSecs * 1000,
        templateIntervalMs: templateIntervalSecs * 1000,
        ...(zmqHashblock === undefined ? {} : { zmqHashblock }),
        onEvent: (event) => this.#take({ type: "node", node: at, event }),
        signal: this.#stopping.signal,
      });
    });
  }

  /** Time passes; a few times a second. */
  tick(): void {
    const height = this.#newest?.template.height;
    this.blocks.tick(height === undefined ? undefined : height - 1);
    this.#take({ type: "tick" });
  }

  /** Asks every followed node for its tip and its template now. */
  refresh(): void {
    for (const watch of this.#watches) watch.refresh();
  }

  /** Why there is no template, or that it is older than `alarmSecs`; null while all is well. Told to the operator. */
  trouble(alarmSecs: number): string | null {
    const age = this.templateAgeSecs;
    const errors = this.status().flatMap(({ error }) => (error === null ? [] : [error]));
    const why = errors.length > 0 ? `: ${errors.join("; ")}` : "";
    if (age === undefined) return `no template yet${why === "" ? ": no node has answered" : why}`;
    // The age itself would be another trouble every second, each with its line in the log.
    return age > alarmSecs ? `no template for more than ${alarmSecs} s${why}` : null;
  }

  /** The followed nodes, most preferred first. */
  status(): readonly NodeStatus[] {
    return this.#choice.views(monotonic()).map((view, at) => nodeStatus(this.#nodes[at]?.name ?? "", view));
  }

  /** Stops following and submitting. Blocks without an outcome are taken up by the next process. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#watches.map((watch) => watch[Symbol.asyncDispose]()));
    await this.blocks[Symbol.asyncDispose]();
    await Promise.all(this.#nodes.map((node) => node[Symbol.asyncDispose]()));
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

  #take(input: ChoiceInput): void {
    if (this.#stopping.signal.aborted) return;
    for (const effect of this.#choice.handle(input, monotonic())) this.#perform(effect);
  }

  #perform(effect: ChoiceEffect): void {
    const { log } = this.#options;
    const node = this.#nodes[effect.node]?.name ?? "";
    switch (effect.type) {
      case "want-templates":
        return this.#watches[effect.node]?.wantTemplates(effect.wanted);
      case "serve":
        return this.#serve(node, effect.received);
      case "ask-header":
        return this.#askHeader(effect);
      case "chosen":
        this.#active = this.#nodes[effect.node];
        return log.info({ node }, "templates come from this node");
      case "node-up":
        log.info({ node }, "node answers");
        return this.blocks.nodeUp(effect.node);
      case "node-down":
        return log.warn({ node, code: effect.error.code, error: effect.error.message }, "node does not answer");
      case "node-fault":
        return log.warn({ node, code: effect.error.code, error: effect.error.message }, "node answers with a fault");
      case "template-behind": {
        const { height, bestHeight } = effect;
        this.#metrics.templatesBehind.inc({ node });
        return log.warn({ node, height, bestHeight }, "template does not build on the best known tip; not served");
      }
      default:
        return effect satisfies never;
    }
  }

  #serve(node: string, received: ReceivedTemplate): void {
    this.#newest = received;
    this.#metrics.templatesReceived.inc({ node, stopgap: String(received.isStopgap) });
    this.#listener?.onTemplate(received, node);
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
      .then((header) => this.#take({ type: "header", node, header }))
      .catch((error: unknown) => this.#listener?.onFailure(error));
  }
}

/** Milliseconds; whatever happens to the machine's time of day. */
function monotonic(): number {
  return performance.now();
}
