import { randomInt } from "node:crypto";
import { rewardScript, templateProviders } from "@adit/mining-shell";
import type { RoleContext, RoleDefinition } from "@adit/role-kit";
import { irohNeed, openNetwork, transportOfAll } from "@adit/role-network";
import { openSqliteStore, type ShareStore, type SqliteStoreOptions } from "@adit/share-store";
import { type PoolConfig, poolConfig } from "./config.ts";
import { JobDeclaration } from "./job-declaration.ts";
import { EXTRANONCE_INDEXES, Pool } from "./pool.ts";

/** The pool role. */
export const poolRole: RoleDefinition<PoolConfig> = {
  name: "pool",
  title: "Serves work to miners, records their shares, submits their blocks",
  config: poolConfig,
  envPrefix: "POOL",
  run: (config, context) => runPool(config, context),
};

/** What a pool takes from outside besides its config; a test gives its own. */
export interface PoolSurroundings {
  readonly openStore: (options: SqliteStoreOptions) => Promise<ShareStore>;
  /** First extranonce index to try: random, so that a restarted pool does not give out its former prefixes again. */
  readonly extranonceStart: () => number;
}

const surroundings: PoolSurroundings = {
  openStore: openSqliteStore,
  extranonceStart: () => randomInt(EXTRANONCE_INDEXES),
};

/** Runs a pool until the context's signal aborts and it has drained. */
export async function runPool(
  config: PoolConfig,
  context: RoleContext<PoolConfig>,
  { openStore, extranonceStart }: PoolSurroundings = surroundings,
): Promise<void> {
  const transport = transportOfAll(templateProviders(config.templateProviderType.Sv2Tp));
  const needsIroh = irohNeed([config.transport, transport, config.jds?.transport ?? "tcp"]);
  const reward = rewardScript({ descriptor: config.coinbaseRewardScript, network: config.network });
  await using network = await openNetwork({ iroh: config.iroh, rpc: config.rpc, needsIroh }, context);
  await using store = await openStore({
    path: config.shareStorePath,
    groupCommitMs: config.shareCommitIntervalMs,
    maxQueue: config.limits.maxQueuedShares,
  });
  await using declaration = await JobDeclaration.open({ config, context, network, reward });
  const parts = { config, context, network, store, reward, declaration };
  await new Pool({ ...parts, extranonceStart: extranonceStart() }).run();
}
