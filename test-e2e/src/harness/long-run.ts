const INTERRUPTED = 130;

/** What a long run is given besides its options. */
export interface LongRun {
  /** Aborts at the first SIGINT or SIGTERM. The second ends the process. */
  readonly signal: AbortSignal;
  /** Tells a person how it goes, with the time. */
  readonly say: (line: string) => void;
}

/** A command that runs for minutes or hours and ends with a report. */
export interface LongRunCommand<Options, Findings> {
  /** One line. */
  readonly usage: string;
  /** Throws what is wrong with the arguments. */
  readonly read: (args: readonly string[]) => Options;
  /** Resolves to what it found, also when it was interrupted; may reject then. */
  readonly run: (options: Options, run: LongRun) => Promise<Findings>;
  readonly report: (findings: Findings, options: Options) => string;
  readonly isGood: (findings: Findings) => boolean;
}

/**
 * Runs a command as the process, whose exit code it sets: 0 when what it found is good, 1 when it is not or when the run
 * failed, 2 for arguments that make no sense, 130 when it was interrupted. The report goes to standard output, all
 * else to standard error.
 */
export async function runAsProcess<Options, Findings>(command: LongRunCommand<Options, Findings>): Promise<void> {
  try {
    process.exitCode = await exitCodeOf(command);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  }
}

async function exitCodeOf<Options, Findings>(command: LongRunCommand<Options, Findings>): Promise<number> {
  const options = optionsOrUsage(command);
  if (options === undefined) return 2;
  const { signal } = interruption();
  const findings = await command.run(options.value, { signal, say }).catch((error: unknown) => {
    // Whoever has the interruption from the terminal too may fail of it.
    if (signal.aborted) return undefined;
    throw error;
  });
  if (findings === undefined) return INTERRUPTED;
  process.stdout.write(`${command.report(findings, options.value)}\n`);
  if (signal.aborted) return INTERRUPTED;
  return command.isGood(findings) ? 0 : 1;
}

function interruption(): AbortController {
  const interrupt = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (interrupt.signal.aborted) process.exit(INTERRUPTED);
      process.stderr.write("stopping; once more to stop at once\n");
      interrupt.abort();
    });
  }
  return interrupt;
}

function say(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}

function optionsOrUsage<Options>({
  read,
  usage,
}: Pick<LongRunCommand<Options, unknown>, "read" | "usage">): { readonly value: Options } | undefined {
  try {
    return { value: read(process.argv.slice(2)) };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}\n`);
    return undefined;
  }
}
