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

/**
 * Rows as one Markdown table. The first variant shows its median, every other the median of its ratios to the first within
 * each round, so what slows a whole round cancels out, and its own median behind.
 */
export function networkTable(variants: readonly string[], rows: readonly NetworkRow[]): string {
  const header = ["", "", ...variants.map((name, at) => (at === 0 ? name : `${name} / ${variants[0]}`))];
  const rule = header.map((_, at) => (at < 2 ? "---" : "---:"));
  const lines = [header, rule, ...rows.map(cells)];
  return lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
}

function cells({ condition, what, unit, samples }: NetworkRow): readonly string[] {
  const [first = [], ...others] = samples;
  const ratios = others.map((sample) => {
    if (sample.length === 0) return "";
    const ratio = quantile(
      sample.map((value, round) => value / (first[round] ?? Number.NaN)),
      0.5,
    );
    return `${ratio.toPrecision(3)} (${formatted(quantile(sample, 0.5), unit)})`;
  });
  return [condition, what, formatted(quantile(first, 0.5), unit), ...ratios];
}

function formatted(value: number, unit: Unit): string {
  switch (unit) {
    case "ns":
      return value < 1e6 ? `${(value / 1e3).toPrecision(3)} us` : `${(value / 1e6).toPrecision(3)} ms`;
    case "bytes":
      return `${(value / 1024).toFixed(0)} KiB`;
    case "frames/s":
    case "MB/s":
      return Number(value.toPrecision(3)).toLocaleString("en-US");
    default:
      return unit satisfies never;
  }
}
