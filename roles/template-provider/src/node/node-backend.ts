import { join } from "node:path";
import { displayHash } from "@adit/bitcoin";
import { type ReceivedTemplate, RoleNodes } from "@adit/role-nodes";
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
import { NodeSource } from "./node-source.ts";

/**
 * Bitcoin nodes as a backend: templates come from the most preferred one that has the best known tip, and every block
 * goes to a file first and then to all of them.
 */
export class NodeBackend implements Backend {
  readonly source: NodeSource = new NodeSource(() => performance.now());
  readonly server: Backend["server"];
  readonly templates: TemplateFile;
  readonly #settings: BitcoinNodeSettings;
  readonly #log: BackendPorts["log"];
  readonly #nodes: RoleNodes;
  #lastBlock: BlockStatus | null = null;

  private constructor(
    settings: BitcoinNodeSettings,
    open: { readonly nodes: RoleNodes; readonly templates: TemplateFile },
    log: BackendPorts["log"],
  ) {
    this.#settings = settings;
    this.#log = log;
    this.#nodes = open.nodes;
    this.templates = open.templates;
    this.server = {
      feeThreshold: BigInt(settings.feeThreshold),
      minIntervalMs: settings.minInterval * 1000,
      judge: admitSolution,
      lateBlocks: "solved",
      former: open.templates.former,
    };
  }

  /** Opens the backend's files. Nodes are asked from {@link start} on. Errors of the file system as they are. */
  static async open(settings: BitcoinNodeSettings, { log, metrics }: BackendPorts): Promise<NodeBackend> {
    const { dataPath } = settings;
    const templates = await TemplateFile.open(dataPath);
    const nodes = await RoleNodes.open(settings, {
      log,
      metrics,
      role: "template_provider",
      blocksFolder: join(dataPath, "blocks"),
    });
    return new NodeBackend(settings, { nodes, templates }, log);
  }

  start(shell: BackendShell): void {
    this.#nodes.start({
      // From outside of the server's order. The shell ends the role when this fails.
      onTemplate: (received, node) => void shell.run(async () => [this.#serve(received, node)]).catch(() => {}),
      onFailure: (error) => shell.fail(error),
    });
  }

  async tick(): Promise<readonly SourceChange[]> {
    this.#nodes.tick();
    return [];
  }

  async solved({ block, templateId, faults }: ClientsBlock): Promise<readonly SourceChange[]> {
    const { height, hash } = block;
    await this.#nodes.blocks.submit(block);
    const fields = { height, hash: displayHash(hash), templateId: templateId.toString() };
    if (faults.length > 0) this.#log.warn({ ...fields, faults }, "the solved block departs from its template");
    this.#log.info({ ...fields, bytes: block.bytes.length }, "block solved");
    this.#lastBlock = blockStatus(block, this.#settings.network);
    return [];
  }

  get trouble(): string | null {
    return this.#nodes.trouble(this.#settings.templateAlarmSecs);
  }

  status(): BackendStatus {
    const { tip, received, fees } = this.source;
    return {
      network: this.#settings.network,
      chain: tip === undefined || received === undefined ? null : chainStatus(tip, received.template.bits),
      mempool: { transactions: received?.template.transactions.length ?? 0, fees: Number(fees) },
      accepted: this.#nodes.blocks.accepted,
      elsewhere: 0,
      last_block: this.#lastBlock,
      nodes: this.#nodes.status(),
      submissions: this.#nodes.blocks.status(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nodes[Symbol.asyncDispose]();
    await this.templates[Symbol.asyncDispose]();
  }

  #serve(received: ReceivedTemplate, node: string): SourceChange {
    const { isStopgap, template } = received;
    const change = this.source.take(received);
    const { height, prevHash, transactions } = template;
    const fields = {
      node,
      height: height - 1,
      tip: displayHash(prevHash),
      transactions: transactions.length,
      isStopgap,
    };
    if (change.type === "tip") this.#log.info(fields, "new tip");
    else this.#log.debug(fields, "template taken");
    return change;
  }
}
