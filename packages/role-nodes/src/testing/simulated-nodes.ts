import type { NodeEvent, NodeHeader } from "@adit/bitcoin-node";
import { type ChoiceEffect, type ChoiceInput, NodeChoice, type NodeChoiceOptions } from "../node-choice.ts";

/** A {@link NodeChoice} with a clock that a test moves. */
export class SimulatedNodes {
  readonly choice: NodeChoice;
  now = 1_800_000_000_000;

  constructor(options: Partial<NodeChoiceOptions> = {}) {
    this.choice = new NodeChoice({ nodes: 2, network: "regtest", emptyTemplateAfterMs: 250, ...options });
  }

  /** What a node's watch sees. */
  sees(node: number, ...events: readonly NodeEvent[]): readonly ChoiceEffect[] {
    return events.flatMap((event) => this.#take({ type: "node", node, event }));
  }

  /** What a node answers to `ask-header`. */
  tells(node: number, header: NodeHeader | undefined): readonly ChoiceEffect[] {
    return this.#take({ type: "header", node, header });
  }

  /** Lets time pass, with a look every 200 ms. */
  pass(ms: number): readonly ChoiceEffect[] {
    const effects: ChoiceEffect[] = [];
    for (const end = this.now + ms; this.now < end; ) {
      this.now = Math.min(this.now + 200, end);
      effects.push(...this.#take({ type: "tick" }));
    }
    return effects;
  }

  /** Lets time pass while these events come once a second. */
  live(seconds: number, ...events: readonly (readonly [node: number, event: NodeEvent])[]): readonly ChoiceEffect[] {
    return Array.from({ length: seconds }).flatMap(() => [
      ...events.flatMap(([node, event]) => this.sees(node, event)),
      ...this.pass(1_000),
    ]);
  }

  /** Where each node stands. */
  get states(): readonly string[] {
    return this.choice.views(this.now).map(({ state }) => state);
  }

  #take(input: ChoiceInput): readonly ChoiceEffect[] {
    return this.choice.handle(input, this.now);
  }
}

/** Which nodes templates were to come from, one after the other. */
export function chosen(effects: readonly ChoiceEffect[]): readonly number[] {
  return effects.flatMap((effect) => (effect.type === "chosen" ? [effect.node] : []));
}

/** Heights of the blocks that served templates build on. */
export function servedOn(effects: readonly ChoiceEffect[]): readonly number[] {
  return effects.flatMap((effect) => (effect.type === "serve" ? [effect.received.template.height - 1] : []));
}
