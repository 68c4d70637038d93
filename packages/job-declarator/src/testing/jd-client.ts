import { DECLARE_TX_DATA, type DialectMessage, type JobDeclarationMessage } from "@adit/codec";
import { type ByteStream, type ClientSecurity, dialSv2, type Sv2Connection } from "@adit/network-helpers";
import { decodeAuthorityPublicKey, pureCrypto } from "@adit/noise";

/** A small job-declarator client. */
export class JdClient implements AsyncDisposable {
  readonly connection: Sv2Connection<"job_declaration">;
  readonly #messages: AsyncIterator<{ readonly message: { readonly name: string } }>;

  private constructor(connection: Sv2Connection<"job_declaration">) {
    this.connection = connection;
    this.#messages = connection.messages[Symbol.asyncIterator]();
  }

  /** Sets up a dialled stream, in full-template mode unless told; with Noise when there is an `authority` to check. */
  static async over(stream: ByteStream, authority: string | null, flags = DECLARE_TX_DATA): Promise<JdClient> {
    const client = {
      protocol: "job_declaration",
      flags,
      endpointHost: "test",
      endpointPort: 0,
      vendor: "test",
      hardwareVersion: "",
      firmware: "",
      deviceId: "",
      requestExtensions: [],
    } as const;
    const signal = AbortSignal.timeout(60_000);
    const security: ClientSecurity =
      authority === null ? "plain" : { noise: { crypto: pureCrypto, authority: decodeAuthorityPublicKey(authority) } };
    return new JdClient(await dialSv2(stream, client, { security, signal, deadlineMs: 20_000 }));
  }

  /** Sends a message and waits for the next one. */
  async ask<Name extends JobDeclarationMessage["name"]>(
    message: JobDeclarationMessage,
    answer: Name,
  ): Promise<JobDeclarationMessage & { readonly name: Name }> {
    await this.connection.write(message);
    return await this.next(answer);
  }

  /** The next message, which has to be the one that is expected. */
  async next<Name extends DialectMessage<"job_declaration">["name"]>(
    name: Name,
  ): Promise<DialectMessage<"job_declaration"> & { readonly name: Name }> {
    const { value, done } = await this.#messages.next();
    if (done === true) throw new Error(`the connection ended, expected ${name}`);
    const message = value.message as DialectMessage<"job_declaration">;
    if (message.name !== name) throw new Error(`expected ${name}, got ${JSON.stringify(message)}`);
    return message as DialectMessage<"job_declaration"> & { readonly name: Name };
  }

  /** A token. */
  async token(requestId = 1): Promise<JobDeclarationMessage & { readonly name: "AllocateMiningJobTokenSuccess" }> {
    const request = { name: "AllocateMiningJobToken", userIdentifier: "farm", requestId } as const;
    return await this.ask(request, "AllocateMiningJobTokenSuccess");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
  }
}
