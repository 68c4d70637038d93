import type { DeclaredJob } from "./declared-job.ts";
import { SharedTransactions } from "./known-transaction.ts";
import type { DeclaratorLimits } from "./limits.ts";

/** Bytes a job takes besides its transactions: coinbase and names, and a reference to each transaction. */
const JOB_BYTES = 2_048;
const REFERENCE_BYTES = 8;
/** A block this many heights below the next one is of no use to anybody. */
const USELESS_BELOW = 2;

/**
 * The jobs that solutions are tried with: of each connection the newest few. Where there are too many in all, the connection
 * that has the most loses its oldest first, so that nobody's last job goes because of somebody else's many.
 */
export class DeclaredJobs {
  readonly #limits: Pick<DeclaratorLimits, "maxJobsPerConnection" | "maxJobs" | "maxJobBytes">;
  readonly #shared = new SharedTransactions();
  readonly #byToken = new Map<string, DeclaredJob>();
  /** Of each connection, oldest first. */
  readonly #byConnection = new Map<number, DeclaredJob[]>();
  #bytes = 0;

  constructor(limits: Pick<DeclaratorLimits, "maxJobsPerConnection" | "maxJobs" | "maxJobBytes">) {
    this.#limits = limits;
  }

  /** Jobs it has. */
  get size(): number {
    return this.#byToken.size;
  }

  /** Bytes they take; transactions they share count once. */
  get bytes(): number {
    return this.#bytes + this.#shared.bytes;
  }

  /** Transactions of all jobs, each counted once. */
  get transactions(): number {
    return this.#shared.size;
  }

  /** Takes a job, and gives up others when there are too many. */
  add(declared: DeclaredJob): void {
    const job = { ...declared, transactions: this.#shared.keep(declared.transactions) };
    const own = this.#byConnection.get(job.connection) ?? [];
    own.push(job);
    this.#byConnection.set(job.connection, own);
    this.#byToken.set(job.tokenId, job);
    this.#bytes += ownBytes(job);
    const [oldest] = own;
    if (own.length > this.#limits.maxJobsPerConnection && oldest !== undefined) this.#drop(oldest);
    while (this.size > this.#limits.maxJobs || this.bytes > this.#limits.maxJobBytes) {
      const victim = this.#victim();
      if (victim === undefined || victim === job) return;
      this.#drop(victim);
    }
  }

  /** A connection's jobs, newest first. */
  of(connection: number): readonly DeclaredJob[] {
    return (this.#byConnection.get(connection) ?? []).toReversed();
  }

  /** The job with a token, by its id in hexadecimal. */
  byToken(tokenId: string): DeclaredJob | undefined {
    return this.#byToken.get(tokenId);
  }

  /** The next block has another height: what is of no use any more goes. */
  leaveTip(nextHeight: number): void {
    for (const job of this.#byToken.values()) if (job.height <= nextHeight - USELESS_BELOW) this.#drop(job);
  }

  /** The oldest job of whoever has the most. */
  #victim(): DeclaredJob | undefined {
    let most: readonly DeclaredJob[] = [];
    for (const own of this.#byConnection.values()) if (own.length > most.length) most = own;
    return most[0];
  }

  #drop(job: DeclaredJob): void {
    this.#byToken.delete(job.tokenId);
    const own = (this.#byConnection.get(job.connection) ?? []).filter((other) => other !== job);
    if (own.length === 0) this.#byConnection.delete(job.connection);
    else this.#byConnection.set(job.connection, own);
    this.#shared.release(job.transactions);
    this.#bytes -= ownBytes(job);
  }
}

function ownBytes({ transactions }: DeclaredJob): number {
  return JOB_BYTES + REFERENCE_BYTES * transactions.length;
}
