import { Conductor } from "./conductor.ts";
import { type Plan, readPlan } from "./plan.ts";
import { reportJson, reportText } from "./report.ts";
import { failuresOf } from "./verdict.ts";

const USAGE = "pnpm soak [--minutes N] [--miners N] [--json] [--markdown]";
const INTERRUPTED = 130;

async function main(): Promise<number> {
  const plan = planOrUsage();
  if (plan === undefined) return 2;
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (interrupt.signal.aborted) process.exit(INTERRUPTED);
      process.stderr.write("stopping; once more to stop at once\n");
      interrupt.abort();
    });
  }
  const say = (line: string): void => {
    const stream = plan.json || plan.markdown ? process.stderr : process.stdout;
    stream.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
  };
  const findings = await new Conductor(plan, { say, signal: interrupt.signal }).run().catch((error: unknown) => {
    // The roles have the interruption from the terminal too, so one that was starting has failed to.
    if (interrupt.signal.aborted) return undefined;
    throw error;
  });
  if (findings === undefined) return INTERRUPTED;
  process.stdout.write(plan.json ? `${reportJson(findings)}\n` : `${reportText(findings)}\n`);
  if (findings.wasInterrupted) return INTERRUPTED;
  return failuresOf(findings).length === 0 ? 0 : 1;
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
