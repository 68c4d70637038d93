import { translatorConfig } from "../config.ts";
import type { UpstreamRoute } from "../upstream-plan.ts";

/** The way to a pool of a bench, over TCP. Its id is the pool's number, unless told. */
export function routeTo(pool: number, id: number = pool): UpstreamRoute {
  const upstream = { address: `pool-${pool}`, port: 3333, userIdentity: "account" };
  const [entry] = translatorConfig.parse({ upstreams: [upstream] }).upstreams;
  if (entry === undefined) throw new Error("a config has the upstreams that are in it");
  return { id, upstream: pool, entry, name: `pool-${pool}`, transport: "tcp" };
}
