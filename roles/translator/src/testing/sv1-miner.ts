import { setTimeout as pause } from "node:timers/promises";
import { encodeHeader, type Hash, meetsTarget, type ShareHashing, targetToBytes } from "@adit/bitcoin";
import type { ByteStream } from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import { coinbaseOf, LineSplitter, type Sv1ClientInput, type Sv1ClientJob, Sv1ClientSession } from "@adit/sv1";

/** Hashes between two looks at the network, and the pause there: 20 kH/s at most, which leaves the test its processor. */
const HASHES_A_TURN = 200;
const PAUSE_MS = 10;

/** A Stratum V1 miner over a real socket, hashing for real. */
export class Sv1Miner implements AsyncDisposable {
  readonly results: string[] = [];
  readonly jobs: Sv1ClientJob[] = [];
  /** The connection ended, or the session ended it. */
  ended: string | undefined;
  readonly #stream: ByteStream;
  readonly #hashing: ShareHashing;
  readonly #session: Sv1ClientSession;
  readonly #running: Promise<unknown>;
  #stopped = false;

  static async connect(address: string, userName: string, hashing: ShareHashing): Promise<Sv1Miner> {
    const stream = await tcp().dial(address, { signal: AbortSignal.timeout(5000) });
    return new Sv1Miner(stream, userName, hashing);
  }

  private constructor(stream: ByteStream, userName: string, hashing: ShareHashing) {
    this.#stream = stream;
    this.#hashing = hashing;
    this.#session = new Sv1ClientSession({ userAgent: "test/1", userName, password: "x", versionRolling: true });
    this.#feed({ type: "connected" });
    this.#running = Promise.all([this.#read(), this.#mine()]);
  }

  get accepted(): number {
    return this.results.filter((result) => result === "accepted").length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#stream[Symbol.asyncDispose]();
    await this.#running;
  }

  async #read(): Promise<void> {
    const splitter = new LineSplitter(65_536);
    try {
      for await (const chunk of this.#stream.source) {
        for (const line of splitter.push(chunk)) this.#feed({ type: "line", line });
      }
      this.ended ??= "the translator ended the connection";
    } catch (error) {
      this.ended ??= String(error);
    }
  }

  async #mine(): Promise<void> {
    let nonce = 0;
    let job: Sv1ClientJob | undefined;
    let merkleRoot: Hash | undefined;
    let target: Uint8Array = new Uint8Array();
    while (!this.#stopped && this.ended === undefined) {
      await pause(PAUSE_MS);
      const newest = this.jobs.at(-1);
      if (newest === undefined) continue;
      const extranonce2 = new Uint8Array(newest.extranonce2Size);
      if (newest !== job || merkleRoot === undefined) {
        job = newest;
        merkleRoot = this.#hashing.merkleRoot(coinbaseOf(job, job.extranonce1, extranonce2), job.merklePath);
        target = targetToBytes(job.target);
      }
      const { version, prevHash, ntime, nbits } = job;
      for (let at = 0; at < HASHES_A_TURN; at += 1) {
        nonce += 1;
        const hash = this.#hashing.headerHash(encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce }));
        if (!meetsTarget(hash, target)) continue;
        this.#feed({ type: "submit", submit: { job, extranonce2, ntime, nonce, version } });
      }
    }
  }

  #feed(input: Sv1ClientInput): void {
    for (const effect of this.#session.handle(input, performance.now())) {
      if (effect.type === "send") void this.#stream.write(new TextEncoder().encode(`${effect.line}\n`)).catch(() => {});
      if (effect.type === "job") this.jobs.push(effect.job);
      if (effect.type === "submit-result") this.results.push(describe(effect.outcome));
      if (effect.type === "close") this.ended ??= effect.reason;
    }
  }
}

function describe(outcome: { readonly kind: string; readonly code?: number; readonly reason?: string }): string {
  return outcome.kind === "accepted" ? "accepted" : `${outcome.kind} ${outcome.code ?? ""} ${outcome.reason ?? ""}`;
}
