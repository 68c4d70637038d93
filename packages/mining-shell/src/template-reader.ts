import type { DialectMessage, NewTemplate, TemplateSetNewPrevHash } from "@adit/codec";
import { peerText, type RoleContext } from "@adit/role-kit";

/** What comes from the template provider, in order. Byte fields are views: copy what is kept. */
export type TemplateEvent =
  | { readonly type: "provider-connected" }
  /**
   * The connection has ended. Questions that were not answered on it will not be. `isReplaced`: another is there that has
   * work already, which comes at once, `provider-connected` first.
   */
  | { readonly type: "provider-lost"; readonly isReplaced?: boolean }
  | { readonly type: "template"; readonly template: NewTemplate }
  | { readonly type: "prev-hash"; readonly prevHash: TemplateSetNewPrevHash }
  /** The transactions of a template, all but the coinbase, in the order of the block (spec 7.5). */
  | {
      readonly type: "transaction-data";
      readonly templateId: bigint;
      readonly excessData: Uint8Array;
      readonly transactionList: readonly Uint8Array[];
    }
  /** The provider does not give a template's transactions; the code is the peer's own text (spec 7.6). */
  | { readonly type: "transaction-data-refused"; readonly templateId: bigint; readonly errorCode: string };

/** Questions that may wait for their answers; a provider that never answers makes the oldest be given up. */
const MAX_ASKED = 64;

/** Makes events of what the connection that serves says, and counts what a status document tells of it. */
export class TemplateReader {
  readonly #ports: { readonly log: RoleContext["log"]; readonly now: () => number };
  /** Templates whose transactions the connection was asked for and has not answered, oldest first. */
  readonly #asked = new Set<bigint>();
  #templates = 0;
  #lastTemplateAt: number | null = null;
  #lastPrevHashAt: number | null = null;

  constructor(ports: { readonly log: RoleContext["log"]; readonly now: () => number }) {
    this.#ports = ports;
  }

  /** Templates so far, and when the newest template and prevhash came, in Unix milliseconds; null before the first. */
  get counts(): {
    readonly templates: number;
    readonly lastTemplateAt: number | null;
    readonly lastPrevHashAt: number | null;
  } {
    return {
      templates: this.#templates,
      lastTemplateAt: this.#lastTemplateAt,
      lastPrevHashAt: this.#lastPrevHashAt,
    };
  }

  /** A template's transactions were asked for. */
  asked(templateId: bigint): void {
    this.#asked.add(templateId);
    for (const oldest of this.#asked) {
      if (this.#asked.size <= MAX_ASKED) break;
      this.#asked.delete(oldest);
    }
  }

  /** No question will be answered any more. */
  lost(): void {
    this.#asked.clear();
  }

  /** What a message says; undefined when it is of no interest. */
  read(message: DialectMessage<"template_distribution">): TemplateEvent | undefined {
    const { log, now } = this.#ports;
    switch (message.name) {
      case "NewTemplate":
        this.#templates += 1;
        this.#lastTemplateAt = now();
        log.debug({ templateId: message.templateId.toString(), future: message.futureTemplate }, "template received");
        return { type: "template", template: message };
      case "SetNewPrevHash":
        this.#lastPrevHashAt = now();
        log.debug({ templateId: message.templateId.toString() }, "prevhash received");
        return { type: "prev-hash", prevHash: message };
      case "RequestTransactionDataSuccess": {
        const { templateId, excessData, transactionList } = message;
        if (!this.#asked.delete(templateId)) return this.#ignore(message.name);
        log.debug({ templateId: templateId.toString(), count: transactionList.length }, "transactions received");
        return { type: "transaction-data", templateId, excessData, transactionList };
      }
      case "RequestTransactionDataError": {
        const { templateId, errorCode } = message;
        if (!this.#asked.delete(templateId)) return this.#ignore(message.name);
        log.debug({ templateId: templateId.toString(), errorCode: peerText(errorCode) }, "transactions refused");
        return { type: "transaction-data-refused", templateId, errorCode };
      }
      default:
        return this.#ignore(message.name);
    }
  }

  #ignore(message: string): undefined {
    this.#ports.log.debug({ message }, "message of the template provider ignored");
  }
}
