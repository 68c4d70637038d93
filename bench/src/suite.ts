/** How long and how often to measure. */
export interface BenchOptions {
  /** Short runs: enough to see that everything works, too short to quote. */
  readonly quick: boolean;
  /** Times everything is measured, one thing after the other, so that a busy machine slows all alike. */
  readonly rounds: number;
}

/** One thing that is measured, with a sample for each round. */
export interface Row {
  /** What it is; other rows name it in `against`. */
  readonly label: string;
  /** Labels of the rows of the same table that it is compared with. */
  readonly against: readonly string[];
  /** One number a round, in the table's unit. */
  readonly samples: readonly number[];
}

/** Rows in one unit. */
export interface Table {
  readonly title: string;
  /** Nanoseconds of work or of waiting, of which fewer are better, or the name of a rate, of which more is better. */
  readonly unit: "ns of work" | "ns of waiting" | "shares/s" | "frames/s" | "MB/s";
  readonly rows: readonly Row[];
  /** What a reader must know to judge the numbers. */
  readonly notes: readonly string[];
}

/** What belongs together and runs in a process of its own. */
export interface Suite {
  /** Yields each table as soon as it is measured. */
  run(options: BenchOptions): AsyncGenerator<Table, void, undefined>;
}

/** A suite, or the rest of it, that cannot run here; the message says why. */
export class Skipped extends Error {
  override readonly name = "Skipped";
}
