import type { RoleContext, RoleDefinition } from "@adit/role-kit";
import { type TemplateProviderConfig, templateProviderConfig } from "./config.ts";

/** The template provider: serves Template Distribution from the embedded development chain. */
export const templateProviderRole: RoleDefinition<TemplateProviderConfig> = {
  name: "template-provider",
  title: "serves block templates (Template Distribution) and takes solved blocks",
  envPrefix: "TP",
  config: templateProviderConfig,
  run,
};

async function run(_config: TemplateProviderConfig, _context: RoleContext): Promise<void> {
  throw new Error("not written yet");
}
