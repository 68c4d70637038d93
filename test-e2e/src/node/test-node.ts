import type { NodeRpc } from "./node-rpc.ts";

/** Node software that tests can run. */
export type NodeKind = "bcoin" | "btcd";

/** How a node is started. */
export interface NodeOptions {
  /** Folder of its own for what it keeps. It need not be there. */
  readonly folder: string;
  /** The only node to connect to, as its {@link TestNode.p2p} says. The chain comes from there: none is premined. */
  readonly peer?: string;
  /** Takes no transactions of its peer, so that its mempool is its own. */
  readonly blocksOnly?: true;
}

/** A Bitcoin node on regtest in a process of its own, with segwit in force. Disposing it ends it, whatever state it is in. */
export interface TestNode extends AsyncDisposable {
  /** Which software it is. */
  readonly kind: NodeKind;
  /** Where it serves JSON-RPC, for a config file: http://127.0.0.1:PORT. The same after a restart. */
  readonly rpcUrl: string;
  /** User of JSON-RPC. */
  readonly user: string;
  /** Password of JSON-RPC. */
  readonly password: string;
  /** host:port for other nodes. The same after a restart. */
  readonly p2p: string;
  /** Its process runs. */
  readonly isRunning: boolean;
  /** What it printed last, of all its lives: for messages of failures. */
  readonly log: string;
  /** Calls a method. Rejects with RpcError when the node answers so. */
  readonly rpc: NodeRpc;
  /** Ends it as an operator does: SIGTERM, and SIGKILL when that has not helped after twenty seconds. */
  stop(): Promise<void>;
  /** Ends it without a word (SIGKILL). */
  kill(): Promise<void>;
  /**
   * Starts it again, on the same folder and ports; resolves when it serves. One that runs is stopped before. bcoin has
   * its chain, after {@link kill} too; btcd removes a regtest chain when it starts, and has but the first block. The mempool
   * is empty.
   */
  restart(): Promise<void>;
}
