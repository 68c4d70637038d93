import { once } from "node:events";
import { pureHashing } from "@adit/bitcoin";
import type { ByteStream, Listener } from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import {
  defaultSv1Limits,
  LineSplitter,
  type Sv1Job,
  type Sv1ServerInput,
  Sv1ServerSession,
  type Sv1Share,
} from "@adit/sv1";

interface PoolConnection {
  readonly stream: ByteStream;
  readonly session: Sv1ServerSession;
}

/** A Stratum V1 pool on a real socket: a server session for each connection, jobs as the test gives them. */
export class Sv1Pool implements AsyncDisposable {
  readonly shares: Sv1Share[] = [];
  readonly users = new Set<string>();
  rejected = 0;
  readonly #difficulty: number;
  readonly #connections = new Set<PoolConnection>();
  readonly #events = new EventTarget();
  readonly #listener: Listener;
  #job: Sv1Job;
  #accepted = 0;

  private constructor(listener: Listener, options: { readonly job: Sv1Job; readonly difficulty: number }) {
    this.#listener = listener;
    this.#job = options.job;
    this.#difficulty = options.difficulty;
  }

  /** Listens on a free port, or the one given. */
  static async start(options: { job: Sv1Job; difficulty: number; address?: string }): Promise<Sv1Pool> {
    const { signal } = new AbortController();
    const pool = new Sv1Pool(await tcp().listen(options.address ?? "127.0.0.1:0", { signal }), options);
    void pool.#accept();
    return pool;
  }

  get address(): string {
    return this.#listener.address;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Gives every miner, now and later, this job. */
  give(job: Sv1Job): void {
    this.#job = job;
    for (const connection of this.#connections) this.#handle(connection, { type: "job", job });
  }

  /** Breaks all connections. */
  drop(): void {
    for (const { stream } of this.#connections) stream.abort(new Error("dropped by the test"));
  }

  /** Resolves once the condition holds, which is looked at after each line of a miner. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#events, "line");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    await this.#listener[Symbol.asyncDispose]();
  }

  async #accept(): Promise<void> {
    for await (const stream of this.#listener.streams) void this.#serve(stream);
  }

  async #serve(stream: ByteStream): Promise<void> {
    const session = new Sv1ServerSession({
      extranonce1: Uint8Array.of(0xad, 0x17, ++this.#accepted >> 8, this.#accepted & 0xff),
      extranonce2Size: 8,
      versionMask: 0x1fffe000,
      difficulty: this.#difficulty,
      limits: { ...defaultSv1Limits, messagesPerSecond: 100_000, messageBurst: 100_000 },
      hashing: pureHashing,
    });
    const connection = { stream, session };
    this.#connections.add(connection);
    this.#handle(connection, { type: "job", job: this.#job });
    const splitter = new LineSplitter(4096);
    try {
      for await (const chunk of stream.source) {
        for (const line of splitter.push(chunk)) this.#handle(connection, { type: "line", line });
      }
    } catch {
      // A connection that broke is one that ended.
    }
    this.#connections.delete(connection);
    this.#events.dispatchEvent(new Event("line"));
  }

  #handle({ stream, session }: PoolConnection, input: Sv1ServerInput): void {
    for (const effect of session.handle(input, performance.now())) {
      if (effect.type === "send") stream.write(new TextEncoder().encode(`${effect.line}\n`)).catch(() => {});
      if (effect.type === "share") this.shares.push(effect.share);
      if (effect.type === "rejected") this.rejected++;
      if (effect.type === "authorized") this.users.add(effect.userName);
      if (effect.type === "close") stream.abort(new Error(effect.reason));
    }
    this.#events.dispatchEvent(new Event("line"));
  }
}
