import { encodeHeader, type Hash, hex, meetsTarget, pureHashing, type Target, targetToBytes } from "@adit/bitcoin";
import {
  coinbaseOf,
  type Sv1ClientEffect,
  type Sv1ClientInput,
  type Sv1ClientJob,
  Sv1ClientSession,
  type Sv1ClientSubmit,
} from "@adit/sv1";
import type { TranslatorInput } from "../effects.ts";

/** What a miner hears, in the order it hears it. */
export interface Notice {
  readonly method: string;
  readonly params: readonly unknown[];
  readonly at: number;
}

/** What a miner is connected to. */
export interface MinersPlace {
  readonly now: number;
  /** A target that is good enough for every pool. */
  readonly upstreamTarget: Target;
  input(input: TranslatorInput): unknown;
}

/** A Stratum V1 miner on the bench: a real client session, hashing as it is told. */
export class BenchMiner {
  readonly id: number;
  readonly notices: Notice[] = [];
  readonly results: string[] = [];
  job: Sv1ClientJob | undefined;
  closeReason: string | undefined;
  readonly #bench: MinersPlace;
  readonly #session: Sv1ClientSession;
  #nonce = 0;
  #before: Sv1ClientJob | undefined;
  #root: { readonly job: Sv1ClientJob; readonly merkleRoot: Hash } | undefined;

  constructor(
    bench: MinersPlace,
    options: {
      readonly id: number;
      readonly name: string;
      readonly versionRolling?: boolean;
      readonly extranonceSubscribe?: boolean;
    },
  ) {
    this.id = options.id;
    this.#bench = bench;
    this.#session = new Sv1ClientSession({
      userAgent: "bench/1.0",
      userName: options.name,
      password: "x",
      versionRolling: options.versionRolling ?? false,
      extranonceSubscribe: options.extranonceSubscribe ?? false,
    });
  }

  /** Subscribes and authorizes. */
  start(): void {
    this.#feed({ type: "connected" });
  }

  /** Sends any line. */
  say(line: string): void {
    this.#bench.input({ type: "line", miner: this.id, line });
  }

  /** Ends the connection. */
  leave(): void {
    this.#bench.input({ type: "miner-gone", miner: this.id });
  }

  receive(line: string): void {
    const message = JSON.parse(line) as { method?: string; params?: unknown[] };
    if (message.method !== undefined) {
      this.notices.push({ method: message.method, params: message.params ?? [], at: this.#bench.now });
    }
    this.#feed({ type: "line", line });
  }

  closedFor(reason: string): void {
    this.closeReason = reason;
  }

  /** The notifications of one method. */
  heard(method: string): readonly Notice[] {
    return this.notices.filter((notice) => notice.method === method);
  }

  /** extranonce1 in hex, as it was told last with a job. */
  get extranonce1(): string {
    return hex(this.work.extranonce1);
  }

  /** The job in hand. */
  get work(): Sv1ClientJob {
    if (this.job === undefined) throw new Error(`miner ${this.id} has no job`);
    return this.job;
  }

  /** Hashes until a share is found on a job, good enough for the pool unless told otherwise, and submits it. */
  mine(job: Sv1ClientJob = this.work, accept?: (hash: Hash) => boolean): Hash {
    const { upstreamTarget } = this.#bench;
    const wanted = accept ?? meets(job.target < upstreamTarget ? job.target : upstreamTarget);
    for (;;) {
      const found = this.#hash(job);
      if (!wanted(found.hash)) continue;
      this.#feed({ type: "submit", submit: found.submit });
      return found.hash;
    }
  }

  /** Mines on the newest job it has, and on the one it had before, if it has any. */
  mineAny(): void {
    const before = this.#before;
    if (this.job !== undefined) this.mine();
    if (before !== undefined) this.mine(before);
  }

  /** Hashes this often; submits what meets the miner's target and counts what meets another. */
  hashes(count: number, counted: Target): number {
    const isShare = meets(this.work.target);
    const isCounted = meets(counted);
    let hits = 0;
    for (let at = 0; at < count; at += 1) {
      const { hash, submit } = this.#hash(this.work);
      if (isCounted(hash)) hits += 1;
      if (isShare(hash)) this.#feed({ type: "submit", submit });
    }
    return hits;
  }

  #hash(job: Sv1ClientJob): { readonly hash: Hash; readonly submit: Sv1ClientSubmit } {
    this.#nonce += 1;
    const nonce = this.#nonce;
    const extranonce2 = new Uint8Array(job.extranonce2Size);
    const { version, prevHash, nbits, ntime } = job;
    if (this.#root?.job !== job) {
      const merkleRoot = pureHashing.merkleRoot(coinbaseOf(job, job.extranonce1, extranonce2), job.merklePath);
      this.#root = { job, merkleRoot };
    }
    const { merkleRoot } = this.#root;
    const hash = pureHashing.headerHash(encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce }));
    return { hash, submit: { job, extranonce2, ntime, nonce, version } };
  }

  #feed(input: Sv1ClientInput): void {
    for (const effect of this.#session.handle(input, this.#bench.now)) this.#perform(effect);
  }

  #perform(effect: Sv1ClientEffect): void {
    switch (effect.type) {
      case "send":
        return this.say(effect.line);
      case "job":
        this.#before = this.job;
        this.job = effect.job;
        return;
      case "submit-result": {
        const { outcome } = effect;
        this.results.push(outcome.kind === "rejected" ? `${outcome.code} ${outcome.reason}` : outcome.kind);
        return;
      }
      case "close":
        if (this.closeReason !== undefined) return;
        throw new Error(`the miner hangs up: ${effect.reason}`);
      default:
    }
  }
}

function meets(target: Target): (hash: Hash) => boolean {
  const bytes = targetToBytes(target);
  return (hash) => meetsTarget(hash, bytes);
}
