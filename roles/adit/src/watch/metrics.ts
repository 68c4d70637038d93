import type { PeerStats } from "@adit/network-helpers/peers";
import type { MetricsRegister } from "@adit/role-kit";
import type { TargetView } from "./target-board.ts";
import type { LookResult } from "./watcher.ts";

/** Where the metrics of the watch come from. */
export interface WatchSources {
  readonly views: () => readonly TargetView[];
  readonly breakers: () => ReadonlyMap<string, PeerStats["breaker"]>;
  /** Milliseconds of the views' clock. */
  readonly now: () => number;
}

/** Registers the watch's own metrics; returns what counts a look. */
export function watchMetrics(
  register: MetricsRegister,
  sources: () => WatchSources,
): (target: string, result: LookResult) => void {
  const gauges = registerGauges(register);
  register.onCollect(() => {
    const { views, breakers, now } = sources();
    const states = breakers();
    for (const gauge of Object.values(gauges)) gauge.reset();
    for (const view of views()) setGauges(gauges, view, { breaker: states.get(view.name) ?? "closed", now: now() });
  });
  const looks = register.counter({
    name: "sv2_watch_looks_total",
    help: "Looks at a target, by how they ended: ok, failed, or breaker-open when it was left alone",
    labels: ["target", "result"],
  });
  return (target, result) => looks.inc({ target, result });
}

function registerGauges(register: MetricsRegister) {
  return {
    up: register.gauge({
      name: "sv2_watch_up",
      help: "Whether the target answered the last look: 1 or 0",
      labels: ["target"],
    }),
    ready: register.gauge({
      name: "sv2_watch_ready",
      help: "Whether the target says that it is ready: 1 or 0; absent while it does not answer",
      labels: ["target"],
    }),
    breaker: register.gauge({
      name: "sv2_watch_breaker",
      help: "1 for the state that the circuit breaker of the target is in: closed, open, half-open",
      labels: ["target", "state"],
    }),
    age: register.gauge({
      name: "sv2_watch_answer_age_seconds",
      help: "Time since the target answered last; absent before the first answer",
      labels: ["target"],
    }),
    took: register.gauge({
      name: "sv2_watch_look_seconds",
      help: "How long the last look at the target took, answered or not",
      labels: ["target"],
    }),
    refused: register.gauge({
      name: "sv2_watch_refused_lines",
      help: "Lines of the target's last metrics page that could not be taken over",
      labels: ["target"],
    }),
  };
}

function setGauges(
  gauges: ReturnType<typeof registerGauges>,
  { name: target, state, answeredAt, tookMs }: TargetView,
  { breaker, now }: { readonly breaker: PeerStats["breaker"]; readonly now: number },
): void {
  gauges.up.set({ target }, state.phase === "up" ? 1 : 0);
  for (const one of ["closed", "open", "half-open"] as const) {
    gauges.breaker.set({ target, state: one }, one === breaker ? 1 : 0);
  }
  if (answeredAt !== null) gauges.age.set({ target }, (now - answeredAt) / 1000);
  if (tookMs !== null) gauges.took.set({ target }, tookMs / 1000);
  if (state.phase !== "up") return;
  const { health, page } = state.answer;
  gauges.refused.set({ target }, page.refused);
  if (health !== null) gauges.ready.set({ target }, health.ready ? 1 : 0);
}
