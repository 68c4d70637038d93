import {
  decodeBlock,
  describeCoinbase,
  displayHash,
  encodeTransaction,
  hex,
  sha256d,
  targetFromBits,
  workOf,
} from "@adit/bitcoin";
import type { StoredBlock } from "./chain/chain-file.ts";
import type { EmbeddedChain } from "./chain/embedded-chain.ts";
import type { TemplateServer } from "./template-server.ts";

/** A block as the status document shows it. */
export interface BlockStatus {
  readonly height: number;
  readonly hash: string;
  readonly coinbase: {
    readonly height: number | null;
    readonly tag: string;
    readonly outputs: readonly {
      readonly address: string | null;
      readonly value: number;
      readonly type: string;
      readonly script: string;
    }[];
  };
  readonly solved_by: string;
}

/** The role's part of the status document. */
export interface TemplateProviderStatus {
  readonly network: "regtest";
  readonly chain: {
    readonly height: number;
    readonly tip_hash: string;
    readonly bits: string;
    readonly hashes_per_block: number;
  };
  readonly mempool: { readonly transactions: number; readonly fees: number };
  readonly blocks: {
    readonly accepted: number;
    readonly rejected: number;
    readonly rejected_by_reason: Readonly<Record<string, number>>;
    readonly elsewhere: number;
  };
  readonly last_block: BlockStatus | null;
  readonly clients: readonly {
    readonly id: number;
    readonly since: number;
    readonly template_id: string | null;
    readonly templates_sent: number;
    readonly coinbase_output_max_additional_size: number | null;
    readonly coinbase_output_max_additional_sigops: number | null;
  }[];
}

/** Describes a block of the chain: whom its coinbase pays and who found it. */
export function blockStatus({ bytes, solvedBy }: StoredBlock, height: number): BlockStatus {
  const [first] = decodeBlock(bytes).transactions;
  if (first === undefined) throw new RangeError("a block has a coinbase");
  const coinbase = describeCoinbase(encodeTransaction(first), "regtest");
  return {
    height,
    hash: displayHash(sha256d(bytes.subarray(0, 80))),
    coinbase: {
      height: coinbase.height ?? null,
      tag: coinbase.tag,
      outputs: coinbase.outputs.map(({ address, value, type, script }) => ({
        address: address ?? null,
        value: Number(value),
        type,
        script: hex(script),
      })),
    },
    solved_by: solvedBy,
  };
}

/** The status document, made afresh. */
export function templateProviderStatus(
  chain: EmbeddedChain,
  server: TemplateServer,
  lastBlock: BlockStatus | null,
): TemplateProviderStatus {
  const { tip, bits, mempool } = chain;
  const { accepted, rejected, rejectedByReason, elsewhere } = server.blocks;
  return {
    network: "regtest",
    chain: {
      height: tip.height,
      tip_hash: displayHash(tip.hash),
      bits: bits.toString(16).padStart(8, "0"),
      hashes_per_block: Number(workOf(targetFromBits(bits))),
    },
    mempool: { transactions: mempool.transactions, fees: Number(mempool.fees) },
    blocks: { accepted, rejected, rejected_by_reason: Object.fromEntries(rejectedByReason), elsewhere },
    last_block: lastBlock,
    clients: [...server.clients].map(([id, client]) => ({
      id,
      since: client.since,
      template_id: client.lastTemplateId?.toString() ?? null,
      templates_sent: client.templatesSent,
      coinbase_output_max_additional_size: client.room?.maxAdditionalSize ?? null,
      coinbase_output_max_additional_sigops: client.room?.maxAdditionalSigops ?? null,
    })),
  };
}
