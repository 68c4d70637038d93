import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** How a call is answered: as a node does, or with whatever `raw` writes. */
export type ServerReply =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message: string } }
  | { readonly raw: (response: ServerResponse, request: ServerRequest) => void };

/** One call as it came. */
export interface ServerRequest {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** Answers one call, at once or later. */
export type ServerHandler = (request: ServerRequest) => ServerReply | Promise<ServerReply>;

const unknownMethod: ServerReply = { error: { code: -32601, message: "Method not found" } };

/** A real HTTP server that answers JSON-RPC as Bitcoin Core does: HTTP 401 without the password, 404 and 500 for errors. */
export class NodeServer implements AsyncDisposable {
  /** User and password it asks for. */
  login = "user:secret";
  /** Every call, in the order they came. */
  readonly calls: ServerRequest[] = [];
  /** HTTP requests, in the order they came: how many calls each had. */
  readonly requests: number[] = [];
  /** The most HTTP requests that were open at once. */
  mostOpen = 0;
  readonly #handlers = new Map<string, ServerHandler>();
  readonly #server: Server;
  #open = 0;
  #waiters: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Starts one on a free port, or on `port`. */
  static async start(port = 0): Promise<NodeServer> {
    const server = createServer();
    const node = new NodeServer(server);
    server.on("request", (request, response) => void node.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return node;
  }

  /** Its port. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Where it serves. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** From now on answers calls of `method` like this. */
  on(method: string, handler: ServerHandler): void {
    this.#handlers.set(method, handler);
  }

  /** Resolves when so many calls of `method` have come in all. */
  async called(method: string, times: number): Promise<void> {
    while (this.calls.filter((call) => call.method === method).length < times) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.#open);
    response.on("close", () => {
      this.#open -= 1;
    });
    const body = await text(request);
    if (request.headers.authorization !== `Basic ${Buffer.from(this.login).toString("base64")}`) {
      response.writeHead(401).end();
      return;
    }
    const payload = JSON.parse(body) as ServerRequest | ServerRequest[];
    if (Array.isArray(payload)) await this.#answerBatch(payload, response);
    else await this.#answerOne(payload, response);
  }

  async #answerOne(request: ServerRequest, response: ServerResponse): Promise<void> {
    this.requests.push(1);
    const reply = await this.#handle(request);
    if ("raw" in reply) {
      reply.raw(response, request);
      return;
    }
    const status = "result" in reply ? 200 : reply.error.code === -32601 ? 404 : 500;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(wire(request, reply)));
  }

  async #answerBatch(requests: readonly ServerRequest[], response: ServerResponse): Promise<void> {
    this.requests.push(requests.length);
    const replies = await Promise.all(
      requests.map(async (request) => {
        const reply = await this.#handle(request);
        return "raw" in reply ? reply : wire(request, reply);
      }),
    );
    response.end(JSON.stringify(replies));
  }

  async #handle(request: ServerRequest): Promise<ServerReply> {
    this.calls.push(request);
    const handler = this.#handlers.get(request.method);
    const reply = handler === undefined ? unknownMethod : handler(request);
    for (const wake of this.#waiters.splice(0)) wake();
    return await reply;
  }
}

function wire({ id }: ServerRequest, reply: Exclude<ServerReply, { readonly raw: unknown }>): unknown {
  return "result" in reply ? { result: reply.result, error: null, id } : { result: null, error: reply.error, id };
}
