/** What is used: a route by its id, what a role does without any upstream (`solo`, if it can), or nothing yet. */
export type InUse = number | "solo" | "nothing";

/** Why another is used, besides the codes of failures. */
export type ChoiceReason =
  /** The first one that was ready. */
  | "start"
  /** There are no upstreams. */
  | "solo-mode"
  /** At the start, no upstream was ready in time. */
  | "no-upstream-ready"
  /** An upstream is ready again, after a time without. */
  | "upstream-ready"
  /** A route before the one in use is ready again. */
  | "better-upstream-ready"
  /** The one in use was taken out of the list, and another is ready. */
  | "upstream-removed";

/** What is to be done, in order. Routes are named by their ids. */
export type ChoiceDecision<Code extends string> =
  /** Begin a session over this route, and say whether it got ready or failed. */
  | { readonly type: "dial"; readonly route: number }
  /** Use another from now on. */
  | { readonly type: "use"; readonly from: InUse; readonly to: InUse; readonly reason: ChoiceReason | Code }
  /** A session that nothing is wrong with is not needed any more. */
  | { readonly type: "release"; readonly route: number };

/**
 * Carries decisions out in the order they were made. One may lead to others: those come after the ones that were made with
 * it.
 */
export class ChoiceDecisions<Code extends string> {
  readonly #carryOut: (decision: ChoiceDecision<Code>) => void;
  readonly #waiting: ChoiceDecision<Code>[] = [];
  #isBusy = false;

  constructor(carryOut: (decision: ChoiceDecision<Code>) => void) {
    this.#carryOut = carryOut;
  }

  /** Takes what a choice has decided. Returns once it is carried out, or at once while others are being carried out. */
  add(decisions: readonly ChoiceDecision<Code>[]): void {
    this.#waiting.push(...decisions);
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) this.#carryOut(next);
    this.#isBusy = false;
  }
}
