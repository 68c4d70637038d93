import { aborted, NetworkError } from "@adit/network-helpers";
import type { PeerEvent } from "@adit/network-helpers/peers";
import type { RoleContext, RoleDefinition } from "@adit/role-kit";
import {
  type IrohNeed,
  type Network,
  openNetwork,
  peerLog,
  peerMetrics,
  peersStatus,
  RPC_ALPN,
  toPeerOptions,
} from "@adit/role-network";
import { Fleet } from "../operator/fleet.ts";
import { type DialIroh, openLink } from "../operator/role-link.ts";
import { toTargets } from "../operator/selection.ts";
import type { NamedTarget } from "../operator/target.ts";
import { type WatchConfig, watchSource } from "./config.ts";
import { farmPage, type TargetPage } from "./farm-page.ts";
import { type WatchSources, watchMetrics } from "./metrics.ts";
import { targetStatus } from "./status.ts";
import type { TargetEvent, TargetView } from "./target-board.ts";
import { Watcher } from "./watcher.ts";

/** The watch: an exporter of roles that Prometheus cannot reach. */
export const watchRole: RoleDefinition<WatchConfig> = {
  ...watchSource,
  title: "serves the metrics of many roles on one page, those behind NATs included",
  run,
};

async function run(config: WatchConfig, context: RoleContext<WatchConfig>): Promise<void> {
  const { log, metrics, signal } = context;
  const targets = toTargets(config.targets);
  const needsIroh = irohNeedOf(targets);
  await using network = await openNetwork({ iroh: config.iroh, rpc: config.rpc, needsIroh }, context);
  await using fleet = openFleet(config, { targets, network, onEvent: peerLog(log) });
  peerMetrics(metrics, () => fleet.stats());
  const onLook = watchMetrics(metrics, () => sources);
  await using watcher = new Watcher({
    fleet,
    targets,
    intervalMs: config.intervalSecs * 1000,
    onEvent: (event) => logEvent(context, event),
    onLook,
  });
  const sources = sourcesOf(watcher, fleet);
  metrics.onExpose((own) => farmPage(own, pagesOf(watcher.views())));
  context.setStatus(() => ({
    ...network.status(),
    ...statusOf(sources),
    peer_connections: peersStatus(fleet.stats()),
  }));
  context.onReload(["targets"], (changed) => {
    const next = toTargets(changed.targets);
    if (needsIroh === "no" && irohNeedOf(next) !== "no")
      throw new Error("no target was over Iroh at the start: restart");
    watcher.setTargets(next);
  });
  context.ready({ targets: targets.length, endpoint_id: network.endpointId });
  await aborted(signal);
}

function openFleet(
  { answerTimeoutSecs, peers }: WatchConfig,
  parts: {
    readonly targets: readonly NamedTarget[];
    readonly network: Network;
    readonly onEvent: (event: PeerEvent) => void;
  },
): Fleet {
  const { targets, network, onEvent } = parts;
  const deadlineMs = answerTimeoutSecs * 1000;
  const dialIroh: DialIroh = async (address, options) => {
    const transport = network.irohTransport(RPC_ALPN);
    if (transport !== undefined) return await transport.dial(address, options);
    throw new NetworkError("iroh-unavailable", {
      peer: address,
      message: "no target was over Iroh at the start: restart",
    });
  };
  return new Fleet({
    targets,
    open: (target, options) => openLink(target, { ...options, dialIroh }),
    peers: { ...toPeerOptions(peers), dialTimeoutMs: deadlineMs, deliverTimeoutMs: deadlineMs },
    deadlineMs,
    onEvent,
  });
}

/** Without Iroh there is nothing to see where every target is over Iroh; where one is not, there is. */
function irohNeedOf(targets: readonly NamedTarget[]): IrohNeed {
  const kinds = new Set(targets.map(({ target }) => target.kind));
  if (!kinds.has("iroh")) return "no";
  return kinds.has("http") ? "wanted" : "required";
}

function sourcesOf(watcher: Watcher, fleet: Fleet): WatchSources {
  return {
    views: () => watcher.views(),
    breakers: () => fleet.breakers(),
    now: () => performance.now(),
  };
}

function pagesOf(views: readonly TargetView[]): readonly TargetPage[] {
  return views.flatMap(({ state }) => (state.phase === "up" ? [state.answer.page] : []));
}

function statusOf({ views, breakers, now }: WatchSources): Readonly<Record<string, unknown>> {
  const states = breakers();
  return {
    targets: views().map((view) => targetStatus(view, { breaker: states.get(view.name) ?? "closed", now: now() })),
  };
}

function logEvent({ log }: RoleContext, event: TargetEvent): void {
  const { type, ...fields } = event;
  log[type === "target-up" ? "info" : "warn"]({ event: type, ...fields }, type.replaceAll("-", " "));
}
