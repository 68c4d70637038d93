import type { ProvideMissingTransactions, ProvideMissingTransactionsSuccess } from "@adit/codec";
import type { DeclaredJob } from "./declared-job.ts";
import type { Failure } from "./failure.ts";

/** Whom a question about a job is for: the job declarator, or the pool. */
export type QuestionKind = "declaration" | "custom-job";

/** A question about a job that was not answered yet. `since` in milliseconds. */
interface Asked {
  readonly declared: DeclaredJob;
  readonly kind: QuestionKind;
  readonly since: number;
  /** Transactions are given once for each declaration: whoever asks again learns what it should know. */
  hasRevealed: boolean;
}

/** Questions that wait for their answers at once. */
const MAX_ASKED = 2;

/** The questions about jobs that job declarator and pool owe an answer to. Whatever becomes of a job meanwhile, its answer is awaited. */
export class JobQuestions {
  /** By request. */
  readonly #asked = new Map<number, Asked>();

  /** Whether no other may be asked before one is answered. */
  get isFull(): boolean {
    return this.#asked.size >= MAX_ASKED;
  }

  /** One is asked. */
  add(requestId: number, question: Omit<Asked, "hasRevealed">): void {
    this.#asked.set(requestId, { ...question, hasRevealed: false });
  }

  /** One is answered. Returns the job; undefined when it does not wait. */
  answered(requestId: number, kind: QuestionKind): DeclaredJob | undefined {
    const asked = this.#asked.get(requestId);
    if (asked?.kind !== kind) return undefined;
    this.#asked.delete(requestId);
    return asked.declared;
  }

  /** The job declarator lacks transactions. It gets them even if the job is given up meanwhile, as it waits for them. */
  reveal({
    requestId,
    unknownTxPositionList,
  }: ProvideMissingTransactions): ProvideMissingTransactionsSuccess | { readonly failure: Failure } {
    const asked = this.#asked.get(requestId);
    if (asked?.kind !== "declaration") return unfair(`no job is being declared as ${requestId}`);
    if (asked.hasRevealed) return unfair("the transactions were asked for twice");
    const revealed = asked.declared.reveal(unknownTxPositionList);
    if ("fault" in revealed) return unfair(revealed.fault);
    asked.hasRevealed = true;
    const { transactions: transactionList } = revealed;
    return { name: "ProvideMissingTransactionsSuccess", requestId, transactionList };
  }

  /** Why to leave the upstream, if an answer takes longer than this, in milliseconds. */
  overdue(now: number, timeoutMs: number): Failure | undefined {
    for (const { kind, since } of this.#asked.values()) {
      if (now - since < timeoutMs) continue;
      return { code: `${kind}-timeout`, detail: `no answer in ${timeoutMs / 1000} s` };
    }
    return undefined;
  }
}

function unfair(detail: string): { readonly failure: Failure } {
  return { failure: { code: "bad-transaction-request", detail } };
}
