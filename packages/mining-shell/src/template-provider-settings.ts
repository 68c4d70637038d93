import { decodeAuthorityPublicKey } from "@adit/noise";
import { checkUpstream, splitAddress, type UpstreamSettings, upstreamSettings } from "@adit/role-kit";
import { upstreamEntryKeys } from "@adit/role-network";
import { z } from "zod";

/** Template providers that may stand behind the first one. */
const MAX_FALLBACKS = 15;

const provider = z.strictObject({
  ...upstreamSettings,
  publicKey: z
    .exactOptional(z.string().min(1))
    .describe("the same as authority_pubkey, as the reference implementation's files spell it"),
});

type Provider = z.output<typeof provider>;

const fields = provider.extend({
  fallbacks: z
    .array(provider.superRefine((entry, context) => checkTemplateProvider(entry, context)))
    .max(MAX_FALLBACKS)
    .default([])
    .describe("template providers for when this one is away, in order of preference"),
});

/** What the table `[template_provider_type.Sv2Tp]` parses to. */
export type Sv2Tp = z.output<typeof fields>;

const sv2Tp = fields
  .superRefine((entry, context) => checkTemplateProvider(entry, context))
  .describe("a template provider reached over the Template Distribution Protocol; address may be host:port");

/** A key of the reference implementation's files for something that Adit has not: refused with the reason. */
export function notSupported(reason: string): z.ZodExactOptional<z.ZodUnknown> {
  return z.exactOptional(z.unknown().refine(() => false, { message: reason })).describe(`not supported: ${reason}`);
}

/** The table `[template_provider_type]` of a role's config; `role` names it in messages. */
export function templateProviderType(
  role: string,
): z.ZodObject<{ Sv2Tp: typeof sv2Tp; BitcoinCoreIpc: ReturnType<typeof notSupported> }, z.core.$strict> {
  return z
    .strictObject({
      Sv2Tp: sv2Tp,
      BitcoinCoreIpc: notSupported(
        `this ${role} speaks the Template Distribution Protocol only; run \`adit template-provider\` and name it in [template_provider_type.Sv2Tp]`,
      ),
    })
    .describe("where templates come from");
}

/** The keys of the template providers' table, in the file's spelling: {@link TemplateClient.replace} takes them over. */
export const templateProviderKeys: readonly string[] = [
  ...upstreamEntryKeys("template_provider_type.Sv2Tp"),
  "template_provider_type.Sv2Tp.public_key",
  "template_provider_type.Sv2Tp.fallbacks",
];

/** The template providers, the preferred one first, as every upstream is written: host and port apart, one name for its key. */
export function templateProviders({ fallbacks, ...first }: Sv2Tp): readonly UpstreamSettings[] {
  return [first, ...fallbacks].map(asUpstream);
}

function asUpstream({ publicKey, ...upstream }: Provider): UpstreamSettings {
  const authorityPubkey = upstream.authorityPubkey ?? publicKey;
  const key = authorityPubkey === undefined ? {} : { authorityPubkey };
  return { ...upstream, ...hostAndPort(upstream), ...key };
}

function hostAndPort({ address, port }: Pick<Provider, "address" | "port">): { address?: string; port?: number } {
  if (address === undefined || port !== undefined) return {};
  try {
    const split = splitAddress(address);
    return { address: split.host, port: split.port };
  } catch {
    // A host alone: what lacks is the port, and the check says so.
    return {};
  }
}

function checkTemplateProvider(entry: Provider, context: z.core.$RefinementCtx): void {
  if (entry.publicKey !== undefined && entry.authorityPubkey !== undefined) {
    problem(context, "publicKey", "expected either public_key or authority_pubkey, not both");
  }
  const upstream = asUpstream(entry);
  checkUpstream(upstream, context);
  try {
    if (upstream.authorityPubkey !== undefined) decodeAuthorityPublicKey(upstream.authorityPubkey);
  } catch (error) {
    const key = entry.publicKey === undefined ? "authorityPubkey" : "publicKey";
    problem(context, key, `expected an authority public key: ${(error as Error).message}`);
  }
}

function problem(context: z.core.$RefinementCtx, key: string, message: string): void {
  context.addIssue({ code: "custom", path: [key], message, input: undefined });
}
