import type {
  CoinbaseOutputConstraints,
  DialectMessage,
  NewTemplate,
  SubmitSolution,
  TemplateSetNewPrevHash,
} from "@adit/codec";
import type { Sv2Connection, UpstreamPolicy } from "@adit/network-helpers";
import { peerText, type RoleContext, type UpstreamSettings } from "@adit/role-kit";
import {
  type Attempt,
  type DialledUpstream,
  keepConnected,
  type Network,
  transportsTo,
  type UpstreamState,
} from "@adit/role-network";

/** Questions that may wait for their answers; a provider that never answers makes the oldest be given up. */
const MAX_ASKED = 64;

/** What comes from the template provider, in order. Byte fields are views: copy what is kept. */
export type TemplateEvent =
  | { readonly type: "provider-connected" }
  /** The connection has ended. Questions that were not answered on it will not be. */
  | { readonly type: "provider-lost" }
  | { readonly type: "template"; readonly template: NewTemplate }
  | { readonly type: "prev-hash"; readonly prevHash: TemplateSetNewPrevHash }
  /** The transactions of a template, all but the coinbase, in the order of the block (spec 7.5). */
  | {
      readonly type: "transaction-data";
      readonly templateId: bigint;
      readonly excessData: Uint8Array;
      readonly transactionList: readonly Uint8Array[];
    }
  /** The provider does not give a template's transactions; the code is the peer's own text (spec 7.6). */
  | { readonly type: "transaction-data-refused"; readonly templateId: bigint; readonly errorCode: string };

/** What a {@link TemplateClient} works with. */
export interface TemplateClientOptions {
  readonly network: Network;
  readonly upstream: UpstreamSettings;
  readonly policy: UpstreamPolicy;
  readonly constraints: CoinbaseOutputConstraints;
  /** Called for each event, one at a time; must not throw for what a peer sent. */
  readonly onEvent: (event: TemplateEvent) => void;
  /** Called whenever what {@link TemplateClient.status} says of the connection changed. */
  readonly onChange: () => void;
  readonly log: RoleContext["log"];
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** The connection to the template provider as the status document shows it. */
export interface TemplateClientStatus {
  readonly upstream: UpstreamState;
  /** Why the last connection ended or could not be made; null once there is one. */
  readonly away: string | null;
  /** What the connection runs over; null while there is none. */
  readonly connection: Sv2Connection<"template_distribution"> | null;
  readonly templates: number;
  /** Unix milliseconds of the newest template and of the newest prevhash; null before the first. */
  readonly lastTemplateAt: number | null;
  readonly lastPrevHashAt: number | null;
}

/** A role's connection to its template provider: made again whenever it is lost, until this is disposed. */
export class TemplateClient implements AsyncDisposable {
  readonly #options: TemplateClientOptions;
  readonly #stopping = new AbortController();
  /** The ways to the provider, in order of preference. */
  readonly #routes: readonly DialledUpstream[];
  readonly #running: Promise<void>;
  #connection: Sv2Connection<"template_distribution"> | undefined;
  /** Templates whose transactions the connection was asked for and has not answered, oldest first. */
  readonly #asked = new Set<bigint>();
  #upstream: UpstreamState = { state: "connecting" };
  #away: string | null = null;
  #templates = 0;
  #lastTemplateAt: number | null = null;
  #lastPrevHashAt: number | null = null;

  /** Starts to dial at once. */
  constructor(options: TemplateClientOptions) {
    this.#options = options;
    const { upstream } = options;
    this.#routes = transportsTo(upstream).map((transport) => ({ ...upstream, transport }));
    this.#running = keepConnected({
      routes: this.#routes.length,
      policy: options.policy,
      attempt: (attempt) => this.#attempt(attempt),
      onState: (state) => this.#onState(state),
      signal: this.#stopping.signal,
    });
  }

  /** Snapshot for monitoring. */
  status(): TemplateClientStatus {
    return {
      upstream: this.#upstream,
      away: this.#away,
      connection: this.#connection ?? null,
      templates: this.#templates,
      lastTemplateAt: this.#lastTemplateAt,
      lastPrevHashAt: this.#lastPrevHashAt,
    };
  }

  /** Sends a solution now. Without a connection, or on one that breaks, it is lost: the block ledger offers it again. */
  submit(solution: SubmitSolution): void {
    this.#connection?.write(solution).catch((error: unknown) => {
      this.#options.log.error({ error, templateId: solution.templateId.toString() }, "solution not sent");
    });
  }

  /**
   * Asks for a template's transactions; `transaction-data` or `transaction-data-refused` answers. Without a connection
   * nothing is asked, and `provider-lost` ends every question that waits. An answer that nobody waits for is no event.
   */
  requestTransactionData(templateId: bigint): void {
    if (this.#connection === undefined) return;
    this.#asked.add(templateId);
    for (const oldest of this.#asked) {
      if (this.#asked.size <= MAX_ASKED) break;
      this.#asked.delete(oldest);
    }
    this.#connection.write({ name: "RequestTransactionData", templateId }).catch((error: unknown) => {
      this.#options.log.debug({ error, templateId: templateId.toString() }, "transactions not asked for");
    });
  }

  /** Sends what is written, then closes the connection for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#connection?.[Symbol.asyncDispose]();
    await this.#running;
  }

  async #attempt({ route, signal, stand, connected }: Attempt): Promise<void> {
    const { network, constraints, onEvent } = this.#options;
    const upstream = this.#routes[route];
    if (upstream === undefined) throw new RangeError(`there is no route ${route}`);
    const hello = {
      protocol: "template_distribution",
      flags: 0,
      requestExtensions: [],
      requiredExtensions: [],
    } as const;
    await using connection = await network.dial(upstream, hello, { signal });
    await stand();
    await connection.write(constraints);
    if (signal.aborted) return;
    this.#connection = connection;
    connected();
    onEvent({ type: "provider-connected" });
    const end = (): void => void connection[Symbol.asyncDispose]();
    signal.addEventListener("abort", end, { once: true });
    try {
      for await (const { message } of connection.messages) {
        if (signal.aborted) return;
        this.#onMessage(message);
      }
    } finally {
      signal.removeEventListener("abort", end);
      this.#connection = undefined;
      this.#asked.clear();
      onEvent({ type: "provider-lost" });
    }
  }

  #onMessage(message: DialectMessage<"template_distribution">): void {
    const { onEvent, log, now } = this.#options;
    switch (message.name) {
      case "NewTemplate":
        this.#templates += 1;
        this.#lastTemplateAt = now();
        log.debug({ templateId: message.templateId.toString(), future: message.futureTemplate }, "template received");
        onEvent({ type: "template", template: message });
        return;
      case "SetNewPrevHash":
        this.#lastPrevHashAt = now();
        log.debug({ templateId: message.templateId.toString() }, "prevhash received");
        onEvent({ type: "prev-hash", prevHash: message });
        return;
      case "RequestTransactionDataSuccess": {
        const { templateId, excessData, transactionList } = message;
        if (!this.#asked.delete(templateId)) return this.#ignore(message.name);
        log.debug({ templateId: templateId.toString(), count: transactionList.length }, "transactions received");
        onEvent({ type: "transaction-data", templateId, excessData, transactionList });
        return;
      }
      case "RequestTransactionDataError": {
        const { templateId, errorCode } = message;
        if (!this.#asked.delete(templateId)) return this.#ignore(message.name);
        log.debug({ templateId: templateId.toString(), errorCode: peerText(errorCode) }, "transactions refused");
        onEvent({ type: "transaction-data-refused", templateId, errorCode });
        return;
      }
      default:
        this.#ignore(message.name);
    }
  }

  #ignore(message: string): void {
    this.#options.log.debug({ message }, "message of the template provider ignored");
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
        log.info({ peer: this.#connection?.peer }, "template provider connected");
        return;
      case "waiting":
        log.warn({ reason: state.reason, retryInMs: Math.round(state.retryInMs) }, "template provider away");
        return;
      default:
        state satisfies never;
    }
  }
}
