import { Conductor } from "./conductor.ts";
import { type Plan, readPlan } from "./plan.ts";
import { reportText } from "./report.ts";

const USAGE = "pnpm crash [--kills N] [--seed S] [--minutes M]";
const INTERRUPTED = 130;

async function main(): Promise<number> {
  const plan = planOrUsage();
  if (plan === undefined) return 2;
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (interrupt.signal.aborted) process.exit(INTERRUPTED);
      interrupt.abort();
    });
  }
  const say = (line: string): void => {
    process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
  };
  const findings = await new Conductor(plan, { say, signal: interrupt.signal }).run().catch((error: unknown) => {
    // The roles have the interruption from the terminal too, so one that was starting has failed to.
    if (interrupt.signal.aborted) return undefined;
    throw error;
  });
  if (findings === undefined) return INTERRUPTED;
  process.stdout.write(`${reportText(findings)}\n`);
  if (findings.wasInterrupted) return INTERRUPTED;
  return findings.violations.length === 0 ? 0 : 1;
}

function planOrUsage(): Plan | undefined {
  try {
    return readPlan(process.argv.slice(2));
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
