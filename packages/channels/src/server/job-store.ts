import type { Hash } from "@adit/bitcoin";
import type { NewTemplate, U256 } from "@adit/codec";
import type { CustomDeclaration } from "./custom-job.ts";
import type { ChannelLimits } from "./limits.ts";

/** The block that is built upon, and what a header on it needs. */
export interface ChainTip {
  /** Hash of the previous block, internal order. */
  readonly prevHash: Hash;
  /** `header_timestamp` of the template provider: the nTime to start at. */
  readonly ntime: number;
  /** Compact target of the header. */
  readonly nbits: number;
  /** A hash at or below this is a block; 32 bytes, little-endian. The harder of nbits and the provider's target. */
  readonly networkTarget: Uint8Array;
  /** When this server heard of it, Unix milliseconds. */
  readonly since: number;
}

/** Made by this server from a template. */
export interface TemplateOrigin {
  readonly kind: "template";
  /** The template's number. */
  readonly templateId: bigint;
  /** Height named by the template's coinbase prefix, if it could be read. */
  readonly height: number | undefined;
  /** The template, with bytes of its own. */
  readonly template: NewTemplate;
}

/** Declared by a miner (spec 5.3.18). */
export interface CustomOrigin {
  readonly kind: "custom";
  /** Height named by its coinbase prefix, if it could be read. */
  readonly height: number | undefined;
  /** What it was declared with. */
  readonly declaration: CustomDeclaration;
}

/** Where a job comes from. */
export type JobOrigin = TemplateOrigin | CustomOrigin;

/** What is to be mined, the same for every channel that is given it; only the extranonce differs. */
export interface Job<Origin extends JobOrigin = JobOrigin> {
  /** Unique over the whole server. */
  readonly id: number;
  /** The id under which this search was first given out: repeated with a later nTime, a job keeps it. */
  readonly workId: number;
  /** Where it comes from. */
  readonly origin: Origin;
  /** Block version. */
  readonly version: number;
  /** Whether miners may roll version bits. */
  readonly versionRollingAllowed: boolean;
  /** Coinbase transaction before the extranonce, without BIP141 fields. */
  readonly coinbaseTxPrefix: Uint8Array;
  /** Coinbase transaction after the extranonce, without BIP141 fields. */
  readonly coinbaseTxSuffix: Uint8Array;
  /** Siblings of the coinbase up the tree, deepest first. */
  readonly merklePath: readonly U256[];
}

/** When and on what a job became work. */
export interface Activation {
  /** Tip it is mined on. */
  readonly tip: ChainTip;
  /** Smallest nTime it was announced with. */
  readonly minNtime: number;
  /** Counts activations over the whole server; later is larger. */
  readonly serial: number;
}

/** A job that is or was mined. */
export type ActivatedJob<Origin extends JobOrigin = JobOrigin> = Job<Origin> & Activation;

/** A job with the state it is in. */
export type FoundJob =
  | { readonly phase: "future"; readonly job: Job }
  | { readonly phase: "active" | "past" | "stale"; readonly job: ActivatedJob };

/**
 * Jobs by state: future (waiting for their tip), active (the newest), past (older, same tip) and stale (former
 * tips). Each state keeps a bounded number and forgets its oldest. A server has one store for the jobs all its
 * channels share; a channel has one more when it is given jobs of its own.
 */
export class JobStore {
  readonly #limits: Pick<ChannelLimits, "futureJobs" | "pastJobs" | "staleJobs">;
  readonly #future = new Map<number, Job<TemplateOrigin>>();
  readonly #past = new Map<number, ActivatedJob>();
  readonly #stale = new Map<number, ActivatedJob>();
  #active: ActivatedJob | undefined;

  /** An empty store. */
  constructor(limits: Pick<ChannelLimits, "futureJobs" | "pastJobs" | "staleJobs">) {
    this.#limits = limits;
  }

  /** The newest job that is mined. */
  get active(): ActivatedJob | undefined {
    return this.#active;
  }

  /** Jobs that wait for their tip, oldest first. */
  get futures(): readonly Job<TemplateOrigin>[] {
    return [...this.#future.values()];
  }

  /** Smallest id of a job whose shares can still be credited or that can still become work. */
  get oldestLiveId(): number | undefined {
    const ids = [...this.#future.keys(), ...this.#past.keys()];
    if (this.#active !== undefined) ids.push(this.#active.id);
    return ids.length === 0 ? undefined : Math.min(...ids);
  }

  /** Smallest id and activation number over all kept jobs, stale ones included; infinite without any. */
  get oldestKept(): { readonly id: number; readonly serial: number } {
    const active = this.#active === undefined ? [] : [this.#active];
    const activated = [...active, ...this.#past.values(), ...this.#stale.values()];
    return {
      id: Math.min(...this.#future.keys(), ...activated.map(({ id }) => id)),
      serial: Math.min(...activated.map(({ serial }) => serial)),
    };
  }

  /** The job with its state, or undefined when it never was or is forgotten. */
  find(id: number): FoundJob | undefined {
    if (this.#active?.id === id) return { phase: "active", job: this.#active };
    const past = this.#past.get(id);
    if (past !== undefined) return { phase: "past", job: past };
    const stale = this.#stale.get(id);
    if (stale !== undefined) return { phase: "stale", job: stale };
    const future = this.#future.get(id);
    return future === undefined ? undefined : { phase: "future", job: future };
  }

  /** The future job of a template. */
  futureOf(templateId: bigint): Job<TemplateOrigin> | undefined {
    return this.futures.find((job) => job.origin.templateId === templateId);
  }

  /** Adds a future job. An older one of the same template, or the oldest of too many, is forgotten. */
  addFuture(job: Job<TemplateOrigin>): void {
    const reused = this.futureOf(job.origin.templateId);
    if (reused !== undefined) this.#future.delete(reused.id);
    this.#future.set(job.id, job);
    forgetOldest(this.#future, this.#limits.futureJobs);
  }

  /** Makes a job the active one. The job before it becomes past, or everything before it stale on another tip. */
  activate(job: Job, activation: Activation): ActivatedJob {
    this.#future.delete(job.id);
    const before = this.#active;
    if (before !== undefined && !isSameTip(before.tip, activation.tip)) this.retireAll();
    else if (before !== undefined) this.#past.set(before.id, before);
    forgetOldest(this.#past, this.#limits.pastJobs);
    this.#active = { ...job, ...activation };
    return this.#active;
  }

  /** Forgets the future jobs: a new tip leaves only the job it names. */
  dropFutures(): void {
    this.#future.clear();
  }

  /** Makes the active and past jobs stale: their tip is not the tip any more. */
  retireAll(): void {
    if (this.#active !== undefined) this.#past.set(this.#active.id, this.#active);
    this.#active = undefined;
    for (const [id, job] of this.#past) this.#stale.set(id, job);
    this.#past.clear();
    forgetOldest(this.#stale, this.#limits.staleJobs);
  }
}

/** Whether two tips build on the same block with the same difficulty. */
export function isSameTip(one: ChainTip, other: ChainTip): boolean {
  return one.nbits === other.nbits && one.prevHash.every((byte, at) => byte === other.prevHash[at]);
}

/** Drops the oldest entries beyond `max`; maps iterate in order of insertion. */
function forgetOldest(jobs: Map<number, unknown>, max: number): void {
  for (const id of jobs.keys()) {
    if (jobs.size <= max) return;
    jobs.delete(id);
  }
}
