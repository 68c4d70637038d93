import type { UpstreamRoute } from "./upstream-plan.ts";

/** A route, as fields of a log line. */
export function routeFields({ name, transport }: UpstreamRoute): {
  readonly upstream: string;
  readonly transport: string;
} {
  return { upstream: name, transport };
}
