export { type TranslatorConfig, type TranslatorUpstream, translatorConfig } from "./config.ts";
export type {
  CounterName,
  MinerId,
  TranslatorEffect,
  TranslatorInput,
  UpstreamSetup,
} from "./effects.ts";
export type { MinerRules } from "./miner-rules.ts";
export { translatorRole } from "./role.ts";
export type { MinerStatus, TranslatorStatus, UplinkStatus } from "./status.ts";
export { TranslatorCore, type TranslatorOptions } from "./translator-core.ts";
export type { UpstreamRules } from "./upstream-rules.ts";
