import type { InUse } from "@adit/network-helpers";
import type { UpstreamRoute } from "./upstream-plan.ts";

/** What became of a list of routes. */
export interface RouteChanges {
  readonly added: number;
  readonly removed: number;
}

/** The ways to upstreams, by their ids: those in the list, and the one that was taken out while it was mined over. */
export class RouteTable {
  #listed: readonly UpstreamRoute[];
  #kept: UpstreamRoute | undefined;

  /** In order of preference. */
  constructor(routes: readonly UpstreamRoute[]) {
    this.#listed = routes;
  }

  /** Those in the list, in order of preference, and the one that was taken out and is mined over all the same. */
  get all(): readonly UpstreamRoute[] {
    return this.#kept === undefined ? this.#listed : [...this.#listed, this.#kept];
  }

  /** Takes another list. `inUse` is known as long as it is that, in the list or not. */
  replace(routes: readonly UpstreamRoute[], inUse: InUse): RouteChanges {
    const before = this.#listed;
    const used = typeof inUse === "number" ? this.find(inUse) : undefined;
    this.#listed = routes;
    this.#kept = used === undefined || this.isListed(used.id) ? undefined : used;
    return { added: countOutside(routes, before), removed: countOutside(before, routes) };
  }

  /** A route. */
  find(id: number): UpstreamRoute | undefined {
    return this.all.find((route) => route.id === id);
  }

  /** Whether a route is in the list. */
  isListed(id: number): boolean {
    return this.#listed.some((route) => route.id === id);
  }

  /** What is mined for, by its name. */
  nameOf(inUse: InUse): string {
    return typeof inUse === "number" ? (this.find(inUse)?.rules.name ?? "") : inUse;
  }
}

function countOutside(routes: readonly UpstreamRoute[], others: readonly UpstreamRoute[]): number {
  const ids = new Set(others.map(({ id }) => id));
  return routes.filter(({ id }) => !ids.has(id)).length;
}
