import type { InUse } from "@adit/network-helpers";
import type { UpstreamRoute } from "./upstream-plan.ts";

/** What became of a list of routes. */
export interface RouteChanges {
  readonly added: number;
  readonly removed: number;
}

/** The ways to upstreams, by their ids: those in the list, and those that were taken out and are still mined over. */
export class RouteTable {
  #routes: ReadonlyMap<number, UpstreamRoute>;
  #listed: ReadonlySet<number>;

  constructor(routes: readonly UpstreamRoute[]) {
    this.#routes = byId(routes);
    this.#listed = new Set(this.#routes.keys());
  }

  /** Takes another list. `inUse` is known as long as it is that, in the list or not. */
  replace(routes: readonly UpstreamRoute[], inUse: InUse): RouteChanges {
    const before = this.#listed;
    const kept = typeof inUse === "number" ? this.#routes.get(inUse) : undefined;
    this.#routes = byId(kept === undefined ? routes : [kept, ...routes]);
    this.#listed = new Set(routes.map(({ id }) => id));
    return { added: countOutside(this.#listed, before), removed: countOutside(before, this.#listed) };
  }

  /** A route. */
  find(id: number): UpstreamRoute | undefined {
    return this.#routes.get(id);
  }

  /** Whether a route is in the list. */
  isListed(id: number): boolean {
    return this.#listed.has(id);
  }

  /** What is mined at, in one word or a few. */
  nameOf(inUse: InUse): string {
    if (typeof inUse !== "number") return inUse;
    const route = this.find(inUse);
    return route === undefined ? "" : `${route.name} over ${route.transport}`;
  }
}

/** A route, as fields of a log line. */
export function routeFields({ name, transport }: UpstreamRoute): {
  readonly upstream: string;
  readonly transport: string;
} {
  return { upstream: name, transport };
}

function byId(routes: readonly UpstreamRoute[]): ReadonlyMap<number, UpstreamRoute> {
  return new Map(routes.map((route) => [route.id, route]));
}

function countOutside(ids: ReadonlySet<number>, others: ReadonlySet<number>): number {
  let count = 0;
  for (const id of ids) if (!others.has(id)) count += 1;
  return count;
}
