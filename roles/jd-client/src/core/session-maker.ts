import type { SessionId } from "./effects.ts";
import type { JdClientOptions } from "./jd-client-options.ts";
import { Session } from "./session.ts";
import type { SessionOptions } from "./session-types.ts";
import type { Moves, UpstreamRoute } from "./upstream-plan.ts";

/** Makes a session over a route; `moves`: where its parts have asked to be reached. */
export type MakeSession = (id: SessionId, route: UpstreamRoute, moves: Moves) => Session;

/** Bytes of the extranonce that tell the channels of miners apart. */
export const INDEX_SIZE = 2;

/** What makes the sessions of a core. RangeError when it is asked for one in solo mining, which has no upstreams. */
export function sessionMaker(
  options: JdClientOptions,
  shared: Pick<SessionOptions, "outbox" | "cache" | "transactions" | "hashrate">,
): MakeSession {
  const { mode, outputSpace, tokenTimeoutMs, answerTimeoutMs, server, reservedExtranonceSize } = options;
  return (id, route, moves) => {
    if (mode === null) throw new RangeError("there are no upstreams in solo mining");
    return new Session({
      ...shared,
      id,
      route,
      moves,
      payout: { space: outputSpace, expectedScript: route.rules.expectedScript },
      mode,
      minExtranonceSize: INDEX_SIZE + reservedExtranonceSize,
      versionRollingAllowed: server.versionRollingAllowed,
      tokenTimeoutMs,
      answerTimeoutMs,
    });
  };
}
