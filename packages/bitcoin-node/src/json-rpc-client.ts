import { setMaxListeners } from "node:events";
import { CookieError, Credentials, type NodeAuth } from "./credentials.ts";
import { Deadline } from "./deadline.ts";
import { NodeError, type NodeErrorCode } from "./errors.ts";
import { type HttpAnswer, HttpExchange } from "./http-exchange.ts";
import { outcomeOf, outcomesOf, type RpcRequest } from "./json-rpc.ts";
import {
  authFault,
  type CallSite,
  exchangeFault,
  notJsonRpc,
  printable,
  signalFault,
  statusFault,
} from "./node-faults.ts";
import { Slots } from "./slots.ts";

/** One finished call, for metrics. */
export interface NodeCall {
  /** The RPC method. */
  readonly method: string;
  /** How long it took, the wait for a free connection included, in milliseconds. */
  readonly ms: number;
  /** How it ended. */
  readonly outcome: "ok" | NodeErrorCode;
}

/** What is asked, and how its result is read. */
export interface Call<T> {
  /** The RPC method. */
  readonly method: string;
  /** Its parameters. */
  readonly params: readonly unknown[];
  /** Makes the value out of the result; throws a NodeError when it does not fit. */
  readonly read: (result: unknown, site: CallSite) => T;
}

/** Calls of one lane wait for each other and for no others. */
export type Lane = "ordinary" | "block" | "long-poll";

/** How one call is made. */
export interface CallOptions {
  /** Ends the call. */
  readonly signal: AbortSignal;
  /** Where it waits. */
  readonly lane: Lane;
  /** Time for the whole call, in milliseconds. */
  readonly timeoutMs: number;
}

/** How a {@link JsonRpcClient} reaches its node. */
export interface JsonRpcClientOptions {
  readonly url: URL;
  readonly auth: NodeAuth;
  /** Calls at once in the ordinary lane, and as many in the lane of blocks. */
  readonly maxConcurrent: number;
  /** Calls that may wait, in each lane. */
  readonly maxQueued: number;
  /** Largest body that is read, in bytes. */
  readonly maxBodyBytes: number;
  /** Called after every call. */
  readonly onCall: (call: NodeCall) => void;
}

/** Errors of a kept connection that the other side closed just then, as a node that restarts does. */
const lostConnection: readonly string[] = ["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"];

/** JSON-RPC over HTTP to one node. Every method Adit calls may be repeated, so a connection that was lost is tried again once. */
export class JsonRpcClient implements AsyncDisposable {
  /** `host:port`. */
  readonly name: string;
  readonly #credentials: Credentials;
  readonly #http: HttpExchange;
  readonly #lanes: Readonly<Record<Lane, Slots>>;
  readonly #onCall: (call: NodeCall) => void;
  readonly #disposed = new AbortController();
  #lastId = 0;

  constructor({ url, auth, maxConcurrent, maxQueued, maxBodyBytes, onCall }: JsonRpcClientOptions) {
    this.name = hostAndPort(url);
    this.#credentials = new Credentials(auth);
    this.#http = new HttpExchange(url, { connections: 2 * maxConcurrent + 1, maxBodyBytes });
    this.#lanes = {
      ordinary: new Slots(maxConcurrent, maxQueued),
      block: new Slots(maxConcurrent, maxQueued),
      "long-poll": new Slots(1, 0),
    };
    this.#onCall = onCall;
    // One listener for each call that is under way or waits.
    setMaxListeners(0, this.#disposed.signal);
  }

  /**
   * The result of one call.
   *
   * @throws NodeError
   */
  async call<T>({ method, params, read }: Call<T>, options: CallOptions): Promise<T> {
    return await this.#observed(method, async (site) => {
      const request = this.#request(method, params);
      const outcome = outcomeOf(await this.#send(request, site, options), request.id, site);
      if ("error" in outcome) throw outcome.error;
      return read(outcome.result, site);
    });
  }

  /**
   * The outcomes of several calls of one method in one exchange: one call for each of `params`, which is its only one.
   *
   * @throws NodeError when there are no outcomes at all, or one does not fit.
   */
  async batch<T>({ method, params, read }: Call<T>, options: CallOptions): Promise<readonly (T | NodeError)[]> {
    return await this.#observed(method, async (site) => {
      const requests = params.map((one) => this.#request(method, [one]));
      const ids = requests.map(({ id }) => id);
      const outcomes = outcomesOf(await this.#send(requests, site, options), ids, site);
      return outcomes.map((outcome) => ("error" in outcome ? outcome.error : read(outcome.result, site)));
    });
  }

  /** Ends every call with `aborted`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    await this.#http[Symbol.asyncDispose]();
  }

  async #observed<T>(method: string, work: (site: CallSite) => Promise<T>): Promise<T> {
    const started = performance.now();
    let outcome: NodeCall["outcome"] = "ok";
    try {
      return await work({ node: this.name, method });
    } catch (error) {
      outcome = (error as NodeError).code;
      throw error;
    } finally {
      this.#onCall({ method, ms: performance.now() - started, outcome });
    }
  }

  #request(method: string, params: readonly unknown[]): RpcRequest {
    this.#lastId += 1;
    return { jsonrpc: "1.0", id: this.#lastId, method, params };
  }

  async #send(payload: unknown, site: CallSite, { signal, lane, timeoutMs }: CallOptions): Promise<unknown> {
    using deadline = new Deadline([signal, this.#disposed.signal], timeoutMs);
    const taking = this.#lanes[lane].take(deadline.signal);
    if (taking === undefined) throw this.#overloaded(lane, site);
    try {
      using _slot = await taking;
      return parsed(await this.#authorized(JSON.stringify(payload), site, deadline.signal), site);
    } catch (error) {
      if (error instanceof NodeError) throw error;
      throw deadline.signal.aborted ? signalFault(deadline.signal, site) : exchangeFault(error, site);
    }
  }

  async #authorized(body: string, site: CallSite, signal: AbortSignal): Promise<HttpAnswer> {
    try {
      const authorization = await this.#credentials.current();
      const answer = await this.#post(body, authorization, signal);
      if (answer.status !== 401) return answer;
      const renewed = await this.#credentials.renewed(authorization);
      const second = renewed === undefined ? answer : await this.#post(body, renewed, signal);
      if (second.status === 401) throw authFault(this.#credentials.source, site);
      return second;
    } catch (error) {
      if (!(error instanceof CookieError)) throw error;
      throw new NodeError("auth-refused", { ...site, message: error.message, cause: error });
    }
  }

  async #post(body: string, authorization: string, signal: AbortSignal): Promise<HttpAnswer> {
    try {
      return await this.#http.post(body, { authorization, signal });
    } catch (error) {
      if (signal.aborted || !lostConnection.includes(String((error as NodeJS.ErrnoException).code))) throw error;
      return await this.#http.post(body, { authorization, signal });
    }
  }

  #overloaded(lane: Lane, site: CallSite): NodeError {
    const message =
      lane === "long-poll"
        ? "another long poll is waiting; one at a time is enough"
        : "too many calls wait for this node; it is slow or gone, see the faults before this one";
    return new NodeError("overloaded", { ...site, message });
  }
}

/** With the port written out, which a URL leaves away when it is the scheme's own. */
function hostAndPort({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port === "" ? (protocol === "https:" ? "443" : "80") : port}`;
}

/** The parsed body. An error of the node comes with status 400, 404 or 500 and is in the body all the same. */
function parsed(answer: HttpAnswer, site: CallSite): unknown {
  const fault = statusFault(answer, site);
  if (fault !== undefined) throw fault;
  try {
    return JSON.parse(answer.text) as unknown;
  } catch (cause) {
    throw notJsonRpc(`answered HTTP ${answer.status} without JSON ("${printable(answer.text, 80)}")`, site, cause);
  }
}
