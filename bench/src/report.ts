import { quantile } from "./measure.ts";
import type { Row, Table } from "./suite.ts";

/** A table as text for a terminal, or as Markdown for docs/benchmarks.md. */
export function renderTable(table: Table, style: "text" | "markdown"): string {
  const header = ["", "median", ...(table.unit === "ns of work" ? ["a second"] : []), "spread", "ratio"];
  const lines = [header, ...table.rows.map((row) => cells(table, row))];
  return style === "markdown" ? markdown(table, lines) : text(table, lines);
}

function cells(table: Table, row: Row): readonly string[] {
  const median = quantile(row.samples, 0.5);
  const rate = table.unit === "ns of work" ? [count(1e9 / median)] : [];
  const value = isTime(table) ? duration(median) : `${count(median)} ${table.unit}`;
  const ratios = row.against.map((label) => ratio(table, row, label));
  const spread = (Math.max(...row.samples) - Math.min(...row.samples)) / median;
  return [row.label, value, ...rate, `${Math.round(spread * 100)} %`, ratios.join("; ") || "baseline"];
}

/** The median of the ratios within each round: what slows a whole round cancels out. */
function ratio(table: Table, row: Row, label: string): string {
  const baseline = table.rows.find((other) => other.label === label);
  if (baseline === undefined) throw new Error(`"${row.label}" is compared with "${label}", which is not in its table`);
  const gains = row.samples.map((sample, round) => {
    const quotient = sample / (baseline.samples[round] ?? Number.NaN);
    return isTime(table) ? 1 / quotient : quotient;
  });
  const gain = quantile(gains, 0.5);
  const factor = gain >= 1 ? gain : 1 / gain;
  return `${factor.toFixed(factor < 10 ? 2 : 1)}x ${gain >= 1 ? "faster" : "slower"} than ${nameBeside(row, label)}`;
}

/** Of "what: who" only "who", beside a row about the same "what". */
function nameBeside(row: Row, label: string): string {
  const what = label.slice(0, label.lastIndexOf(": ") + 1);
  return what !== "" && row.label.startsWith(what) ? label.slice(what.length + 1) : label;
}

function isTime({ unit }: Table): boolean {
  return unit === "ns of work" || unit === "ns of waiting";
}

function duration(ns: number): string {
  const [scale, unit] = ns < 1e3 ? [1, "ns"] : ns < 1e6 ? [1e3, "us"] : [1e6, "ms"];
  return `${(ns / scale).toPrecision(3)} ${unit}`;
}

function count(value: number): string {
  const rounded = Number(value.toPrecision(3));
  return rounded.toLocaleString("en-US", { maximumFractionDigits: rounded < 100 ? 1 : 0 });
}

function text({ title, notes }: Table, lines: readonly (readonly string[])[]): string {
  const widths = columnWidths(lines);
  const body = lines.map((line) => `  ${line.map((cell, at) => pad(cell, at, widths)).join("  ")}`.trimEnd());
  return ["", title, ...body, ...notes.map((note) => `  * ${note}`)].join("\n");
}

function markdown({ title, notes }: Table, lines: readonly (readonly string[])[]): string {
  const [header = [], ...body] = lines.map((line) => `| ${line.join(" | ")} |`);
  const rule = `|${(lines[0] ?? []).map((_, at) => (isNumber(at, lines) ? "---:" : "---")).join("|")}|`;
  const remarks = notes.length === 0 ? [] : ["", ...notes.map((note) => `- ${note}`)];
  return ["", `#### ${title}`, "", header, rule, ...body, ...remarks].join("\n");
}

function columnWidths(lines: readonly (readonly string[])[]): readonly number[] {
  return (lines[0] ?? []).map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
}

function pad(cell: string, at: number, widths: readonly number[]): string {
  const width = widths[at] ?? 0;
  return at === 0 || at === widths.length - 1 ? cell.padEnd(width) : cell.padStart(width);
}

/** Labels and ratios are words, what is between them are numbers. */
function isNumber(at: number, lines: readonly (readonly string[])[]): boolean {
  return at > 0 && at < (lines[0]?.length ?? 0) - 1;
}
