import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Caller, clientOf } from "@adit/network-helpers/rpc";
import { peerText } from "@adit/role-kit";
import { statusService } from "@adit/role-network";
import { Redraw } from "../redraw.ts";
import { operatorFlags, operatorOptions, positive, UsageError } from "./flags.ts";
import { Operator, parseTarget, type Target } from "./operator.ts";
import type { StatusAnswer } from "./status-view.ts";
import { renderTop, type TopEntry } from "./top-view.ts";

/** Connections asked for at most. */
const ENTRIES = 20;
/** Longest text about one target's trouble. */
const MAX_TROUBLE = 512;

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
  if (positionals.length === 0) throw new UsageError("usage: adit top TARGET... [--interval SECONDS]");
  const intervalMs = positive("interval", values.interval, 2) * 1000;
  const options = operatorOptions(values);
  const targets = positionals.map(parseTarget);
  await using operator = new Operator(targets, options);
  const watches = targets.map((target) => new Watch(target, { operator, deadlineMs: options.timeoutMs }));
  return output.isTTY ? await live(watches, { intervalMs, output }) : await once(watches, output);
}

async function once(watches: readonly Watch[], output: NodeJS.WriteStream): Promise<number> {
  const { signal } = new AbortController();
  await Promise.all(watches.map((watch) => watch.look(signal)));
  output.write(renderTop(entriesOf(watches), Number.POSITIVE_INFINITY).join("\n"));
  await Promise.all(watches.map((watch) => watch[Symbol.asyncDispose]()));
  return watches.every(({ entry }) => entry.trouble === null) ? 0 : 1;
}

async function live(
  watches: readonly Watch[],
  { intervalMs, output }: { readonly intervalMs: number; readonly output: NodeJS.WriteStream },
): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    using screen = new Redraw(output);
    const draw = (): void => screen.draw(renderTop(entriesOf(watches), output.columns));
    const looking = watches.map((watch) => watch.keepLooking({ intervalMs, onLook: draw, signal: stop.signal }));
    draw();
    await Promise.all(looking);
    await Promise.all(watches.map((watch) => watch[Symbol.asyncDispose]()));
    return 0;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

function entriesOf(watches: readonly Watch[]): readonly TopEntry[] {
  return watches.map(({ entry }) => entry);
}

/** One target that is looked at again and again, and connected to again when it was away. */
class Watch implements AsyncDisposable {
  readonly #target: Target;
  readonly #options: { readonly operator: Operator; readonly deadlineMs: number };
  #connected: (AsyncDisposable & { readonly caller: Caller }) | undefined;
  #seenAt = 0;
  entry: TopEntry;

  constructor(target: Target, options: { readonly operator: Operator; readonly deadlineMs: number }) {
    this.#target = target;
    this.#options = options;
    this.entry = { name: target.name, status: undefined, sharesPerMinute: undefined, trouble: null };
  }

  async keepLooking(how: {
    readonly intervalMs: number;
    readonly onLook: () => void;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const { intervalMs, onLook, signal } = how;
    while (!signal.aborted) {
      await this.look(signal);
      if (!signal.aborted) onLook();
      await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Asks once. What goes wrong is in the entry. */
  async look(signal: AbortSignal): Promise<void> {
    const { operator, deadlineMs } = this.#options;
    try {
      this.#connected ??= await operator.connect(this.#target, signal);
      const { caller } = this.#connected;
      this.#take(await clientOf(statusService, caller).get({ entries: ENTRIES }, { signal, deadlineMs }));
    } catch (error) {
      const connected = this.#connected;
      this.#connected = undefined;
      await connected?.[Symbol.asyncDispose]();
      this.entry = {
        ...this.entry,
        sharesPerMinute: undefined,
        trouble: peerText(await operator.explain(error), MAX_TROUBLE),
      };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connected?.[Symbol.asyncDispose]();
  }

  #take(status: StatusAnswer): void {
    const now = performance.now();
    const [before, after] = [sharesOf(this.entry.status), sharesOf(status)];
    const minutes = (now - this.#seenAt) / 60_000;
    const more = before === undefined || after === undefined || after < before ? undefined : (after - before) / minutes;
    this.#seenAt = now;
    this.entry = { name: this.#target.name, status, sharesPerMinute: more, trouble: null };
  }
}

function sharesOf(status: StatusAnswer | undefined): number | undefined {
  const shares = status?.document["shares_accepted"];
  return typeof shares === "number" ? shares : undefined;
}
