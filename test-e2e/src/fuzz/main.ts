import { runCampaign } from "./campaign.ts";
import { type Options, readOptions } from "./options.ts";
import { reportOf } from "./report.ts";

const USAGE = "pnpm fuzz [--minutes N] [--target NAME]... [--seed S] [--findings FOLDER]";
const INTERRUPTED = 130;
/** A shared machine may not give a process the processor for seconds. */
const HANG_MS = 10_000;

async function main(): Promise<number> {
  const options = optionsOrUsage();
  if (options === undefined) return 2;
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupt.abort());
  const say = (line: string): void => {
    process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
  };
  say(`seed ${options.seed}`);
  try {
    const tallies = await runCampaign({ ...options, hangMs: HANG_MS, signal: interrupt.signal, say });
    process.stdout.write(`${reportOf(tallies)}\n`);
    return tallies.every(({ faults }) => faults.length === 0) ? 0 : 1;
  } catch (error) {
    if (interrupt.signal.aborted) return INTERRUPTED;
    throw error;
  }
}

function optionsOrUsage(): Options | undefined {
  try {
    return readOptions(process.argv.slice(2), Date.now());
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`);
    return undefined;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
