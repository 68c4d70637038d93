import type { DialectMessage, SubmitSolution } from "@adit/codec";
import type { ChoicePlan, Sv2Connection } from "@adit/network-helpers";
import type { UpstreamSettings } from "@adit/role-kit";
import {
  type Attempt,
  type ClientHello,
  checkRoutes,
  choiceReport,
  type DialledUpstream,
  type KeptConnection,
  keepConnected,
  type ReconnectNews,
  RouteBook,
  reconnectReport,
  reconnectUpstream,
  transportsTo,
  type UpstreamState,
} from "@adit/role-network";
import { LeftProviders } from "./left-providers.ts";
import { StandbyWork } from "./standby-work.ts";
import type { TemplateClientOptions, TemplateClientStatus } from "./template-client-options.ts";
import { TemplateReader } from "./template-reader.ts";

const HELLO: ClientHello<"template_distribution"> = {
  protocol: "template_distribution",
  flags: 0,
  requestExtensions: [],
  requiredExtensions: [],
};

/** One connection to the provider, from its set-up to its end. */
interface Link {
  readonly connection: Sv2Connection<"template_distribution">;
  readonly attempt: Attempt;
  readonly work: StandbyWork;
  /** Whether it has asked to serve. */
  isStanding: boolean;
}

/**
 * A role's connection to its template provider: made again whenever it is lost, until this is disposed. As long as one
 * serves, another takes its place only with work on a tip that is as high, so that nobody ever mines on an older one.
 */
export class TemplateClient implements AsyncDisposable {
  readonly #options: TemplateClientOptions;
  readonly #stopping = new AbortController();
  readonly #book = new RouteBook<UpstreamSettings, "tcp" | "iroh">(transportsTo);
  readonly #kept: KeptConnection;
  /** The ways to the provider, by their ids. */
  #routes: ReadonlyMap<number, DialledUpstream> = new Map();
  readonly #report: ReturnType<typeof reconnectReport>;
  readonly #links = new Set<Link>();
  /** The one whose work is told. */
  #serving: Link | undefined;
  /** The one that is to serve next, which was told already. */
  #next: Link | undefined;
  readonly #left = new LeftProviders();
  readonly #reader: TemplateReader;
  #upstream: UpstreamState = { state: "connecting" };
  #away: string | null = null;

  /** Starts to dial at once. */
  constructor(options: TemplateClientOptions) {
    this.#options = options;
    const { log, metrics } = options;
    this.#reader = new TemplateReader(options);
    this.#report = reconnectReport(
      log,
      metrics.counter({
        name: "sv2_template_client_reconnects_total",
        help: "Requests of the template provider to connect elsewhere, by what became of them",
        labels: ["result"],
      }),
    );
    const reportChange = choiceReport(
      log,
      metrics.counter({
        name: "sv2_template_client_upstream_changes_total",
        help: "Changes of the template provider, or of the transport it is reached over",
        labels: ["reason"],
      }),
    );
    this.#kept = keepConnected({
      plan: this.#plan(options),
      attempt: (attempt) => this.#attempt(attempt),
      onState: (state) => this.#onState(state),
      onReconnect: (news) => this.#onReconnect(news),
      onChange: (change) => reportChange(change, this.#routes, { upstream: "template provider" }),
      signal: this.#stopping.signal,
    });
  }

  /** Snapshot for monitoring. */
  status(): TemplateClientStatus {
    return {
      upstream: this.#upstream,
      away: this.#away,
      connection: this.#serving?.connection ?? null,
      ...this.#reader.counts,
    };
  }

  /** Sends a solution now. Without a connection, or on one that breaks, it is lost: the block ledger offers it again. */
  submit(solution: SubmitSolution): void {
    this.#serving?.connection.write(solution).catch((error: unknown) => {
      this.#options.log.error({ error, templateId: solution.templateId.toString() }, "solution not sent");
    });
    this.#left.submit(solution);
  }

  /**
   * Asks for a template's transactions; `transaction-data` or `transaction-data-refused` answers. Without a connection
   * nothing is asked, and `provider-lost` ends every question that waits. An answer that nobody waits for is no event.
   */
  requestTransactionData(templateId: bigint): void {
    if (this.#serving === undefined) return;
    this.#reader.asked(templateId);
    this.#serving.connection.write({ name: "RequestTransactionData", templateId }).catch((error: unknown) => {
      this.#options.log.debug({ error, templateId: templateId.toString() }, "transactions not asked for");
    });
  }

  /**
   * Other providers or another policy are in force. The one that serves does until another's work can take its place.
   *
   * @throws NetworkError `iroh-unavailable` when one is reached over Iroh and the process was started without.
   */
  replace(changed: Pick<TemplateClientOptions, "providers" | "policy">): void {
    checkRoutes(this.#options.network, changed.providers);
    this.#kept.replace(this.#plan(changed));
  }

  /** Sends what is written, then closes the connection for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#serving?.connection[Symbol.asyncDispose]();
    await this.#kept.ended;
  }

  #plan({ providers, policy }: Pick<TemplateClientOptions, "providers" | "policy">): ChoicePlan {
    const routes = this.#book.routesTo(providers);
    this.#routes = new Map(routes.map(({ id, entry, way }) => [id, { ...entry, transport: way }]));
    return { routes, policy };
  }

  async #attempt(attempt: Attempt): Promise<void> {
    const { network, constraints } = this.#options;
    const { route, to, signal } = attempt;
    const known = this.#routes.get(route);
    if (known === undefined) throw new RangeError(`there is no route ${route}`);
    const upstream = to === undefined ? known : reconnectUpstream(known, to);
    await using connection = await network.dial(upstream, HELLO, { signal });
    await connection.write(constraints);
    if (signal.aborted) return;
    const link: Link = { connection, attempt, work: new StandbyWork(), isStanding: false };
    const end = (): void => void this.#leave(link);
    signal.addEventListener("abort", end, { once: true });
    this.#links.add(link);
    try {
      this.#consider(link);
      for await (const { message } of connection.messages) {
        if (!signal.aborted) this.#onMessage(link, message);
      }
    } finally {
      signal.removeEventListener("abort", end);
      this.#lose(link);
    }
  }

  /** Another serves in its place, or nobody needs it. */
  async #leave(link: Link): Promise<void> {
    const { connection } = link;
    const hasServed = this.#serving === link;
    this.#lose(link);
    if (hasServed) await this.#left.keep(connection, this.#stopping.signal);
    await connection[Symbol.asyncDispose]();
  }

  /** A link can serve when none does, or when its work is as good. */
  #consider(link: Link): void {
    const serving = this.#serving?.work;
    if (link.isStanding || (serving !== undefined && !link.work.reaches(serving))) return;
    link.isStanding = true;
    link.attempt.stand().then(
      () => this.#serve(link),
      () => {},
    );
  }

  #serve(link: Link): void {
    if (!this.#links.has(link)) return;
    this.#serving = link;
    this.#next = undefined;
    link.attempt.connected();
    this.#options.onEvent({ type: "provider-connected" });
    for (const message of link.work.messages) this.#tell(message);
  }

  /** A link is over: it has ended, or another is to serve in its place. */
  #lose(link: Link): void {
    if (!this.#links.delete(link)) return;
    if (this.#serving === link || this.#next === link) {
      this.#serving = undefined;
      this.#reader.lost();
      this.#next = [...this.#links].find(({ isStanding, work }) => isStanding && work.isThere);
      this.#options.onEvent({ type: "provider-lost", isReplaced: this.#next !== undefined });
      for (const other of this.#links) this.#consider(other);
    }
    link.attempt.left();
  }

  #onMessage(link: Link, message: DialectMessage<"template_distribution">): void {
    if (message.name === "NewTemplate" || message.name === "SetNewPrevHash") {
      link.work.add(message);
      if (link !== this.#serving) return this.#consider(link);
    } else if (message.name === "Reconnect") {
      return link.attempt.asked({ newHost: message.newHost, newPort: message.newPort });
    }
    if (link === this.#serving) this.#tell(message);
  }

  #tell(message: DialectMessage<"template_distribution">): void {
    const event = this.#reader.read(message);
    if (event !== undefined) this.#options.onEvent(event);
  }

  #onReconnect(news: ReconnectNews): void {
    const { transport = "tcp", address, endpointId } = this.#routes.get(news.route) ?? {};
    this.#report(news, { upstream: "template provider", transport, address: address ?? endpointId });
  }

  #onState(state: UpstreamState): void {
    this.#upstream = state;
    if (state.state === "connected") this.#away = null;
    if (state.state === "waiting") this.#away = state.reason;
    this.#logState(state);
    this.#options.onChange();
  }

  #logState(state: UpstreamState): void {
    const { log } = this.#options;
    switch (state.state) {
      case "connecting":
        log.debug("dialling the template provider");
        return;
      case "connected":
        log.info({ peer: this.#serving?.connection.peer }, "template provider connected");
        return;
      case "waiting":
        log.warn({ reason: state.reason, retryInMs: Math.round(state.retryInMs) }, "template provider away");
        return;
      default:
        state satisfies never;
    }
  }
}
