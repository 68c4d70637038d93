import {
  decodeBlock,
  difficultyOf,
  displayHash,
  encodeTransaction,
  hashFromDisplay,
  targetFromBits,
  txid,
} from "@adit/bitcoin";
import { hexOf } from "@adit/bitcoin-node";
import { z } from "zod";
import { medianTimePast } from "../chain-tip.ts";
import type { ChainHeader, HeaderChain } from "../header-chain.ts";
import type { RpcMethod } from "./rpc-call.ts";
import { parameters, RpcError } from "./rpc-error.ts";

/** What the calls about blocks read. */
export interface ChainSource {
  readonly headers: HeaderChain;
  /** The serialized block at a height of the chain. */
  readonly block: (height: number) => Promise<Uint8Array>;
}

type Json = Readonly<Record<string, unknown>>;

/** A block or transaction id as callers write it. */
export const idParameter = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, "expected 64 hexadecimal digits")
  .transform((text) => hashFromDisplay(text.toLowerCase()));

const byHeight = z.tuple([z.int("expected a height")]);
const headerBy = z.tuple([idParameter, z.boolean("expected true or false").default(true)]);
const blockBy = z.tuple([
  idParameter,
  z
    .union([z.literal(0), z.literal(1), z.boolean()], "expected 0 for hexadecimal or 1 for JSON; no more is served")
    .default(1),
]);

/** `getblockchaininfo`, `getbestblockhash`, `getblockhash`, `getblockheader` and `getblock`, as Bitcoin Core has them. */
export function chainCalls({ headers, block }: ChainSource): readonly (readonly [string, RpcMethod])[] {
  return [
    ["getblockchaininfo", () => chainInfo(headers)],
    ["getbestblockhash", () => displayHash(bestOf(headers).hash)],
    [
      "getblockhash",
      ({ params }) => {
        const [height] = parameters(byHeight, params);
        const header = headers.at(height);
        if (header === undefined) throw new RpcError("invalidParameter", "Block height out of range");
        return displayHash(header.hash);
      },
    ],
    [
      "getblockheader",
      ({ params }) => {
        const [id, verbose] = parameters(headerBy, params);
        const header = found(headers.find(id));
        return verbose ? headerJson(header, headers) : hexOf(header.bytes);
      },
    ],
    [
      "getblock",
      async ({ params }) => {
        const [id, verbosity] = parameters(blockBy, params);
        const header = found(headers.find(id));
        const bytes = await block(header.height);
        return Number(verbosity) === 0 ? hexOf(bytes) : { ...headerJson(header, headers), ...blockJson(bytes) };
      },
    ],
  ];
}

function bestOf(headers: HeaderChain): ChainHeader {
  return found(headers.at(headers.height));
}

function found(header: ChainHeader | undefined): ChainHeader {
  if (header === undefined) throw new RpcError("notFound", "Block not found");
  return header;
}

function chainInfo(headers: HeaderChain): Json {
  const best = bestOf(headers);
  return {
    chain: "regtest",
    blocks: best.height,
    headers: best.height,
    bestblockhash: displayHash(best.hash),
    ...targetJson(best.fields.nbits),
    time: best.fields.ntime,
    mediantime: medianTimePast(headers.tipAt(best)),
    verificationprogress: 1,
    initialblockdownload: false,
    chainwork: workText(best.work),
    pruned: false,
    warnings: [],
  };
}

function headerJson(header: ChainHeader, headers: HeaderChain): Json {
  const { height, hash, fields, work } = header;
  const previous = headers.at(height - 1);
  const next = headers.at(height + 1);
  return {
    hash: displayHash(hash),
    confirmations: headers.height - height + 1,
    height,
    version: fields.version,
    versionHex: fields.version.toString(16).padStart(8, "0"),
    merkleroot: hexOf(fields.merkleRoot.toReversed()),
    time: fields.ntime,
    mediantime: medianTimePast(headers.tipAt(header)),
    nonce: fields.nonce,
    ...targetJson(fields.nbits),
    chainwork: workText(work),
    ...(previous === undefined ? {} : { previousblockhash: displayHash(previous.hash) }),
    ...(next === undefined ? {} : { nextblockhash: displayHash(next.hash) }),
  };
}

function blockJson(bytes: Uint8Array): Json {
  const { transactions } = decodeBlock(bytes);
  const strippedSize = transactions.reduce(
    (size, tx) => size - encodeTransaction(tx).length + encodeTransaction(tx, false).length,
    bytes.length,
  );
  return {
    nTx: transactions.length,
    size: bytes.length,
    strippedsize: strippedSize,
    weight: strippedSize * 3 + bytes.length,
    tx: transactions.map((tx) => displayHash(txid(tx))),
  };
}

function targetJson(nbits: number): Json {
  const target = targetFromBits(nbits);
  return {
    bits: nbits.toString(16).padStart(8, "0"),
    target: target.toString(16).padStart(64, "0"),
    difficulty: difficultyOf(target),
  };
}

function workText(work: bigint): string {
  return work.toString(16).padStart(64, "0");
}
