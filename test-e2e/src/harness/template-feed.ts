import type {
  NewTemplate,
  RequestTransactionDataError,
  RequestTransactionDataSuccess,
  SubmitSolution,
  TemplateSetNewPrevHash,
} from "@adit/codec";
import type { Received, Sv2Connection } from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { dialStream, type Reachable, setUp } from "./dial.ts";

/** A template on the present tip, and its transactions. */
export interface WholeTemplate {
  readonly template: NewTemplate;
  readonly tip: TemplateSetNewPrevHash;
  /** Without the coinbase, in the order of the block. */
  readonly transactions: readonly Uint8Array[];
}

/** A template provider's client that takes templates whole, as one does that declares its jobs. */
export class TemplateFeed implements AsyncDisposable {
  readonly #connection: Sv2Connection<"template_distribution">;
  readonly #incoming: AsyncIterator<Received<"template_distribution">>;
  /** Templates for a tip that is yet to come. */
  readonly #future = new Map<bigint, NewTemplate>();
  /** What can be mined on. */
  #present: Pick<WholeTemplate, "template" | "tip"> | undefined;

  private constructor(connection: Sv2Connection<"template_distribution">) {
    this.#connection = connection;
    this.#incoming = connection.messages[Symbol.asyncIterator]();
  }

  /** Dials over TCP, or from an Iroh node. */
  static async dial(provider: Reachable, node?: IrohNodeManager): Promise<TemplateFeed> {
    const stream = await dialStream(provider, node, alpns.template_distribution.noise);
    const connection = await setUp(stream, "template_distribution", provider.details.authority_public_key);
    await connection.write({
      name: "CoinbaseOutputConstraints",
      coinbaseOutputMaxAdditionalSize: 1000,
      coinbaseOutputMaxAdditionalSigops: 400,
    });
    return new TemplateFeed(connection);
  }

  /** Resolves to the newest template that can be mined on. */
  async next(): Promise<WholeTemplate> {
    while (this.#present === undefined) await this.#read();
    const { template, tip } = this.#present;
    const { templateId } = template;
    await this.#connection.write({ name: "RequestTransactionData", templateId });
    for (;;) {
      const answer = await this.#read();
      if (answer?.templateId !== templateId) continue;
      // Another block came before the answer: the provider still serves the old template, which is of no use.
      if (this.#present?.tip !== tip) return await this.next();
      // Refused: the tip has moved meanwhile, and took the template with it.
      if (answer.name === "RequestTransactionDataError") return await this.next();
      return { template, tip, transactions: answer.transactionList };
    }
  }

  /** Hands in a block. */
  async submit(solution: SubmitSolution): Promise<void> {
    await this.#connection.write(solution);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  /** Takes the next message in. Resolves to it when it answers a request. */
  async #read(): Promise<RequestTransactionDataSuccess | RequestTransactionDataError | undefined> {
    const next = await this.#incoming.next();
    if (next.done === true) throw new Error("the template provider has ended the connection");
    const { message } = next.value;
    if (message.name === "NewTemplate") this.#onTemplate(message);
    else if (message.name === "SetNewPrevHash") this.#onTip(message);
    else if (message.name === "RequestTransactionDataSuccess" || message.name === "RequestTransactionDataError")
      return message;
    return undefined;
  }

  #onTemplate(template: NewTemplate): void {
    if (template.futureTemplate) this.#future.set(template.templateId, template);
    else if (this.#present !== undefined) this.#present = { ...this.#present, template };
  }

  #onTip(tip: TemplateSetNewPrevHash): void {
    const template = this.#future.get(tip.templateId);
    this.#future.clear();
    this.#present = template === undefined ? undefined : { template, tip };
  }
}
