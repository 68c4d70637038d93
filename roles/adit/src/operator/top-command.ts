import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Redraw } from "../redraw.ts";
import { operatorFlags, positive, UsageError } from "./flags.ts";
import { type CommandFleet, openFleet } from "./open-fleet.ts";
import { selectTargets } from "./selection.ts";
import { renderTop, type TopEntry } from "./top-view.ts";
import { TopWatch } from "./top-watch.ts";

/** `adit top TARGET...`: a live view of one or several roles; printed once where the output is no terminal. */
export async function topCommand(
  argv: readonly string[],
  output: NodeJS.WriteStream = process.stdout,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { ...operatorFlags, interval: { type: "string" } },
    allowPositionals: true,
  });
  if (positionals.length === 0 && values.config === undefined) {
    throw new UsageError("usage: adit top TARGET... | -c FILE [--target NAME]... [--interval SECONDS]");
  }
  const intervalMs = positive("interval", values.interval, 2) * 1000;
  const selection = await selectTargets(positionals, values);
  let redraw = (): void => undefined;
  await using command = openFleet(selection, () => redraw());
  const watches = command.fleet.names.map((name) => new TopWatch(name, command));
  if (!output.isTTY) return await once(watches, { output, command });
  return await live(watches, { intervalMs, output, command, onDraw: (draw) => (redraw = draw) });
}

async function once(
  watches: readonly TopWatch[],
  { output, command }: Pick<LiveOptions, "output" | "command">,
): Promise<number> {
  const { signal } = new AbortController();
  await Promise.all(watches.map((watch) => watch.look(signal)));
  output.write(renderTop(entriesOf(watches, command), Number.POSITIVE_INFINITY).join("\n"));
  return watches.every(({ entry }) => entry.trouble === null) ? 0 : 1;
}

interface LiveOptions {
  readonly intervalMs: number;
  readonly output: NodeJS.WriteStream;
  readonly command: CommandFleet;
  /** Is given what draws the view, for what changes between two looks. */
  readonly onDraw: (draw: () => void) => void;
}

async function live(
  watches: readonly TopWatch[],
  { intervalMs, output, command, onDraw }: LiveOptions,
): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    using screen = new Redraw(output);
    const draw = (): void => {
      if (!stop.signal.aborted) screen.draw(renderTop(entriesOf(watches, command), output.columns));
    };
    onDraw(draw);
    draw();
    await Promise.all(watches.map((watch) => keepLooking(watch, { intervalMs, draw, signal: stop.signal })));
    return 0;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

async function keepLooking(
  watch: TopWatch,
  {
    intervalMs,
    draw,
    signal,
  }: { readonly intervalMs: number; readonly draw: () => void; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    await watch.look(signal);
    draw();
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

function entriesOf(watches: readonly TopWatch[], { fleet }: CommandFleet): readonly TopEntry[] {
  const breakers = fleet.breakers();
  return watches.map(({ entry }) => ({ ...entry, breaker: breakers.get(entry.name) ?? "closed" }));
}
