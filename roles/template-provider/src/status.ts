import {
  decodeBlock,
  describeCoinbase,
  displayHash,
  encodeTransaction,
  hex,
  type Network,
  sha256d,
} from "@adit/bitcoin";
import type { Backend, BackendStatus } from "./backend.ts";
import type { SolvedBlock } from "./template/solved-block.ts";
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
export interface TemplateProviderStatus extends Omit<BackendStatus, "accepted" | "elsewhere"> {
  readonly blocks: {
    readonly accepted: number;
    readonly rejected: number;
    readonly rejected_by_reason: Readonly<Record<string, number>>;
    readonly elsewhere: number;
  };
  readonly clients: readonly {
    readonly id: number;
    readonly since: number;
    readonly template_id: string | null;
    readonly templates_sent: number;
    readonly coinbase_output_max_additional_size: number | null;
    readonly coinbase_output_max_additional_sigops: number | null;
  }[];
}

/** Describes a block: whom its coinbase pays and who found it. */
export function blockStatus(
  { bytes, solvedBy }: Pick<SolvedBlock, "bytes" | "solvedBy">,
  { height, network }: { readonly height: number; readonly network: Network },
): BlockStatus {
  const [first] = decodeBlock(bytes).transactions;
  if (first === undefined) throw new RangeError("a block has a coinbase");
  const coinbase = describeCoinbase(encodeTransaction(first), network);
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
export function templateProviderStatus(backend: Backend, server: TemplateServer): TemplateProviderStatus {
  const { accepted, elsewhere, ...status } = backend.status();
  const { total: rejected, byReason } = server.refused;
  return {
    ...status,
    blocks: { accepted, rejected, rejected_by_reason: Object.fromEntries(byReason), elsewhere },
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
