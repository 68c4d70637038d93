import { quantile } from "../measure.ts";

/** How a row's numbers are written. */
export type Unit = "ns" | "frames/s" | "MB/s" | "bytes";

/** One measurement: for each variant, one number a round. */
export interface NetworkRow {
  readonly condition: string;
  readonly what: string;
  readonly unit: Unit;
  readonly samples: readonly (readonly number[])[];
}

/** One column: a variant by its number, alone or against another. */
export interface Column {
  readonly name: string;
  readonly variant: number;
  /** What it is divided by; undefined shows it alone. */
  readonly by?: number;
}

/**
 * Rows as one Markdown table. A column alone shows its median; one against another the median of the ratios within each round,
 * so what slows a whole round cancels out, and its own median behind.
 */
export function networkTable(columns: readonly Column[], rows: readonly NetworkRow[]): string {
  const header = ["", "", ...columns.map(({ name }) => name)];
  const rule = header.map((_, at) => (at < 2 ? "---" : "---:"));
  const lines = [header, rule, ...rows.map((row) => [row.condition, row.what, ...columns.map((of) => cell(of, row))])];
  return lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
}

function cell({ variant, by }: Column, { unit, samples }: NetworkRow): string {
  const [sample = [], baseline = []] = [samples[variant], by === undefined ? [] : samples[by]];
  if (sample.length === 0) return "";
  const median = formatted(quantile(sample, 0.5), unit);
  if (by === undefined) return median;
  const ratios = sample.map((value, round) => value / (baseline[round] ?? Number.NaN));
  return `${quantile(ratios, 0.5).toPrecision(3)} (${median})`;
}

function formatted(value: number, unit: Unit): string {
  switch (unit) {
    case "ns":
      return duration(value);
    case "bytes":
      return `${(value / 1024).toFixed(0)} KiB`;
    case "frames/s":
    case "MB/s":
      return Number(value.toPrecision(3)).toLocaleString("en-US");
    default:
      return unit satisfies never;
  }
}

function duration(ns: number): string {
  const [scale, unit] = ns < 1e6 ? [1e3, "us"] : ns < 1e9 ? [1e6, "ms"] : [1e9, "s"];
  return `${(ns / scale).toPrecision(3)} ${unit}`;
}
