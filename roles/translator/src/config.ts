import { WORKER_HASHRATE_TRACKING } from "@adit/codec";
import { defaultListenLimits } from "@adit/network-helpers";
import { decodeAuthorityPublicKey } from "@adit/noise";
import { boundedKeys, checkRpc, checkUpstream, irohSettings, processSettings, upstreamSettings } from "@adit/role-kit";
import { fallbackSettings } from "@adit/role-network";
import { defaultSv1Limits, type Sv1Limits } from "@adit/sv1";
import { z } from "zod";

/** Most bytes of extranonce2 that mining firmware submits: cgminer and Whatsminer fail above. */
const LONGEST_EXTRANONCE2 = 8;

const version2 = z.literal(2, { message: "expected 2, the only version of the protocol there is" }).default(2);

const extension = z.literal(WORKER_HASHRATE_TRACKING, {
  message: "expected 2 (worker names), the only extension this translator knows; 1 (negotiation) is always there",
});

const difficultyConfig = z
  .strictObject({
    minIndividualMinerHashrate: z
      .number()
      .positive()
      .max(1e20)
      .default(1e13)
      .describe("hashrate a new miner is taken to have until its shares tell, in H/s"),
    sharesPerMinute: z.number().positive().max(100_000).default(6).describe("share rate each miner is held at"),
    enableVardiff: z
      .boolean()
      .default(true)
      .describe("adjust each miner's difficulty to its hashrate; false: the upstream's target is every miner's"),
    jobKeepaliveIntervalSecs: z
      .number()
      .min(0)
      .max(3600)
      .default(52)
      .describe(
        "a miner without a new job for this long is sent the last one again, in seconds; many leave at 60; 0: off",
      ),
  })
  .describe("how miners' difficulty is chosen");

const upstream = z
  .strictObject({
    ...upstreamSettings,
    userIdentity: z
      .string()
      .min(1)
      .refine((text) => new TextEncoder().encode(text).length <= 255, "expected at most 255 bytes")
      .describe("account at this pool that the work is credited to"),
    tlvByteOrder: z
      .enum(["little", "big"])
      .default("little")
      .describe(
        "byte order of the worker name's TLV header: `little` as the reference implementation reads it, `big` as the specification's example shows it",
      ),
  })
  .superRefine((entry, context) => {
    checkUpstream(entry, context);
    checkAuthorityPubkey(entry.authorityPubkey, context);
  });

/** One pool to dial, and the account there. */
export type TranslatorUpstream = z.output<typeof upstream>;

const { count, seconds } = boundedKeys({ count: 1_000_000, seconds: 86_400 });
const limits = z
  .strictObject({
    maxMiners: count(defaultListenLimits.maxConnections, "miners' connections at once"),
    maxMinersPerSource: count(
      defaultListenLimits.maxPerSource,
      "connections at once from one IPv4 address or IPv6 /64; a farm may sit behind one",
    ),
    newMinersPerSecond: count(
      defaultListenLimits.newPerSourcePerSec,
      "new connections a second from one source, on average",
    ),
    newMinersBurst: count(defaultListenLimits.newPerSourceBurst, "new connections at once from one source"),
    maxLineBytes: z
      .int()
      .min(512)
      .max(65_536)
      .default(defaultSv1Limits.message.maxLine)
      .describe("longest line a miner may send, in bytes"),
    messagesPerSecond: count(defaultSv1Limits.messagesPerSecond, "lines a second a miner may send, on average"),
    messageBurst: z
      .exactOptional(z.int().min(1).max(1_000_000))
      .describe(
        "lines a miner may send at once, at least shares_per_minute; absent: ten times shares_per_minute, at least 250",
      ),
    faultsPerMinute: count(defaultSv1Limits.faultsPerMinute, "malformed lines a minute a miner may send"),
    handshakeTimeoutSecs: seconds(
      defaultSv1Limits.handshakeTimeoutMs,
      "longest wait for a miner to subscribe and authorize",
    ),
    idleTimeoutSecs: seconds(
      defaultSv1Limits.idleTimeoutMs,
      "longest silence of a miner; tiny ones find a share an hour",
    ),
    maxOutboundBytes: z
      .int()
      .min(65_536)
      .max(67_108_864)
      .default(262_144)
      .describe("bytes that may wait for a miner that does not read, before it is closed"),
  })
  .describe("bounds on what miners may cost");

const shape = {
  ...processSettings,
  downstreamAddress: z
    .string()
    .min(1)
    .default("0.0.0.0")
    .describe("address to accept Stratum V1 miners on; Stratum V1 has no encryption, so keep it inside your network"),
  downstreamPort: z.int().min(0).max(65_535).default(34_255).describe("port to accept miners on; 0 takes a free one"),
  maxSupportedVersion: version2.describe("highest protocol version to ask for; there is only 2"),
  minSupportedVersion: version2.describe("lowest protocol version to ask for; there is only 2"),
  downstreamExtranonce2Size: z
    .int()
    .min(2)
    .max(LONGEST_EXTRANONCE2, "expected at most 8: cgminer and Whatsminer submit no share with a longer extranonce2")
    .default(LONGEST_EXTRANONCE2)
    .describe("bytes each miner rolls, 2 to 8; 8 suits all firmware, marketplaces need 7"),
  aggregateChannels: z
    .boolean()
    .default(true)
    .describe("true: all miners share one upstream channel; false: each has its own"),
  supportedExtensions: z
    .array(extension)
    .max(1)
    .default([WORKER_HASHRATE_TRACKING])
    .describe("extensions to ask the pool for; 2 carries each miner's worker name with its shares"),
  requiredExtensions: z.array(extension).max(1).default([]).describe("extensions without which a pool is of no use"),
  verifyPayout: z
    .literal(false, {
      message: "expected false: this translator does not check coinbases yet; remove verify_payout",
    })
    .default(false)
    .describe("not supported yet; false is taken for the sake of existing files"),
  maxPastJobs: z
    .exactOptional(z.int().min(0).max(10_000))
    .describe("older jobs of a tip kept for each channel; absent: 50"),
  monitoringCacheRefreshSecs: z
    .exactOptional(z.number().positive())
    .describe("taken for the sake of existing files and not needed: the status is made afresh at each request"),
  minerTelemetry: z
    .exactOptional(
      z.unknown().refine(() => false, {
        message: "this translator does not ask miners for telemetry; remove [miner_telemetry]",
      }),
    )
    .describe("not supported: this translator does not ask miners for telemetry"),
  downstreamDifficultyConfig: difficultyConfig.prefault({}),
  iroh: irohSettings.prefault({}),
  fallback: fallbackSettings.prefault({}),
  upstreams: z
    .array(upstream)
    .min(1, "expected at least one [[upstreams]]")
    .max(16)
    .describe("pools in order of preference"),
  limits: limits.prefault({}),
} as const;

/** The translator's config: every key of its TOML file in camelCase. */
export const translatorConfig = z.strictObject(shape).superRefine((config, context) => {
  checkRpc(config, context);
  checkMessageBurst(config, context);
});

/** What {@link translatorConfig} parses to. */
export type TranslatorConfig = z.output<typeof translatorConfig>;

type Bounds = Pick<TranslatorConfig, "limits" | "downstreamDifficultyConfig">;

/** The bounds of a miner's session. */
export function sv1Limits({ limits: settings, downstreamDifficultyConfig: { sharesPerMinute } }: Bounds): Sv1Limits {
  return {
    ...defaultSv1Limits,
    message: { ...defaultSv1Limits.message, maxLine: settings.maxLineBytes },
    messagesPerSecond: settings.messagesPerSecond,
    // As a pool's `share_burst`: what comes at once after a minute's outage, from a miner whose difficulty is still settling.
    messageBurst: settings.messageBurst ?? Math.max(defaultSv1Limits.messageBurst, Math.ceil(10 * sharesPerMinute)),
    faultsPerMinute: settings.faultsPerMinute,
    handshakeTimeoutMs: settings.handshakeTimeoutSecs * 1000,
    idleTimeoutMs: settings.idleTimeoutSecs * 1000,
  };
}

function checkMessageBurst(
  { limits: { messageBurst }, downstreamDifficultyConfig: { sharesPerMinute } }: Bounds,
  context: z.core.$RefinementCtx,
): void {
  if (messageBurst === undefined || messageBurst >= sharesPerMinute) return;
  const message = `expected at least shares_per_minute (${sharesPerMinute}), what a miner sends after a minute's outage; best left out`;
  context.addIssue({ code: "custom", path: ["limits", "messageBurst"], message, input: messageBurst });
}

function checkAuthorityPubkey(text: string | undefined, context: z.core.$RefinementCtx): void {
  if (text === undefined) return;
  try {
    decodeAuthorityPublicKey(text);
  } catch (error) {
    const message = `expected an authority public key: ${(error as Error).message}`;
    context.addIssue({ code: "custom", path: ["authorityPubkey"], message, input: text });
  }
}
