import { MAX_TARGET, targetToBytes } from "@adit/bitcoin";
import {
  DECLARE_TX_DATA,
  type MiningMessage,
  type OpenExtendedMiningChannelSuccess,
  REQUIRES_WORK_SELECTION,
  type SetCustomMiningJob,
  type SetCustomMiningJobError,
  type SetCustomMiningJobSuccess,
  type SubmitSharesError,
  type SubmitSharesSuccess,
  u256,
} from "@adit/codec";
import { type Sv2Connection, within } from "@adit/network-helpers";
import type { IrohNodeManager } from "@adit/network-helpers/iroh";
import { DeclaredJob, type Solution } from "./declared-job.ts";
import { dialStream, type Reachable, setUp } from "./dial.ts";
import { JobDeclarationClient } from "./job-declaration-client.ts";
import { TemplateFeed } from "./template-feed.ts";
import type { TestRole } from "./test-role.ts";

/** Longest wait for an answer. */
const PATIENCE_MS = 60_000;

/** Where a miner goes that chooses its own transactions. */
export interface DeclaringMinerSites {
  readonly pool: Reachable;
  readonly jds: Reachable;
  readonly templateProvider: Reachable;
  /** Everything is dialled from this Iroh node; without one, over TCP. */
  readonly node?: IrohNodeManager | undefined;
  readonly userIdentity?: string;
  /** Of its SetupConnection to the jd-server; without DECLARE_TX_DATA it keeps its transactions to itself. */
  readonly flags?: number;
}

/** The job-declarator server inside a pool, as something to dial. */
export function embeddedJds(pool: TestRole): Reachable {
  return {
    details: pool.details,
    listener: (transport) => {
      const found = pool.details.jds?.listeners.find((listener) => listener.transport === transport);
      if (found === undefined) throw new Error(`the pool has no jd-server on ${transport}`);
      return found;
    },
  };
}

/**
 * A job-declarator client by hand: one connection each to a pool, a jd-server and a template provider, and a step of the
 * protocol whenever it is told.
 */
export class DeclaringMiner implements AsyncDisposable {
  readonly jds: JobDeclarationClient;
  readonly feed: TemplateFeed;
  readonly channel: OpenExtendedMiningChannelSuccess;
  readonly userIdentity: string;
  readonly #pool: Sv2Connection<"mining">;
  readonly #incoming: AsyncIterator<{ readonly message: { readonly name: string } }>;
  #sequenceNumber = 0;
  #requestId = 1;

  private constructor(parts: {
    readonly jds: JobDeclarationClient;
    readonly feed: TemplateFeed;
    readonly pool: Sv2Connection<"mining">;
    readonly incoming: AsyncIterator<{ readonly message: { readonly name: string } }>;
    readonly channel: OpenExtendedMiningChannelSuccess;
    readonly userIdentity: string;
  }) {
    this.jds = parts.jds;
    this.feed = parts.feed;
    this.channel = parts.channel;
    this.userIdentity = parts.userIdentity;
    this.#pool = parts.pool;
    this.#incoming = parts.incoming;
  }

  /** Dials all three and opens a channel. */
  static async open(sites: DeclaringMinerSites): Promise<DeclaringMiner> {
    const { pool, jds, templateProvider, node, userIdentity = "e2e", flags = DECLARE_TX_DATA } = sites;
    const stream = await dialStream(pool, node);
    const hello = { protocol: "mining", flags: REQUIRES_WORK_SELECTION } as const;
    const connection = await setUp(stream, hello, pool.details.authority_public_key);
    await connection.write({
      name: "OpenExtendedMiningChannel",
      requestId: 1,
      userIdentity,
      nominalHashRate: 1000,
      maxTarget: u256(targetToBytes(MAX_TARGET)),
      minExtranonceSize: 4,
    });
    const incoming = connection.messages[Symbol.asyncIterator]();
    const channel = await hear(incoming, ["OpenExtendedMiningChannelSuccess"]);
    return new DeclaringMiner({
      jds: await JobDeclarationClient.dial(jds, { node, flags }),
      feed: await TemplateFeed.dial(templateProvider, node),
      pool: connection,
      incoming,
      channel,
      userIdentity,
    });
  }

  /** Size of the whole extranonce. */
  get extranonceSize(): number {
    return this.channel.extranoncePrefix.length + this.channel.extranonceSize;
  }

  /** The whole extranonce with this byte in all that is the miner's own. */
  extranonce(fill = 0): Uint8Array {
    const whole = new Uint8Array(this.extranonceSize).fill(fill);
    whole.set(this.channel.extranoncePrefix);
    return whole;
  }

  /** A job of the newest template, made with a token that is allocated for it. */
  async newJob(): Promise<DeclaredJob> {
    const granted = await this.jds.allocate(this.userIdentity);
    return new DeclaredJob(await this.feed.next(), granted, this.extranonceSize);
  }

  /** A job, declared. Throws when the server refuses it. */
  async declaredJob(): Promise<{ readonly job: DeclaredJob; readonly token: Uint8Array }> {
    const job = await this.newJob();
    const verdict = await this.jds.declare(job);
    if (verdict.name === "DeclareMiningJobError") {
      throw new Error(`${verdict.errorCode}: ${new TextDecoder().decode(verdict.errorDetails)}`);
    }
    return { job, token: verdict.newMiningJobToken };
  }

  /** Sets a custom job, with changes; resolves to the pool's answer. */
  async set(
    job: DeclaredJob,
    token?: Uint8Array,
    changes: Partial<SetCustomMiningJob> = {},
  ): Promise<SetCustomMiningJobSuccess | SetCustomMiningJobError> {
    this.#requestId += 1;
    const requestId = this.#requestId;
    await this.#pool.write({ ...job.customJob(this.channel.channelId, requestId, token), ...changes });
    return await this.hear(["SetCustomMiningJobSuccess", "SetCustomMiningJobError"]);
  }

  /** A share of a custom job, or a block; resolves to the pool's answer. */
  async submit(jobId: number, solution: Solution): Promise<SubmitSharesSuccess | SubmitSharesError> {
    this.#sequenceNumber += 1;
    const { nonce, ntime, version, extranonce } = solution;
    await this.#pool.write({
      name: "SubmitSharesExtended",
      channelId: this.channel.channelId,
      sequenceNumber: this.#sequenceNumber,
      jobId,
      nonce,
      ntime,
      version,
      extranonce: extranonce.slice(this.channel.extranoncePrefix.length),
    });
    return await this.hear(["SubmitSharesSuccess", "SubmitSharesError"]);
  }

  /** Sends the pool any message. One that has hung up hears nothing, which is no fault. */
  async say(message: MiningMessage): Promise<void> {
    await this.#pool.write(message).catch(() => {});
  }

  /** Resolves when the pool has ended the connection; what it says until then is dropped. */
  async left(): Promise<void> {
    try {
      while ((await this.#incoming.next()).done !== true);
    } catch {
      // Broken off is over, too.
    }
  }

  /** The next message of the pool that has one of these names, dropping those before it. */
  async hear<N extends MiningMessage["name"]>(
    names: readonly N[],
  ): Promise<Extract<MiningMessage, { readonly name: N }>> {
    return await hear(this.#incoming, names);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.jds, this.feed, this.#pool]) await one[Symbol.asyncDispose]();
  }
}

async function hear<N extends MiningMessage["name"]>(
  incoming: AsyncIterator<{ readonly message: { readonly name: string } }>,
  names: readonly N[],
): Promise<Extract<MiningMessage, { readonly name: N }>> {
  for (;;) {
    const pulling = incoming.next();
    if (!(await within(PATIENCE_MS, pulling))) throw new Error(`the pool sends no ${names.join(" or ")}`);
    const next = await pulling;
    if (next.done === true) throw new Error("the pool has ended the connection");
    const { message } = next.value;
    if (names.some((name) => name === message.name)) return message as Extract<MiningMessage, { readonly name: N }>;
  }
}
