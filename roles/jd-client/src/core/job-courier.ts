import type { DeclaredJob } from "./declared-job.ts";
import { customJob, declaredCoinbase } from "./declared-work.ts";
import type { JobDeskParts } from "./job-desk-parts.ts";
import type { JobQuestions } from "./job-questions.ts";
import { TransactionData } from "./template-transactions.ts";

/** Sends jobs on their way: to the job declarator where transactions are declared, and to the pool. */
export class JobCourier {
  readonly #parts: JobDeskParts;
  readonly #questions: JobQuestions;

  constructor(parts: JobDeskParts, questions: JobQuestions) {
    this.#parts = parts;
    this.#questions = questions;
  }

  /** Gets a job what it must be declared with. Returns whether it has that, or never will. */
  supply(waiting: DeclaredJob): "ready" | "not-yet" | "never" {
    const { mode, transactions, outbox } = this.#parts;
    if (mode === "COINBASEONLY" || waiting.data !== undefined) return "ready";
    const { templateId } = waiting.job.origin;
    const state = transactions.find(templateId);
    if (state === "refused") return "never";
    if (state instanceof TransactionData) waiting.data = state;
    else if (transactions.want(templateId)) outbox.emit({ type: "request-transaction-data", templateId });
    return waiting.data === undefined ? "not-yet" : "ready";
  }

  /** Sends a job on its way, if there is a token and no other must be answered first. */
  send(waiting: DeclaredJob): void {
    const { purse, outbox } = this.#parts;
    if (waiting.step.at === "waiting" && waiting.step.retryAt > outbox.now) return;
    if (this.#questions.isFull) return;
    const token = purse.take();
    if (token === undefined) return;
    if (waiting.data === undefined) this.set(waiting, token);
    else this.#declare(waiting, waiting.data, token);
  }

  /** Tells the pool of a job, with a token that is good for it. */
  set(declared: DeclaredJob, miningJobToken: Uint8Array): void {
    const { outbox, nextRequestId, toPool, client, channel } = this.#parts;
    const requestId = nextRequestId();
    declared.ask("setting");
    this.#questions.add(requestId, { declared, kind: "custom-job", since: outbox.now });
    toPool(client.setCustomMiningJob(channel, { requestId, miningJobToken, ...customJob(declared.job) }));
  }

  #declare(declared: DeclaredJob, { wtxids, excessData }: TransactionData, miningJobToken: Uint8Array): void {
    const { outbox, nextRequestId, toJds } = this.#parts;
    const requestId = nextRequestId();
    const { job } = declared;
    declared.ask("declaring");
    declared.isDeclared = true;
    this.#questions.add(requestId, { declared, kind: "declaration", since: outbox.now });
    const { version } = job;
    const coinbase = declaredCoinbase(job);
    toJds({ name: "DeclareMiningJob", requestId, miningJobToken, version, ...coinbase, wtxidList: wtxids, excessData });
  }
}
