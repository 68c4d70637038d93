import type { TemplateEvent } from "@adit/mining-shell";
import type { JdClientOptions } from "./jd-client-options.ts";
import type { Outbox } from "./outbox.ts";
import type { Sessions } from "./sessions.ts";
import type { TemplateTransactions } from "./template-transactions.ts";

/** What a {@link TemplateSide} works with. */
export interface TemplateSideParts {
  readonly mode: JdClientOptions["mode"];
  readonly transactions: TemplateTransactions;
  readonly sessions: Sessions;
  readonly outbox: Outbox;
}

/** What the template provider says, as far as it matters to sessions with upstreams: the transactions of templates. */
export class TemplateSide {
  readonly #parts: TemplateSideParts;

  constructor(parts: TemplateSideParts) {
    this.#parts = parts;
  }

  /** The template provider said something, and miners have been told. */
  heed(event: TemplateEvent): void {
    const { transactions, sessions } = this.#parts;
    switch (event.type) {
      case "provider-connected":
        return transactions.clear();
      case "provider-lost":
        return sessions.providerLost();
      case "template":
        return this.#wantTransactions(event.template.templateId);
      case "prev-hash":
        return;
      case "transaction-data":
        transactions.add(event.templateId, event);
        return sessions.transactionsChanged();
      case "transaction-data-refused":
        transactions.refuse(event.templateId);
        return sessions.transactionsChanged();
      default:
        return event satisfies never;
    }
  }

  #wantTransactions(templateId: bigint): void {
    const { mode, transactions, outbox } = this.#parts;
    if (mode !== "FULLTEMPLATE" || !transactions.want(templateId)) return;
    outbox.emit({ type: "request-transaction-data", templateId });
  }
}
