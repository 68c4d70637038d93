import { once } from "node:events";
import { maxPayloadOf } from "@adit/codec";
import type { Sv2Server } from "@adit/network-helpers";
import { Readiness, type RoleContext, type RoleDefinition } from "@adit/role-kit";
import { irohNeed, listenLimitKeys, moveTarget, type Network, openNetwork, type Served } from "@adit/role-network";
import type { Backend } from "./backend.ts";
import { embeddedDefaults, type TemplateProviderConfig, templateProviderConfig } from "./config.ts";
import { EmbeddedBackend } from "./embedded/embedded-backend.ts";
import { NodeBackend } from "./node/node-backend.ts";
import { TemplateProvider } from "./template-provider.ts";

/** The template provider: serves Template Distribution from Bitcoin nodes or from the embedded development chain. */
export const templateProviderRole: RoleDefinition<TemplateProviderConfig> = {
  name: "template-provider",
  title: "serves block templates (Template Distribution) and takes solved blocks",
  envPrefix: "TP",
  config: templateProviderConfig,
  run,
};

/** Template Distribution has no flags, and no extension adds anything to it. */
export const templateDistributionServer: Sv2Server<"template_distribution"> = {
  protocol: "template_distribution",
  supportedFlags: 0,
  successFlags: () => 0,
  supportedExtensions: [],
  requiredExtensions: [],
  maxPayload: () => maxPayloadOf("SubmitSolution"),
};

async function run(config: TemplateProviderConfig, context: RoleContext<TemplateProviderConfig>): Promise<void> {
  const { signal } = context;
  const needsIroh = irohNeed([config.transport]);
  await using network = await openNetwork({ iroh: config.iroh, rpc: config.rpc, needsIroh }, context);
  const backend = await openBackend(config, network, context);
  await using provider = new TemplateProvider(backend, config.limits, context);
  await using rpc = (await backend.serveRpc?.()) ?? null;
  await using served = await network.serve({
    settings: config,
    limits: config.limits,
    server: templateDistributionServer,
    handler: (connection) => provider.serve(connection),
    signal,
  });
  context.onReload(listenLimitKeys("limits"), ({ limits }) => served.setLimits(limits));
  context.setStatus(() => ({ ...provider.status(), ...network.status() }));
  using _readiness = new Readiness(context, {
    trouble: () => backend.trouble,
    details: () => ({
      ...readyDetails({ network, served, height: backend.source.tip?.height ?? null }),
      rpc_address: rpc?.address ?? null,
    }),
  });
  if (!signal.aborted) await Promise.race([once(signal, "abort"), provider.failure]);
  await Promise.race([provider.takeLeave(moveTarget(config.moveClientsTo)), provider.failure]);
}

async function openBackend(
  { embedded = embeddedDefaults, bitcoinNode }: TemplateProviderConfig,
  network: Network,
  context: RoleContext,
): Promise<Backend> {
  if (bitcoinNode !== undefined) return await NodeBackend.open(bitcoinNode, context);
  return await EmbeddedBackend.open(embedded, { ...context, hashing: network.hashing, random: Math.random });
}

function readyDetails({
  network,
  served,
  height,
}: {
  readonly network: Network;
  readonly served: Served;
  readonly height: number | null;
}): Record<string, unknown> {
  const { listeners } = network.status();
  return {
    listeners,
    authority_public_key: served.authorityPublicKey,
    endpoint_id: network.endpointId,
    ticket: served.listeners().find(({ ticket }) => ticket !== null)?.ticket ?? null,
    height,
  };
}
