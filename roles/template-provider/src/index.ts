export type { BlockStatus } from "./block-status.ts";
export {
  type BitcoinNodeSettings,
  chainBits,
  type EmbeddedSettings,
  type TemplateLimits,
  type TemplateProviderConfig,
  templateProviderConfig,
} from "./config.ts";
export { templateProviderRole } from "./role.ts";
export type { TemplateProviderStatus } from "./status.ts";
