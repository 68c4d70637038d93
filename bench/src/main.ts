import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine } from "./machine.ts";
import { renderTable } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import type { SuiteMessage } from "./suite-process.ts";
import { isSuiteName, type SuiteName, suites } from "./suites.ts";

const USAGE = `pnpm bench [SUITE...] [--quick] [--markdown]
  SUITE       ${Object.keys(suites).join(", ")}; none: all
  --quick     short runs, to see that everything works
  --markdown  tables as they stand in docs/benchmarks.md`;

process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = readArguments();
  const names = positionals.filter((name) => isSuiteName(name));
  if (values.help || names.length !== positionals.length) {
    process.stdout.write(`${USAGE}\n`);
    return values.help ? 0 : 2;
  }
  const options: BenchOptions = { quick: values.quick, rounds: values.quick ? 3 : 7 };
  const style = values.markdown ? "markdown" : "text";
  process.stdout.write(`${machine(options)}\n`);
  let failures = 0;
  for (const name of names.length > 0 ? names : (Object.keys(suites) as SuiteName[])) {
    process.stdout.write(style === "markdown" ? `\n### ${name}\n` : `\n== ${name} ==\n`);
    if (!(await runSuite(name, options, style))) failures += 1;
  }
  return failures === 0 ? 0 : 1;
}

function readArguments() {
  const flag = { type: "boolean", default: false } as const;
  const args = process.argv.slice(2).filter((argument) => argument !== "--");
  return parseArgs({ args, allowPositionals: true, options: { quick: flag, markdown: flag, help: flag } });
}

/** A process for each suite: no suite runs on a heap and on compiled code that another has left behind. */
async function runSuite(name: SuiteName, options: BenchOptions, style: "text" | "markdown"): Promise<boolean> {
  const child = fork(fileURLToPath(new URL("./suite-process.ts", import.meta.url)), [name, JSON.stringify(options)], {
    execArgv: [...process.execArgv, "--expose-gc"],
  });
  child.on("message", (message: SuiteMessage) => {
    const text = message.type === "table" ? renderTable(message.table, style) : `left out: ${message.reason}`;
    process.stdout.write(`${text}\n`);
  });
  const [code] = await once(child, "exit");
  if (code !== 0) process.stdout.write(`the suite ${name} failed\n`);
  return code === 0;
}
