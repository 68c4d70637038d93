export {
  type BitcoinNodeSettings,
  chainBits,
  type EmbeddedSettings,
  type TemplateLimits,
  type TemplateProviderConfig,
  templateProviderConfig,
} from "./config.ts";
export { templateProviderRole } from "./role.ts";
export type { BlockStatus, TemplateProviderStatus } from "./status.ts";
