import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { credentials } from "./node-process.ts";
import type { TestNode } from "./test-node.ts";

/** A call as a client of the node made it. */
export interface ProxiedCall {
  readonly id: unknown;
  readonly method: string;
  readonly params: readonly unknown[];
  /** Aborts when the client has left, or the proxy does not treat calls specially any more. */
  readonly over: AbortSignal;
}

/** What a client gets: an answer in HTTP, or a connection that breaks. */
export type ProxiedAnswer = { readonly status: number; readonly body: string } | "broken";

/** What becomes of a call. `pass` asks the node, and is `broken` when that is gone. */
export type Treatment = (call: ProxiedCall, pass: () => Promise<ProxiedAnswer>) => Promise<ProxiedAnswer>;

const everyMethod = "*";

/** Stands between a node and its clients, and passes calls on unless told what else becomes of them. */
export class NodeProxy implements AsyncDisposable {
  /** `user:password` that it asks for in place of the node's; undefined to leave that to the node. */
  login: string | undefined;
  readonly #treatments = new Map<string, Treatment>();
  #relenting = new AbortController();
  readonly #server: Server;
  readonly #node: Pick<TestNode, "rpcUrl">;

  private constructor(server: Server, node: Pick<TestNode, "rpcUrl">) {
    this.#server = server;
    this.#node = node;
    server.on("request", (request, response) => void this.#serve(request, response).catch(() => response.destroy()));
  }

  /** Starts one on `port`, or on a free port. */
  static async start(node: Pick<TestNode, "rpcUrl">, port = 0): Promise<NodeProxy> {
    const server = createServer();
    const proxy = new NodeProxy(server, node);
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  /** http://127.0.0.1:PORT */
  get rpcUrl(): string {
    return `http://${this.name}`;
  }

  /** 127.0.0.1:PORT, as roles name the node behind. */
  get name(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Says what becomes of the calls of a method from now on; of a call under way nothing else than was said before. */
  treat(method: string, treatment: Treatment): void {
    this.#treatments.set(method, treatment);
  }

  /** {@link treat} for all methods without a treatment of their own. */
  treatAll(treatment: Treatment): void {
    this.treat(everyMethod, treatment);
  }

  /** Passes all calls on again. Those that are kept waiting break. */
  relent(): void {
    this.#treatments.clear();
    this.#relenting.abort();
    this.#relenting = new AbortController();
  }

  /** Breaks every connection, and what waits on it. */
  hangUp(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const body = await text(request);
    const authorization = this.#authorization(request.headers.authorization);
    if (authorization === undefined) {
      response.writeHead(401).end();
      return;
    }
    const call = { ...callOf(body), over: AbortSignal.any([gone.signal, this.#relenting.signal]) };
    const treatment = this.#treatments.get(call.method) ?? this.#treatments.get(everyMethod) ?? passed;
    const pass = (): Promise<ProxiedAnswer> => this.#pass(body, { authorization, signal: gone.signal });
    const answer = await treatment(call, pass);
    if (answer === "broken") response.destroy();
    else response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
  }

  /** What the node is told; undefined when the proxy's own {@link login} is another. */
  #authorization(given = ""): string | undefined {
    if (this.login === undefined) return given;
    return given === basic(this.login) ? basic(`${credentials.user}:${credentials.password}`) : undefined;
  }

  async #pass(
    body: string,
    { authorization, signal }: { readonly authorization: string; readonly signal: AbortSignal },
  ): Promise<ProxiedAnswer> {
    const headers = { authorization, "content-type": "application/json" };
    try {
      const answer = await fetch(this.#node.rpcUrl, { method: "POST", headers, body, signal });
      return { status: answer.status, body: await answer.text() };
    } catch {
      return "broken";
    }
  }
}

/** The node's answer comes so many milliseconds late. */
export function late(ms: number): Treatment {
  return async (_call, pass) => {
    const answer = await pass();
    await pause(ms);
    return answer;
  };
}

/** Answers with a result of its own; the node never hears of the call. */
export function saying(result: unknown): Treatment {
  return async ({ id }) => ({ status: 200, body: JSON.stringify({ result, error: null, id }) });
}

/** Changes the fields of the node's result. */
export function altering(changes: Readonly<Record<string, unknown>>): Treatment {
  return async (_call, pass) => {
    const answer = await pass();
    if (answer === "broken") return answer;
    const told = JSON.parse(answer.body) as { readonly result: object };
    return { ...answer, body: JSON.stringify({ ...told, result: { ...told.result, ...changes } }) };
  };
}

/** Never answers, as a node whose process is stopped. */
export const silent: Treatment = async ({ over }) => {
  if (!over.aborted) await once(over, "abort");
  return "broken";
};

/** Does one thing with long polls and another with all other calls. */
export function onLongPolls(treatment: Treatment, others: Treatment = passed): Treatment {
  return async (call, pass) => {
    const [request] = call.params as readonly [{ readonly longpollid?: unknown }?];
    return await (request?.longpollid === undefined ? others : treatment)(call, pass);
  };
}

const passed: Treatment = async (_call, pass) => await pass();

type PlainCall = Omit<ProxiedCall, "over">;

function callOf(body: string): PlainCall {
  const parsed = JSON.parse(body) as PlainCall | readonly PlainCall[];
  return "method" in parsed ? parsed : { id: null, method: "batch", params: parsed };
}

function basic(userAndPassword: string): string {
  return `Basic ${Buffer.from(userAndPassword).toString("base64")}`;
}
