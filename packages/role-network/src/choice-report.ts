import { type CounterMetric, peerText, type RoleContext } from "@adit/role-kit";
import type { RouteChange } from "./attempt.ts";
import type { DialledUpstream } from "./network.ts";

/** Longest failure that a line repeats: it may hold an Iroh ticket, and then what is wrong. */
const LONGEST_DETAIL = 512;

/**
 * Makes what tells the operator that another way to an upstream is used, or none, and why (requirement A9): the same line
 * as the translator's and the jd-client's, and a count.
 */
export function choiceReport(
  log: RoleContext["log"],
  changes: CounterMetric<"reason">,
): (
  change: RouteChange,
  routes: ReadonlyMap<number, DialledUpstream>,
  where: Readonly<Record<string, unknown>>,
) => void {
  return ({ from, to, reason, detail }, routes, where) => {
    changes.inc({ reason });
    const fields = { ...where, from: nameOf(from, routes), to: nameOf(to, routes), reason };
    const said = detail === undefined ? fields : { ...fields, detail: peerText(detail, LONGEST_DETAIL) };
    log[to === undefined ? "warn" : "info"](said, "upstream changed");
  };
}

function nameOf(route: number | undefined, routes: ReadonlyMap<number, DialledUpstream>): string {
  if (route === undefined) return "nothing";
  const known = routes.get(route);
  if (known === undefined) return "one that is configured no more";
  const { transport, address, port, endpointId = "a ticket" } = known;
  return transport === "tcp"
    ? `${address}:${port} over tcp`
    : `${address === undefined ? endpointId : `${address}:${port}`} over iroh`;
}
