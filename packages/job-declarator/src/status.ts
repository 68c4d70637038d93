import { displayHash, type Network } from "@adit/bitcoin";
import type { NodeStatus, SubmissionStatus } from "@adit/role-nodes";
import type { DeclareErrorCode } from "./core/fault.ts";
import type { JobDeclarator } from "./core/job-declarator.ts";
import type { DeclaratorNodes } from "./declarator-nodes.ts";

/** What a job-declarator server has done since its start. */
export interface DeclaratorTotals {
  tokens: number;
  declared: number;
  readonly refusedByCode: Map<DeclareErrorCode, number>;
  solvedBlocks: number;
}

/** A job-declarator server's part of a status document. */
export interface DeclaratorStatus {
  readonly network: Network;
  /** What the next block builds on; null before it is known. */
  readonly tip: { readonly height: number; readonly hash: string; readonly bits: string } | null;
  readonly tokens: { readonly allocated: number; readonly outstanding: number; readonly requests_held: number };
  readonly declarations: {
    readonly declared: number;
    readonly refused: number;
    readonly refused_by_code: Readonly<Record<string, number>>;
    readonly pending: number;
  };
  readonly declared_jobs: { readonly count: number; readonly transactions: number; readonly bytes: number };
  /** Blocks solved on declared jobs, and those of them that are on the chain. */
  readonly blocks: { readonly solved: number; readonly accepted: number };
  /** The preferred node's mempool as far as it is at hand; null without nodes. */
  readonly mempool: { readonly transactions: number; readonly bytes: number } | null;
  readonly nodes: readonly NodeStatus[];
  readonly submissions: readonly SubmissionStatus[];
  readonly clients: readonly {
    readonly id: number;
    readonly mode: "full-template" | "coinbase-only";
    readonly tokens: number;
    readonly pending: number;
    readonly declared_jobs: number;
  }[];
}

/** The status, made afresh. */
export function declaratorStatus(
  parts: { readonly core: JobDeclarator; readonly nodes: DeclaratorNodes | undefined; readonly network: Network },
  totals: DeclaratorTotals,
): DeclaratorStatus {
  const { core, nodes, network } = parts;
  const { tip } = core;
  const refused = [...totals.refusedByCode.values()].reduce((sum, one) => sum + one, 0);
  return {
    network,
    tip:
      tip === undefined
        ? null
        : {
            height: tip.height - 1,
            hash: displayHash(tip.prevHash),
            bits: tip.nbits.toString(16).padStart(8, "0"),
          },
    tokens: { allocated: totals.tokens, outstanding: core.tokens, requests_held: core.waiting },
    declarations: {
      declared: totals.declared,
      refused,
      refused_by_code: Object.fromEntries(totals.refusedByCode),
      pending: core.pending,
    },
    declared_jobs: core.jobs,
    blocks: { solved: totals.solvedBlocks, accepted: nodes?.accepted ?? 0 },
    mempool: nodes?.mempool ?? null,
    nodes: nodes?.status().nodes ?? [],
    submissions: nodes?.status().submissions ?? [],
    clients: core.clients().map(({ connection, declaresTxData, tokens, pending, jobs }) => ({
      id: connection,
      mode: declaresTxData ? "full-template" : "coinbase-only",
      tokens,
      pending,
      declared_jobs: jobs,
    })),
  };
}
