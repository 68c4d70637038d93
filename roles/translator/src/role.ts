import { formatHostPort } from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import { isLoopback, type RoleContext, type RoleDefinition } from "@adit/role-kit";
import { type Network, openNetwork, type UpstreamState } from "@adit/role-network";
import { sv1Limits, type TranslatorConfig, translatorConfig } from "./config.ts";
import { translatorMetrics } from "./metrics.ts";
import { Translator } from "./translator.ts";
import { TranslatorCore, type TranslatorOptions } from "./translator-core.ts";

/** The translator: Stratum V1 miners in, one Stratum V2 connection out. */
export const translatorRole: RoleDefinition<TranslatorConfig> = {
  name: "translator",
  title: "lets Stratum V1 miners mine at a Stratum V2 pool",
  envPrefix: "TPROXY",
  config: translatorConfig,
  run,
};

async function run(config: TranslatorConfig, context: RoleContext): Promise<void> {
  const needsIroh = config.upstreams.some(({ transport }) => transport !== "tcp");
  await using network = await openNetwork({ iroh: config.iroh, rpc: config.rpc, needsIroh }, context);
  const core = new TranslatorCore(optionsOf(config, network));
  const metrics = translatorMetrics(context.metrics, () => core.status());
  await using translator = new Translator({ config, context, network, core, metrics });
  const address = formatHostPort({ host: config.downstreamAddress, port: config.downstreamPort });
  await using listener = await tcp().listen(address, { signal: context.signal });
  warnIfPublic(config, context);
  context.log.info({ address: listener.address }, "accepting Stratum V1 miners");
  context.setStatus(() => ({ ...statusOf(translator.state, network), ...core.status() }));
  const details = {
    downstream_address: listener.address,
    listeners: [{ transport: "tcp", protocol: "sv1", address: listener.address }],
    endpoint_id: network.endpointId,
  };
  await Promise.all([
    translator.serve(listener),
    translator.connect((state) => onUpstreamState(state, details, context)),
  ]);
}

/** Ready means: a miner that connects now gets work. */
function onUpstreamState(state: UpstreamState, details: Record<string, unknown>, context: RoleContext): void {
  if (state.state === "connected") return context.ready(details);
  if (state.state === "connecting") return;
  const seconds = (state.retryInMs / 1000).toFixed(1);
  context.notReady("no upstream is connected");
  context.log.warn({ reason: state.reason, retryInSecs: seconds }, "upstream not connected");
}

/** Anyone on the way can read Stratum V1, and change where its work goes. */
function warnIfPublic({ downstreamAddress }: TranslatorConfig, { log }: RoleContext): void {
  if (isLoopback(downstreamAddress)) return;
  log.warn(
    { downstreamAddress },
    "Stratum V1 is neither encrypted nor authenticated: keep this port inside your own network",
  );
}

function optionsOf(config: TranslatorConfig, network: Network): TranslatorOptions {
  const difficulty = config.downstreamDifficultyConfig;
  const extranonce2Size = config.downstreamExtranonce2Size;
  const { hashing } = network;
  return {
    miners: {
      sharesPerMinute: difficulty.sharesPerMinute,
      startHashrate: difficulty.minIndividualMinerHashrate,
      enableVardiff: difficulty.enableVardiff,
      keepaliveMs: difficulty.jobKeepaliveIntervalSecs * 1000,
      extranonce2Size,
      limits: sv1Limits(config),
      hashing,
    },
    upstream: {
      aggregateChannels: config.aggregateChannels,
      extranonce2Size,
      maxPastJobs: config.maxPastJobs,
      hashing,
      random: Math.random,
    },
  };
}

function statusOf(state: UpstreamState, network: Network): Record<string, unknown> {
  const { listeners, connections } = network.status();
  const upstream = connections.find(({ direction }) => direction === "upstream");
  return {
    upstream: {
      state: state.state,
      reason: state.state === "waiting" ? state.reason : null,
      transport: upstream?.["transport"] ?? null,
      path: upstream?.["path"] ?? null,
      rtt_ms: upstream?.["rtt_ms"] ?? null,
    },
    listeners,
    connections,
  };
}
