import { type MiningMessage, REQUIRES_FIXED_VERSION, WORKER_HASHRATE_TRACKING, workerTlvs } from "@adit/codec";
import { aborted, type Sv2Connection, within } from "@adit/network-helpers";
import { reasonText } from "@adit/role-kit";
import { isNegotiation, type Network, Outbound, type ReconnectTarget, reconnectUpstream } from "@adit/role-network";
import type { SessionId, SessionInput } from "./effects.ts";
import type { UpstreamRoute } from "./upstream-plan.ts";

/** What an {@link UpstreamConnection} works with. */
export interface UpstreamConnectionOptions {
  readonly session: SessionId;
  readonly route: UpstreamRoute;
  /** Where the upstream asked to be reached, if it did. */
  readonly to: ReconnectTarget | undefined;
  /** Extensions to ask for, and those without which the upstream is of no use. */
  readonly requestExtensions: readonly number[];
  readonly requiredExtensions: readonly number[];
  readonly network: Network;
  /** Tells the core what happened; must not throw. */
  readonly say: (input: SessionInput) => void;
}

/** How long shares on their way upstream may take when a session is ended, in milliseconds. */
const FLUSH_MS = 2000;
/** Bytes that may wait for an upstream: some ten thousand shares. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** The shell of one session: its connection, from the dial to the end. */
export class UpstreamConnection {
  readonly #options: UpstreamConnectionOptions;
  readonly #ending = new AbortController();
  #outbound: Outbound<"mining"> | undefined;
  #connection: Sv2Connection<"mining"> | undefined;

  constructor(options: UpstreamConnectionOptions) {
    this.#options = options;
  }

  /** The connection once it is set up. */
  get connection(): Sv2Connection<"mining"> | undefined {
    return this.#connection;
  }

  /** Dials, and tells the core what the upstream says until it ends or {@link end} is called. Never rejects. */
  async run(): Promise<void> {
    const { session, say } = this.#options;
    let reason = "the upstream ended the connection";
    try {
      await this.#connect();
    } catch (error) {
      reason = reasonText(error);
    }
    if (!this.#ending.signal.aborted) say({ type: "session-down", session, reason });
  }

  /** Sends a message, with the name of the worker whose share it is, if that is agreed. */
  send(message: MiningMessage, worker: string | undefined): void {
    this.#outbound?.send(message, workerTlvs(worker));
  }

  /** Sends what was sent before, then ends the connection. */
  end(): void {
    this.#ending.abort();
  }

  async #connect(): Promise<void> {
    const { session, route, to, network, say, requestExtensions, requiredExtensions } = this.#options;
    const { signal } = this.#ending;
    const { entry, transport } = route;
    const configured = { ...entry, transport };
    const upstream = to === undefined ? configured : reconnectUpstream(configured, to);
    // Rolling the version is wanted but not required: miners can do without, and each job says whether it may be done.
    const hello = { protocol: "mining", flags: 0, requestExtensions, requiredExtensions } as const;
    await using connection = await network.dial(upstream, hello, { signal });
    if (signal.aborted) return;
    const { tlvByteOrder, userIdentity } = entry;
    const outbound = new Outbound(connection, { maxWaitingBytes: MAX_WAITING_BYTES, tlvByteOrder });
    this.#outbound = outbound;
    this.#connection = connection;
    try {
      const fixedVersion = (connection.accepted.flags & REQUIRES_FIXED_VERSION) !== 0;
      const namesWorkers = connection.extensions.has(WORKER_HASHRATE_TRACKING);
      say({ type: "session-up", session, setup: { userIdentity, fixedVersion, namesWorkers } });
      await Promise.race([this.#read(connection), aborted(signal)]);
    } finally {
      await within(FLUSH_MS, outbound.flushed());
      this.#outbound = undefined;
      this.#connection = undefined;
    }
  }

  async #read(connection: Sv2Connection<"mining">): Promise<void> {
    const { session, say } = this.#options;
    for await (const { message } of connection.messages) {
      if (this.#ending.signal.aborted) return;
      if (!isNegotiation(message)) say({ type: "upstream-message", session, message });
    }
  }
}
