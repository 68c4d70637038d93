import { displayHash, hex, MAX_TARGET, target, targetToBytes, workOf } from "@adit/bitcoin";
import { REQUIRES_STANDARD_JOBS, u256 } from "@adit/codec";
import fc from "fast-check";
import { expect, test } from "vitest";
import { defaultChannelLimits } from "./limits.ts";
import { WORK_OF_DIFFICULTY_1 } from "./share-accounting.ts";
import {
  bytes32,
  type ClientView,
  Harness,
  messagesNamed,
  prevHash,
  shareErrors,
  template,
} from "./testing/harness.ts";

type Step =
  | { readonly type: "template"; readonly future: boolean }
  | { readonly type: "tip" }
  | { readonly type: "share"; readonly pick: number; readonly job: number }
  | { readonly type: "target"; readonly pick: number; readonly shift: number }
  | { readonly type: "open"; readonly connection: number; readonly standard: boolean }
  | { readonly type: "rotate"; readonly pick: number }
  | { readonly type: "close"; readonly pick: number }
  | { readonly type: "tick"; readonly seconds: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: fc.constant("template" as const), future: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("tip" as const) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("share" as const), pick: fc.nat(), job: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("target" as const), pick: fc.nat(), shift: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("open" as const),
      connection: fc.integer({ min: 1, max: 3 }),
      standard: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("rotate" as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("close" as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("tick" as const), seconds: fc.integer({ min: 1, max: 40 }) }) },
);

/** Plays steps against a server and an oracle that reckons from the messages a client sees. */
class Play {
  readonly harness: Harness = new Harness({
    extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 3, start: 0xfffff0 },
    shareBatchSize: 3,
    limits: { ...defaultChannelLimits, shareBurst: 10_000, firstChannelMs: 1e9 },
  });
  readonly #open: { connection: number; view: ClientView }[] = [];
  readonly #credited = new Set<string>();
  #templateId = 1;
  #tip = 1;
  #futures: number[] = [];
  #ntime = 0;
  owed = 0n;
  acknowledged = 0n;

  constructor() {
    this.harness.connect(1);
    this.harness.connect(2);
    this.harness.connect(3, REQUIRES_STANDARD_JOBS);
    this.harness.newTip(1, { prevHash: u256(bytes32(1)) });
    this.run({ type: "open", connection: 1, standard: false });
  }

  run(step: Step): void {
    const effects = this.#perform(step);
    for (const { newSharesSum } of messagesNamed(effects, "SubmitSharesSuccess")) this.acknowledged += newSharesSum;
    this.#checkPrefixes();
  }

  #perform(step: Step): ReturnType<Harness["tick"]> {
    const { harness } = this;
    switch (step.type) {
      case "template":
        return this.#template(step.future);
      case "tip":
        return this.#newTip();
      case "share":
        return this.#share(step);
      case "open": {
        const kind = step.standard || step.connection === 3 ? "standard" : "extended";
        this.#open.push({ connection: step.connection, view: harness.open(step.connection, kind) });
        return [];
      }
      case "target":
      case "rotate":
      case "close": {
        const chosen = this.#pick(step.pick);
        return chosen === undefined ? [] : this.#control(step, chosen);
      }
      case "tick":
        return harness.tick(step.seconds);
      default:
        return step satisfies never;
    }
  }

  #template(future: boolean): ReturnType<Harness["tick"]> {
    this.#templateId += 1;
    if (!future) return this.harness.newWork(this.#templateId);
    this.#futures.push(this.#templateId);
    return this.harness.input({ type: "template", template: template(this.#templateId) });
  }

  #newTip(): ReturnType<Harness["tick"]> {
    const templateId = this.#futures.shift();
    if (templateId === undefined) return [];
    this.#futures = [];
    this.#tip += 1;
    const changes = { prevHash: u256(bytes32(this.#tip)), headerTimestamp: Math.floor(this.harness.now / 1000) };
    return this.harness.input({ type: "prev-hash", prevHash: prevHash(templateId, changes) });
  }

  #control(
    step: Extract<Step, { readonly type: "target" | "rotate" | "close" }>,
    { connection, view }: { readonly connection: number; readonly view: ClientView },
  ): ReturnType<Harness["tick"]> {
    const { channelId } = view;
    if (step.type === "rotate") {
      return this.harness.input({ type: "rotate-extranonce-prefix", connection, channelId });
    }
    if (step.type === "close") {
      this.#open.splice(
        this.#open.findIndex((open) => open.view === view),
        1,
      );
      return this.harness.close(connection, view);
    }
    const maximumTarget = u256(targetToBytes(target(MAX_TARGET >> BigInt(4 + step.shift))));
    return this.harness.send(connection, { name: "UpdateChannel", channelId, nominalHashRate: 0, maximumTarget });
  }

  /** Mines one of the channel's last jobs; the oracle credits it by what the client was told of job and target. */
  #share({ pick, job: back }: { readonly pick: number; readonly job: number }): ReturnType<Harness["tick"]> {
    const chosen = this.#pick(pick);
    if (chosen === undefined) return [];
    const { view, connection } = chosen;
    const worked = [...view.jobs.values()].filter(({ tip }) => tip !== undefined);
    const job = worked.at(-1 - (back % worked.length))!;
    this.#ntime = (this.#ntime + 1) % 7000;
    const share = view.mine({ jobId: job.message.jobId, ntime: job.tip!.ntime + this.#ntime });
    const effects = this.harness.send(connection, share.message);
    const isCurrent = hex(job.tip!.prevHash) === hex(bytes32(this.#tip));
    const key = displayHash(share.hash);
    if (isCurrent && !this.#credited.has(key)) {
      expect(shareErrors(effects)).toEqual([]);
      this.owed += workOf(job.target!);
      this.#credited.add(key);
    } else expect(shareErrors(effects)).toEqual([isCurrent ? "duplicate-share" : "stale-share"]);
    return effects;
  }

  #pick(number: number): { connection: number; view: ClientView } | undefined {
    return this.#open[number % this.#open.length];
  }

  /** No two open channels may ever search the same space. */
  #checkPrefixes(): void {
    const prefixes = this.#open.map(({ view }) => hex(view.prefix.subarray(0, 4)));
    expect(new Set(prefixes).size).toBe(prefixes.length);
  }
}

test("credited work is the sum of the job targets' work over any order of targets, templates, tips and shares", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: "max" }), (steps) => {
      const play = new Play();
      for (const one of steps) play.run(one);
      play.run({ type: "tick", seconds: 6 });
      const { harness } = play;
      expect(harness.server.status().work).toBe(play.owed);
      expect(harness.recorded.reduce((sum, { work }) => sum + work, 0n)).toBe(play.owed);
      expect(play.acknowledged).toBeLessThanOrEqual(play.owed / WORK_OF_DIFFICULTY_1);
    }),
    { numRuns: 150 },
  );
});
