export {
  chainBits,
  type EmbeddedSettings,
  type TemplateLimits,
  type TemplateProviderConfig,
  templateProviderConfig,
} from "./config.ts";
export { templateProviderRole } from "./role.ts";
