import {
  type AllocateMiningJobTokenSuccess,
  DECLARE_TX_DATA,
  type DeclareMiningJobError,
  type DeclareMiningJobSuccess,
  type JobDeclarationMessage,
} from "@adit/codec";
import { type Received, type Sv2Connection, within } from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import type { DeclaredJob } from "./declared-job.ts";
import { dialStream, type Reachable, setUp } from "./dial.ts";

/** Longest wait for an answer. */
const PATIENCE_MS = 60_000;

/** A client of a job-declarator server that does as it is told, one thing after the other. */
export class JobDeclarationClient implements AsyncDisposable {
  /** Positions of transactions that the server has asked for, a list for each time. */
  readonly asked: (readonly number[])[] = [];
  readonly #connection: Sv2Connection<"job_declaration">;
  readonly #incoming: AsyncIterator<Received<"job_declaration">>;
  #requestId = 0;

  private constructor(connection: Sv2Connection<"job_declaration">) {
    this.#connection = connection;
    this.#incoming = connection.messages[Symbol.asyncIterator]();
  }

  /** Dials over TCP, or from an Iroh node. Without `flags` it is a client that reveals its transactions. */
  static async dial(
    server: Reachable,
    { node, flags = DECLARE_TX_DATA }: { readonly node?: IrohNodeManager | undefined; readonly flags?: number } = {},
  ): Promise<JobDeclarationClient> {
    const stream = await dialStream(server, node, alpns.job_declaration.noise);
    const hello = { protocol: "job_declaration", flags } as const;
    return new JobDeclarationClient(await setUp(stream, hello, server.details.authority_public_key));
  }

  /** Another number for a request. */
  nextRequestId(): number {
    this.#requestId += 1;
    return this.#requestId;
  }

  /** Resolves to a token. */
  async allocate(userIdentifier: string): Promise<AllocateMiningJobTokenSuccess> {
    await this.send({ name: "AllocateMiningJobToken", userIdentifier, requestId: this.nextRequestId() });
    return await this.hear("AllocateMiningJobTokenSuccess");
  }

  /** Declares a job and reveals the transactions that it is asked for. Resolves to the server's verdict. */
  async declare(
    job: DeclaredJob,
    declaration = job.declaration(this.nextRequestId()),
  ): Promise<DeclareMiningJobSuccess | DeclareMiningJobError> {
    await this.send(declaration);
    for (;;) {
      const message = await this.next();
      if (message.name === "DeclareMiningJobSuccess" || message.name === "DeclareMiningJobError") return message;
      if (message.name !== "ProvideMissingTransactions") continue;
      const { requestId, unknownTxPositionList } = message;
      this.asked.push(unknownTxPositionList);
      const transactionList = unknownTxPositionList.map((position) => job.transactions[position] ?? new Uint8Array(0));
      await this.send({ name: "ProvideMissingTransactionsSuccess", requestId, transactionList });
    }
  }

  /** Sends any message. */
  async send(message: JobDeclarationMessage): Promise<void> {
    await this.#connection.write(message);
  }

  /** Sends the same over and over, until the server has had enough of it. */
  async flood(message: (at: number) => JobDeclarationMessage, most: number): Promise<void> {
    try {
      for (let at = 0; at < most; at += 1) await this.send(message(at));
    } catch {
      // Hung up on: whoever floods expects no less.
    }
  }

  /** Resolves when the server has ended the connection; what it says until then is dropped. */
  async ended(): Promise<void> {
    try {
      for (;;) {
        const pulling = this.#incoming.next();
        if (!(await within(PATIENCE_MS, pulling))) break;
        if ((await pulling).done === true) return;
      }
    } catch {
      // Broken off is over, too.
      return;
    }
    throw new Error("the job-declarator server goes on");
  }

  /** Resolves to the next message of this name, dropping those before it. */
  async hear<N extends JobDeclarationMessage["name"]>(
    name: N,
  ): Promise<Extract<JobDeclarationMessage, { readonly name: N }>> {
    for (;;) {
      const message = await this.next();
      if (message.name === name) return message as Extract<JobDeclarationMessage, { readonly name: N }>;
    }
  }

  /** Resolves to the next message. Rejects when the server ends the connection, or says nothing for too long. */
  async next(): Promise<Received<"job_declaration">["message"]> {
    const pulling = this.#incoming.next();
    if (!(await within(PATIENCE_MS, pulling))) throw new Error("the job-declarator server says nothing");
    const next = await pulling;
    if (next.done === true) throw new Error("the job-declarator server has ended the connection");
    return next.value.message;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}
