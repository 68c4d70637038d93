import { parseBip34 } from "@adit/bitcoin";
import { type NewTemplate, type TemplateSetNewPrevHash, u256 } from "@adit/codec";

/** What a template provider says of its work. */
export type WorkMessage = NewTemplate | TemplateSetNewPrevHash;

/** Templates kept that wait for a tip; as many are kept by a mining core. */
const MAX_FUTURES = 8;

interface TipWork {
  readonly template: NewTemplate;
  readonly prevHash: TemplateSetNewPrevHash;
}

/**
 * The newest work of one template provider: what whoever begins with it now has to be told, and no more. Messages are kept
 * with bytes of their own.
 */
export class StandbyWork {
  /** Oldest first. */
  #futures: readonly NewTemplate[] = [];
  #tip: TipWork | undefined;
  /** Another template on the tip. */
  #newest: NewTemplate | undefined;

  /** Takes a message. A prevhash that names none of the kept templates leaves no work: nobody could mine on it. */
  add(message: WorkMessage): void {
    if (message.name === "SetNewPrevHash") this.#take(message);
    else if (message.futureTemplate) this.#futures = [...this.#futures, owned(message)].slice(-MAX_FUTURES);
    else if (this.#tip !== undefined) this.#newest = owned(message);
  }

  /** Whether there is a template that can be mined now. */
  get isThere(): boolean {
    return this.#tip !== undefined;
  }

  /** Whether it makes a block as high as `other` does, as far as both say. */
  reaches(other: StandbyWork): boolean {
    if (this.#tip === undefined) return false;
    const height = heightOf(this.#tip);
    const wanted = other.#tip === undefined ? undefined : heightOf(other.#tip);
    return height === undefined || wanted === undefined || height >= wanted;
  }

  /** What to tell, in order. */
  get messages(): readonly WorkMessage[] {
    const tip = this.#tip === undefined ? [] : [this.#tip.template, this.#tip.prevHash];
    return [...tip, ...(this.#newest === undefined ? [] : [this.#newest]), ...this.#futures];
  }

  #take(message: TemplateSetNewPrevHash): void {
    const { templateId } = message;
    const template = this.messages.find((one) => one.name === "NewTemplate" && one.templateId === templateId);
    const prevHash = { ...message, prevHash: u256(message.prevHash.slice()), target: u256(message.target.slice()) };
    this.#tip =
      template?.name === "NewTemplate" ? { template: { ...template, futureTemplate: true }, prevHash } : undefined;
    this.#newest = undefined;
    this.#futures = [];
  }
}

function heightOf({ template }: TipWork): number | undefined {
  return parseBip34(template.coinbasePrefix);
}

function owned(template: NewTemplate): NewTemplate {
  return {
    ...template,
    coinbasePrefix: template.coinbasePrefix.slice(),
    coinbaseTxOutputs: template.coinbaseTxOutputs.slice(),
    merklePath: template.merklePath.map((sibling) => u256(sibling.slice())),
  };
}
