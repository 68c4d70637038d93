import type { InUse } from "@adit/network-helpers";
import type { UpstreamRoute } from "./upstream-plan.ts";

/** The ways to upstreams, by what people call them. */
export class RouteTable {
  readonly #routes: readonly UpstreamRoute[];

  constructor(routes: readonly UpstreamRoute[]) {
    this.#routes = routes;
  }

  /** What is mined at, in one word or a few. */
  nameOf(inUse: InUse): string {
    if (typeof inUse !== "number") return inUse;
    const { name, transport } = this.#routes[inUse] ?? { name: "", transport: "" };
    return `${name} over ${transport}`;
  }

  /** A route, as fields of a log line. */
  describe(route: number): { readonly upstream: string; readonly transport: string } {
    const { name = "", transport = "tcp" } = this.#routes[route] ?? {};
    return { upstream: name, transport };
  }
}
