import {
  assembleCoinbase,
  bip34Prefix,
  buildCoinbase,
  displayHash,
  encodeBlock,
  encodeHeader,
  encodeOutputs,
  fromHex,
  hashFromDisplay,
  hex,
  merkleRootOf,
  restoreWitness,
  sha256d,
  subsidy,
  targetFromBits,
  txid,
  witnessCommitmentOutput,
  wtxid,
} from "@adit/bitcoin";
import { type CoinKind, lockingScript } from "./anyone-can-spend.ts";
import { type ChainHeader, headerOf, tipOf } from "./chain-view.ts";
import { grind } from "./grind.ts";
import type { TestNode } from "./test-node.ts";

/** A block of the tests' own making. */
export interface PlainBlock {
  readonly height: number;
  /** Displayed order. */
  readonly hash: string;
  readonly bytes: Uint8Array;
}

/** How {@link minePlain} mines. */
export interface MineOptions {
  /**
   * The block to build the first one on, or its hash in displayed order: a side branch, of empty blocks with the whole
   * subsidy. Without it, every block is what the node's template asks for. btcd knows no header beside its best chain.
   */
  readonly parent?: string | ChainHeader;
  /** What coinbases pay to, `legacy` by default. */
  readonly payTo?: CoinKind;
}

/** What a block is made of, whoever says so. */
export interface BlockPlan {
  readonly height: number;
  /** Hash of the block before, displayed order. */
  readonly parent: string;
  readonly version: number;
  /** Unix seconds. */
  readonly time: number;
  /** Compact target. */
  readonly bits: number;
  /** Satoshi. */
  readonly coinbaseValue: bigint;
  /** All but the coinbase, serialized with witnesses. */
  readonly transactions: readonly Uint8Array[];
  /** Commit to the witnesses (BIP141). */
  readonly commits: boolean;
}

/** The parts of a template (BIP22, BIP23, BIP145) that a block is made of. */
interface BlockTemplate {
  readonly version: number;
  readonly previousblockhash: string;
  readonly height: number;
  readonly curtime: number;
  readonly mintime: number;
  readonly bits: string;
  readonly coinbasevalue: number;
  readonly transactions: readonly { readonly data: string }[];
  readonly default_witness_commitment?: string;
}

const BASE_VERSION = 0x20000000;

/** Tells the coinbases of side branches of equal height apart. */
let extranonce = 0;

/** Mines blocks one on the other through getblocktemplate and submitblock. Rejects when the node refuses one. */
export async function minePlain(
  node: TestNode,
  count: number,
  { parent, payTo = "legacy" }: MineOptions = {},
): Promise<readonly PlainBlock[]> {
  const blocks: PlainBlock[] = [];
  let on = typeof parent === "string" ? await headerOf(node, parent) : parent;
  while (blocks.length < count) {
    const plan = on === undefined ? await planOfTemplate(node) : planOn(on);
    const block = solve(plan, payTo);
    await submit(node, block);
    blocks.push(block);
    // Not asked of the node: btcd does not tell of side branches.
    on &&= { ...plan, hash: block.hash };
  }
  return blocks;
}

/** Mines a branch that replaces the last `depth` blocks by one more of its own. Resolves when it is the best one. */
export async function reorganise(node: TestNode, depth: number): Promise<readonly PlainBlock[]> {
  let fork = await tipOf(node);
  for (let left = depth; left > 0; left -= 1) fork = await headerOf(node, fork.previousblockhash ?? "");
  const branch = await minePlain(node, depth + 1, { parent: fork.hash });
  const best = await node.rpc<string>("getbestblockhash");
  if (best !== branch.at(-1)?.hash) throw new Error(`${node.kind} stays at ${best}`);
  return branch;
}

/** The node's template as a plan. */
export async function planOfTemplate(node: TestNode): Promise<BlockPlan> {
  const template = await node.rpc<BlockTemplate>("getblocktemplate", [{ rules: ["segwit"] }]);
  return {
    height: template.height,
    parent: template.previousblockhash,
    version: template.version,
    time: Math.max(template.curtime, template.mintime),
    bits: Number.parseInt(template.bits, 16),
    coinbaseValue: BigInt(template.coinbasevalue),
    transactions: template.transactions.map(({ data }) => fromHex(data)),
    commits: template.default_witness_commitment !== undefined,
  };
}

/** An empty block. */
function planOn({ hash, height, time, bits }: ChainHeader): BlockPlan {
  return {
    height: height + 1,
    parent: hash,
    version: BASE_VERSION,
    // No median of eleven blocks is above the time of the last one.
    time: time + 1,
    bits,
    coinbaseValue: subsidy(height + 1, "regtest"),
    transactions: [],
    commits: false,
  };
}

/** The block of a plan, with a nonce that makes it one. */
export function solve(plan: BlockPlan, payTo: CoinKind = "legacy"): PlainBlock {
  const coinbase = coinbaseOf(plan, payTo);
  const merkleRoot = merkleRootOf([sha256d(coinbase), ...plan.transactions.map(txid)]);
  const header = encodeHeader({
    version: plan.version,
    prevHash: hashFromDisplay(plan.parent),
    merkleRoot,
    ntime: plan.time,
    nbits: plan.bits,
    nonce: 0,
  });
  grind(header, targetFromBits(plan.bits));
  const bytes = encodeBlock(header, [plan.commits ? restoreWitness(coinbase) : coinbase, ...plan.transactions]);
  return { height: plan.height, hash: displayHash(sha256d(header)), bytes };
}

/** Gives a block to the node. Rejects with its reason when it does not take it. */
async function submit(node: TestNode, { height, hash, bytes }: PlainBlock): Promise<void> {
  const refusal = await node.rpc<string | null>("submitblock", [hex(bytes)]);
  if (refusal !== null) throw new Error(`${node.kind} answers ${refusal} to block ${hash} of height ${height}`);
}

/**
 * What the node says against a block on its tip without taking it (BIP23, block proposal): undefined for nothing.
 */
export async function objectionTo(node: TestNode, { bytes }: PlainBlock): Promise<string | undefined> {
  const proposal = { mode: "proposal", data: hex(bytes), rules: ["segwit"] };
  return (await node.rpc<string | null>("getblocktemplate", [proposal])) ?? undefined;
}

/** Without witness. */
function coinbaseOf(plan: BlockPlan, payTo: CoinKind): Uint8Array {
  const commitments = plan.commits ? [witnessCommitmentOutput(plan.transactions.map(wtxid))] : [];
  extranonce += 1;
  const parts = buildCoinbase({
    txVersion: 2,
    scriptSigPrefix: bip34Prefix(plan.height),
    tag: "plain",
    extranonceSize: 4,
    inputSequence: 0xffffffff,
    outputs: [{ value: plan.coinbaseValue, script: lockingScript(payTo) }],
    templateOutputs: encodeOutputs(commitments),
    templateOutputsCount: commitments.length,
    locktime: 0,
  });
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, extranonce);
  return assembleCoinbase(parts, bytes);
}
