import { defaultUpstreamPolicy, NetworkError, type UpstreamPolicy } from "@adit/network-helpers";
import { snakeKey, type UpstreamSettings, upstreamSettings } from "@adit/role-kit";
import { z } from "zod";

const defaults = defaultUpstreamPolicy;

const seconds = (least: number, fallbackMs: number, meaning: string): z.ZodDefault<z.ZodNumber> =>
  z
    .number()
    .min(least)
    .max(86_400)
    .default(fallbackMs / 1000)
    .describe(`${meaning}, in seconds`);

/** The table `[fallback]` of every client role's config: how its upstreams are chosen among. */
export const fallbackSettings = z
  .strictObject({
    headStartSecs: seconds(
      0,
      defaults.headStartMs,
      "how long a dial is waited for before the next upstream, or the other transport of a `dual` one, is dialled beside it; 0: all at once",
    ),
    retryMinSecs: seconds(
      0.5,
      defaults.retryMinMs,
      "longest pause after a first failure; the bound doubles with each, and every pause is drawn at random below it",
    ),
    retryMaxSecs: seconds(0.5, defaults.retryMaxMs, "longest pause between dials of one that cannot be reached"),
    holdDownSecs: seconds(
      0,
      defaults.holdDownMs,
      "how long one that broke must stand again before it is returned to; doubles each time it breaks",
    ),
    steadySecs: seconds(
      1,
      defaults.steadyMs,
      "one that stands this long is taken to work: nothing that was before counts, and no hold-down is longer",
    ),
  })
  .describe("how upstreams, and the transports they are reached over, are chosen among");

/** The keys of {@link fallbackSettings}, in the file's spelling. */
export const fallbackKeys: readonly string[] = Object.keys(fallbackSettings.shape).map(
  (key) => `fallback.${snakeKey(key)}`,
);

/** The keys of one upstream's entry, in the file's spelling; `at`: the table it is in, `""` for the top of the file. */
export function upstreamKeys(at: string): readonly string[] {
  return Object.keys(upstreamSettings).map((key) => `${at === "" ? "" : `${at}.`}${snakeKey(key)}`);
}

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

/**
 * Checks that a config's upstreams can be dialled by this process, before it takes them over while it runs.
 *
 * @throws NetworkError `iroh-unavailable` when one is reached over Iroh and the process was started without.
 */
export function checkRoutes(
  { endpointId }: { readonly endpointId: string | null },
  upstreams: readonly Pick<UpstreamSettings, "transport">[],
): void {
  if (endpointId !== null || upstreams.every(({ transport }) => transport === "tcp")) return;
  const message = "this process was started without Iroh: restart it to reach upstreams over Iroh";
  throw new NetworkError("iroh-unavailable", { peer: "", message });
}
