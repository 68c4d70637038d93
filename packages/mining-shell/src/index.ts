export type { MinerEffect, MinerInput, MiningCore } from "./core.ts";
export {
  type ChannelRun,
  checkMiningLimits,
  type MiningLimitSettings,
  miningLimits,
  toChannelLimits,
  toOutboundLimits,
} from "./mining-limits.ts";
export {
  type ChannelSettings,
  channelSettings,
  checkExtensions,
  type ExtensionSettings,
  extensionSettings,
  type MiningSettings,
  miningListener,
  toServerOptions,
} from "./mining-settings.ts";
export { type CloseCause, MiningShell, type MiningShellOptions } from "./mining-shell.ts";
export { checkRewardScript, type RewardDescriptor, type RewardScript, rewardScript } from "./reward-script.ts";
export { TemplateClient } from "./template-client.ts";
export type { TemplateClientOptions, TemplateClientStatus } from "./template-client-options.ts";
export {
  notSupported,
  type Sv2Tp,
  templateProviderKeys,
  templateProviders,
  templateProviderType,
} from "./template-provider-settings.ts";
export type { TemplateEvent } from "./template-reader.ts";
