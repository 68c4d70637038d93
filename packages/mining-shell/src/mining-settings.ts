import { defaultVardiffOptions, type MiningServerOptions } from "@adit/channels";
import {
  maxPayloadOf,
  REQUIRES_FIXED_VERSION,
  REQUIRES_STANDARD_JOBS,
  REQUIRES_VERSION_ROLLING,
  REQUIRES_WORK_SELECTION,
  WORKER_HASHRATE_TRACKING,
} from "@adit/codec";
import type { Sv2Server } from "@adit/network-helpers";
import { moveTo } from "@adit/role-network";
import { z } from "zod";
import { type MiningLimitSettings, toChannelLimits } from "./mining-limits.ts";

const channels = {
  sharesPerMinute: z.number().positive().max(100_000).default(6).describe("share rate each channel is held at"),
  shareBatchSize: z
    .int()
    .min(1)
    .max(100_000)
    .default(10)
    .describe("shares acknowledged by one SubmitShares.Success, unless their time is up before"),
  ackIntervalSecs: z
    .number()
    .positive()
    .max(3600)
    .default(5)
    .describe("longest wait of a recorded share for its acknowledgement, in seconds"),
  minHashrate: z
    .number()
    .positive()
    .max(1e20)
    .default(1e9)
    .describe("weakest miner that shares_per_minute is still reached for, in H/s: sets the lowest difficulty"),
  moveMinersTo: moveTo("miners", "server"),
  versionRollingAllowed: z.boolean().default(true).describe("whether miners may roll the version bits of BIP323"),
} as const;

/** Keys of every role that serves miners: how their channels are run. Spread into its shape. */
export const channelSettings: typeof channels = channels;

/** What {@link channelSettings} parses to. */
export type ChannelSettings = z.output<z.ZodObject<typeof channels>>;

/** What {@link extensionSettings} parses to. */
export interface ExtensionSettings {
  readonly supportedExtensions: readonly number[];
  readonly requiredExtensions: readonly number[];
}

type ExtensionList = z.ZodDefault<z.ZodArray<z.ZodLiteral<typeof WORKER_HASHRATE_TRACKING>>>;

/**
 * Keys of every role that serves miners: extensions they may ask for. Spread into its shape; check with
 * {@link checkExtensions}. `role` names it in messages.
 */
export function extensionSettings(role: string): Readonly<Record<keyof ExtensionSettings, ExtensionList>> {
  const extension = z.literal(WORKER_HASHRATE_TRACKING, {
    message: `expected 2 (worker names), the only extension this ${role} knows; 1 (negotiation) is always there`,
  });
  return {
    supportedExtensions: z
      .array(extension)
      .max(1)
      .default([WORKER_HASHRATE_TRACKING])
      .describe(`extensions a miner may ask for; 2 (worker names) is the one this ${role} knows`),
    requiredExtensions: z.array(extension).max(1).default([]).describe("extensions without which a miner is refused"),
  };
}

/** Adds a problem for every required extension that is not supported. */
export function checkExtensions(settings: ExtensionSettings, context: z.core.$RefinementCtx): void {
  for (const [index, extensionType] of settings.requiredExtensions.entries()) {
    if (settings.supportedExtensions.includes(extensionType)) continue;
    const message = "expected an extension that supported_extensions lists too";
    context.addIssue({ code: "custom", path: ["requiredExtensions", index], message, input: undefined });
  }
}

/** What the config of a role that serves miners says of that; `maxPastJobs` 0 means the default. */
export interface MiningSettings extends ChannelSettings, ExtensionSettings {
  readonly maxPastJobs?: number;
  readonly limits: MiningLimitSettings;
}

/** The settings as the mining core takes them. */
export function toServerOptions(
  settings: MiningSettings,
): Pick<
  MiningServerOptions,
  Exclude<keyof ChannelSettings, "ackIntervalSecs" | "moveMinersTo"> | "ackIntervalMs" | "vardiff" | "limits"
> {
  const { sharesPerMinute, shareBatchSize, minHashrate, versionRollingAllowed, ackIntervalSecs } = settings;
  return {
    sharesPerMinute,
    shareBatchSize,
    ackIntervalMs: ackIntervalSecs * 1000,
    minHashrate,
    vardiff: defaultVardiffOptions,
    versionRollingAllowed,
    limits: toChannelLimits(settings.limits, settings.maxPastJobs === 0 ? undefined : settings.maxPastJobs),
  };
}

/**
 * What the role's listener says of itself to miners. Without work selection (spec 6), a miner that requires it is
 * refused by that flag's name.
 */
export function miningListener(settings: MiningSettings, workSelection: boolean): Sv2Server<"mining"> {
  const { versionRollingAllowed, supportedExtensions, requiredExtensions, limits } = settings;
  return {
    protocol: "mining",
    supportedFlags:
      REQUIRES_STANDARD_JOBS |
      (versionRollingAllowed ? REQUIRES_VERSION_ROLLING : 0) |
      (workSelection ? REQUIRES_WORK_SELECTION : 0),
    successFlags: () => (versionRollingAllowed ? 0 : REQUIRES_FIXED_VERSION),
    supportedExtensions,
    requiredExtensions,
    maxPayload: ({ flags }) =>
      (flags & REQUIRES_WORK_SELECTION) === 0
        ? limits.maxMessageBytes
        : Math.max(limits.maxMessageBytes, maxPayloadOf("SetCustomMiningJob")),
  };
}
