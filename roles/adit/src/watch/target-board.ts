import type { TargetPage } from "./farm-page.ts";

/** What a target answered. */
export interface TargetAnswer {
  readonly page: TargetPage;
  /** How it is; null when it does not serve that. */
  readonly health: {
    readonly role: string;
    readonly version: string;
    readonly ready: boolean;
    /** Null while ready. */
    readonly reason: string | null;
  } | null;
}

/** Why a target did not answer. */
export interface TargetFailure {
  readonly reason: string;
  /** It was not even asked, because it had failed too often. */
  readonly isLeftAlone: boolean;
}

/** What changed, for the log; the type is the event's stable name. */
export type TargetEvent =
  | { readonly type: "target-up"; readonly target: string }
  | { readonly type: "target-down"; readonly target: string; readonly reason: string };

/** How a target is: never heard of, answering, or not. */
export type TargetState =
  | { readonly phase: "unknown" }
  | { readonly phase: "up"; readonly answer: TargetAnswer }
  /** `reason` is that of the last failure that was more than being left alone. */
  | { readonly phase: "down"; readonly reason: string };

/** A target at one moment. Times are those of the board's clock, in milliseconds. */
export interface TargetView {
  readonly name: string;
  readonly state: TargetState;
  /** When it answered last; null before the first time. */
  readonly answeredAt: number | null;
  /** How long it was waited for the last time; null before the first. */
  readonly tookMs: number | null;
}

interface Entry {
  state: TargetState;
  answeredAt: number | null;
  tookMs: number | null;
  /** When it is to be asked next. */
  dueAt: number;
  /** When it was asked what it has not answered yet. */
  askedAt: number | null;
}

/**
 * Which targets are to be asked when, and what they answered last. An answer holds until the next one, or until there is none: what a
 * target said before it went away is never shown as what it says. Pure: time is an argument, in milliseconds.
 */
export class TargetBoard {
  readonly #intervalMs: number;
  readonly #entries = new Map<string, Entry>();

  constructor({ intervalMs }: { readonly intervalMs: number }) {
    this.#intervalMs = intervalMs;
  }

  /** Replaces the targets; those that stay keep what is known of them. New ones are asked at once. */
  setTargets(names: readonly string[], now: number): void {
    const before = new Map(this.#entries);
    this.#entries.clear();
    for (const name of names) {
      const fresh = { state: { phase: "unknown" }, answeredAt: null, tookMs: null, dueAt: now, askedAt: null } as const;
      this.#entries.set(name, before.get(name) ?? { ...fresh });
    }
  }

  /** Forgets what a target said, and has it asked at once: its name stands for another role now. */
  forget(name: string, now: number): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined) Object.assign(entry, { state: { phase: "unknown" }, dueAt: now, askedAt: null });
  }

  /** When the next target is to be asked; `Infinity` while all are. */
  get dueAt(): number {
    const waiting = [...this.#entries.values()].filter(({ askedAt }) => askedAt === null);
    return Math.min(...waiting.map(({ dueAt }) => dueAt), Number.POSITIVE_INFINITY);
  }

  /** The targets to ask now. Each is to be answered by {@link answered} or {@link failed} before it comes again. */
  start(now: number): readonly string[] {
    const due = [...this.#entries].filter(([, { askedAt, dueAt }]) => askedAt === null && dueAt <= now);
    const count = this.#entries.size;
    for (const [index, [, entry]] of due.entries()) {
      // Asked together once, they are spread over the interval from then on.
      const isFirst = entry.tookMs === null;
      entry.dueAt = isFirst ? now + (this.#intervalMs * (index + 1)) / count : this.#after(entry.dueAt, now);
      entry.askedAt = now;
    }
    return due.map(([name]) => name);
  }

  /** A target has answered. Returns what that changes. */
  answered(name: string, answer: TargetAnswer, now: number): readonly TargetEvent[] {
    const entry = this.#settle(name, now);
    if (entry === undefined) return [];
    const wasUp = entry.state.phase === "up";
    entry.state = { phase: "up", answer };
    entry.answeredAt = now;
    return wasUp ? [] : [{ type: "target-up", target: name }];
  }

  /** A target has not answered. Returns what that changes. */
  failed(name: string, { reason, isLeftAlone }: TargetFailure, now: number): readonly TargetEvent[] {
    const entry = this.#settle(name, now);
    if (entry === undefined) return [];
    const before = entry.state;
    if (before.phase === "down") {
      if (!isLeftAlone) entry.state = { phase: "down", reason };
      return [];
    }
    entry.state = { phase: "down", reason };
    return [{ type: "target-down", target: name, reason }];
  }

  /** Every target as it is, in the order they were given. */
  views(): readonly TargetView[] {
    return [...this.#entries].map(([name, { state, answeredAt, tookMs }]) => ({ name, state, answeredAt, tookMs }));
  }

  /** Nothing for a target that is gone, or was not asked. */
  #settle(name: string, now: number): Entry | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.askedAt === null) return undefined;
    entry.tookMs = now - entry.askedAt;
    entry.askedAt = null;
    return entry;
  }

  /** The next time after `now` in steps of the interval: what took long does not move those after it. */
  #after(dueAt: number, now: number): number {
    return dueAt + this.#intervalMs * (Math.floor(Math.max(0, now - dueAt) / this.#intervalMs) + 1);
  }
}
