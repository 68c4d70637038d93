import { hex } from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Declaring, declaration, sentIn, solution, tokensIn } from "../testing/declaring.ts";
import { hashOf, tipBelow, transaction } from "../testing/sample-template.ts";
import type { CheckVerdict, DeclaratorEffect, DeclaratorInput } from "./effects.ts";

const LIMITS = {
  maxTokensPerConnection: 3,
  maxTokens: 5,
  tokenBurst: 4,
  maxHeldTokenRequests: 2,
  maxPendingPerConnection: 2,
  maxPending: 3,
  maxJobsPerConnection: 2,
  maxJobs: 4,
  maxMessagesPerMinute: 60,
};
const CONNECTIONS = [1, 2, 3];
const transactions = [0, 1, 2, 3].map((seed) => transaction(seed));
const verdicts: readonly CheckVerdict[] = [
  { kind: "valid" },
  { kind: "no-node" },
  { kind: "inconclusive" },
  { kind: "invalid", reason: "bad" },
  { kind: "failed", reason: "gone" },
];
const wrong = (bytes: Uint8Array): Uint8Array => Uint8Array.from([...bytes, 0]);

/** What happens next; numbers choose among what there is. */
const step = fc.record({
  what: fc.constantFrom(
    ...([
      "connect",
      "leave",
      "ask",
      "declare",
      "declare",
      "look-up",
      "check",
      "provide",
      "push",
      "tip",
      "pass",
    ] as const),
  ),
  connection: fc.constantFrom(...CONNECTIONS),
  choice: fc.nat({ max: 1_000 }),
  honest: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
const history = fc.array(step, { minLength: 20, maxLength: 150 });

/** Clients, nodes and time that do anything in any order. */
class Turmoil {
  readonly server = new Declaring(LIMITS);
  readonly effects: DeclaratorEffect[] = [];
  /** Inputs that were answered to declarations and tokens used in them, for what has to hold of each. */
  readonly declared: { readonly connection: number; readonly requestId: number; readonly token: string }[] = [];
  readonly open = new Set<number>();
  readonly #tokens = new Map<number, Uint8Array[]>(CONNECTIONS.map((connection) => [connection, []]));
  readonly #lookUps: (DeclaratorEffect & { readonly type: "look-up" })[] = [];
  readonly #checks: (DeclaratorEffect & { readonly type: "check" })[] = [];
  #requestId = 0;
  #tip = tipBelow(102);

  /** Every client is there from the start; the first two declare whole templates. */
  constructor() {
    for (const connection of CONNECTIONS) this.#connect(connection, connection !== 3);
  }

  do({ what, connection, choice, honest }: Step): readonly DeclaratorEffect[] {
    const { server } = this;
    switch (what) {
      case "connect":
        return this.open.has(connection) ? [] : this.#connect(connection, choice % 5 !== 0);
      case "leave":
        if (honest) return [];
        this.open.delete(connection);
        return this.#take({ type: "disconnected", connection });
      case "ask":
        return this.#heed(server.ask(connection, `user-${choice % 2}`));
      case "declare":
        return this.#declare(connection, choice, honest);
      case "look-up": {
        const asked = this.#lookUps.splice(choice % Math.max(1, this.#lookUps.length), 1)[0];
        if (asked === undefined) return [];
        const known = honest ? transactions : transactions.slice(0, choice % 3);
        const found = asked.wtxids.map((wtxid) => known.find((one) => hex(one.wtxid) === hex(wtxid)));
        return this.#take({ type: "looked-up", declaration: asked.declaration, transactions: found });
      }
      case "check": {
        const asked = this.#checks.splice(choice % Math.max(1, this.#checks.length), 1)[0];
        if (asked === undefined) return [];
        const verdict = honest ? verdicts[0] : verdicts[choice % verdicts.length];
        return this.#take({ type: "checked", declaration: asked.declaration, verdict: verdict! });
      }
      case "provide": {
        const transactionList = transactions
          .map(({ bytes }) => (honest ? bytes : wrong(bytes)))
          .slice(this.#skip(choice));
        const requestId = Math.max(1, this.#requestId - (honest ? 0 : choice % 3));
        return this.#heed(
          server.message(connection, { name: "ProvideMissingTransactionsSuccess", requestId, transactionList }),
        );
      }
      case "push":
        return this.#heed(server.message(connection, solution(this.#job(choice, honest), { tip: this.#tip })));
      case "tip":
        if (honest) return [];
        this.#tip = tipBelow(this.#tip.height + (choice % 3 === 0 ? 1 : 0), { prevHash: hashOf(choice) });
        return this.#take({ type: "tip", tip: this.#tip });
      case "pass":
        return this.#heed(server.pass(choice * 20));
      default:
        return what satisfies never;
    }
  }

  #connect(connection: number, declaresTxData: boolean): readonly DeclaratorEffect[] {
    this.open.add(connection);
    return this.#take({ type: "connected", connection, declaresTxData });
  }

  /** How many of the transactions are left out. */
  #skip(choice: number): number {
    return choice % 2;
  }

  #job(choice: number, honest: boolean) {
    const height = this.#tip.height + (honest ? 0 : (choice % 4) - 1);
    return { transactions: transactions.slice(this.#skip(choice)), coinbase: { height, locktime: 0 } };
  }

  #declare(connection: number, choice: number, honest: boolean): readonly DeclaratorEffect[] {
    const tokens = this.#tokens.get(connection) ?? [];
    const token = (honest ? tokens.pop() : tokens[choice % Math.max(1, tokens.length)]) ?? new Uint8Array();
    if (honest) this.#requestId += 1;
    const requestId = this.#requestId;
    this.declared.push({ connection, requestId, token: hex(token) });
    const message = declaration({ ...this.#job(choice, honest), token, requestId });
    return this.#heed(this.server.message(connection, message));
  }

  #take(input: DeclaratorInput): readonly DeclaratorEffect[] {
    return this.#heed(this.server.do(input));
  }

  #heed(effects: readonly DeclaratorEffect[]): readonly DeclaratorEffect[] {
    this.effects.push(...effects);
    for (const effect of effects) {
      if (effect.type === "look-up") this.#lookUps.push(effect);
      if (effect.type === "check") this.#checks.push(effect);
      if (effect.type === "close") this.open.delete(effect.connection);
      if (effect.type === "send") this.#tokens.get(effect.connection)?.push(...tokensIn([effect]));
    }
    return effects;
  }
}

const runs = { numRuns: 100 };

describe("whatever clients, nodes and time do,", () => {
  test("nothing grows beyond its limit", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const turmoil = new Turmoil();
        const { core } = turmoil.server;
        for (const one of steps) {
          turmoil.do(one);
          expect(core.tokens).toBeLessThanOrEqual(LIMITS.maxTokens);
          expect(core.pending).toBeLessThanOrEqual(LIMITS.maxPending);
          expect(core.jobs.count).toBeLessThanOrEqual(LIMITS.maxJobs);
          expect(core.waiting).toBeLessThanOrEqual(CONNECTIONS.length * LIMITS.maxHeldTokenRequests);
          for (const client of core.clients()) {
            expect(client.tokens).toBeLessThanOrEqual(LIMITS.maxTokensPerConnection);
            expect(client.pending).toBeLessThanOrEqual(LIMITS.maxPendingPerConnection);
            expect(client.jobs).toBeLessThanOrEqual(LIMITS.maxJobsPerConnection);
          }
        }
      }),
      runs,
    );
  });

  test("nobody is told anything after the connection has ended", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const turmoil = new Turmoil();
        for (const one of steps) {
          const before = new Set(turmoil.open);
          for (const effect of turmoil.do(one)) {
            if (effect.type === "send") expect(before.has(effect.connection)).toBe(true);
          }
        }
      }),
      runs,
    );
  });

  test("a declaration has one answer at most, and one token brings one declared job at most", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const turmoil = new Turmoil();
        for (const one of steps) turmoil.do(one);
        const answers = turmoil.effects.filter(({ type }) => type === "declared" || type === "declaration-refused");
        expect(answers.length).toBeLessThanOrEqual(turmoil.declared.length);
        const successes = sentIn(turmoil.effects).filter(({ name }) => name === "DeclareMiningJobSuccess");
        const tokens = new Set(turmoil.declared.map(({ token }) => token));
        expect(successes.length).toBeLessThanOrEqual(tokens.size);
      }),
      runs,
    );
  });

  test("every declaration of a client that stays is answered in the end, and nothing is left of those that left", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const turmoil = new Turmoil();
        const { server } = turmoil;
        for (const one of steps) turmoil.do(one);
        server.pass(200_000);
        expect(server.core.pending).toBe(0);
        for (const connection of CONNECTIONS) server.do({ type: "disconnected", connection });
        expect([server.core.tokens, server.core.waiting, server.core.clients()]).toEqual([0, 0, []]);
        server.do({ type: "tip", tip: tipBelow(1_000) });
        expect(server.core.jobs).toEqual({ count: 0, transactions: 0, bytes: 0 });
      }),
      runs,
    );
  });

  test("a block comes before everything else that the same input causes", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const turmoil = new Turmoil();
        for (const one of steps) {
          const kinds = turmoil.do(one).map(({ type }) => type === "submit-block");
          expect(kinds.lastIndexOf(true) + 1).toBe(kinds.filter(Boolean).length);
        }
      }),
      runs,
    );
  });
});

test("the turmoil is one in which jobs are declared, refused and solved", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(history, (steps) => {
      const turmoil = new Turmoil();
      for (const one of steps) for (const { type } of turmoil.do(one)) seen.add(type);
    }),
    { ...runs, seed: 7 },
  );
  for (const type of ["declared", "declaration-refused", "missing-asked", "submit-block", "close"]) {
    expect(seen).toContain(type);
  }
});
