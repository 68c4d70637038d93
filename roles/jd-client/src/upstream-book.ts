import { rewardScript } from "@adit/mining-shell";
import { RouteBook, toUpstreamPolicy } from "@adit/role-network";
import type { JdClientConfig } from "./config.ts";
import type { UpstreamPlan, UpstreamRoute, UpstreamWay } from "./core/upstream-plan.ts";
import { type UpstreamEntry, upstreamName, waysTo } from "./upstream-settings.ts";

/** The upstreams of the config, as the core knows them, and what the config says of each. */
export class UpstreamBook {
  readonly #book = new RouteBook<UpstreamEntry, UpstreamWay>(waysTo);
  readonly #entries = new WeakMap<UpstreamRoute, UpstreamEntry>();

  /** The plan that a config makes. BitcoinError when a reward script that is expected is none. */
  planOf({ upstreams, fallback, network }: JdClientConfig): UpstreamPlan {
    const routes = this.#book.routesTo(upstreams).map(({ id, upstream, entry, place, way }) => {
      const descriptor = entry.expectedRewardScript;
      const expectedScript = descriptor === undefined ? undefined : rewardScript({ descriptor, network }).script;
      const rules = { name: upstreamName(entry, place), userIdentity: entry.userIdentity, expectedScript };
      const route = { id, upstream, ...way, rules };
      this.#entries.set(route, entry);
      return route;
    });
    return { routes, policy: toUpstreamPolicy(fallback) };
  }

  /** The entry that a route of one of the plans leads to. RangeError for any other route. */
  entryOf(route: UpstreamRoute): UpstreamEntry {
    const entry = this.#entries.get(route);
    if (entry === undefined) throw new RangeError(`route ${route.id} is of no plan`);
    return entry;
  }
}
