import {
  aborted,
  type ChoiceDecision,
  type ChoicePlan,
  type InUse,
  reconnectRules,
  UpstreamChoice,
} from "@adit/network-helpers";
import { TokenBucket } from "@adit/token-bucket";
import type { Attempt, ReconnectNews, ReconnectRefusal, RouteChange, UpstreamState } from "./attempt.ts";
import { promised } from "./promised.ts";
import type { ReconnectTarget } from "./reconnect.ts";

/** What {@link keepConnected} keeps up. */
export interface KeepConnectedOptions {
  /** The ways to the upstream, in order of preference. */
  readonly plan: ChoicePlan;
  /** One try: dials, stands, serves, and resolves or rejects when the connection has ended. */
  readonly attempt: (attempt: Attempt) => Promise<void>;
  readonly onState: (state: UpstreamState) => void;
  readonly onReconnect: (news: ReconnectNews) => void;
  /** Called whenever another route is chosen than before. */
  readonly onChange?: (change: RouteChange) => void;
  readonly signal: AbortSignal;
}

/** What {@link keepConnected} keeps up, for whoever has it. */
export interface KeptConnection {
  /** Another list of ways or policy is in force, as `UpstreamChoice.replace` says. The one in use serves until another can. */
  replace(plan: ChoicePlan): void;
  /** Resolves when the signal has aborted and every try has ended. */
  readonly ended: Promise<void>;
}

const TICK_MS = 500;
const { followed, successionMs } = reconnectRules;

/**
 * Tries again whenever the connection ends, over the best route that works, until the signal aborts. A peer that is gone
 * is a state, never the end of the role. Better routes than the one in use are tried in the background, and returned to.
 * A peer that asks to be reached elsewhere is followed: what leads there is one more connection, in the place of its own.
 */
export function keepConnected(options: KeepConnectedOptions): KeptConnection {
  const keeper = new Keeper(options);
  return { replace: (plan) => keeper.replace(plan), ended: keeper.run() };
}

interface Try {
  readonly route: number;
  readonly to: ReconnectTarget | undefined;
  readonly ending: AbortController;
  /** Lets it serve; and what that resolves. */
  readonly use: () => void;
  readonly used: Promise<void>;
  /** Says that it serves no more; and what that resolves. */
  readonly leave: () => void;
  readonly left: Promise<void>;
}

class Keeper {
  readonly #options: KeepConnectedOptions;
  readonly #choice: UpstreamChoice<"ended">;
  readonly #reconnects = new TokenBucket(followed, performance.now());
  /** What has a route's place. */
  readonly #tries = new Map<number, Try>();
  /** What its peer asked for in its place, and the end of the patience with it. */
  readonly #successors = new Map<number, { readonly tried: Try; readonly late: NodeJS.Timeout }>();
  /** What was left and may serve still. */
  readonly #leaving = new Set<Promise<void>>();
  /** What has not ended. */
  readonly #running = new Set<Promise<void>>();
  /** The best route: with that in use there is nothing to decide. */
  #best: number | undefined;
  #ticking: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(options: KeepConnectedOptions) {
    const { plan } = options;
    this.#options = options;
    this.#best = plan.routes[0]?.id;
    const unlike = { soloAfterMs: undefined, random: Math.random };
    this.#choice = new UpstreamChoice({ ...plan, ...unlike }, performance.now());
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    if (!signal.aborted) this.#tick();
    await aborted(signal);
    await this.#end();
  }

  replace(plan: ChoicePlan): void {
    if (this.#isOver) return;
    this.#best = plan.routes[0]?.id;
    this.#carryOut(this.#choice.replace(plan, performance.now()));
  }

  #tick(): void {
    this.#carryOut(this.#choice.tick(performance.now()));
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#ticking);
    for (const route of [...this.#tries.keys(), ...this.#successors.keys()]) this.#release(route);
    await Promise.all(this.#running);
  }

  /** `detail`: what a connection has ended with, if that led to the decisions. */
  #carryOut(decisions: readonly ChoiceDecision<"ended">[], detail?: string): void {
    if (this.#isOver) return;
    for (const decision of decisions) {
      if (decision.type === "dial") this.#tries.set(decision.route, this.#begin(decision.route, undefined));
      else if (decision.type === "release") this.#release(decision.route);
      else this.#change(decision, detail);
    }
    // A process may keep thousands connected.
    if (this.#choice.inUse !== this.#best) this.#ticking ??= setInterval(() => this.#tick(), TICK_MS);
    else {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    }
  }

  #change({ from, to, reason }: Extract<ChoiceDecision<"ended">, { readonly type: "use" }>, ended?: string): void {
    const detail = reason === "ended" ? ended : undefined;
    this.#options.onChange?.({ from: idOf(from), to: idOf(to), reason, detail });
    if (typeof to === "number") void this.#use(to);
  }

  #begin(route: number, to: ReconnectTarget | undefined): Try {
    const ending = new AbortController();
    const using = promised();
    const leaving = promised();
    ending.signal.addEventListener("abort", () => using.reject(new Error("not needed any more")), { once: true });
    // Nobody waits for it when the try ends before it stands.
    using.promise.catch(() => {});
    if (this.#choice.inUse === "nothing") this.#options.onState({ state: "connecting" });
    const { resolve: use, promise: used } = using;
    const { resolve: leave, promise: left } = leaving;
    const tried: Try = { route, to, ending, use, used, leave, left };
    const running = this.#run(tried).finally(() => {
      leave();
      this.#running.delete(running);
    });
    this.#running.add(running);
    return tried;
  }

  async #run(tried: Try): Promise<void> {
    const { route, to, used, leave } = tried;
    const { signal } = tried.ending;
    let reason = "the peer ended the connection";
    try {
      // Not at once: whoever dials must know of the try first.
      await Promise.resolve();
      signal.throwIfAborted();
      await this.#options.attempt({
        route,
        to,
        signal,
        stand: () => {
          if (!signal.aborted) this.#stand(tried);
          return used;
        },
        connected: () => {
          if (!signal.aborted) this.#options.onState({ state: "connected" });
        },
        left: leave,
        asked: (elsewhere) => {
          if (!signal.aborted) this.#asked(tried, elsewhere);
        },
      });
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    if (!signal.aborted) this.#ended(tried, reason);
  }

  #stand(tried: Try): void {
    const { route, to } = tried;
    const successor = this.#successors.get(route);
    if (to === undefined || successor?.tried !== tried) {
      this.#carryOut(this.#choice.ready(route, performance.now()));
      return;
    }
    clearTimeout(successor.late);
    this.#successors.delete(route);
    const before = this.#tries.get(route);
    if (before !== undefined) this.#leave(before);
    this.#tries.set(route, tried);
    this.#options.onReconnect({ type: "reconnected", route, to });
    void this.#use(route);
  }

  #asked(tried: Try, to: ReconnectTarget): void {
    const { route } = tried;
    const refusal = this.#refusal(tried);
    if (refusal !== undefined) return this.#options.onReconnect({ type: "refused", refusal, route, to });
    this.#options.onReconnect({ type: "followed", route, to });
    const successor = this.#begin(route, to);
    const late = setTimeout(() => {
      successor.ending.abort();
      this.#ended(successor, "it could not serve in time");
    }, successionMs);
    this.#successors.set(route, { tried: successor, late });
  }

  #refusal(tried: Try): ReconnectRefusal | undefined {
    const { route } = tried;
    if (this.#choice.inUse !== route || this.#tries.get(route) !== tried) return "not-in-use";
    if (this.#successors.has(route)) return "under-way";
    return this.#reconnects.take(performance.now()) ? undefined : "too-often";
  }

  #ended(tried: Try, reason: string): void {
    const { route, to } = tried;
    const successor = this.#successors.get(route);
    if (to !== undefined && successor?.tried === tried) {
      clearTimeout(successor.late);
      this.#successors.delete(route);
      this.#options.onReconnect({ type: "failed", route, to, reason });
      if (this.#tries.has(route)) return;
    } else {
      this.#tries.delete(route);
      // The place is kept for it.
      if (successor !== undefined) return this.#options.onState({ state: "connecting" });
    }
    this.#carryOut(this.#choice.failed(route, { code: "ended" }, performance.now()), reason);
    this.#tellWaiting(reason);
  }

  /** Two connections never serve at once. */
  async #use(route: number): Promise<void> {
    const next = this.#tries.get(route);
    // What it takes the place of is released by a decision that comes after this one.
    await Promise.resolve();
    while (this.#leaving.size > 0) await Promise.all(this.#leaving);
    next?.use();
  }

  /** What has a route's place, and what shall follow it. */
  #release(route: number): void {
    const successor = this.#successors.get(route);
    clearTimeout(successor?.late);
    this.#successors.delete(route);
    successor?.tried.ending.abort();
    const tried = this.#tries.get(route);
    this.#tries.delete(route);
    if (tried !== undefined) this.#leave(tried);
  }

  #leave({ ending, left }: Try): void {
    const leaving = left.finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
    ending.abort();
  }

  #tellWaiting(reason: string): void {
    if (this.#isOver || this.#tries.size > 0) return;
    const now = performance.now();
    const due = [...this.#choice.states.values()].map((state) => (state.phase === "resting" ? state.until : now));
    this.#options.onState({ state: "waiting", reason, retryInMs: Math.max(0, Math.min(...due) - now) });
  }
}

function idOf(inUse: InUse): number | undefined {
  return typeof inUse === "number" ? inUse : undefined;
}
