import { once } from "node:events";
import { scriptFromDescriptor } from "@adit/bitcoin";
import { JobDeclaratorServer } from "@adit/job-declarator";
import { Readiness, type RoleContext, type RoleDefinition } from "@adit/role-kit";
import { irohNeed, listenLimitKeys, loadAuthority, type Network, openNetwork, type Served } from "@adit/role-network";
import { type JdServerConfig, jdServerConfig } from "./config.ts";

/** The job-declarator server: gives out tokens, checks declared jobs with Bitcoin nodes, and submits blocks found on them. */
export const jdServerRole: RoleDefinition<JdServerConfig> = {
  name: "jd-server",
  title: "lets miners choose their transactions (Job Declaration): tokens, declared jobs, blocks",
  envPrefix: "JDS",
  config: jdServerConfig,
  run,
};

async function run(config: JdServerConfig, context: RoleContext<JdServerConfig>): Promise<void> {
  const { signal } = context;
  const authority = await loadAuthority(config);
  const needsIroh = irohNeed([config.transport]);
  await using network = await openNetwork({ iroh: config.iroh, rpc: config.rpc, needsIroh }, context);
  await using declarator = await JobDeclaratorServer.open(
    {
      settings: config,
      network: config.network,
      payoutScript: scriptFromDescriptor(config.coinbaseRewardScript, config.network),
      authoritySecretKey: authority.secretKey,
      crypto: network.crypto,
      hashing: network.hashing,
    },
    context,
  );
  await using served = await network.serve({
    settings: config,
    limits: config.limits,
    server: declarator.server,
    handler: (connection) => declarator.serve(connection),
    signal,
  });
  context.onReload(listenLimitKeys("limits"), ({ limits }) => served.setLimits(limits));
  context.setStatus(() => ({
    authority_public_key: authority.publicKey,
    ...declarator.status(),
    ...network.status(),
  }));
  using _readiness = new Readiness(context, {
    trouble: () => declarator.trouble,
    details: () => readyDetails(authority.publicKey, network, served),
  });
  if (!signal.aborted) await Promise.race([once(signal, "abort"), declarator.failure]);
  await Promise.race([declarator.takeLeave(), declarator.failure]);
}

function readyDetails(authorityPublicKey: string, network: Network, served: Served): Record<string, unknown> {
  return {
    listeners: network.status().listeners,
    authority_public_key: authorityPublicKey,
    endpoint_id: network.endpointId,
    ticket: served.listeners().find(({ ticket }) => ticket !== null)?.ticket ?? null,
  };
}
