import { formatHostPort } from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import { isLoopback, type RoleContext, type RoleDefinition } from "@adit/role-kit";
import {
  checkRoutes,
  irohNeed,
  type Network,
  openNetwork,
  RouteBook,
  transportOfAll,
  transportsTo,
  upstreamKeys,
} from "@adit/role-network";
import { sv1Limits, type TranslatorConfig, type TranslatorUpstream, translatorConfig } from "./config.ts";
import { translatorMetrics } from "./metrics.ts";
import { liveLimitKeys, Translator } from "./translator.ts";
import { TranslatorCore, type TranslatorOptions } from "./translator-core.ts";
import { planOf, type Transport, type UpstreamPlan } from "./upstream-plan.ts";

/** The translator: Stratum V1 miners in, one Stratum V2 connection out. */
export const translatorRole: RoleDefinition<TranslatorConfig> = {
  name: "translator",
  title: "lets Stratum V1 miners mine at a Stratum V2 pool",
  envPrefix: "TPROXY",
  config: translatorConfig,
  run,
};

async function run(config: TranslatorConfig, context: RoleContext<TranslatorConfig>): Promise<void> {
  // With one pool that TCP leads to, there is somewhere to mine.
  const needsIroh = irohNeed([transportOfAll(config.upstreams)]);
  await using network = await openNetwork({ iroh: config.iroh, rpc: config.rpc, needsIroh }, context);
  const book = new RouteBook<TranslatorUpstream, Transport>(transportsTo);
  const core = new TranslatorCore(optionsOf(config, network, planOf(config, book)));
  const metrics = translatorMetrics(context.metrics, () => core.status());
  const readiness = new Readiness(context, core);
  const onChange = (): void => readiness.update();
  await using translator = new Translator({ config, context, network, core, metrics, onChange });
  const address = formatHostPort({ host: config.downstreamAddress, port: config.downstreamPort });
  await using listener = await tcp().listen(address, { signal: context.signal });
  context.onReload(liveLimitKeys, ({ limits }) => translator.setLimits(limits));
  context.onReload(upstreamKeys, (changed) => {
    checkRoutes(network, changed.upstreams);
    translator.setUpstreams(planOf(changed, book));
  });
  warnIfPublic(config, context);
  context.log.info({ address: listener.address }, "accepting Stratum V1 miners");
  context.setStatus(() => ({ ...statusOf(translator, network), ...core.status() }));
  readiness.listening({
    downstream_address: listener.address,
    listeners: [{ transport: "tcp", protocol: "sv1", address: listener.address }],
    endpoint_id: network.endpointId,
  });
  await Promise.all([translator.serve(listener), translator.connect()]);
}

/** Tells when it changes whether a miner that connects now gets work. */
class Readiness {
  readonly #context: RoleContext;
  readonly #core: TranslatorCore;
  #details: Record<string, unknown> | undefined;
  #told: boolean | undefined;

  constructor(context: RoleContext, core: TranslatorCore) {
    this.#context = context;
    this.#core = core;
  }

  listening(details: Record<string, unknown>): void {
    this.#details = details;
    this.update();
  }

  update(): void {
    const { isServing } = this.#core;
    if (this.#details === undefined || isServing === this.#told) return;
    if (isServing) this.#context.ready(this.#details);
    else if (this.#told !== undefined) this.#context.notReady("no upstream is connected");
    this.#told = isServing;
  }
}

/** Anyone on the way can read Stratum V1, and change where its work goes. */
function warnIfPublic({ downstreamAddress }: TranslatorConfig, { log }: RoleContext): void {
  if (isLoopback(downstreamAddress)) return;
  log.warn(
    { downstreamAddress },
    "Stratum V1 is neither encrypted nor authenticated: keep this port inside your own network",
  );
}

function optionsOf(config: TranslatorConfig, network: Network, plan: UpstreamPlan): TranslatorOptions {
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
    plan,
  };
}

function statusOf(translator: Translator, network: Network): Record<string, unknown> {
  const upstream = translator.upstream();
  return {
    upstream: {
      state: upstream.state,
      reason: upstream.reason,
      transport: upstream.connection?.transport ?? null,
      path: upstream.connection?.path ?? null,
      rtt_ms: upstream.connection?.rttMs ?? null,
    },
    ...network.status(),
  };
}
