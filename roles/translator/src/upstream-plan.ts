import type { UpstreamPolicy } from "@adit/network-helpers";
import { type NumberedRoute, type RouteBook, toUpstreamPolicy } from "@adit/role-network";
import type { TranslatorConfig, TranslatorUpstream } from "./config.ts";

/** A way to an upstream. Its id lasts, whatever becomes of the list that it is in. */
export interface UpstreamRoute extends Pick<NumberedRoute<TranslatorUpstream, Transport>, "id" | "upstream" | "entry"> {
  /** For logs and the status. */
  readonly name: string;
  readonly transport: Transport;
}

/** What upstreams are reached over. */
export type Transport = "tcp" | "iroh";

/** Which upstreams there are. */
export interface UpstreamPlan {
  /** The ways to them, in order of preference. */
  readonly routes: readonly UpstreamRoute[];
  readonly policy: UpstreamPolicy;
}

/** Where a translator stands with its upstream. */
export interface UpstreamState {
  /** Being mined at; none, and none needed; none, and one wanted. */
  readonly state: "connected" | "idle" | "waiting";
  /** Why the last one was lost or could not be had; null while there is one. May hold text of the peer. */
  readonly reason: string | null;
}

/** What a config says of its upstreams. `book`: the same one for every config that the process reads. */
export function planOf(
  { upstreams, fallback }: Pick<TranslatorConfig, "upstreams" | "fallback">,
  book: RouteBook<TranslatorUpstream, Transport>,
): UpstreamPlan {
  const routes = book.routesTo(upstreams).map(({ id, upstream, entry, place, way: transport }) => {
    const { address, port, endpointId } = entry;
    const name = address === undefined ? (endpointId ?? `upstream ${place + 1}`) : `${address}:${port}`;
    return { id, upstream, entry, name, transport };
  });
  return { routes, policy: toUpstreamPolicy(fallback) };
}
