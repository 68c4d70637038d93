import { displayHash, type Network, targetFromBits, workOf } from "@adit/bitcoin";
import type { RoleContext } from "@adit/role-kit";
import type { NodeStatus, SubmissionStatus } from "@adit/role-nodes";
import type { BlockStatus } from "./block-status.ts";
import type { SolutionFault } from "./template/solution.ts";
import type { SolvedBlock } from "./template/solved-block.ts";
import type { TemplateFile } from "./template/template-file.ts";
import type { FormerTemplates } from "./template/template-lines.ts";
import type { TemplateServerOptions } from "./template-server.ts";
import type { SourceChange, SourceTip, TemplateSource } from "./template-source.ts";

/** A block a client solved. */
export interface ClientsBlock {
  readonly block: SolvedBlock;
  readonly templateId: bigint;
  /** What is wrong with it although it has the work. */
  readonly faults: readonly SolutionFault[];
}

/** What a backend may ask of the shell. */
export interface BackendShell {
  /**
   * Runs a piece of work between two inputs of the server, which then takes the changes that the work returns. Rejects,
   * and ends the role, when the work does.
   */
  run(work: () => Promise<readonly SourceChange[]>): Promise<void>;
  /** Ends the role. */
  fail(error: unknown): void;
}

/** Where templates come from and blocks go: the embedded chain, or Bitcoin nodes. */
export interface Backend extends AsyncDisposable {
  readonly source: TemplateSource;
  /** What this backend decides of the server's options. */
  readonly server: Pick<TemplateServerOptions, "feeThreshold" | "minIntervalMs" | "judge" | "lateBlocks"> & {
    readonly former: FormerTemplates;
  };
  /** Where what is sent is written down. */
  readonly templates: TemplateFile;
  /** Begins to work by itself. Called once, before anything else but the fields above. */
  start(shell: BackendShell): void;
  /** Time passes; a few times a second. */
  tick(): Promise<readonly SourceChange[]>;
  /** A client has solved a block. Resolves when the next message may be taken. */
  solved(block: ClientsBlock): Promise<readonly SourceChange[]>;
  /** The backend's part of the status document. */
  status(): BackendStatus;
  /** Opens the backend's own door besides the role's, where it has one and the config asks for it. Called after `start`. */
  serveRpc?(): Promise<BackendRpc | null>;
  /** Why there is no work to give, or that it is older than it should be; null while all is well. Told to the operator. */
  readonly trouble: string | null;
}

/** A backend's own door; whoever opened it closes it before the backend. */
export interface BackendRpc extends AsyncDisposable {
  /** The bound `host:port`. */
  readonly address: string;
}

/** The backend's part of the status document. */
export interface BackendStatus {
  readonly network: Network;
  /** Null as long as nothing is known to build on. */
  readonly chain: {
    readonly height: number;
    readonly tip_hash: string;
    readonly bits: string;
    readonly hashes_per_block: number;
  } | null;
  /** What waits for a block: transactions, and their fees in satoshi. */
  readonly mempool: { readonly transactions: number; readonly fees: number };
  /** Blocks of clients and over RPC that are on the chain, and others' that this process mined, since the start. */
  readonly accepted: number;
  readonly elsewhere: number;
  readonly last_block: BlockStatus | null;
  /** The Bitcoin nodes, most preferred first; none with the embedded chain. */
  readonly nodes: readonly NodeStatus[];
  /** What became of the newest blocks that were submitted to nodes, newest first. */
  readonly submissions: readonly SubmissionStatus[];
}

/** `chain` of the status document. */
export function chainStatus(tip: SourceTip, bits: number): NonNullable<BackendStatus["chain"]> {
  return {
    height: tip.height,
    tip_hash: displayHash(tip.hash),
    bits: bits.toString(16).padStart(8, "0"),
    hashes_per_block: Number(workOf(targetFromBits(bits))),
  };
}

/** What a backend works with. */
export type BackendPorts = Pick<RoleContext, "log" | "metrics" | "now">;
