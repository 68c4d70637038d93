export {
  assembleTemplate,
  type BlockTemplate,
  type CoinbaseRoom,
  fitsInBlock,
  reservedWeight,
  type TemplateParts,
} from "./chain/block-template.ts";
export { ChainFile, ChainFileError, type ChainFileErrorCode, type StoredBlock } from "./chain/chain-file.ts";
export { type ChainTip, genesisTip } from "./chain/chain-tip.ts";
export type { ElsewhereCandidate } from "./chain/elsewhere.ts";
export { EmbeddedChain, type EmbeddedChainOptions } from "./chain/embedded-chain.ts";
export { checkSolution, type SolutionContext, type SolutionFault, type SolutionOutcome } from "./chain/solution.ts";
export type { SolvedBlock, SolvedBy } from "./chain/solved-block.ts";
export type { MempoolTransaction, Random } from "./chain/synthetic-transaction.ts";
export {
  chainBits,
  type EmbeddedSettings,
  type TemplateLimits,
  type TemplateProviderConfig,
  templateProviderConfig,
} from "./config.ts";
export { templateProviderRole } from "./role.ts";
export type { BlockStatus, TemplateProviderStatus } from "./status.ts";
export {
  type BlockCounts,
  type ClientId,
  TemplateServer,
  type TemplateServerEffect,
  type TemplateServerInput,
  type TemplateServerOptions,
} from "./template-server.ts";
