import {
  type Block,
  decodeBlock,
  displayHash,
  encodeHeader,
  encodeTransaction,
  hash,
  sha256d,
  txid,
  wtxid,
} from "@adit/bitcoin";
import { NodeServer } from "@adit/role-nodes/testing";

/** A transaction that the node may have in its mempool. */
export interface NodeTransaction {
  readonly bytes: Uint8Array;
  readonly txid: Uint8Array;
  readonly wtxid: Uint8Array;
}

/** A small segwit transaction; no two numbers give the same. */
export function nodeTransaction(seed: number): NodeTransaction {
  const tx = {
    version: 2,
    inputs: [
      {
        prevHash: hash(new Uint8Array(32).fill(7)),
        index: seed,
        script: new Uint8Array(0),
        sequence: 0xffffffff,
        witness: [Uint8Array.of(seed)],
      },
    ],
    outputs: [{ value: 1_000n, script: Uint8Array.of(0x51) }],
    locktime: 0,
    segwit: true,
  };
  return { bytes: encodeTransaction(tx), txid: txid(tx), wtxid: wtxid(tx) };
}

/** The tip that the node has, and the time its next block may have. */
export const TIP: { readonly height: number; readonly hash: string; readonly minTime: number } = {
  height: 101,
  hash: `${"0".repeat(60)}00aa`,
  minTime: 1_700_000_000,
};

/** A real HTTP server that answers as a node on regtest with this mempool does; it takes every block. */
export class RegtestNode implements AsyncDisposable {
  readonly server: NodeServer;
  /** Blocks it was asked to check, then those it was given. */
  readonly proposals: Block[] = [];
  readonly submitted: Block[] = [];
  /** What it says of a proposal; null for nothing wrong. */
  verdict: string | null = null;

  private constructor(server: NodeServer, mempool: readonly NodeTransaction[]) {
    this.server = server;
    const byId = new Map(mempool.map((transaction) => [displayHash(transaction.txid), transaction.bytes]));
    server.on("getblockchaininfo", () => ({
      result: { chain: "regtest", blocks: TIP.height, bestblockhash: TIP.hash, chainwork: "cc" },
    }));
    server.on("getrawmempool", () => ({ result: [...byId.keys()] }));
    server.on("getrawtransaction", ({ params }) => ({
      result: Buffer.from(byId.get(String(params[0]))!).toString("hex"),
    }));
    server.on("getblocktemplate", ({ params }) => this.#template(params[0] as TemplateRequest));
    server.on("submitblock", ({ params }) => {
      this.submitted.push(decodeBlock(Buffer.from(String(params[0]), "hex")));
      return { result: null };
    });
    server.on("getblockheader", ({ params }) => ({
      result: {
        hash: params[0],
        height: TIP.height + 1,
        time: TIP.minTime,
        bits: "207fffff",
        confirmations: 1,
      },
    }));
  }

  /** Starts one on a free port of this machine. */
  static async start(mempool: readonly NodeTransaction[]): Promise<RegtestNode> {
    return new RegtestNode(await NodeServer.start(), mempool);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  #template({ mode, data, longpollid }: TemplateRequest): { readonly result: unknown } | Promise<never> {
    if (mode === "proposal") {
      this.proposals.push(decodeBlock(Buffer.from(data ?? "", "hex")));
      return { result: this.verdict };
    }
    // Nothing changes, so a long poll is never answered.
    if (longpollid !== undefined) return new Promise<never>(() => {});
    return {
      result: {
        version: 0x20000000,
        rules: ["csv", "!segwit"],
        previousblockhash: TIP.hash,
        transactions: [],
        coinbasevalue: 5_000_000_000,
        longpollid: `${TIP.hash}1`,
        target: "7fffff".padEnd(64, "0"),
        mintime: TIP.minTime,
        mutable: ["time", "transactions", "prevblock"],
        sigoplimit: 80_000,
        sizelimit: 4_000_000,
        weightlimit: 4_000_000,
        curtime: TIP.minTime + 600,
        bits: "207fffff",
        height: TIP.height + 1,
      },
    };
  }
}

interface TemplateRequest {
  readonly mode?: string;
  readonly data?: string;
  readonly longpollid?: string;
}

/** Id of a block, as displayed. */
export function blockId({ header }: Block): string {
  return displayHash(sha256d(encodeHeader(header)));
}
