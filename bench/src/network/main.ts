import { parseArgs } from "node:util";
import { machine } from "../machine.ts";
import { Skipped } from "../suite.ts";
import type { Amounts, Measured } from "./client.ts";
import { type LinkSettings, loopback, openLink } from "./link.ts";
import { Pair } from "./pair.ts";
import { type NetworkRow, networkTable } from "./table.ts";
import { variants } from "./variants.ts";

const USAGE = `pnpm bench:network [--quick]
  --quick  short runs, to see that everything works`;

/** A network to measure on. */
interface Condition {
  readonly name: string;
  readonly link: LinkSettings | undefined;
  readonly amounts: Amounts;
  /** Times everything is measured, one variant after the other. */
  readonly rounds: number;
}

const clean: Amounts = { setups: 20, roundTrips: 2_000, everyMs: 0, frames: 64_000, bulkBytes: 8 << 20 };
const far: Amounts = { setups: 5, roundTrips: 400, everyMs: 5, frames: 6_400, bulkBytes: 1 << 20 };

const conditions: readonly Condition[] = [
  { name: "loopback", link: undefined, amounts: clean, rounds: 7 },
  { name: "50 ms", link: { delayMs: 25, lossPercent: 0 }, amounts: far, rounds: 5 },
  { name: "50 ms, 1 % lost", link: { delayMs: 25, lossPercent: 1 }, amounts: far, rounds: 5 },
];

const measurements: readonly {
  readonly what: string;
  readonly key: keyof Measured;
  readonly unit: NetworkRow["unit"];
}[] = [
  { what: "connection set-up, to the first echo", key: "setup", unit: "ns" },
  { what: "round trip of 100 bytes, p50", key: "p50", unit: "ns" },
  { what: "round trip of 100 bytes, p99", key: "p99", unit: "ns" },
  { what: "frames of 100 bytes a second", key: "frames", unit: "frames/s" },
  { what: "MB a second in frames of 64 KiB", key: "megabytes", unit: "MB/s" },
];

/** Connections that are held open to see what one takes. */
const HELD = 300;

process.exitCode = await main();

async function main(): Promise<number> {
  const flag = { type: "boolean", default: false } as const;
  const args = process.argv.slice(2).filter((argument) => argument !== "--");
  const { values } = parseArgs({ args, options: { quick: flag, help: flag } });
  if (values.help) {
    print(USAGE);
    return 0;
  }
  const { quick } = values;
  print(machine({ quick, rounds: quick ? 1 : (conditions[0]?.rounds ?? 1) }));
  const rows: NetworkRow[] = [];
  const skipped: string[] = [];
  for (const condition of conditions) {
    try {
      rows.push(...(await measured(quick ? quickly(condition) : condition)));
    } catch (error) {
      if (!(error instanceof Skipped)) throw error;
      skipped.push(`NOT MEASURED: ${condition.name}: ${error.message}`);
    }
  }
  rows.push(await memory(quick ? 20 : HELD));
  const names = variants.map(({ name }) => name);
  print(`\n${networkTable(names, rows)}\n`);
  if (rows.some(({ samples }) => samples.some(({ length }) => length === 0))) {
    skipped.push("NOT MEASURED: Iroh, whose package is not installed");
  }
  for (const line of skipped) print(line);
  return skipped.length === 0 ? 0 : 1;
}

/** The first round of a condition warms up and is thrown away. Every second round goes backwards. */
async function measured({ name, link, amounts, rounds }: Condition): Promise<readonly NetworkRow[]> {
  await using open = link === undefined ? loopback : await openLink(link);
  await using pair = await Pair.start(open, 64);
  const results: Measured[][] = variants.map(() => []);
  const forward = pair.variants;
  for (let round = 0; round <= rounds; round++) {
    progress(`${name}: round ${round} of ${rounds}`);
    for (const at of round % 2 === 0 ? forward : forward.toReversed()) {
      const result = await pair.measure(at, amounts);
      if (round > 0) results[at]?.push(result);
    }
  }
  return measurements.map(({ what, key, unit }) => ({
    condition: name,
    what,
    unit,
    samples: results.map((of) => of.map((result) => result[key])),
  }));
}

/** A pair of processes for each variant: memory that one has freed is not given back to the system. */
async function memory(connections: number): Promise<NetworkRow> {
  const samples: number[][] = [];
  for (const at of variants.keys()) {
    progress(`memory: ${variants[at]?.name ?? ""}`);
    await using pair = await Pair.start(loopback, 2 * connections);
    const measurable = pair.variants.includes(at);
    samples.push(measurable ? [await pair.serverBytesPerConnection(at, connections)] : []);
  }
  return { condition: "loopback", what: "memory of the server a connection", unit: "bytes", samples };
}

function quickly(condition: Condition): Condition {
  const { setups, roundTrips, everyMs, frames, bulkBytes } = condition.amounts;
  const less = (count: number): number => Math.ceil(count / 10);
  const amounts = { setups: less(setups), roundTrips: less(roundTrips), everyMs, frames: 64 * less(frames / 64) };
  return { ...condition, rounds: 1, amounts: { ...amounts, bulkBytes: bulkBytes / 8 } };
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
