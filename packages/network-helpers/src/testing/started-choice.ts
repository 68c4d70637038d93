import type { ChoiceDecision } from "../choice-decision.ts";
import { type RouteFailure, UpstreamChoice, type UpstreamChoiceOptions } from "../upstream-choice.ts";
import { defaultUpstreamPolicy, type UpstreamPolicy } from "../upstream-route.ts";

type Decision = ChoiceDecision<"connection-lost">;

/** Rests that are easy to reckon with. */
export const choicePolicy = { ...defaultUpstreamPolicy, retryMinMs: 5000, retryMaxMs: 300_000 };

/** A choice among upstreams of one route each, with a clock, and jitter that always draws the middle. */
export function startedChoice(upstreams: number, changes: Partial<UpstreamChoiceOptions> = {}) {
  let now = 0;
  const routes = Array.from({ length: upstreams }, (_, id) => ({ id, upstream: id }));
  const choice = new UpstreamChoice<"connection-lost">(
    { routes, policy: choicePolicy, soloAfterMs: 5000, random: () => 0.5, ...changes },
    0,
  );
  const decisions: Decision[] = [];
  return {
    choice,
    ready: (route: number) => brief(choice.ready(route, now)),
    failed: (route: number, nature: Partial<RouteFailure<"connection-lost">> = {}) =>
      brief(choice.failed(route, { code: "connection-lost", ...nature }, now)),
    wanted: () => brief(choice.wanted(now)),
    /** Another list: the ids of its routes, each to an upstream of its own. */
    list: (ids: readonly number[], changes: Partial<UpstreamPolicy> = {}) => {
      const plan = { routes: ids.map((id) => ({ id, upstream: id })), policy: { ...choicePolicy, ...changes } };
      return brief(choice.replace(plan, now));
    },
    /** Seconds go by, one tick each. */
    wait: (seconds: number) => {
      decisions.length = 0;
      for (let second = 0; second < seconds; second += 1) {
        now += 1000;
        decisions.push(...choice.tick(now));
      }
      return brief(decisions);
    },
    now: () => now,
    start: () => brief(choice.tick(now)),
  };
}

function brief(decisions: readonly Decision[]): readonly string[] {
  return decisions.map((decision) => {
    if (decision.type === "use") return `${decision.from} -> ${decision.to}: ${decision.reason}`;
    return `${decision.type} ${decision.route}`;
  });
}
