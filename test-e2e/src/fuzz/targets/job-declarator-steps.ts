import fc from "fast-check";
import { declarationSeed, type MessageSeed } from "../mining-messages.ts";

/** What a declaration is like, but for its token. */
export type Craft =
  | "right"
  | "unpaid"
  | "overpaid"
  | "another-payout"
  | "no-commitment"
  | "another-commitment"
  | "earlier"
  | "later"
  | "not-final"
  | "twice"
  | "double-spend";

/** Which token a declaration has: one of the client's own that is new, or one it may have used; or another's; or none. */
export type TokenChoice = "new" | "any" | "another's" | "damaged" | "none";

/** One thing that happens to a job-declarator server. Numbers choose among what there is. */
export type DeclaratorStep =
  | { readonly do: "connect"; readonly declaresTxData: boolean }
  | { readonly do: "leave" | "ask"; readonly who: number }
  | { readonly do: "say"; readonly who: number; readonly message: MessageSeed }
  | {
      readonly do: "declare";
      readonly who: number;
      readonly token: TokenChoice;
      readonly craft: Craft;
      /** Which transactions it has, a bit for each. */
      readonly transactions: number;
      readonly requestId: number;
      readonly pick: number;
    }
  | { readonly do: "look-up"; readonly pick: number; readonly known: number }
  | {
      readonly do: "provide";
      readonly pick: number;
      readonly how: "right" | "fewer" | "more" | "mixed" | "damaged" | "again";
    }
  | { readonly do: "check"; readonly pick: number; readonly answer: "oracle" | "no-node" | "inconclusive" | "failed" }
  | {
      readonly do: "push";
      readonly who: number;
      readonly pick: number;
      readonly hasWork: boolean;
      readonly old: boolean;
    }
  | { readonly do: "solve"; readonly pick: number; readonly hasWork: boolean }
  | { readonly do: "tip"; readonly ahead: number; readonly other: number }
  | { readonly do: "pass"; readonly ms: number };

const who = fc.nat(3);
const pick = fc.nat(30);

function constant<const T>(value: T): fc.Arbitrary<T> {
  return fc.constant(value);
}

/** The first much more often than each of the others. */
function mostly<T extends string>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 2, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
}

const craft = mostly<Craft>(
  "right",
  "unpaid",
  "overpaid",
  "another-payout",
  "no-commitment",
  "another-commitment",
  "earlier",
  "later",
  "not-final",
  "twice",
  "double-spend",
);

/** Any step; those that lead far are the usual ones. */
export const declaratorStep: fc.Arbitrary<DeclaratorStep> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: constant("connect"), declaresTxData: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: constant("leave"), who }) },
  { weight: 5, arbitrary: fc.record({ do: constant("ask"), who }) },
  { weight: 2, arbitrary: fc.record({ do: constant("say"), who, message: declarationSeed("client") }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: constant("declare"),
      who,
      token: mostly<TokenChoice>("new", "any", "another's", "damaged", "none"),
      craft,
      transactions: fc.nat(15),
      requestId: fc.nat(4),
      pick,
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: constant("look-up"), pick, known: fc.nat(15) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: constant("provide"),
      pick,
      how: mostly("right", "fewer", "more", "mixed", "damaged", "again"),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: constant("check"),
      pick,
      answer: mostly("oracle", "no-node", "inconclusive", "failed"),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: constant("push"), who, pick, hasWork: fc.boolean(), old: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: constant("solve"), pick, hasWork: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: constant("tip"), ahead: fc.nat(2), other: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: constant("pass"), ms: fc.oneof(fc.nat(40_000), fc.nat(900_000)) }) },
);
