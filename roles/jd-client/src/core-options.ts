import { rewardScript, toServerOptions } from "@adit/mining-shell";
import { type Network, toUpstreamPolicy } from "@adit/role-network";
import type { JdClientConfig } from "./config.ts";
import type { JdClientOptions } from "./core/jd-client-options.ts";
import { routesTo, upstreamName } from "./upstream-settings.ts";

/** What a core is made of. */
export interface CoreParts {
  readonly config: JdClientConfig;
  readonly network: Pick<Network, "hashing">;
  /** First extranonce index of a channel, and first bytes of every extranonce in solo mining: random. */
  readonly extranonceStart: number;
  readonly soloExtranoncePrefix: Uint8Array;
}

/** What the core is told of the config. RangeError or BitcoinError when its signature or rates do not fit a coinbase. */
export function coreOptions({ config, network, extranonceStart, soloExtranoncePrefix }: CoreParts): JdClientOptions {
  const { network: chain, coinbaseRewardScript, mode } = config;
  const scriptOf = (descriptor: string): Uint8Array => rewardScript({ descriptor, network: chain }).script;
  return {
    server: { ...toServerOptions(config), hashing: network.hashing, coinbaseTag: config.jdcSignature },
    mode: mode === "SOLOMINING" ? null : mode,
    upstreams: config.upstreams.map((entry, at) => ({
      name: upstreamName(entry, at),
      userIdentity: entry.userIdentity,
      expectedScript: entry.expectedRewardScript === undefined ? undefined : scriptOf(entry.expectedRewardScript),
    })),
    routes: config.upstreams.flatMap(routesTo),
    policy: toUpstreamPolicy(config.fallback),
    soloScript: scriptOf(coinbaseRewardScript),
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
