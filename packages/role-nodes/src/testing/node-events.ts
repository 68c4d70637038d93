import { type Hash, hash, targetFromBits } from "@adit/bitcoin";
import {
  NodeError,
  type NodeErrorCode,
  type NodeEvent,
  type NodeHeader,
  type NodeTemplate,
  type NodeTransaction,
} from "@adit/bitcoin-node";

const REGTEST_BITS = 0x207fffff;

/** A hash; no two numbers give the same. */
export function hashOf(seed: number): Hash {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, seed);
  return hash(bytes);
}

/** The answer of `getblocktemplate`, without transactions unless told: on block 101 of regtest. */
export function nodeTemplate(fields: Partial<NodeTemplate> = {}): NodeTemplate {
  const height = fields.height ?? 102;
  return {
    version: 0x20000000,
    prevHash: hashOf(height - 1),
    height,
    bits: REGTEST_BITS,
    target: targetFromBits(fields.bits ?? REGTEST_BITS),
    minTime: 1_799_999_000,
    curTime: 1_800_000_000,
    coinbaseValue: 5_000_000_000n,
    transactions: [],
    witnessCommitment: undefined,
    weightLimit: 4_000_000,
    sigopsLimit: 80_000,
    longPollId: undefined,
    ...fields,
  };
}

/** A transaction of a node's template: 200 bytes of one number, which nobody looks into. */
export function nodeTransaction(seed: number, fields: Partial<NodeTransaction> = {}): NodeTransaction {
  return {
    bytes: new Uint8Array(200).fill(seed),
    txid: hashOf(1_000_000 + seed),
    wtxid: hashOf(2_000_000 + seed),
    fee: 1_000n,
    weight: 800,
    sigopsCost: 4,
    depends: [],
    ...fields,
  };
}

/** What a node tells of a block in its best chain. */
export function nodeHeader(height: number, fields: Partial<NodeHeader> = {}): NodeHeader {
  return {
    hash: hashOf(height),
    prevHash: hashOf(height - 1),
    height,
    time: 1_800_000_000,
    medianTimePast: 1_799_999_000,
    bits: REGTEST_BITS,
    confirmations: 1,
    ...fields,
  };
}

/** A poll was answered: the tip is at `height`. */
export function polled(height: number, tip: Hash = hashOf(height)): NodeEvent {
  const info = { chain: "regtest", height, tip, work: undefined, initialBlockDownload: false, pruned: false } as const;
  return { type: "chain", info };
}

/** A template on the block at `height`, which the node was asked for `tookMs` ago. */
export function templateOn(
  height: number,
  { tookMs = 0, by = "request", ...fields }: Partial<NodeTemplate & NodeEvent & { readonly type: "template" }> = {},
): NodeEvent {
  return { type: "template", template: nodeTemplate({ ...fields, height: height + 1 }), tookMs, by };
}

const methods = {
  poll: "getblockchaininfo",
  request: "getblocktemplate",
  "long-poll": "getblocktemplate",
  zmq: "zmqpubhashblock",
} as const;

/** A call that failed. */
export function failed(by: keyof typeof methods, code: NodeErrorCode = "unreachable"): NodeEvent {
  return { type: "failed", error: nodeError(methods[by], code), by };
}

/** What a failed call throws. */
export function nodeError(method: string, code: NodeErrorCode = "unreachable"): NodeError {
  return new NodeError(code, { node: "node:8332", method, message: "it is gone" });
}
