import { Pool } from "undici";

/** A whole HTTP answer. */
export interface HttpAnswer {
  /** HTTP status. */
  readonly status: number;
  /** The body as text. */
  readonly text: string;
}

/** How an {@link HttpExchange} is bounded. */
export interface HttpExchangeOptions {
  /** Connections at once. */
  readonly connections: number;
  /** Largest body that is read, in bytes. */
  readonly maxBodyBytes: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Below the idle time after which any of the nodes hangs up (bcoin 5 s, btcd 10 s, Core 30 s). */
const KEEP_ALIVE_MS = 4_000;

/** Posts JSON to one URL over a bounded number of kept connections. */
export class HttpExchange implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #path: string;

  constructor(url: URL, { connections, maxBodyBytes }: HttpExchangeOptions) {
    this.#path = url.pathname + url.search;
    // The caller's signal bounds the time of an exchange; a long poll is silent for minutes by design.
    this.#pool = new Pool(url.origin, {
      connections,
      maxResponseSize: maxBodyBytes,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
  }

  /** One exchange. Rejects with undici's or the system's error, or with the signal's reason. */
  async post(
    body: string,
    options: { readonly authorization: string; readonly signal: AbortSignal },
  ): Promise<HttpAnswer> {
    const { statusCode, body: answer } = await this.#pool.request({
      path: this.#path,
      method: "POST",
      headers: { authorization: options.authorization, "content-type": "application/json" },
      body,
      signal: options.signal,
    });
    return { status: statusCode, text: await answer.text() };
  }

  /** Ends every exchange. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }
}
