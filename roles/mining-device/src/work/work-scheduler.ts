import { HashrateMeter } from "./hashrate-meter.ts";
import type { Share, Work } from "./work.ts";
import { WorkCursor } from "./work-cursor.ts";

/** A piece of hashing for one thread: a range of nonces of one header. */
export interface Slice {
  /** Unique for the life of the scheduler. */
  readonly id: number;
  /** 80 bytes; the nonce does not matter. */
  readonly header: Uint8Array;
  /** 32 bytes, little-endian. */
  readonly target: Uint8Array;
  readonly nonceStart: number;
  readonly nonceCount: number;
}

/** What happens to a scheduler. Sources are connections, by number. */
export type SchedulerInput =
  /** A source has work, which replaces what it had. Of an older epoch nothing is hashed any more. */
  | { readonly type: "work"; readonly source: number; readonly work: Work }
  /** A source has no work for now. */
  | { readonly type: "no-work"; readonly source: number }
  /** A source has as many shares waiting for an answer as it may: its work rests until `resume`. */
  | { readonly type: "pause" | "resume"; readonly source: number }
  /** A thread found a share. */
  | { readonly type: "found"; readonly thread: number; readonly slice: number; readonly nonce: number }
  /** A thread is through with a slice, by its end or because it was told; `ms` is how long it took. */
  | {
      readonly type: "done";
      readonly thread: number;
      readonly slice: number;
      readonly hashes: number;
      readonly ms: number;
    }
  /** Time passes; about four times a second. */
  | { readonly type: "tick" };

/** What the host must do, in order. */
export type SchedulerEffect =
  | { readonly type: "assign"; readonly thread: number; readonly slice: Slice }
  /** The thread drops the slice, and says `done` all the same. */
  | { readonly type: "cancel"; readonly thread: number; readonly slice: number }
  | { readonly type: "share"; readonly source: number; readonly share: Share };

interface Source {
  readonly cursor: WorkCursor;
  work: Work | undefined;
  paused: boolean;
}

interface Outstanding {
  readonly source: number;
  readonly found: Omit<Share, "nonce">;
  cancelled: boolean;
}

/** One slice is hashed while the next one waits, so that a thread never waits for this process's event loop. */
const SLICES_A_THREAD = 2;
/** How long a slice should take: short enough that many connections get their turn, long enough to cost nothing. */
const SLICE_MS = 20;
const FIRST_SLICE = 4_096;
const LARGEST_SLICE = 2 ** 22;
/** Weight of the newest slice in a thread's speed. */
const SPEED_WEIGHT = 0.3;

/**
 * Divides the hashing threads among the connections that have work: a slice each, in turn. Pure: the host runs the
 * threads.
 */
export class WorkScheduler {
  readonly #random: () => number;
  readonly #largestSlice: number;
  readonly #sources = new Map<number, Source>();
  /** Sources in the order of their turns. */
  #turns: number[] = [];
  /** Slices that a thread has, by slice id. */
  readonly #threads: Map<number, Outstanding>[];
  /** Hashes a millisecond of each thread; 0 when not known. */
  readonly #speeds: number[];
  readonly #meter = new HashrateMeter();
  #hashes = 0;
  #nextSlice = 0;

  /**
   * @param options.hashrateLimit what all threads together are held to, in hashes a second; 0 for no limit
   * @param options.random draws from 0 up to 1, once a source
   */
  constructor(options: { readonly threads: number; readonly hashrateLimit: number; readonly random: () => number }) {
    const { threads, hashrateLimit } = options;
    const limited = Math.ceil((hashrateLimit / threads) * (SLICE_MS / 1000));
    this.#largestSlice = hashrateLimit === 0 ? LARGEST_SLICE : Math.min(limited, LARGEST_SLICE);
    this.#random = options.random;
    this.#threads = Array.from({ length: options.threads }, () => new Map());
    this.#speeds = this.#threads.map(() => 0);
  }

  /** Hashes done so far. */
  get hashes(): number {
    return this.#hashes;
  }

  /** Hashes a second over the last seconds. */
  hashrate(now: number): number {
    return this.#meter.rate(now);
  }

  /** Takes an input at a time in milliseconds that never goes back; returns what to do, in order. */
  handle(input: SchedulerInput, now: number): readonly SchedulerEffect[] {
    switch (input.type) {
      case "work":
        return [...this.#setWork(input.source, input.work), ...this.#fill(now)];
      case "no-work":
        return [...this.#remove(input.source), ...this.#fill(now)];
      case "pause":
      case "resume":
        this.#pause(input.source, input.type === "pause");
        return this.#fill(now);
      case "found":
        return this.#found(input);
      case "done":
        this.#done(input, now);
        return this.#fill(now);
      case "tick":
        return this.#fill(now);
      default:
        return input satisfies never;
    }
  }

  /** Forgets a connection that ended; its slices are dropped. */
  forget(source: number): readonly SchedulerEffect[] {
    const effects = this.#remove(source);
    this.#sources.delete(source);
    this.#turns = this.#turns.filter((turn) => turn !== source);
    return effects;
  }

  #setWork(number: number, work: Work): readonly SchedulerEffect[] {
    const source = this.#sources.get(number);
    if (source === undefined) {
      this.#sources.set(number, { cursor: new WorkCursor({ random: this.#random() }), work, paused: false });
      this.#turns.push(number);
      return [];
    }
    source.work = work;
    return this.#cancel((slice) => slice.source === number && slice.found.work.epoch !== work.epoch);
  }

  #remove(number: number): readonly SchedulerEffect[] {
    const source = this.#sources.get(number);
    if (source !== undefined) source.work = undefined;
    return this.#cancel((slice) => slice.source === number);
  }

  #cancel(dead: (slice: Outstanding) => boolean): readonly SchedulerEffect[] {
    const effects: SchedulerEffect[] = [];
    for (const [thread, slices] of this.#threads.entries()) {
      for (const [id, slice] of slices) {
        if (slice.cancelled || !dead(slice)) continue;
        slice.cancelled = true;
        effects.push({ type: "cancel", thread, slice: id });
      }
    }
    return effects;
  }

  #pause(number: number, paused: boolean): void {
    const source = this.#sources.get(number);
    if (source !== undefined) source.paused = paused;
  }

  #found({ thread, slice, nonce }: Extract<SchedulerInput, { type: "found" }>): readonly SchedulerEffect[] {
    const outstanding = this.#threads[thread]?.get(slice);
    if (outstanding === undefined || outstanding.cancelled) return [];
    return [{ type: "share", source: outstanding.source, share: { ...outstanding.found, nonce } }];
  }

  #done({ thread, slice, hashes, ms }: Extract<SchedulerInput, { type: "done" }>, now: number): void {
    this.#threads[thread]?.delete(slice);
    this.#hashes += hashes;
    this.#meter.count(hashes, now);
    if (hashes === 0 || ms <= 0) return;
    const known = this.#speeds[thread] ?? 0;
    this.#speeds[thread] = known === 0 ? hashes / ms : known + (hashes / ms - known) * SPEED_WEIGHT;
  }

  #fill(now: number): readonly SchedulerEffect[] {
    const effects: SchedulerEffect[] = [];
    for (let depth = 1; depth <= SLICES_A_THREAD; depth++) {
      for (const [thread, slices] of this.#threads.entries()) {
        if (slices.size >= depth) continue;
        const slice = this.#nextOf(thread, now);
        if (slice === undefined) return effects;
        effects.push({ type: "assign", thread, slice });
      }
    }
    return effects;
  }

  /** The next slice of the source whose turn it is; sources without work lose their turn. */
  #nextOf(thread: number, now: number): Slice | undefined {
    const speed = this.#speeds[thread] ?? 0;
    const even = speed === 0 ? FIRST_SLICE : Math.max(Math.round(speed * SLICE_MS), 1);
    const wanted = Math.min(even, this.#largestSlice);
    for (let skipped = 0; skipped < this.#turns.length; skipped++) {
      const number = this.#turns[0] as number;
      this.#turns.push(this.#turns.shift() as number);
      const source = this.#sources.get(number);
      const work = source?.paused === false ? source.work : undefined;
      const range = work === undefined ? undefined : source?.cursor.next(work, wanted, now);
      if (work === undefined || range === undefined) continue;
      const { found, ...rest } = range;
      const id = this.#nextSlice++;
      this.#threads[thread]?.set(id, { source: number, found, cancelled: false });
      return { id, ...rest, target: work.target };
    }
    return undefined;
  }
}
