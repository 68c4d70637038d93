export {
  BlockLedger,
  type BlockResult,
  blockResults,
  type LedgerBlock,
  type LedgerEffect,
  type LedgerInput,
} from "./blocks/block-ledger.ts";
export {
  type ClientChannel,
  type FoundExtendedShare,
  type FoundShare,
} from "./client/client-channel.ts";
export { MiningClientError, type MiningClientErrorCode } from "./client/client-error.ts";
export type { ClientEvent, ClientFault, ClientFaultCode } from "./client/client-event.ts";
export type { ClientJob, ClientJobState } from "./client/client-job.ts";
export { type ClientLimits, defaultClientLimits } from "./client/client-limits.ts";
export { MiningClient, type MiningClientOptions } from "./client/mining-client.ts";
export { CoreOutbox, type CountEffect, type LogEffect, type Totals } from "./core-outbox.ts";
export { defaultOutboundLimits, type OutboundLimits, OutboundQueue } from "./outbound-queue.ts";
export { type UpdateErrorCode } from "./server/channel-control.ts";
export { type OpenErrorCode } from "./server/channel-opening.ts";
export { GROUP_CHANNEL_ID, type ServiceMode } from "./server/connection.ts";
export type {
  CustomDeclaration,
  CustomJobErrorCode,
  CustomJobPolicy,
  CustomJobRequest,
  TokenVerdict,
} from "./server/custom-job.ts";
export type {
  AcceptedShare,
  ConnectionId,
  ExtranonceBase,
  ExtranonceOptions,
  FoundBlock,
  MiningServerOptions,
  ServerEffect,
  ServerInput,
  ShareErrorCode,
  ShareRef,
} from "./server/effects.ts";
export { ExtranonceAllocator, type ExtranonceLease } from "./server/extranonce-allocator.ts";
export {
  type ActivatedJob,
  type Activation,
  type ChainTip,
  type CustomOrigin,
  type FoundJob,
  type Job,
  type JobOrigin,
  JobStore,
  type TemplateOrigin,
} from "./server/job-store.ts";
export { type ChannelLimits, defaultChannelLimits, shareBurstFor } from "./server/limits.ts";
export { MiningServer } from "./server/mining-server.ts";
export { type ShareCounts, WORK_OF_DIFFICULTY_1 } from "./server/share-accounting.ts";
export {
  coinbaseOf,
  type HashedCandidate,
  type ShareContext,
  type ShareVerdict,
  type SubmittedShare,
  VERSION_ROLLING_MASK,
  validateShare,
} from "./server/share-validation.ts";
export type { ChannelStatus, ConnectionStatus, MiningServerStatus } from "./server/status.ts";
export { defaultVardiffOptions, Vardiff, type VardiffChannel, type VardiffOptions } from "./vardiff.ts";
