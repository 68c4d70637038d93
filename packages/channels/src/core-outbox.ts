/** Count `by` events; `label` is from a small set. */
export interface CountEffect<Counter extends string> {
  readonly type: "count";
  readonly counter: Counter;
  readonly label: string;
  readonly by: number;
}

/** Something an operator may want to read; `event` is constant text in kebab-case. */
export interface LogEffect {
  readonly type: "log";
  readonly level: "debug" | "info" | "warn";
  readonly event: string;
  readonly fields: Record<string, unknown>;
}

/** Counts by counter and label. */
export type Totals<Counter extends string> = ReadonlyMap<Counter, ReadonlyMap<string, number>>;

/** Labels of one counter that are told apart; text from the network beyond them is `other`. */
const MAX_LABELS = 64;
const LABEL = /^[a-z0-9-]{0,64}$/;

/** Collects what the parts of a role's core ask for while one input is handled, and keeps the counts. */
export class CoreOutbox<Counter extends string, Effect extends { readonly type: string }> {
  /** Time of the input at hand, in milliseconds. */
  now = 0;
  readonly #totals = new Map<Counter, Map<string, number>>();
  #effects: (Effect | CountEffect<Counter> | LogEffect)[] = [];

  /** All counts since the start. */
  get totals(): Totals<Counter> {
    return this.#totals;
  }

  /** Adds an effect behind those before it. */
  emit(effect: Effect): void {
    this.#effects.push(effect);
  }

  /** Adds a line for the log; `event` is constant text in kebab-case. */
  log(level: LogEffect["level"], event: string, fields: Record<string, unknown>): void {
    this.#effects.push({ type: "log", level, event, fields });
  }

  /** Counts `by` events. A label that looks like no code, or is one too many, becomes `other`. */
  count(counter: Counter, text = "", by = 1): void {
    if (by === 0) return;
    let byLabel = this.#totals.get(counter);
    if (byLabel === undefined) {
      byLabel = new Map();
      this.#totals.set(counter, byLabel);
    }
    const known = byLabel.has(text) || (byLabel.size < MAX_LABELS && LABEL.test(text));
    const label = known ? text : "other";
    byLabel.set(label, (byLabel.get(label) ?? 0) + by);
    this.#effects.push({ type: "count", counter, label, by });
  }

  /** The effects since the last call. */
  take(): readonly (Effect | CountEffect<Counter> | LogEffect)[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
