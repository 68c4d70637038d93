import {
  DECLARE_TX_DATA,
  type JobDeclarationMessage,
  type MiningMessage,
  REQUIRES_FIXED_VERSION,
  REQUIRES_WORK_SELECTION,
  WORKER_HASHRATE_TRACKING,
  workerTlvs,
} from "@adit/codec";
import { aborted, type Sv2Connection, within } from "@adit/network-helpers";
import { reasonText } from "@adit/role-kit";
import { type DialledUpstream, isNegotiation, type Network, Outbound, reconnectUpstream } from "@adit/role-network";
import type { SessionId, SessionInput } from "./core/effects.ts";
import type { Moves, UpstreamPart, UpstreamWay } from "./core/upstream-plan.ts";
import { endpointOf, type UpstreamEntry } from "./upstream-settings.ts";

/** What an {@link UpstreamLink} works with. */
export interface UpstreamLinkOptions {
  readonly session: SessionId;
  readonly entry: UpstreamEntry;
  readonly way: UpstreamWay;
  /** Where its parts have asked to be reached, if they have. */
  readonly moves: Moves;
  /** Whether transactions are declared. */
  readonly declaresTransactions: boolean;
  readonly network: Network;
  /** Tells the core what happened; must not throw. */
  readonly say: (input: SessionInput) => void;
}

/** Some ten thousand shares. */
const MAX_BYTES_FOR_POOL = 1024 * 1024;
/** The transactions of two full blocks, and their declarations. */
const MAX_BYTES_FOR_JDS = 16 * 1024 * 1024;
/** How long messages on their way may take when a session is ended, in milliseconds. */
const FLUSH_MS = 2000;

/** The shell of one session: its pool connection and its job-declarator connection, which live and die together. */
export class UpstreamLink {
  readonly #options: UpstreamLinkOptions;
  readonly #ending = new AbortController();
  #pool: Outbound<"mining"> | undefined;
  #jds: Outbound<"job_declaration"> | undefined;

  constructor(options: UpstreamLinkOptions) {
    this.#options = options;
  }

  /** Dials both, and tells the core what they say until either ends or {@link end} is called. Never rejects. */
  async run(): Promise<void> {
    const { session, say } = this.#options;
    try {
      await this.#connect();
      if (!this.#ending.signal.aborted) say({ type: "session-down", session, reason: "the peer ended the connection" });
    } catch (error) {
      const reason = reasonText(error);
      if (!this.#ending.signal.aborted) say({ type: "session-down", session, reason });
    }
  }

  /** Sends a message to the pool, with the name of the worker whose share it is, if that is agreed. */
  toPool(message: MiningMessage, worker: string | undefined): void {
    this.#pool?.send(message, workerTlvs(worker));
  }

  /** Sends a message to the job declarator. */
  toJds(message: JobDeclarationMessage): void {
    this.#jds?.send(message);
  }

  /** Sends what was sent before, then ends both connections. */
  end(): void {
    this.#ending.abort();
  }

  async #connect(): Promise<void> {
    const { network, entry, declaresTransactions, session, say } = this.#options;
    const { signal } = this.#ending;
    const mining = {
      protocol: "mining",
      flags: REQUIRES_WORK_SELECTION,
      requestExtensions: [WORKER_HASHRATE_TRACKING],
      requiredExtensions: [],
    } as const;
    const declaration = {
      protocol: "job_declaration",
      flags: declaresTransactions ? DECLARE_TX_DATA : 0,
      requestExtensions: [],
      requiredExtensions: [],
    } as const;
    await using pool = await network.dial(this.#addressOf("pool"), mining, { signal });
    await using jds = await network.dial(this.#addressOf("jds"), declaration, { signal });
    const { tlvByteOrder } = entry;
    this.#pool = new Outbound(pool, { maxWaitingBytes: MAX_BYTES_FOR_POOL, tlvByteOrder });
    this.#jds = new Outbound(jds, { maxWaitingBytes: MAX_BYTES_FOR_JDS, tlvByteOrder });
    if (signal.aborted) return;
    try {
      const fixedVersion = (pool.accepted.flags & REQUIRES_FIXED_VERSION) !== 0;
      const namesWorkers = pool.extensions.has(WORKER_HASHRATE_TRACKING);
      say({ type: "session-up", session, setup: { fixedVersion, namesWorkers } });
      await Promise.race([this.#readPool(pool), this.#readJds(jds), aborted(signal)]);
    } finally {
      await within(FLUSH_MS, Promise.all([this.#pool.flushed(), this.#jds.flushed()]));
      this.#pool = undefined;
      this.#jds = undefined;
    }
  }

  /** Throws NetworkError `refused` when it has asked to be reached where nobody can check who is. */
  #addressOf(part: UpstreamPart): DialledUpstream {
    const { entry, way, moves } = this.#options;
    const configured = { ...endpointOf(entry, part), transport: way[part] };
    const to = moves[part];
    return to === undefined ? configured : reconnectUpstream(configured, to);
  }

  async #readPool(connection: Sv2Connection<"mining">): Promise<void> {
    const { session, say } = this.#options;
    for await (const { message } of connection.messages) {
      if (this.#ending.signal.aborted) return;
      if (!isNegotiation(message)) say({ type: "pool-message", session, message });
    }
  }

  async #readJds(connection: Sv2Connection<"job_declaration">): Promise<void> {
    const { session, say } = this.#options;
    for await (const { message } of connection.messages) {
      if (this.#ending.signal.aborted) return;
      if (!isNegotiation(message)) say({ type: "jds-message", session, message });
    }
  }
}
