import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type ChoiceDecision,
  defaultUpstreamPolicy,
  type InUse,
  UpstreamChoice,
  type UpstreamPolicy,
} from "./upstream-choice.ts";

const MINUTE_MS = 60_000;
const STORM_MS = 10 * MINUTE_MS;
/** Longer than the longest rest, the longest hold-down and the wait for a dial together. */
const CALM_MS = 10 * MINUTE_MS;
const SOLO_AFTER_MS = 5000;

type Decision = ChoiceDecision<"connection-lost">;

/** What comes of one dial: an answer after some seconds, and if it is a good one, a failure after some more. */
interface Fate {
  readonly afterSecs: number;
  readonly livesSecs: number;
}

interface World {
  readonly fates: readonly (readonly Fate[])[];
  /** Upstreams that work for good once the storm is over. The others cannot be reached. */
  readonly works: readonly boolean[];
  readonly draws: readonly number[];
  /** Undefined: nothing can be done without an upstream. */
  readonly soloAfterMs: number | undefined;
  readonly policy?: UpstreamPolicy;
}

const fate = fc.record({
  afterSecs: fc.oneof(fc.constant(0), fc.nat(15)),
  livesSecs: fc.oneof(fc.constant(-1), fc.nat(4), fc.nat(200)),
});
const world: fc.Arbitrary<World> = fc.integer({ min: 0, max: 4 }).chain((upstreams) =>
  fc.record({
    fates: fc.array(fc.array(fate, { minLength: 1, maxLength: 12 }), { minLength: upstreams, maxLength: upstreams }),
    works: fc.array(fc.boolean(), { minLength: upstreams, maxLength: upstreams }),
    soloAfterMs: fc.constantFrom(SOLO_AFTER_MS, undefined),
    policy: fc.record({
      headStartMs: fc.constantFrom(0, 2000, 5000),
      retryMinMs: fc.constantFrom(500, 2000, 5000),
      retryMaxMs: fc.constantFrom(500, 60_000, 300_000),
      holdDownMs: fc.constantFrom(0, 10_000),
      steadyMs: fc.constantFrom(1000, 120_000),
    }),
    draws: fc.array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.999_999, noNaN: true })), { minLength: 1 }),
  }),
);

interface Session {
  readyAt: number;
  failsAt: number;
  isReady: boolean;
}

/** Upstreams as they are, with a clock of whole seconds. Whatever a choice decides is checked against them. */
class Simulation {
  readonly #world: World;
  readonly #choice: UpstreamChoice<"connection-lost">;
  readonly #sessions = new Map<number, Session>();
  readonly #dialled: number[] = [];
  readonly #dialsOf: number[] = [];
  #inUse: InUse = "nothing";
  #now = 0;
  #draws = 0;

  constructor(theWorld: World) {
    this.#world = theWorld;
    const { draws, fates } = theWorld;
    const random = (): number => draws[this.#draws++ % draws.length] ?? 0;
    const routes = fates.map((_, upstream) => ({ upstream }));
    const { soloAfterMs, policy = defaultUpstreamPolicy } = theWorld;
    this.#choice = new UpstreamChoice({ routes, policy, soloAfterMs, random }, 0);
  }

  get inUse(): InUse {
    return this.#inUse;
  }

  run(untilMs: number): void {
    for (; this.#now <= untilMs; this.#now += 1000) {
      this.#perform(this.#choice.tick(this.#now), undefined);
      for (const [upstream, session] of this.#sessions) this.#live(upstream, session);
      this.#check();
    }
  }

  /** The most dials in any minute so far. */
  get mostDialsAMinute(): number {
    const counts = this.#dialled.map(
      (from) => this.#dialled.filter((at) => at >= from && at < from + MINUTE_MS).length,
    );
    return Math.max(0, ...counts);
  }

  #live(upstream: number, session: Session): void {
    if (session.failsAt <= this.#now) {
      this.#sessions.delete(upstream);
      this.#perform(this.#choice.failed(upstream, { code: "connection-lost" }, this.#now), upstream);
    } else if (!session.isReady && session.readyAt <= this.#now) {
      session.isReady = true;
      this.#perform(this.#choice.ready(upstream, this.#now), undefined);
    }
  }

  #perform(decisions: readonly Decision[], failed: number | undefined): void {
    for (const decision of decisions) {
      if (decision.type === "dial") this.#dial(decision.route);
      else if (decision.type === "release") expect(this.#sessions.delete(decision.route)).toBe(true);
      else this.#switch(decision, failed);
    }
  }

  #dial(upstream: number): void {
    expect(this.#sessions.has(upstream)).toBe(false);
    this.#dialled.push(this.#now);
    const nth = this.#dialsOf[upstream] ?? 0;
    this.#dialsOf[upstream] = nth + 1;
    const fates = this.#world.fates[upstream] ?? [];
    const { afterSecs, livesSecs } = fates[nth % fates.length] ?? { afterSecs: 0, livesSecs: 0 };
    const readyAt = this.#now + afterSecs * 1000;
    const isStorm = this.#now < STORM_MS;
    const lives = livesSecs < 0 ? 0 : (livesSecs + 1) * 1000;
    const calm = this.#world.works[upstream] === true ? Number.POSITIVE_INFINITY : 0;
    this.#sessions.set(upstream, { readyAt, failsAt: readyAt + (isStorm ? lives : calm), isReady: false });
  }

  /** Every change says what it changes from, and has the cause that it names. */
  #switch({ from, to, reason }: Extract<Decision, { type: "use" }>, failed: number | undefined): void {
    expect(from).toBe(this.#inUse);
    expect(to).not.toBe(from);
    this.#inUse = to;
    if (typeof to === "number") expect(this.#sessions.get(to)?.isReady).toBe(true);
    switch (reason) {
      case "start":
        return expect(from).toBe("nothing");
      case "solo-mode":
      case "no-upstream-ready":
        return expect([from, to]).toEqual(["nothing", "solo"]);
      case "upstream-ready":
        return expect(["solo", "nothing"]).toContain(from);
      case "better-upstream-ready":
        return expect(to).toBeLessThan(from as number);
      default:
        return expect(from).toBe(failed);
    }
  }

  #check(): void {
    const { inUse } = this.#choice;
    expect(inUse).toBe(this.#inUse);
    if (typeof inUse === "number") expect(this.#sessions.get(inUse)?.isReady).toBe(true);
    if (this.#world.soloAfterMs === undefined) expect(inUse).not.toBe("solo");
    else if (this.#now >= SOLO_AFTER_MS) expect(inUse).not.toBe("nothing");
    for (const [upstream] of this.#sessions) if (typeof inUse === "number") expect(upstream <= inUse).toBe(true);
  }
}

test("every change has the cause it names, dials are bounded, and in the end the best upstream that works is used", () => {
  fc.assert(
    fc.property(world, (theWorld) => {
      const simulation = new Simulation(theWorld);
      simulation.run(STORM_MS + CALM_MS);
      expect(simulation.mostDialsAMinute).toBeLessThanOrEqual(20);
      const best = theWorld.works.indexOf(true);
      expect(simulation.inUse).toBe(best !== -1 ? best : theWorld.soloAfterMs === undefined ? "nothing" : "solo");
    }),
    { numRuns: 200 },
  );
});

test("an upstream that flaps is never dialled more than 20 times a minute, even if every draw is the shortest", () => {
  const flaps = [{ afterSecs: 0, livesSecs: 1 }];
  const simulation = new Simulation({
    fates: [flaps, flaps, flaps, flaps],
    works: [],
    draws: [0],
    soloAfterMs: SOLO_AFTER_MS,
  });
  simulation.run(STORM_MS - 1000);
  expect(simulation.mostDialsAMinute).toBeGreaterThan(10);
  expect(simulation.mostDialsAMinute).toBeLessThanOrEqual(20);
});
