import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { BitcoinNode } from "@adit/bitcoin-node";

/** How a call is answered: a result, an error, or `hang-up` for a connection that breaks. */
export type NodeReply =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message: string } }
  | "hang-up";

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** A real HTTP server that answers JSON-RPC as a Bitcoin node does. */
export class NodeServer implements AsyncDisposable {
  /** Every call, in the order they came. */
  readonly calls: Call[] = [];
  readonly #server: Server;
  readonly #replies = new Map<string, () => NodeReply | Promise<NodeReply>>();
  #waiters: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Starts one on a free port of this machine. */
  static async start(): Promise<NodeServer> {
    const server = createServer();
    const node = new NodeServer(server);
    server.on("request", (request, response) => void node.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return node;
  }

  /** A client of it, on regtest. */
  client(): BitcoinNode {
    const { port } = this.#server.address() as AddressInfo;
    const auth = { user: "user", password: "secret" };
    return new BitcoinNode({ url: `http://127.0.0.1:${port}`, auth, network: "regtest" });
  }

  /** From now on answers calls of `method` like this. */
  on(method: string, reply: () => NodeReply | Promise<NodeReply>): void {
    this.#replies.set(method, reply);
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
    const call = JSON.parse(await text(request)) as Call;
    this.calls.push(call);
    for (const wake of this.#waiters.splice(0)) wake();
    const reply = await this.#replies.get(call.method)?.();
    if (reply === "hang-up") return void response.destroy();
    const said = reply ?? { error: { code: -32601, message: "Method not found" } };
    const body = { result: null, error: null, ...said, id: call.id };
    const headers = { "content-type": "application/json" };
    response.writeHead("error" in said ? 500 : 200, headers).end(JSON.stringify(body));
  }
}
