import { randomBytes, randomInt } from "node:crypto";
import { templateProviders } from "@adit/mining-shell";
import type { RoleContext, RoleDefinition } from "@adit/role-kit";
import { irohNeed, openNetwork, transportOfAll } from "@adit/role-network";
import { type JdClientConfig, jdClientConfig } from "./config.ts";
import { EXTRANONCE_INDEXES } from "./core/jd-client-core.ts";
import { JdClient } from "./jd-client.ts";
import { endpointsOf } from "./upstream-settings.ts";

/** Bytes that tell miners apart which share a template provider and mine alone. */
const SOLO_PREFIX_SIZE = 8;

/** The jd-client role. */
export const jdClientRole: RoleDefinition<JdClientConfig> = {
  name: "jd-client",
  title: "lets miners choose the transactions of their blocks, for a pool or alone",
  envPrefix: "JDC",
  config: jdClientConfig,
  run,
};

async function run(config: JdClientConfig, context: RoleContext<JdClientConfig>): Promise<void> {
  const upstreams = config.upstreams.flatMap(endpointsOf);
  const transport = transportOfAll(templateProviders(config.templateProviderType.Sv2Tp));
  // Without a pool it mines alone.
  const needsIroh = irohNeed(
    [config.transport, transport],
    upstreams.map((upstream) => upstream.transport),
  );
  await using network = await openNetwork({ iroh: config.iroh, rpc: config.rpc, needsIroh }, context);
  const client = new JdClient({
    config,
    context,
    network,
    extranonceStart: randomInt(EXTRANONCE_INDEXES),
    soloExtranoncePrefix: randomBytes(SOLO_PREFIX_SIZE),
  });
  await client.run();
}
