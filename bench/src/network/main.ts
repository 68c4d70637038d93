import { parseArgs } from "node:util";
import { machine } from "../machine.ts";
import { Skipped } from "../suite.ts";
import { briefly, type Condition, conditions } from "./conditions.ts";
import { loopback, openLink } from "./link.ts";
import { type Measured, measurements } from "./measured.ts";
import { Pair } from "./pair.ts";
import { record } from "./record.ts";
import { type Column, type NetworkRow, networkTable } from "./table.ts";
import { variants } from "./variants.ts";

const USAGE = `pnpm bench:network [--quick] [--record]
  --quick   short runs, to see that everything works
  --record  puts the tables into docs/benchmarks.md and docs/decisions/0025-dual-stream.md, too`;

/** Connections that are held open to see what one takes. */
const HELD = 200;

process.exitCode = await main();

async function main(): Promise<number> {
  const flag = { type: "boolean", default: false } as const;
  const args = process.argv.slice(2).filter((argument) => argument !== "--");
  const { values } = parseArgs({ args, options: { quick: flag, record: flag, help: flag } });
  if (values.help) {
    print(USAGE);
    return 0;
  }
  const { quick } = values;
  const what = machine({ quick, rounds: quick ? 1 : conditions.map(({ rounds }) => rounds).join(", ") });
  const { rows, skipped } = await measureAll(quick);
  const [all, dual] = [networkTable(againstFirst(), rows), networkTable(againstSingle(), rows)];
  print(`${what}\n\n${all}\n\n${dual}\n`);
  for (const line of skipped) print(line);
  if (values.record) {
    const docs = new URL("../../../docs/", import.meta.url);
    await record(new URL("benchmarks.md", docs), "network run", [what, all, ...skipped].join("\n\n"));
    await record(new URL("decisions/0025-dual-stream.md", docs), "network run", [what, dual, ...skipped].join("\n\n"));
  }
  return skipped.length === 0 ? 0 : 1;
}

/** All rows, and a line for each that is missing. */
async function measureAll(quick: boolean) {
  const rows: NetworkRow[] = [];
  const skipped: string[] = [];
  for (const condition of conditions) {
    try {
      rows.push(...(await measured(condition, quick)));
    } catch (error) {
      if (!(error instanceof Skipped)) throw error;
      skipped.push(`NOT MEASURED: ${condition.name}: ${error.message}`);
    }
  }
  rows.push(await memory(quick ? 20 : HELD));
  if (rows.some(({ samples }) => samples.some(({ length }) => length === 0))) {
    skipped.push("NOT MEASURED: Iroh, whose package is not installed");
  }
  return { rows, skipped };
}

/** Every second round goes backwards. Without a link, where cold code shows, a brief round that does not count comes first. */
async function measured({ name, link, amounts, rounds }: Condition, quick: boolean): Promise<readonly NetworkRow[]> {
  await using open = link === undefined ? loopback : await openLink(link);
  await using pair = await Pair.start(open, 64);
  const results: Measured[][] = variants.map(() => []);
  const forward = pair.variants;
  const counted = quick ? [briefly(amounts)] : Array.from({ length: rounds }, () => amounts);
  if (link === undefined) for (const at of forward) await pair.measure(at, briefly(amounts));
  for (const [round, much] of counted.entries()) {
    progress(`${name}: round ${round + 1} of ${counted.length}`);
    for (const at of round % 2 === 0 ? forward : forward.toReversed()) {
      results[at]?.push(await pair.measure(at, much));
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

/** Every variant beside the first. */
function againstFirst(): readonly Column[] {
  return variants.map(({ name }, variant) =>
    variant === 0 ? { name, variant } : { name: `${name} / ${variants[0]?.name}`, variant, by: 0 },
  );
}

/** Every variant with two streams beside the same with one. */
function againstSingle(): readonly Column[] {
  return variants.flatMap(({ name, single }, variant) => {
    const by = variants.findIndex((other) => other.name === single);
    return by < 0
      ? []
      : [
          { name: `${single}`, variant: by },
          { name: `${name} / ${single}`, variant, by },
        ];
  });
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
