import { defaultUpstreamPolicy, type UpstreamPolicy } from "@adit/network-helpers";
import { boundedKeys, type UpstreamSettings } from "@adit/role-kit";
import { z } from "zod";

const { seconds } = boundedKeys({ count: 1_000_000, seconds: 86_400 });

const defaults = defaultUpstreamPolicy;

/** The table `[fallback]` of every client role's config: how its upstreams are chosen among. */
export const fallbackSettings = z
  .strictObject({
    headStartSecs: seconds(
      defaults.headStartMs,
      "how long a dial is waited for before the next upstream, or the other transport of a `dual` one, is dialled beside it; 0: all at once",
      0,
    ),
    retryMinSecs: seconds(
      defaults.retryMinMs,
      "longest pause after a first failure; the bound doubles with each, and every pause is drawn at random below it",
      0.5,
    ),
    retryMaxSecs: seconds(defaults.retryMaxMs, "longest pause between dials of one that cannot be reached", 0.5),
    holdDownSecs: seconds(
      defaults.holdDownMs,
      "how long one that broke must stand again before it is returned to; doubles each time it breaks",
      0,
    ),
    steadySecs: seconds(
      defaults.steadyMs,
      "one that stands this long is taken to work: nothing that was before counts, and no hold-down is longer",
      1,
    ),
  })
  .describe("how upstreams, and the transports they are reached over, are chosen among");

/** What {@link fallbackSettings} parses to. */
export type FallbackSettings = z.output<typeof fallbackSettings>;

/** The policy as network-helpers takes it. */
export function toUpstreamPolicy(settings: FallbackSettings): UpstreamPolicy {
  return {
    headStartMs: settings.headStartSecs * 1000,
    retryMinMs: settings.retryMinSecs * 1000,
    retryMaxMs: settings.retryMaxSecs * 1000,
    holdDownMs: settings.holdDownSecs * 1000,
    steadyMs: settings.steadySecs * 1000,
  };
}

/** The transports that lead to an upstream, the preferred one first. */
export function transportsTo({
  transport,
  prefer,
}: Pick<UpstreamSettings, "transport" | "prefer">): readonly ("tcp" | "iroh")[] {
  if (transport !== "dual") return [transport];
  return prefer === "iroh" ? ["iroh", "tcp"] : ["tcp", "iroh"];
}
