import type { CounterName, JdClientEffect } from "./effects.ts";

/** Counts by counter and label. */
export type Totals = ReadonlyMap<CounterName, ReadonlyMap<string, number>>;

/** Labels of one counter that are told apart; text from the network beyond them is `other`. */
const MAX_LABELS = 64;
const LABEL = /^[a-z0-9-]{0,64}$/;

/** Collects what the parts of the core ask for while one input is handled, and keeps the counts. */
export class Outbox {
  /** Time of the input at hand, in milliseconds. */
  now = 0;
  readonly #totals = new Map<CounterName, Map<string, number>>();
  #effects: JdClientEffect[] = [];

  /** All counts since the start. */
  get totals(): Totals {
    return this.#totals;
  }

  /** Adds an effect behind those before it. */
  emit(effect: JdClientEffect): void {
    this.#effects.push(effect);
  }

  /** Adds a line for the log; `event` is constant text in kebab-case. */
  log(level: "debug" | "info" | "warn", event: string, fields: Record<string, unknown>): void {
    this.emit({ type: "log", level, event, fields });
  }

  /** Counts `by` events. A label that looks like no code, or is one too many, becomes `other`. */
  count(counter: CounterName, text = "", by = 1): void {
    if (by === 0) return;
    let byLabel = this.#totals.get(counter);
    if (byLabel === undefined) {
      byLabel = new Map();
      this.#totals.set(counter, byLabel);
    }
    const known = byLabel.has(text) || (byLabel.size < MAX_LABELS && LABEL.test(text));
    const label = known ? text : "other";
    byLabel.set(label, (byLabel.get(label) ?? 0) + by);
    this.emit({ type: "count", counter, label, by });
  }

  /** The effects since the last call. */
  take(): readonly JdClientEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
