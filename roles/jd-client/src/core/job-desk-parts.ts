import type { ClientChannel, MiningClient } from "@adit/channels";
import type { JobDeclarationMessage, MiningMessage } from "@adit/codec";
import type { Outbox } from "./outbox.ts";
import type { ShareCache } from "./share-cache.ts";
import type { TemplateTransactions } from "./template-transactions.ts";
import type { TokenPurse } from "./token-purse.ts";
import type { Tolerance } from "./tolerance.ts";

/** What a `JobDesk` works with: its session's parts, and those that all sessions share. */
export interface JobDeskParts {
  /** Whether jobs are declared with their transactions before the pool is told of them (spec 6.3). */
  readonly mode: "FULLTEMPLATE" | "COINBASEONLY";
  /** Longest wait for an answer about a job, in milliseconds. */
  readonly timeoutMs: number;
  readonly client: MiningClient;
  readonly channel: ClientChannel;
  readonly purse: TokenPurse;
  readonly tolerance: Tolerance;
  readonly cache: ShareCache;
  readonly transactions: TemplateTransactions;
  readonly outbox: Outbox;
  /** A request id that was not used before. */
  readonly nextRequestId: () => number;
  readonly toPool: (message: MiningMessage, worker?: string) => void;
  readonly toJds: (message: JobDeclarationMessage) => void;
}
