import type { NodeEvent } from "@adit/bitcoin-node";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChoiceEffect } from "./node-choice.ts";
import { failed, hashOf, nodeHeader, polled, templateOn } from "./testing/node-events.ts";
import { chosen, SimulatedNodes, servedOn } from "./testing/simulated-nodes.ts";

const NODES = 3;
const TIP_MEMORY_MS = 600_000;

type Step =
  | { readonly type: "sees"; readonly node: number; readonly event: NodeEvent }
  | { readonly type: "tells"; readonly node: number; readonly height: number | undefined }
  | { readonly type: "passes"; readonly ms: number };

const node = fc.nat({ max: NODES - 1 });
const height = fc.integer({ min: 100, max: 105 });
/** Two blocks of each height. */
const tip = fc.tuple(height, fc.constantFrom(0, 9_000)).map(([at, branch]) => ({ at, hash: hashOf(at + branch) }));
const event: fc.Arbitrary<NodeEvent> = fc.oneof(
  tip.map(({ at, hash }) => polled(at, hash)),
  tip.map(({ hash }) => ({ type: "tip-seen", hash, by: "zmq" }) as const),
  fc
    .tuple(tip, fc.constantFrom(0, 50, 20_000), fc.constantFrom("request" as const, "long-poll" as const))
    .map(([{ at, hash }, tookMs, by]) => templateOn(at, { prevHash: hash, tookMs, by })),
  fc.constantFrom(failed("poll"), failed("request"), failed("long-poll"), failed("zmq")),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("sees" as const), node, event }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("tells" as const), node, height: fc.option(height, { nil: undefined }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("passes" as const), ms: fc.constantFrom(50, 300, 11_000, 599_000) }),
  },
);
const history = fc.array(step, { maxLength: 60 });

/** What anybody who reads the events could know, beside what the choice makes of them. */
class Bystander {
  readonly #known = Array.from({ length: NODES }, () => ({ height: -1, at: Number.NEGATIVE_INFINITY, isUp: false }));
  /** Nodes that were told to give templates and not to stop. */
  readonly wanted = new Set<number>();

  hears(at: number, event: NodeEvent, now: number): void {
    const known = this.#known[at]!;
    if (event.type === "chain") Object.assign(known, { height: event.info.height, at: now, isUp: true });
    if (event.type === "template") {
      const seen = event.template.height - 1;
      // It may have been asked for before the node told of a higher tip.
      if (event.by === "request" && known.at > now - event.tookMs && seen < known.height) return;
      Object.assign(known, { height: seen, at: now, isUp: true });
    }
    if (event.type === "failed" && event.error.method === "getblockchaininfo") known.isUp = false;
  }

  best(now: number): number {
    const counted = this.#known.filter(({ isUp, at }) => isUp || now - at < TIP_MEMORY_MS);
    return Math.max(-1, ...counted.map((known) => known.height));
  }

  sees(effects: readonly ChoiceEffect[]): void {
    for (const effect of effects) {
      if (effect.type !== "want-templates") continue;
      if (effect.wanted) this.wanted.add(effect.node);
      else this.wanted.delete(effect.node);
    }
  }
}

/** Runs a history and looks at every step with `check`. */
function run(
  steps: readonly Step[],
  check: (effects: readonly ChoiceEffect[], nodes: SimulatedNodes, bystander: Bystander) => void = () => {},
): SimulatedNodes {
  const nodes = new SimulatedNodes({ nodes: NODES });
  const bystander = new Bystander();
  for (const one of steps) {
    if (one.type === "sees") bystander.hears(one.node, one.event, nodes.now);
    const effects = perform(nodes, one);
    bystander.sees(effects);
    check(effects, nodes, bystander);
  }
  return nodes;
}

function perform(nodes: SimulatedNodes, one: Step): readonly ChoiceEffect[] {
  if (one.type === "sees") return nodes.sees(one.node, one.event);
  if (one.type === "passes") return nodes.pass(one.ms);
  return nodes.tells(one.node, one.height === undefined ? undefined : nodeHeader(one.height));
}

describe("whatever nodes say, and in whatever order", () => {
  test("no template below the best known tip is served, and none of a node that is not asked for them", () => {
    fc.assert(
      fc.property(history, (steps) => {
        run(steps, (effects, nodes, bystander) => {
          for (const effect of effects) {
            if (effect.type !== "serve") continue;
            expect(effect.received.template.height - 1).toBeGreaterThanOrEqual(bystander.best(nodes.now));
            expect([...bystander.wanted]).toEqual([effect.node]);
          }
        });
      }),
      { numRuns: 500 },
    );
  });

  test("templates are wanted of one node at a time, which is the one that was chosen", () => {
    fc.assert(
      fc.property(history, (steps) => {
        let last: number | undefined;
        run(steps, (effects, nodes, { wanted }) => {
          last = chosen(effects).at(-1) ?? last;
          expect([...wanted]).toEqual(last === undefined ? [] : [last]);
          const active = nodes.states.flatMap((state, at) => (state === "active" ? [at] : []));
          expect(active.every((at) => at === last)).toBe(true);
          expect(effects.every((effect) => effect.node < NODES)).toBe(true);
        });
      }),
      { numRuns: 500 },
    );
  });

  test("a stopgap is made of the header that was asked for, on the tip it is on", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const asked = new Set<string>();
        run(steps, (effects) => {
          for (const effect of effects) {
            if (effect.type === "ask-header") asked.add(effect.hash.join());
            if (effect.type !== "serve" || !effect.received.isStopgap) continue;
            expect(asked).toContain(effect.received.template.prevHash.join());
            expect(effect.received.template.transactions).toEqual([]);
          }
        });
      }),
      { numRuns: 500 },
    );
  });

  test("work comes again at once when any node is ahead of all that was known and gives a template", () => {
    fc.assert(
      fc.property(history, node, (steps, at) => {
        const nodes = run(steps);
        nodes.sees(at, polled(200));
        const nobodyElse = nodes.choice
          .views(nodes.now)
          .every((view, other) => other === at || view.state !== "active");
        expect(nobodyElse).toBe(true);
        expect(servedOn(nodes.sees(at, templateOn(200)))).toEqual([200]);
      }),
      { numRuns: 300 },
    );
  });

  test("the most preferred node that answers and keeps up gives the templates in the end", () => {
    fc.assert(
      fc.property(history, fc.uniqueArray(node, { minLength: 1 }), (steps, alive) => {
        const nodes = run(steps);
        const dead = [0, 1, 2].filter((at) => !alive.includes(at));
        for (const at of dead) nodes.sees(at, failed("poll"));
        // Longer than any tip is remembered, and than any node is passed over for want of a template.
        for (let minute = 0; minute < 11; minute++) {
          for (const at of alive) nodes.sees(at, polled(103));
          nodes.pass(60_000);
        }
        expect(nodes.states[Math.min(...alive)]).toBe("active");
      }),
      { numRuns: 60 },
    );
  });
});
