import { rewardScript, toServerOptions } from "@adit/mining-shell";
import type { Network } from "@adit/role-network";
import type { JdClientConfig } from "./config.ts";
import type { JdClientOptions } from "./core/jd-client-options.ts";
import type { UpstreamPlan } from "./core/upstream-plan.ts";

/** What a core is made of. */
export interface CoreParts {
  readonly config: JdClientConfig;
  readonly network: Pick<Network, "hashing">;
  /** First extranonce index of a channel, and first bytes of every extranonce in solo mining: random. */
  readonly extranonceStart: number;
  readonly soloExtranoncePrefix: Uint8Array;
}

/** What the core is told of the config. RangeError or BitcoinError when its signature or rates do not fit a coinbase. */
export function coreOptions(
  { config, network, extranonceStart, soloExtranoncePrefix }: CoreParts,
  plan: UpstreamPlan,
): JdClientOptions {
  const { coinbaseRewardScript: descriptor, mode } = config;
  return {
    server: { ...toServerOptions(config), hashing: network.hashing, coinbaseTag: config.jdcSignature },
    mode: mode === "SOLOMINING" ? null : mode,
    plan,
    soloScript: rewardScript({ descriptor, network: config.network }).script,
    reservedExtranonceSize: config.reservedDownstreamRollableExtranonceSize,
    soloExtranoncePrefix,
    extranonceStart,
    outputSpace: {
      maxAdditionalSize: config.coinbaseOutputMaxAdditionalSize,
      maxAdditionalSigops: config.coinbaseOutputMaxAdditionalSigops,
    },
    tokenTimeoutMs: config.tokenTimeoutSecs * 1000,
    answerTimeoutMs: config.answerTimeoutSecs * 1000,
    soloAfterMs: config.soloAfterSecs * 1000,
    random: Math.random,
  };
}
