import { fromHex } from "@adit/bitcoin";
import type { TestNode } from "./test-node.ts";

/** A header of a node's chain. */
export interface ChainHeader {
  /** Hash of the block, displayed order. */
  readonly hash: string;
  readonly height: number;
  /** Unix seconds. */
  readonly time: number;
  /** Compact target. */
  readonly bits: number;
  /** Hash of the block before, displayed order; absent in the first block. */
  readonly previousblockhash?: string;
}

/** The header of any block that a node knows, by its hash in displayed order. */
export async function headerOf(node: TestNode, blockHash: string): Promise<ChainHeader> {
  type Told = Omit<ChainHeader, "bits"> & { readonly bits: number | string };
  const header = await node.rpc<Told>("getblockheader", [blockHash, true]);
  // A number from bcoin, hexadecimal from others.
  return { ...header, bits: typeof header.bits === "number" ? header.bits : Number.parseInt(header.bits, 16) };
}

/** The header of the best block. */
export async function tipOf(node: TestNode): Promise<ChainHeader> {
  return await headerOf(node, await node.rpc<string>("getbestblockhash"));
}

/** The bytes of any block that a node knows, by its hash in displayed order. */
export async function blockOf(node: TestNode, blockHash: string): Promise<Uint8Array> {
  return fromHex(await node.rpc<string>("getblock", [blockHash, node.kind === "bcoin" ? false : 0]));
}

/** The bytes of the block at a height of the best chain. */
export async function blockAt(node: TestNode, height: number): Promise<Uint8Array> {
  return await blockOf(node, await node.rpc<string>("getblockhash", [height]));
}

/** The best chain, without the first block, in order. */
export async function* chainOf(node: TestNode): AsyncGenerator<Uint8Array, void, undefined> {
  const height = await node.rpc<number>("getblockcount");
  for (let at = 1; at <= height; at += 1) yield await blockAt(node, at);
}
