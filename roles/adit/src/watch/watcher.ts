import { NetworkError } from "@adit/network-helpers";
import { type Caller, type CallOptions, clientOf, RpcError } from "@adit/network-helpers/rpc";
import { reasonText } from "@adit/role-kit";
import { healthService, metricsService } from "@adit/role-network";
import type { Fleet } from "../operator/fleet.ts";
import type { NamedTarget } from "../operator/target.ts";
import { targetPage } from "./farm-page.ts";
import { type TargetAnswer, TargetBoard, type TargetEvent, type TargetView } from "./target-board.ts";

/** How one look at a target ended. */
export type LookResult = "ok" | "failed" | "breaker-open";

/** What a {@link Watcher} works by. */
export interface WatcherParts {
  readonly fleet: Pick<Fleet, "call" | "setTargets">;
  readonly targets: readonly NamedTarget[];
  readonly intervalMs: number;
  readonly onEvent: (event: TargetEvent) => void;
  /** Called after each look. */
  readonly onLook: (target: string, result: LookResult) => void;
}

/** Looks at every target again and again, and remembers what it answered last. When is decided by {@link TargetBoard}. */
export class Watcher implements AsyncDisposable {
  readonly #parts: WatcherParts;
  readonly #board: TargetBoard;
  readonly #stop = new AbortController();
  readonly #looks = new Set<Promise<void>>();
  #targets: readonly NamedTarget[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Begins to look at once. */
  constructor(parts: WatcherParts) {
    this.#parts = parts;
    this.#board = new TargetBoard(parts);
    this.setTargets(parts.targets);
  }

  /** Every target as it is. Times are of `performance.now()`. */
  views(): readonly TargetView[] {
    return this.#board.views();
  }

  /** Replaces the targets. What is known of one that stays where it was is kept. */
  setTargets(targets: readonly NamedTarget[]): void {
    const now = performance.now();
    const before = new Map(this.#targets.map(({ name, text }) => [name, text]));
    this.#targets = targets;
    this.#parts.fleet.setTargets(targets);
    this.#board.setTargets(
      targets.map(({ name }) => name),
      now,
    );
    for (const { name, text } of targets) if ((before.get(name) ?? text) !== text) this.#board.forget(name, now);
    this.#go();
  }

  /** Breaks off what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#stop.abort();
    await Promise.all(this.#looks);
  }

  #go(): void {
    const { signal } = this.#stop;
    if (signal.aborted) return;
    for (const name of this.#board.start(performance.now())) {
      const look = this.#look(name, signal).finally(() => this.#looks.delete(look));
      this.#looks.add(look);
    }
    clearTimeout(this.#timer);
    const wait = this.#board.dueAt - performance.now();
    if (Number.isFinite(wait)) this.#timer = setTimeout(() => this.#go(), Math.max(0, wait));
  }

  async #look(name: string, signal: AbortSignal): Promise<void> {
    const { fleet, onLook, onEvent } = this.#parts;
    const target = this.#targetOf(name);
    const settle = (act: () => readonly TargetEvent[], result: LookResult): void => {
      // Told to stop is no fault of the target's, and an answer of what its name stood for before is none of it.
      if (signal.aborted || this.#targetOf(name) !== target) return;
      const events = act();
      onLook(name, result);
      for (const event of events) onEvent(event);
    };
    try {
      const answer = await fleet.call(name, (...call) => ask(name, call), { signal });
      settle(() => this.#board.answered(name, answer, performance.now()), "ok");
    } catch (error) {
      const isLeftAlone = error instanceof NetworkError && error.code === "breaker-open";
      const failure = { reason: reasonText(error), isLeftAlone };
      settle(() => this.#board.failed(name, failure, performance.now()), isLeftAlone ? "breaker-open" : "failed");
    }
    this.#go();
  }

  #targetOf(name: string): string | undefined {
    return this.#targets.find((one) => one.name === name)?.text;
  }
}

/** Asks a role for its metrics and how it is. */
async function ask(
  name: string,
  [caller, options]: readonly [caller: Caller, options: CallOptions],
): Promise<TargetAnswer> {
  const [{ body }, health] = await Promise.all([
    clientOf(metricsService, caller).read({}, options),
    clientOf(healthService, caller).check({}, options).catch(unlessServed),
  ]);
  return { page: targetPage(name, body), health };
}

function unlessServed(error: unknown): null {
  if (error instanceof RpcError && error.code === "not-found") return null;
  throw error;
}
