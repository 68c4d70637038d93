export type { DeclareErrorCode } from "./core/fault.ts";
export type { DeclaratorTip } from "./core/tip.ts";
export {
  type CustomJobContext,
  type CustomJobErrorCode,
  type CustomJobVerdict,
  judgeCustomJob,
} from "./custom-job.ts";
export {
  type DeclaratorPorts,
  JobDeclaratorServer,
  type JobDeclaratorServerOptions,
} from "./job-declarator-server.ts";
export {
  checkJds,
  checkNodes,
  type DeclaratorLimitSettings,
  type DeclaratorNodeSettings,
  type DeclaratorSettings,
  declaratorLimits,
  declaratorNodes,
  declaratorSettings,
  type JdsSettings,
  jdsServerSettings,
  jdsSettings,
} from "./settings.ts";
export type { DeclaratorStatus } from "./status.ts";
export { readToken, type Token, type TokenKind } from "./token.ts";
export { UsedTokens } from "./used-tokens.ts";
