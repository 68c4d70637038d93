import fc from "fast-check";
import { expect, test } from "vitest";
import type { ChoiceDecision, InUse } from "./choice-decision.ts";
import { type ChoicePlan, UpstreamChoice } from "./upstream-choice.ts";
import { defaultUpstreamPolicy, type UpstreamPolicy } from "./upstream-route.ts";

const MINUTE_MS = 60_000;
const STORM_MS = 10 * MINUTE_MS;
/** Longer than the longest rest, the longest hold-down and the wait for a dial together. */
const CALM_MS = 10 * MINUTE_MS;
const SOLO_AFTER_MS = 5000;
/** Lists change after the storm, too. */
const LAST_REPLACEMENT_MS = STORM_MS + 2 * MINUTE_MS;

type Decision = ChoiceDecision<"connection-lost">;

/** What comes of one dial: an answer after some seconds, and if it is a good one, a failure after some more. */
interface Fate {
  readonly afterSecs: number;
  readonly livesSecs: number;
}

/** Another list of routes, by their ids, from a second on. */
interface Replacement {
  readonly atSecs: number;
  readonly ids: readonly number[];
}

interface World {
  /** The list at the start, and those that take its place. */
  readonly ids: readonly number[];
  readonly replacements: readonly Replacement[];
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
/** Ids in any order, each at most once, as a list of four upstreams or less. */
const idsBelow = (upstreams: number): fc.Arbitrary<readonly number[]> =>
  fc.shuffledSubarray(
    Array.from({ length: upstreams }, (_, id) => id),
    { maxLength: Math.min(4, upstreams) },
  );
const world: fc.Arbitrary<World> = fc.integer({ min: 0, max: 6 }).chain((upstreams) =>
  fc.record({
    ids: idsBelow(upstreams),
    replacements: fc.oneof(
      fc.constant([]),
      fc.array(fc.record({ atSecs: fc.nat(LAST_REPLACEMENT_MS / 1000), ids: idsBelow(upstreams) }), { maxLength: 8 }),
    ),
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
  #list: readonly number[];

  constructor(theWorld: World) {
    this.#world = theWorld;
    const { draws, soloAfterMs } = theWorld;
    const random = (): number => draws[this.#draws++ % draws.length] ?? 0;
    this.#list = theWorld.ids;
    this.#choice = new UpstreamChoice({ ...this.#plan, soloAfterMs, random }, 0);
  }

  /** The list that is in force. */
  get list(): readonly number[] {
    return this.#list;
  }

  get #plan(): ChoicePlan {
    const { policy = defaultUpstreamPolicy } = this.#world;
    return { routes: this.#list.map((id) => ({ id, upstream: id })), policy };
  }

  get inUse(): InUse {
    return this.#inUse;
  }

  run(untilMs: number): void {
    for (; this.#now <= untilMs; this.#now += 1000) {
      for (const { atSecs, ids } of this.#world.replacements) if (atSecs * 1000 === this.#now) this.#replace(ids);
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

  #replace(ids: readonly number[]): void {
    this.#list = ids;
    this.#perform(this.#choice.replace(this.#plan, this.#now), undefined);
    this.#check();
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
      else if (decision.type === "release") this.#release(decision.route);
      else this.#switch(decision, failed);
    }
  }

  /** What is in use is never released: another takes its place first. */
  #release(upstream: number): void {
    expect(upstream).not.toBe(this.#inUse);
    expect(this.#sessions.delete(upstream)).toBe(true);
  }

  #dial(upstream: number): void {
    expect(this.#sessions.has(upstream)).toBe(false);
    expect(this.#list).toContain(upstream);
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
    if (typeof to === "number") expect(this.#list).toContain(to);
    switch (reason) {
      case "start":
        return expect(from).toBe("nothing");
      case "solo-mode":
        return expect([from !== "solo", to, this.#list]).toEqual([true, "solo", []]);
      case "no-upstream-ready":
        return expect([from, to]).toEqual(["nothing", "solo"]);
      case "upstream-removed":
        return expect([typeof from, this.#list.includes(from as number)]).toEqual(["number", false]);
      case "upstream-ready":
        return expect(["solo", "nothing"]).toContain(from);
      case "better-upstream-ready":
        return expect(this.#list.indexOf(to as number)).toBeLessThan(this.#list.indexOf(from as number));
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
    // Nothing stands that is no use: what is not in the list any more, and what is worse than what is in use.
    const place = this.#list.indexOf(inUse as number);
    const wanted = place === -1 ? [...this.#list, inUse] : this.#list.slice(0, place + 1);
    for (const upstream of this.#sessions.keys()) {
      if (!wanted.includes(upstream)) expect.fail(`the session over ${upstream} is no use`);
    }
    for (const [upstream, { phase }] of this.#choice.states) {
      if ((phase !== "resting") !== this.#sessions.has(upstream)) expect.fail(`${upstream} is ${phase}`);
    }
  }
}

test("whatever the lists are, every change has the cause it names, dials are bounded, and in the end the best that works is used", () => {
  fc.assert(
    fc.property(world, (theWorld) => {
      const simulation = new Simulation(theWorld);
      simulation.run(LAST_REPLACEMENT_MS + CALM_MS);
      expect(simulation.mostDialsAMinute).toBeLessThanOrEqual(20);
      const { inUse, list } = simulation;
      const works = (id: number): boolean => theWorld.works[id] === true;
      const best = list.find(works);
      const canGoSolo = theWorld.soloAfterMs !== undefined;
      if (best !== undefined) expect(inUse).toBe(best);
      else if (typeof inUse !== "number") expect(inUse).toBe(canGoSolo ? "solo" : "nothing");
      // One that works and was taken out is used as long as nothing can take its place.
      else expect([works(inUse), list.includes(inUse), list.length === 0 && canGoSolo]).toEqual([true, false, false]);
    }),
    { numRuns: 200 },
  );
});

test("an upstream that flaps is never dialled more than 20 times a minute, even if every draw is the shortest", () => {
  const flaps = [{ afterSecs: 0, livesSecs: 1 }];
  const simulation = new Simulation({
    ids: [0, 1, 2, 3],
    replacements: [],
    fates: [flaps, flaps, flaps, flaps],
    works: [],
    draws: [0],
    soloAfterMs: SOLO_AFTER_MS,
  });
  simulation.run(STORM_MS - 1000);
  expect(simulation.mostDialsAMinute).toBeGreaterThan(10);
  expect(simulation.mostDialsAMinute).toBeLessThanOrEqual(20);
});
