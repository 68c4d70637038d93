import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { addAbortSignal } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { splitAddress } from "@adit/role-kit";
import { answerRpc, type RpcPorts } from "./json-rpc.ts";

/** How a {@link RpcServer} is reached and what it answers. */
export interface RpcServerOptions extends Omit<RpcPorts, "signal"> {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** `user:password`. */
  readonly login: string;
}

/** A block of four million bytes in hexadecimal, and the call around it. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
const MAX_SOCKETS = 64;
/** Longest arrival of a request's headers, and of all of it; how long an idle connection is kept; how often all that is checked. */
const timeouts = {
  headersTimeout: 5_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
};
/** A wrong password is answered after this, so that few can be tried. Bitcoin Core waits as long. */
const WRONG_PASSWORD_MS = 250;

/** JSON-RPC over HTTP with basic authentication, as Bitcoin Core serves it. */
export class RpcServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #options: RpcServerOptions;
  readonly #stopping = new AbortController();
  readonly #answering = new Set<Promise<void>>();

  private constructor(server: Server, options: RpcServerOptions) {
    this.#server = server;
    this.#options = options;
  }

  /** Listens. Errors of the system as they are. */
  static async start(options: RpcServerOptions): Promise<RpcServer> {
    const server = createServer({ ...timeouts, maxHeaderSize: 8 * 1024 });
    server.maxConnections = MAX_SOCKETS;
    const rpc = new RpcServer(server, options);
    server.on("request", (request, response) => rpc.#take(request, response));
    const { host, port } = splitAddress(options.listen);
    server.listen(port, host);
    // Rejects when the address cannot be had.
    await once(server, "listening");
    return rpc;
  }

  /** The bound `host:port`. */
  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** Ends the calls that wait, answers those under way, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    await Promise.all(this.#answering);
    this.#server.closeAllConnections();
    await closed;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    // A client that goes away while it asks has nobody to be told of it.
    const answering = this.#answer(request, response).catch(() => {
      response.destroy();
    });
    this.#answering.add(answering);
    void answering.then(() => this.#answering.delete(answering));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    using gone = goneWith(response);
    const signal = AbortSignal.any([gone.signal, this.#stopping.signal]);
    if (request.method !== "POST") return end(response, 405, "JSON-RPC is served to POST requests only\n");
    if (!this.#isAllowed(request)) {
      await sleep(WRONG_PASSWORD_MS, undefined, { signal }).catch(() => {});
      response.setHeader("www-authenticate", 'Basic realm="jsonrpc"');
      return end(response, 401, "");
    }
    if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) {
      return end(response, 413, `a request has at most ${MAX_BODY_BYTES} bytes\n`);
    }
    const { status, text } = await answerRpc(await bodyOf(request, signal), { ...this.#options, signal });
    response.setHeader("content-type", "application/json");
    end(response, status, text);
  }

  #isAllowed({ headers: { authorization = "" } }: IncomingMessage): boolean {
    const wanted = `Basic ${Buffer.from(this.#options.login).toString("base64")}`;
    return timingSafeEqual(digest(authorization), digest(wanted));
  }
}

/** A signal that aborts when the client no longer waits. */
function goneWith(response: ServerResponse): Disposable & { readonly signal: AbortSignal } {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  response.once("close", onClose);
  return { signal: gone.signal, [Symbol.dispose]: () => response.off("close", onClose) };
}

/** The whole body. Rejects, and breaks the connection, when it is larger than a request may be or nobody waits any more. */
async function bodyOf(request: IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  addAbortSignal(signal, request);
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new RangeError(`a body of more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A request that was not read to its end leaves the connection of no further use. */
function end(response: ServerResponse, status: number, text: string): void {
  if (!response.req.complete) response.setHeader("connection", "close");
  response.writeHead(status).end(text);
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
