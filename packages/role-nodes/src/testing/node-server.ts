import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { BitcoinNode } from "@adit/bitcoin-node";

/** How a call is answered: a result, an error, or `hang-up` for a connection that breaks. */
export type NodeReply =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message: string } }
  | "hang-up";

/** One call as it came. */
export interface NodeCallReceived {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** Answers one call, at once or later. */
export type NodeHandler = (call: NodeCallReceived) => NodeReply | Promise<NodeReply>;

/** A real HTTP server that answers JSON-RPC as a Bitcoin node does. */
export class NodeServer implements AsyncDisposable {
  /** Every call, in the order they came. */
  readonly calls: NodeCallReceived[] = [];
  readonly #server: Server;
  readonly #replies = new Map<string, NodeHandler>();
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

  /** Where it serves. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** A client of it, on regtest. */
  client(): BitcoinNode {
    const auth = { user: "user", password: "secret" };
    return new BitcoinNode({ url: this.url, auth, network: "regtest" });
  }

  /** From now on answers calls of `method` like this. */
  on(method: string, reply: NodeHandler): void {
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
    const payload = JSON.parse(await text(request)) as NodeCallReceived | NodeCallReceived[];
    const calls = Array.isArray(payload) ? payload : [payload];
    this.calls.push(...calls);
    for (const wake of this.#waiters.splice(0)) wake();
    const replies = await Promise.all(calls.map((call) => this.#reply(call)));
    if (replies.includes("hang-up")) return void response.destroy();
    const hasError = replies.some((reply) => reply !== "hang-up" && "error" in reply && reply.error !== null);
    const status = hasError && !Array.isArray(payload) ? 500 : 200;
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(Array.isArray(payload) ? replies : replies[0]));
  }

  async #reply(call: NodeCallReceived): Promise<object | "hang-up"> {
    const reply = await this.#replies.get(call.method)?.(call);
    if (reply === "hang-up") return reply;
    const said = reply ?? { error: { code: -32601, message: "Method not found" } };
    return { result: null, error: null, ...said, id: call.id };
  }
}
