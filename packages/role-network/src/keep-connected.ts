import { aborted, type ChoiceDecision, UpstreamChoice, type UpstreamPolicy } from "@adit/network-helpers";

/** Where a client role stands with its upstream. */
export type UpstreamState =
  | { readonly state: "connecting" }
  | { readonly state: "connected" }
  | { readonly state: "waiting"; readonly reason: string; readonly retryInMs: number };

/** One connection that {@link keepConnected} asks for. */
export interface Attempt {
  /** Place of the route to dial. */
  readonly route: number;
  /** Aborts when the connection is not needed any more. */
  readonly signal: AbortSignal;
  /**
   * Call it once the connection is set up. Resolves when it is to serve, which may be long after, and never before the
   * connection that served until then has ended; rejects when it never is.
   */
  readonly stand: () => Promise<void>;
  /** Call it once it serves. */
  readonly connected: () => void;
}

/** What {@link keepConnected} keeps up. */
export interface KeepConnectedOptions {
  /** How many ways there are to the upstream, in order of preference. */
  readonly routes: number;
  readonly policy: UpstreamPolicy;
  /** One try: dials, stands, serves, and resolves or rejects when the connection has ended. */
  readonly attempt: (attempt: Attempt) => Promise<void>;
  readonly onState: (state: UpstreamState) => void;
  readonly signal: AbortSignal;
}

const TICK_MS = 500;

/**
 * Tries again whenever the connection ends, over the best route that works, until the signal aborts. A peer that is gone
 * is a state, never the end of the role. Better routes than the one in use are tried in the background, and returned to.
 */
export async function keepConnected(options: KeepConnectedOptions): Promise<void> {
  const { signal } = options;
  const keeper = new Keeper(options);
  if (!signal.aborted) keeper.tick();
  await aborted(signal);
  await keeper.end();
}

interface Try {
  readonly ending: AbortController;
  readonly running: Promise<void>;
  /** Lets it serve. */
  readonly use: () => void;
}

class Keeper {
  readonly #options: KeepConnectedOptions;
  readonly #choice: UpstreamChoice<"ended">;
  readonly #tries = new Map<number, Try>();
  /** What was left and has not ended yet. */
  readonly #leaving = new Set<Promise<void>>();
  #ticking: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(options: KeepConnectedOptions) {
    const { routes, policy } = options;
    this.#options = options;
    this.#choice = new UpstreamChoice(
      {
        routes: Array.from({ length: routes }, (_, id) => ({ id, upstream: 0 })),
        policy,
        soloAfterMs: undefined,
        random: Math.random,
      },
      performance.now(),
    );
  }

  tick(): void {
    this.#carryOut(this.#choice.tick(performance.now()));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#ticking);
    for (const route of this.#tries.keys()) this.#leave(route);
    await Promise.all(this.#leaving);
  }

  #carryOut(decisions: readonly ChoiceDecision<"ended">[]): void {
    if (this.#isOver) return;
    for (const decision of decisions) {
      if (decision.type === "dial") this.#begin(decision.route);
      else if (decision.type === "release") this.#leave(decision.route);
      else if (typeof decision.to === "number") void this.#use(decision.to);
    }
    // A process may keep thousands connected, and on the best route there is nothing to decide.
    if (this.#choice.inUse !== 0) this.#ticking ??= setInterval(() => this.tick(), TICK_MS);
    else {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    }
  }

  #begin(route: number): void {
    const ending = new AbortController();
    let use = (): void => {};
    const used = new Promise<void>((resolve, reject) => {
      use = resolve;
      ending.signal.addEventListener("abort", () => reject(new Error("not needed any more")), { once: true });
    });
    // Nobody waits for it when the try ends before it stands.
    used.catch(() => {});
    if (this.#choice.inUse === "nothing") this.#options.onState({ state: "connecting" });
    const running = this.#run(route, ending.signal, used);
    this.#tries.set(route, { ending, running, use });
  }

  async #run(route: number, signal: AbortSignal, used: Promise<void>): Promise<void> {
    let reason = "the peer ended the connection";
    try {
      // Not at once: whoever dials must know of the try first.
      await Promise.resolve();
      await this.#options.attempt({
        route,
        signal,
        stand: () => {
          if (!signal.aborted) this.#carryOut(this.#choice.ready(route, performance.now()));
          return used;
        },
        connected: () => {
          if (!signal.aborted) this.#options.onState({ state: "connected" });
        },
      });
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    if (signal.aborted) return;
    this.#tries.delete(route);
    this.#carryOut(this.#choice.failed(route, { code: "ended" }, performance.now()));
    this.#tellWaiting(reason);
  }

  /** Two connections never serve at once. */
  async #use(route: number): Promise<void> {
    const next = this.#tries.get(route);
    while (this.#leaving.size > 0) await Promise.all(this.#leaving);
    next?.use();
  }

  #leave(route: number): void {
    const left = this.#tries.get(route);
    if (left === undefined) return;
    this.#tries.delete(route);
    left.ending.abort();
    const leaving = left.running.finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  #tellWaiting(reason: string): void {
    if (this.#isOver || this.#tries.size > 0) return;
    const now = performance.now();
    const due = [...this.#choice.states.values()].map((state) => (state.phase === "resting" ? state.until : now));
    this.#options.onState({ state: "waiting", reason, retryInMs: Math.max(0, Math.min(...due) - now) });
  }
}
