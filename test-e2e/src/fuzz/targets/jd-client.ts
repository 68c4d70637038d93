import type { MiningMessage } from "@adit/codec";
import fc from "fast-check";
import { sequence } from "../arbitraries.ts";
import { EASY_BITS, JdClientBench } from "../inside.ts";
import {
  declarationMessage,
  declarationSeed,
  type MessageSeed,
  messageSeed,
  miningMessage,
} from "../mining-messages.ts";
import { rule, step, type Target } from "../target.ts";

/** An upstream is up again, says nothing of some message for a while, or refuses every job for a while. */
type Turn = "return" | "hold" | "release" | "refuse" | "relent";
type Step =
  | { readonly do: "pool" | "jds" | "miner"; readonly upstream: number; readonly message: MessageSeed }
  | { readonly do: "crash"; readonly upstream: number }
  | { readonly do: Turn; readonly upstream: number; readonly what: number }
  | { readonly do: "tick"; readonly seconds: number }
  | { readonly do: "tip" | "template" | "mine" | "join" | "lost" | "found" | "same" };

const UPSTREAMS = 2;
const upstream = fc.nat(UPSTREAMS - 1);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("pool"), upstream, message: messageSeed("server") }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("jds"), upstream, message: declarationSeed("server") }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("miner"), upstream, message: messageSeed("client") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash"), upstream }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("return", "return", "hold", "release", "release", "refuse", "relent"),
      upstream,
      what: fc.nat(3),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("tick"), seconds: fc.integer({ min: 1, max: 40 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "tip",
        "tip",
        "template",
        "template",
        "mine",
        "mine",
        "mine",
        "join",
        "lost",
        "found",
        "same",
      ),
    }),
  },
) as fc.Arbitrary<Step>;

/**
 * Whatever pools, job declarators and other miners say, in whatever order: a miner has work, each of its valid shares is
 * accepted, its blocks leave before anything else does, and what waits has a bound.
 */
export const jdClient: Target<readonly Step[]> = {
  inputs: sequence(anyStep, 80),
  run(steps) {
    const play = new Play();
    for (const one of steps) play.take(one);
  },
};

const HELD = ["DeclareMiningJob", "SetCustomMiningJob", "AllocateMiningJobToken", "SubmitSharesExtended"] as const;
const MOST_MINERS = 4;
/** A connection that no miner of the bench is on, for somebody who says anything. */
const STRANGER = 1_000;
/** Shares kept for jobs that no pool has taken. */
const MOST_CACHED = 10_000;

class Play {
  readonly #bench = new JdClientBench({ upstreamCount: UPSTREAMS });
  readonly #miner: ReturnType<JdClientBench["join"]>;
  #isStrangerIn = false;
  #accepted = 0;

  constructor() {
    this.#bench.newTip({ nBits: EASY_BITS });
    this.#miner = this.#bench.join();
  }

  take(one: Step): void {
    this.#perform(one);
    const { trace } = this.#bench;
    trace.length = 0;
    this.#accepted = this.#miner.accepted;
    this.#miner.mine();
    rule(this.#miner.rejected.length === 0, `a valid share is refused: ${this.#miner.rejected.join()}`);
    rule(this.#miner.accepted === this.#accepted + 1, "a share is not answered");
    // Everything that this one share has caused.
    const names = trace.map((line) => line.split(" ").at(-1));
    const submitted = names.indexOf("SubmitSharesExtended");
    const block = names.indexOf("SubmitSolution");
    if (submitted >= 0 && block >= 0) rule(block < submitted, "a share leaves before its block");
    rule(block <= 0, "something leaves before a block");
    rule(this.#bench.core.status().cached_shares <= MOST_CACHED, "more shares wait than may");
  }

  #perform(one: Step): void {
    const bench = this.#bench;
    switch (one.do) {
      case "pool":
        return step(() => this.#at(one.upstream)?.sayPool(miningMessage(one.message)));
      case "jds":
        return step(() => this.#at(one.upstream)?.sayJds(declarationMessage(one.message)));
      case "miner":
        return this.#say(miningMessage(one.message));
      case "crash":
        return step(() => this.#at(one.upstream)?.crash());
      case "return":
      case "hold":
      case "release":
      case "refuse":
      case "relent":
        return this.#turn(one);
      case "tick":
        return step(() => bench.tick(one.seconds));
      case "tip":
        return step(() => bench.newTip({ nBits: EASY_BITS }));
      case "template":
        return step(() => bench.newTemplate());
      case "same":
        return step(() => bench.sameTip({ nBits: EASY_BITS }));
      case "mine":
        for (const miner of bench.miners) miner.mine();
        return;
      case "join":
        if (bench.miners.length < MOST_MINERS) step(() => bench.join());
        return;
      case "lost":
        return step(() => bench.feed({ type: "provider-lost" }));
      case "found":
        return step(() => bench.feed({ type: "provider-connected" }));
      default:
        return one satisfies never;
    }
  }

  #at(place: number): JdClientBench["upstreams"][number] | undefined {
    return this.#bench.upstreams[place];
  }

  #turn({ do: how, upstream: place, what }: Extract<Step, { do: Turn }>): void {
    const turned = this.#at(place);
    if (turned === undefined) return;
    if (how === "return") turned.isUp = true;
    else if (how === "hold") turned.held.add(HELD[what % HELD.length] ?? "DeclareMiningJob");
    else if (how === "release") step(() => turned.release());
    else turned.refusal = how === "refuse" ? "invalid-mining-job-token" : undefined;
  }

  /** Somebody on a connection of its own, who comes again when it was sent away. */
  #say(message: MiningMessage): void {
    const bench = this.#bench;
    if (!this.#isStrangerIn) bench.feed({ type: "connected", connection: STRANGER, flags: 0, extensions: new Set() });
    this.#isStrangerIn = true;
    step(() => bench.feed({ type: "message", connection: STRANGER, message, worker: undefined }));
  }
}
