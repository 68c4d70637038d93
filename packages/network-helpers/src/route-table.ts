import type { InUse } from "./choice-decision.ts";

/** What became of a list of routes. */
export interface RouteChanges {
  readonly added: number;
  readonly removed: number;
}

/** The ways to upstreams, by their ids: those in the list, and the one that was taken out while it was in use. */
export class RouteTable<Route extends { readonly id: number }> {
  readonly #name: (route: Route) => string;
  #listed: readonly Route[];
  #kept: Route | undefined;

  /** `routes`: in order of preference. `name`: a route in one word or a few. */
  constructor(routes: readonly Route[], name: (route: Route) => string) {
    this.#listed = routes;
    this.#name = name;
  }

  /** Those in the list, in order of preference, and the one that was taken out and is in use all the same. */
  get all(): readonly Route[] {
    return this.#kept === undefined ? this.#listed : [...this.#listed, this.#kept];
  }

  /** Takes another list. `inUse` is known as long as it is that, in the list or not. */
  replace(routes: readonly Route[], inUse: InUse): RouteChanges {
    const before = this.#listed;
    const used = typeof inUse === "number" ? this.find(inUse) : undefined;
    this.#listed = routes;
    this.#kept = used === undefined || this.isListed(used.id) ? undefined : used;
    return { added: countOutside(routes, before), removed: countOutside(before, routes) };
  }

  /** A route. */
  find(id: number): Route | undefined {
    return this.all.find((route) => route.id === id);
  }

  /** Whether a route is in the list. */
  isListed(id: number): boolean {
    return this.#listed.some((route) => route.id === id);
  }

  /** What is in use, by its name; empty for a route that is not known. */
  nameOf(inUse: InUse): string {
    if (typeof inUse !== "number") return inUse;
    const route = this.find(inUse);
    return route === undefined ? "" : this.#name(route);
  }
}

function countOutside(routes: readonly { readonly id: number }[], others: readonly { readonly id: number }[]): number {
  const ids = new Set(others.map(({ id }) => id));
  return routes.filter(({ id }) => !ids.has(id)).length;
}
