import type { DialectMessage, NewTemplate, TemplateSetNewPrevHash } from "@adit/codec";
import { type ByteStream, type ClientSecurity, dialSv2, type Sv2Connection } from "@adit/network-helpers";
import { decodeAuthorityPublicKey, pureCrypto } from "@adit/noise";
import { solve, type Work } from "./solve.ts";

type Message = DialectMessage<"template_distribution">;

/** A small template client that mines. */
export class TemplateMiner implements AsyncDisposable {
  readonly connection: Sv2Connection<"template_distribution">;
  readonly #messages: AsyncIterator<{ readonly message: { readonly name: string } }>;
  #template: NewTemplate | undefined;

  private constructor(connection: Sv2Connection<"template_distribution">) {
    this.connection = connection;
    this.#messages = connection.messages[Symbol.asyncIterator]();
  }

  /** Secures and sets up a dialled stream. */
  static async over(stream: ByteStream, authority: string | null): Promise<TemplateMiner> {
    const security: ClientSecurity =
      authority === null ? "plain" : { noise: { crypto: pureCrypto, authority: decodeAuthorityPublicKey(authority) } };
    const client = {
      protocol: "template_distribution",
      flags: 0,
      endpointHost: "test",
      endpointPort: 0,
      vendor: "test",
      hardwareVersion: "",
      firmware: "",
      deviceId: "",
      requestExtensions: [],
    } as const;
    const signal = AbortSignal.timeout(60_000);
    return new TemplateMiner(await dialSv2(stream, client, { security, signal, deadlineMs: 20_000 }));
  }

  /** Says what room the coinbase needs. */
  async constrain(size = 100, sigops = 0): Promise<void> {
    await this.connection.write({
      name: "CoinbaseOutputConstraints",
      coinbaseOutputMaxAdditionalSize: size,
      coinbaseOutputMaxAdditionalSigops: sigops,
    });
  }

  /** The next message. */
  async next(): Promise<Message> {
    const next = await this.#messages.next();
    if (next.done === true) throw new Error("the connection ended");
    const message = next.value.message as Message;
    if (message.name === "NewTemplate" && message.futureTemplate) this.#template = message;
    return message;
  }

  /** The next message of one kind; others are passed over. */
  async until<Name extends Message["name"]>(name: Name): Promise<Message & { readonly name: Name }> {
    for (;;) {
      const message = await this.next();
      if (message.name === name) return message as Message & { readonly name: Name };
    }
  }

  /** The next tip to work on, with its future template. */
  async tip(): Promise<Work> {
    const prevHash: TemplateSetNewPrevHash = await this.until("SetNewPrevHash");
    if (this.#template?.templateId !== prevHash.templateId) throw new Error("SetNewPrevHash names no future template");
    return { template: this.#template, prevHash };
  }

  /** Solves the work and sends the solution. */
  async mine(work: Work): Promise<void> {
    await this.connection.write(solve(work));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
  }
}
