import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { describeError } from "./log.ts";

/** What a method called over HTTP is told besides its input. */
export interface HttpCall {
  /** Aborts when nobody waits for the result any more. */
  readonly signal: AbortSignal;
  /** Who calls, for logs. */
  readonly peer: string;
}

/** A method that may be called over HTTP. It rejects, or throws while it is iterated, with an error that has a `code`. */
export type HttpMethod =
  | { readonly kind: "call"; run(input: unknown, call: HttpCall): Promise<unknown> }
  | { readonly kind: "stream"; run(input: unknown, call: HttpCall): AsyncIterable<unknown> };

/** The methods that may be called over HTTP. */
export interface HttpMethods {
  find(service: string, method: string): HttpMethod | undefined;
}

const MAX_CALLS = 16;
const DEADLINE_MS = 10_000;
const MAX_BODY = 16 * 1024;

/** Status of an answer that is an error, by the error's code. Others are 500. */
const statusOf: Readonly<Record<string, number>> = {
  "invalid-input": 400,
  "not-allowed": 403,
  "not-found": 404,
  "too-many-calls": 429,
  "not-supported": 501,
  "deadline-exceeded": 504,
};

/** Calls over HTTP: `POST /rpc/v1/<service>/<method>` with the input as JSON. */
export class HttpCalls {
  readonly #methods: () => HttpMethods | undefined;
  readonly #onLoopback: boolean;
  readonly #running = new Set<AbortController>();

  constructor(options: { readonly methods: () => HttpMethods | undefined; readonly onLoopback: boolean }) {
    this.#methods = options.methods;
    this.#onLoopback = options.onLoopback;
  }

  addTo(server: FastifyInstance): void {
    server.post<{ Params: { service: string; method: string } }>(
      "/rpc/v1/:service/:method",
      {
        bodyLimit: MAX_BODY,
        errorHandler: ({ message, statusCode = 400 }, _request, reply) => {
          void reply.code(statusCode).send({ error: { code: "invalid-input", message } });
        },
      },
      async (request, reply) => await this.#answer(request, request.params, reply),
    );
  }

  /** Ends every call under way. */
  stop(): void {
    for (const controller of this.#running) controller.abort(fault("going-away", "the role stops"));
  }

  async #answer(
    request: FastifyRequest,
    { service, method }: { readonly service: string; readonly method: string },
    reply: FastifyReply,
  ): Promise<unknown> {
    try {
      this.#refuseBrowsers(request);
      const found = this.#methods()?.find(service, method);
      if (found === undefined) throw fault("not-found", `no method ${service}.${method} is served over HTTP`);
      if (this.#running.size >= MAX_CALLS) throw fault("too-many-calls", `${MAX_CALLS} calls are under way over HTTP`);
      const controller = this.#begin(reply);
      const call = { signal: controller.signal, peer: `${request.ip}:${request.socket.remotePort ?? 0}` };
      if (found.kind === "call") {
        const answer = await this.#once(() => found.run(request.body, call), controller);
        return await reply.type("application/json").send(answer);
      }
      request.socket.setTimeout(0);
      const lines = ndjson(found.run(request.body, call));
      return await reply.type("application/x-ndjson").send(Readable.from(lines, { objectMode: false }));
    } catch (error) {
      const { code } = error as { readonly code?: unknown };
      const status = (typeof code === "string" ? statusOf[code] : undefined) ?? 500;
      return await reply.code(status).send({ error: errorOf(error) });
    }
  }

  /** The call is over when its answer has gone, or whoever asked for it has. */
  #begin(reply: FastifyReply): AbortController {
    const controller = new AbortController();
    this.#running.add(controller);
    reply.raw.once("close", () => {
      this.#running.delete(controller);
      controller.abort(fault("cancelled", "the caller has gone"));
    });
    return controller;
  }

  async #once(run: () => Promise<unknown>, controller: AbortController): Promise<string> {
    const late = (): void => controller.abort(fault("deadline-exceeded", `no answer within ${DEADLINE_MS} ms`));
    const timer = setTimeout(late, DEADLINE_MS);
    try {
      const over = new Promise<never>((_, reject) => {
        const { signal } = controller;
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      });
      return JSON.stringify((await Promise.race([run(), over])) ?? null);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * A page in the operator's browser can send requests to this machine, but not of this content type unless the server
   * agrees first, and not under this machine's own names.
   */
  #refuseBrowsers({ headers, hostname }: FastifyRequest): void {
    if (headers["content-type"]?.split(";")[0]?.trim() !== "application/json") {
      throw fault("invalid-input", "send the input as JSON, with content-type: application/json");
    }
    if (this.#onLoopback && !/^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname)) {
      throw fault("not-allowed", "call this machine by its loopback address");
    }
  }
}

/** One line an item, and a last one that says how it ended. */
async function* ndjson(items: AsyncIterable<unknown>): AsyncGenerator<string, void, undefined> {
  try {
    for await (const item of items) yield `${JSON.stringify({ item })}\n`;
    yield `${JSON.stringify({ end: true })}\n`;
  } catch (error) {
    yield `${JSON.stringify({ error: errorOf(error) })}\n`;
  }
}

function errorOf(error: unknown): { readonly code: string; readonly message: string } {
  const { code, message } = describeError(error) as { readonly code?: unknown; readonly message?: string };
  if (typeof code === "string") return { code, message: message ?? "" };
  return { code: "internal", message: "the method failed; the role's log says why" };
}

function fault(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
