import fc from "fast-check";
import { test } from "vitest";
import { defaultPeerOptions, type PeerOptions } from "./options.ts";
import { PeerWorld } from "./testing/peer-world.ts";

const options: PeerOptions = {
  ...defaultPeerOptions,
  maxConnections: 2,
  breakerFailures: 3,
  breakerOpenMs: 30_000,
  backoffMaxMs: 4_000,
  messageTtlMs: 120_000,
  messageAttempts: 2,
  maxBufferedBytes: 300,
  healthCheckMs: 10_000,
  idleMs: 40_000,
};

/** Longer than any pause and any open breaker. */
const LONG_MS = 35_000;

/** A step of a run. `pick` chooses among what there is to choose from; a step that finds nothing does nothing. */
class Step implements fc.Command<object, PeerWorld> {
  readonly #name: string;
  readonly #act: (world: PeerWorld) => void;

  constructor(name: string, act: (world: PeerWorld) => void) {
    this.#name = name;
    this.#act = act;
  }

  check(): boolean {
    return true;
  }

  run(_: object, world: PeerWorld): void {
    this.#act(world);
  }

  toString(): string {
    return this.#name;
  }
}

const peers = fc.constantFrom("a", "b", "c", "d");
const picks = fc.nat({ max: 7 });

function chosen<T>(of: readonly T[], pick: number): T | undefined {
  return of[pick % Math.max(1, of.length)];
}

/** A step about one of the things `of` lists. */
function about<T>(
  name: string,
  of: (world: PeerWorld) => readonly T[],
  act: (world: PeerWorld, one: T) => void,
): fc.Arbitrary<Step> {
  return picks.map(
    (pick) =>
      new Step(`${name} ${pick}`, (world) => {
        const one = chosen(of(world), pick);
        if (one !== undefined) act(world, one);
      }),
  );
}

const inPhase =
  (phase: string) =>
  (world: PeerWorld): readonly number[] =>
    [...world.connections.values()].filter((one) => one.phase === phase).map(({ id }) => id);
const leasesIn =
  (state: string) =>
  (world: PeerWorld): readonly number[] =>
    [...world.leases].filter(([, lease]) => lease.state === state).map(([id]) => id);

/** Takes an asked question off its list and answers it. */
function answer<T>(asked: T[], one: T, give: (one: T) => void): void {
  asked.splice(asked.indexOf(one), 1);
  give(one);
}

const steps: fc.Arbitrary<Step>[] = [
  fc
    .tuple(peers, fc.nat({ max: 320 }))
    .map(([peer, bytes]) => new Step(`send ${peer} ${bytes}`, (world) => world.send(peer, bytes))),
  peers.map((peer) => new Step(`lease ${peer}`, (world) => world.lease(peer))),
  about("cancel", leasesIn("waiting"), (world, lease) => world.cancelLease(lease)),
  ...(["worked", "undecided", "broken"] as const).map((result) =>
    about(`lease ${result}`, leasesIn("granted"), (world, lease) => world.endLease(lease, result)),
  ),
  about("dialled", inPhase("dialling"), (world, connection) => world.dialled(connection)),
  about("dial failed", inPhase("dialling"), (world, connection) => world.dialFailed(connection)),
  about(
    "delivered",
    (world) => world.deliveries,
    (world, one) => answer(world.deliveries, one, () => world.delivered(one)),
  ),
  about(
    "delivery failed",
    (world) => world.deliveries,
    (world, one) => answer(world.deliveries, one, () => world.deliveryFailed(one)),
  ),
  about(
    "healthy",
    (world) => world.checks,
    (world, one) => answer(world.checks, one, () => world.checked(one, true)),
  ),
  about(
    "ill",
    (world) => world.checks,
    (world, one) => answer(world.checks, one, () => world.checked(one, false)),
  ),
  about("ended", inPhase("open"), (world, connection) => world.ended(connection)),
  about("closed", inPhase("closing"), (world, connection) => world.closed(connection)),
  fc.integer({ min: 1, max: 50_000 }).map((ms) => new Step(`${ms} ms pass`, (world) => world.advance(ms))),
  fc.constant(
    new Step("long enough", (world) => {
      world.advance(LONG_MS);
      world.expectNobodyForgotten();
    }),
  ),
];

/** Stops, and answers everything that was asked. */
function finish(world: PeerWorld): void {
  world.stop();
  for (const id of inPhase("dialling")(world)) world.dialFailed(id);
  for (const lease of leasesIn("granted")(world)) world.endLease(lease, "undecided");
  for (const one of world.deliveries.splice(0)) world.deliveryFailed(one);
  for (const id of inPhase("closing")(world)) world.closed(id);
  world.expectAllSettled();
}

test("keeps the cap, the order, one outcome a message and one trial a breaker, whatever happens", () => {
  fc.assert(
    fc.property(
      fc.commands(steps, { maxCommands: 150, size: "max" }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (commands, random) => {
        const world = new PeerWorld(options, () => random);
        fc.modelRun(() => ({ model: {}, real: world }), commands);
        finish(world);
      },
    ),
    { numRuns: 500 },
  );
});
