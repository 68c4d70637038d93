import { REQUIRES_FIXED_VERSION, REQUIRES_VERSION_ROLLING, REQUIRES_WORK_SELECTION } from "@adit/codec";
import { transportOfAll } from "@adit/role-network";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { checkMiningLimits, miningLimits, toChannelLimits, toOutboundLimits } from "./mining-limits.ts";
import {
  channelSettings,
  checkExtensions,
  extensionSettings,
  miningListener,
  toServerOptions,
} from "./mining-settings.ts";
import { templateProviders, templateProviderType } from "./template-provider-settings.ts";

const config = z
  .strictObject({
    ...channelSettings,
    ...extensionSettings("jd-client"),
    maxPastJobs: z.exactOptional(z.int()),
    limits: z.strictObject(miningLimits).prefault({}),
  })
  .superRefine((settings, context) => {
    checkExtensions(settings, context);
    checkMiningLimits(settings, context);
  });

function problems(schema: z.ZodType, value: unknown): readonly string[] {
  return schema.safeParse(value).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];
}

describe("the settings of a role that serves miners", () => {
  test("become the core's options, with the default number of past jobs for 0", () => {
    const options = toServerOptions(config.parse({ ackIntervalSecs: 2, maxPastJobs: 0, limits: { shareBurst: 30 } }));
    expect(options).toMatchObject({
      sharesPerMinute: 6,
      ackIntervalMs: 2000,
      limits: { shareBurst: 30, pastJobs: 32 },
    });
    expect(toServerOptions(config.parse({ maxPastJobs: 9 })).limits.pastJobs).toBe(9);
  });

  test("have a limit for each of the core's", () => {
    const { limits } = config.parse({});
    expect(
      Object.values(toChannelLimits(limits, { sharesPerMinute: 6, maxPastJobs: 1 })).every((limit) =>
        Number.isFinite(limit),
      ),
    ).toBe(true);
  });

  test("let through at once what the lasting rate gives in a minute, unless the file says otherwise", () => {
    const burst = (settings: object): number => toServerOptions(config.parse(settings)).limits.shareBurst;
    expect(burst({ sharesPerMinute: 0.5 })).toBe(60);
    expect(burst({})).toBe(60);
    expect(burst({ sharesPerMinute: 240 })).toBe(2400);
    expect(burst({ sharesPerMinute: 240, limits: { shareRateFactor: 2 } })).toBe(480);
    expect(burst({ sharesPerMinute: 240, limits: { shareBurst: 240 } })).toBe(240);
    expect(problems(config, { sharesPerMinute: 240, limits: { shareBurst: 239 } })).toEqual([
      expect.stringMatching(/^limits.shareBurst: expected at least shares_per_minute \(240\)/),
    ]);
  });

  test("have room for the replies to a burst", () => {
    const outbound = (settings: object) => {
      const parsed = config.parse(settings);
      return toOutboundLimits(parsed.limits, parsed);
    };
    expect(outbound({})).toEqual({ maxMessages: 316, maxBytes: 1 << 20 });
    expect(outbound({ sharesPerMinute: 240 })).toEqual({ maxMessages: 2656, maxBytes: 1 << 20 });
    expect(outbound({ limits: { shareBurst: 99_744 } })).toEqual({ maxMessages: 100_000, maxBytes: 6_400_000 });
    const limits = { maxOutboundMessages: 3, maxOutboundBytes: 500 };
    expect(outbound({ limits })).toEqual({ maxMessages: 3, maxBytes: 500 });
  });

  test("tell miners what the listener grants", () => {
    const granted = (versionRollingAllowed: boolean, workSelection: boolean): readonly boolean[] => {
      const { supportedFlags, successFlags } = miningListener(config.parse({ versionRollingAllowed }), workSelection);
      const success = successFlags({ flags: 0 } as Parameters<typeof successFlags>[0]);
      return [
        (supportedFlags & REQUIRES_VERSION_ROLLING) !== 0,
        (supportedFlags & REQUIRES_WORK_SELECTION) !== 0,
        (success & REQUIRES_FIXED_VERSION) !== 0,
      ];
    };
    expect(granted(true, false)).toEqual([true, false, false]);
    expect(granted(false, true)).toEqual([false, true, true]);
  });

  test("read a custom job from those only who asked to set some", () => {
    const settings = config.parse({});
    const { maxPayload } = miningListener(settings, true);
    const most = [0, REQUIRES_WORK_SELECTION].map((flags) => maxPayload({ flags } as Parameters<typeof maxPayload>[0]));
    expect(most).toEqual([settings.limits.maxMessageBytes, 74_274]);
  });

  test("refuse an extension that is unknown, or required without being supported, in the role's name", () => {
    expect(problems(config, { supportedExtensions: [], requiredExtensions: [2] })).toEqual([
      "requiredExtensions.0: expected an extension that supported_extensions lists too",
    ]);
    expect(problems(config, { supportedExtensions: [3] })).toEqual([
      expect.stringMatching(/^supportedExtensions\.0: .*this jd-client knows/),
    ]);
  });

  test("refuse a template provider over IPC in the role's name", () => {
    const value = { Sv2Tp: { address: "127.0.0.1:8442" }, BitcoinCoreIpc: {} };
    expect(problems(templateProviderType("jd-client"), value)).toEqual([
      expect.stringMatching(/^BitcoinCoreIpc: this jd-client speaks .*adit template-provider/),
    ]);
  });

  test("read a template provider's address as the reference implementation writes it", () => {
    const { Sv2Tp } = templateProviderType("jd-client").parse({ Sv2Tp: { address: "tp.example:8442" } });
    expect(templateProviders(Sv2Tp)).toMatchObject([{ address: "tp.example", port: 8442 }]);
    const key = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
    const both = { address: "tp.example:8442", publicKey: key, authorityPubkey: key };
    expect(problems(templateProviderType("jd-client"), { Sv2Tp: both })).toEqual([
      "Sv2Tp.publicKey: expected either public_key or authority_pubkey, not both",
    ]);
  });

  test("read the template providers behind the first one, each checked alike", () => {
    const iroh = { transport: "iroh", endpointId: "ab".repeat(32) };
    const type = templateProviderType("pool");
    const { Sv2Tp } = type.parse({ Sv2Tp: { address: "tp.example:8442", fallbacks: [iroh] } });
    const both = templateProviders(Sv2Tp);
    expect(both).toMatchObject([{ address: "tp.example", port: 8442 }, iroh]);
    expect([both, both.slice(0, 1), both.slice(1)].map(transportOfAll)).toEqual(["dual", "tcp", "iroh"]);
    expect(problems(type, { Sv2Tp: { address: "tp.example:8442", fallbacks: [{ address: "tp.example" }] } })).toEqual([
      expect.stringMatching(/^Sv2Tp\.fallbacks\.0\.port: /),
    ]);
    const fallbacks = Array.from({ length: 16 }, () => iroh);
    expect(problems(type, { Sv2Tp: { address: "tp.example:8442", fallbacks } })).toEqual([
      expect.stringMatching(/^Sv2Tp\.fallbacks: /),
    ]);
  });
});
