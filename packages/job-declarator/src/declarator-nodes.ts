import { join } from "node:path";
import { type Hash, hash, type Network } from "@adit/bitcoin";
import { type BitcoinNode, MempoolIndex, NodeError } from "@adit/bitcoin-node";
import { type FolderLock, lockFolder } from "@adit/data-folder";
import type { RoleContext } from "@adit/role-kit";
import { type NodeStatus, RoleNodes, type SubmissionStatus, type SubmittedBlock } from "@adit/role-nodes";
import type { CheckVerdict } from "./core/effects.ts";
import type { KnownTransaction } from "./core/known-transaction.ts";
import type { DeclaratorTip } from "./core/tip.ts";
import type { DeclaratorNodeSettings } from "./settings.ts";

/** Who is told what {@link DeclaratorNodes} sees. */
export interface DeclaratorNodesListener {
  /** The next block builds on another one. Must not throw. */
  readonly onTip: (tip: DeclaratorTip) => void;
  /** Something went wrong that nobody foresaw. */
  readonly onFailure: (error: unknown) => void;
}

/** Templates are wanted for their tip only: on one tip there is no need of many. */
const TEMPLATE_INTERVAL_SECS = 60;
/** A tip is known from a header before the node has made a template on it. */
const EMPTY_TEMPLATE_AFTER_SECS = 0.25;
/** A template that is older than this was not replaced although several were due. */
const TEMPLATE_ALARM_SECS = 3 * TEMPLATE_INTERVAL_SECS;

/** What the nodes know and say, for one job-declarator server: the tip, transactions, verdicts; and where blocks go. */
export class DeclaratorNodes implements AsyncDisposable {
  readonly #nodes: RoleNodes;
  readonly #lock: FolderLock;
  readonly #settings: DeclaratorNodeSettings;
  readonly #log: RoleContext["log"];
  readonly #stopping = new AbortController();
  #mempool: { readonly node: BitcoinNode; readonly index: MempoolIndex } | undefined;
  #refreshing: Promise<void> | undefined;
  #refreshedAt = -Infinity;
  #listener: DeclaratorNodesListener | undefined;
  /** Blocks are handed over one at a time. */
  #submitting: Promise<void> = Promise.resolve();

  private constructor(
    { nodes, lock }: { readonly nodes: RoleNodes; readonly lock: FolderLock },
    settings: DeclaratorNodeSettings,
    log: RoleContext["log"],
  ) {
    this.#nodes = nodes;
    this.#lock = lock;
    this.#settings = settings;
    this.#log = log;
  }

  /**
   * Opens the folder of blocks, which no other process may use. Nodes are asked from {@link start} on.
   *
   * @throws FolderLockError; errors of the file system as they are.
   */
  static async open(
    settings: DeclaratorNodeSettings,
    network: Network,
    { log, metrics }: Pick<RoleContext, "log" | "metrics">,
  ): Promise<DeclaratorNodes> {
    const following = {
      ...settings,
      network,
      templateIntervalSecs: TEMPLATE_INTERVAL_SECS,
      emptyTemplateAfterSecs: EMPTY_TEMPLATE_AFTER_SECS,
    };
    const blocksFolder = join(settings.dataPath, "blocks");
    const lock = await lockFolder(settings.dataPath);
    try {
      const nodes = await RoleNodes.open(following, { log, metrics, role: "jd_server", blocksFolder });
      return new DeclaratorNodes({ nodes, lock }, settings, log);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /** Begins to follow the nodes. Called once. */
  start(listener: DeclaratorNodesListener): void {
    this.#listener = listener;
    this.#nodes.start({
      onTemplate: ({ template: { prevHash, height, bits, minTime } }) =>
        listener.onTip({ prevHash, height, nbits: bits, minNtime: minTime }),
      onFailure: listener.onFailure,
    });
  }

  /** Transactions of the mempool at hand, and their bytes. */
  get mempool(): { readonly transactions: number; readonly bytes: number } {
    return { transactions: this.#mempool?.index.size ?? 0, bytes: this.#mempool?.index.bytes ?? 0 };
  }

  /** Blocks that came into a best chain since the start. */
  get accepted(): number {
    return this.#nodes.blocks.accepted;
  }

  /** Why declarations cannot be checked; null while they can. Told to the operator. */
  get trouble(): string | null {
    return this.#nodes.trouble(TEMPLATE_ALARM_SECS);
  }

  /** The nodes, and what became of the newest blocks. */
  status(): { readonly nodes: readonly NodeStatus[]; readonly submissions: readonly SubmissionStatus[] } {
    return { nodes: this.#nodes.status(), submissions: this.#nodes.blocks.status() };
  }

  /** Time passes; a few times a second. */
  tick(): void {
    this.#nodes.tick();
    const isDue = performance.now() - this.#refreshedAt >= this.#settings.mempoolUpdateIntervalSecs * 1000;
    if (isDue && this.#nodes.active !== undefined) void this.#refresh();
  }

  /**
   * The transactions with these hashes as the preferred node's mempool has them, which is looked at once more for those
   * that are not at hand; undefined where it has none, or does not answer.
   */
  async lookUp(wtxids: readonly Uint8Array[]): Promise<readonly (KnownTransaction | undefined)[]> {
    const hashes = wtxids.map((wtxid) => hash(wtxid));
    if (!hashes.every((wtxid) => this.#mempool?.index.has(wtxid))) await this.#refresh();
    return await this.#byWtxid(hashes);
  }

  /** What the first node that answers says of a block without work. */
  async check(block: Uint8Array): Promise<CheckVerdict> {
    let reason = "no node is known";
    for (const node of this.#nodes.followed) {
      try {
        return await node.proposeBlock(block, { signal: this.#stopping.signal });
      } catch (error) {
        if (!(error instanceof NodeError)) throw error;
        if (this.#stopping.signal.aborted) break;
        reason = error.message;
        this.#log.warn({ node: node.name, code: error.code, error: error.message }, "a node did not check a job");
      }
    }
    return { kind: "failed", reason };
  }

  /** Takes a block to its file and to every node. */
  submit(block: SubmittedBlock): void {
    this.#submitting = this.#submitting.then(() => this.#nodes.blocks.submit(block));
    this.#submitting.catch((error: unknown) => this.#listener?.onFailure(error));
  }

  /** Asks the nodes for their tip and template now. */
  refreshTip(): void {
    this.#nodes.refresh();
  }

  /** Hands over the blocks that are on their way, and stops. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#submitting.catch(() => {});
    this.#stopping.abort();
    await this.#refreshing;
    await this.#nodes[Symbol.asyncDispose]();
    this.#lock[Symbol.dispose]();
  }

  async #byWtxid(hashes: readonly Hash[]): Promise<readonly (KnownTransaction | undefined)[]> {
    try {
      return (await this.#mempool?.index.byWtxid(hashes, { signal: this.#stopping.signal })) ?? [];
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      this.#log.warn(
        { code: error.code, error: error.message },
        "transactions not had from the node, clients are asked",
      );
      return [];
    }
  }

  /** One look at a time: whoever asks during one waits for its end. Never rejects. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = undefined;
      this.#refreshedAt = performance.now();
    });
    return this.#refreshing;
  }

  async #look(): Promise<void> {
    const node = this.#nodes.active;
    if (node === undefined) return;
    if (this.#mempool?.node !== node) {
      this.#mempool = { node, index: new MempoolIndex(node, { maxBytes: this.#settings.mempoolMaxBytes }) };
    }
    try {
      await this.#mempool.index.refresh({ signal: this.#stopping.signal });
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      if (!(error instanceof NodeError)) return this.#listener?.onFailure(error);
      this.#log.warn({ node: node.name, code: error.code, error: error.message }, "the node's mempool is not known");
    }
  }
}
