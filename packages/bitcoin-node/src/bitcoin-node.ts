import { displayHash, type Hash, type Network } from "@adit/bitcoin";
import { z } from "zod";
import { displayedHash, fitting, hexBytes } from "./answer.ts";
import type { ChainInfo, NodeHeader } from "./chain-info.ts";
import type { NodeAuth } from "./credentials.ts";
import { countsByHeight, isAboveTip, isUnknownBlock, isUnknownTransaction, templateRules } from "./differences.ts";
import { NodeError } from "./errors.ts";
import { hexOf } from "./fast-hex.ts";
import { type CallOptions, JsonRpcClient, type NodeCall } from "./json-rpc-client.ts";
import type { CallSite } from "./node-faults.ts";
import type { NodeTemplate } from "./node-template.ts";
import { nodeHeader, readChainInfo, readHeader } from "./read-chain.ts";
import { readTemplate } from "./read-template.ts";
import {
  type ProposalResult,
  proposalResult,
  type SubmitResult,
  submitResult,
  submitResultOf,
} from "./submit-result.ts";
import { TransactionStore } from "./transaction-store.ts";

/** Where a node is and how it is used. */
export interface BitcoinNodeOptions {
  /** `http://HOST:PORT` of its RPC listener, with a path if there is one, without user and password. */
  readonly url: string;
  /** How to log in. A cookie is read again when the node refuses it, as it does after a restart. */
  readonly auth: NodeAuth;
  /** The network it has to be on. */
  readonly network: Network;
  /** Time for an ordinary call, in milliseconds; 10 s unless told. */
  readonly timeoutMs?: number;
  /** Time for a look at the chain (`chainInfo`), in milliseconds; as for any ordinary call unless told. */
  readonly chainTimeoutMs?: number;
  /** Time for a submitted or proposed block, in milliseconds; 30 s unless told. */
  readonly blockTimeoutMs?: number;
  /** Time after which a long poll without an answer ends as `timed-out`, in milliseconds; 5 minutes unless told. */
  readonly longPollMs?: number;
  /** Ordinary calls at once, 4 unless told. Blocks have as many of their own, and one long poll may wait besides. */
  readonly maxConcurrent?: number;
  /** Calls that may wait for those, 64 unless told; one more fails as `overloaded`. */
  readonly maxQueued?: number;
  /** Largest answer that is read, in bytes; 32 MiB unless told. */
  readonly maxBodyBytes?: number;
  /** Called after every call, for metrics. Must not throw. */
  readonly onCall?: (call: NodeCall) => void;
}

/** What every call takes. */
export interface NodeRequest {
  /** Ends the call, as `aborted`. */
  readonly signal: AbortSignal;
}

const defaults = {
  timeoutMs: 10_000,
  blockTimeoutMs: 30_000,
  longPollMs: 300_000,
  maxConcurrent: 4,
  maxQueued: 64,
  maxBodyBytes: 32 * 1024 * 1024,
  onCall: () => {},
};

type Bounds = Readonly<Required<Omit<BitcoinNodeOptions, "url" | "auth" | "network" | "onCall">>>;

/** So many of the largest transactions that nodes relay, in hexadecimal, stay below 32 MiB. */
const BATCH = 32;

/**
 * A Bitcoin node, asked by JSON-RPC. Every call rejects with a NodeError. Dispose it to end what is going on.
 *
 * @throws RangeError for a URL that is not http or https or holds user and password, or a bound below 1.
 */
export class BitcoinNode implements AsyncDisposable {
  /** `host:port`, for logs. */
  readonly name: string;
  readonly #client: JsonRpcClient;
  readonly #network: Network;
  readonly #times: Bounds;
  readonly #transactions = new TransactionStore();

  constructor(options: BitcoinNodeOptions) {
    const { timeoutMs: chainTimeoutMs = defaults.timeoutMs } = options;
    const full = { ...defaults, chainTimeoutMs, ...options };
    checkBounds(full);
    this.#client = new JsonRpcClient({ ...full, url: rpcUrl(options.url) });
    this.#network = options.network;
    this.#times = full;
    this.name = this.#client.name;
  }

  /** The best chain; `wrong-network` when it belongs to another network. */
  async chainInfo({ signal }: NodeRequest): Promise<ChainInfo> {
    const read = (result: unknown, site: CallSite): ChainInfo => readChainInfo(result, this.#network, site);
    const options = { ...this.#ordinary(signal), timeoutMs: this.#times.chainTimeoutMs };
    return await this.#client.call({ method: "getblockchaininfo", params: [], read }, options);
  }

  /**
   * A template on the tip. With the long poll id of an earlier one, waits until the tip or the mempool has changed since;
   * only one such call at a time, any other is `overloaded`.
   */
  async template({ signal, longPollId }: NodeRequest & { readonly longPollId?: string }): Promise<NodeTemplate> {
    const request = {
      rules: templateRules(this.#network),
      capabilities: ["coinbasevalue", "longpoll"],
      longpollid: longPollId,
    };
    const read = (result: unknown, site: CallSite): NodeTemplate => readTemplate(result, this.#transactions, site);
    const options = longPollId === undefined ? this.#ordinary(signal) : this.#longPoll(signal);
    return await this.#client.call({ method: "getblocktemplate", params: [request], read }, options);
  }

  /** A block's header; undefined when the node does not know the block. btcd knows the best chain only. */
  async header(hash: Hash, { signal }: NodeRequest): Promise<NodeHeader | undefined> {
    const call = { method: "getblockheader", params: [displayHash(hash), true], read: readHeader };
    const raw = await orUndefined(this.#client.call(call, this.#ordinary(signal)), isUnknownBlock);
    if (raw === undefined) return undefined;
    if (!countsByHeight(raw)) return nodeHeader(raw, raw.confirmations);
    const best = await this.#hashAt(raw.height, signal);
    return nodeHeader(raw, displayHash(best) === displayHash(hash) ? raw.confirmations : -1);
  }

  /** The hash of the block at a height of the best chain; undefined above the tip. */
  async blockHash(height: number, { signal }: NodeRequest): Promise<Hash | undefined> {
    return await orUndefined(this.#hashAt(height, signal), isAboveTip);
  }

  /** Hands a block to the node. It waits for other blocks at most, never for other calls. */
  async submitBlock(block: Uint8Array, { signal }: NodeRequest): Promise<SubmitResult> {
    const options: CallOptions = { signal, lane: "block", timeoutMs: this.#times.blockTimeoutMs };
    try {
      return await this.#client.call({ method: "submitblock", params: [hexOf(block)], read: submitResult }, options);
    } catch (error) {
      const result = error instanceof NodeError ? submitResultOf(error) : undefined;
      if (result === undefined) throw error;
      return result;
    }
  }

  /** Has the node check a block on its tip that has no proof of work yet (BIP23). */
  async proposeBlock(block: Uint8Array, { signal }: NodeRequest): Promise<ProposalResult> {
    const proposal = { mode: "proposal", data: hexOf(block), rules: templateRules(this.#network) };
    const options = { ...this.#ordinary(signal), timeoutMs: this.#times.blockTimeoutMs };
    return await this.#client.call({ method: "getblocktemplate", params: [proposal], read: proposalResult }, options);
  }

  /** A transaction of the mempool, or of the chain where the node keeps an index, with witnesses; undefined when unknown. */
  async transaction(txid: Hash, { signal }: NodeRequest): Promise<Uint8Array | undefined> {
    const call = { method: "getrawtransaction", params: [displayHash(txid)], read: readBytes };
    return await orUndefined(this.#client.call(call, this.#ordinary(signal)), isUnknownTransaction);
  }

  /** Like {@link transaction} for many, in the order asked for, with one request for every 32. */
  async transactions(txids: readonly Hash[], { signal }: NodeRequest): Promise<readonly (Uint8Array | undefined)[]> {
    const found: (Uint8Array | undefined)[] = [];
    for (let at = 0; at < txids.length; at += BATCH) {
      const params = txids.slice(at, at + BATCH).map(displayHash);
      const call = { method: "getrawtransaction", params, read: readBytes };
      for (const outcome of await this.#client.batch(call, this.#ordinary(signal))) {
        if (outcome instanceof NodeError && !isUnknownTransaction(outcome)) throw outcome;
        found.push(outcome instanceof NodeError ? undefined : outcome);
      }
    }
    return found;
  }

  /** Ids of all transactions in the mempool. */
  async mempoolIds({ signal }: NodeRequest): Promise<readonly Hash[]> {
    return await this.#client.call({ method: "getrawmempool", params: [], read: readHashes }, this.#ordinary(signal));
  }

  /** Ends every call as `aborted` and closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #hashAt(height: number, signal: AbortSignal): Promise<Hash> {
    return await this.#client.call(
      { method: "getblockhash", params: [height], read: readHash },
      this.#ordinary(signal),
    );
  }

  #ordinary(signal: AbortSignal): CallOptions {
    return { signal, lane: "ordinary", timeoutMs: this.#times.timeoutMs };
  }

  #longPoll(signal: AbortSignal): CallOptions {
    return { signal, lane: "long-poll", timeoutMs: this.#times.longPollMs };
  }
}

/** The result of a call, or undefined when it failed in the way `isUnknown` tells. */
async function orUndefined<T>(call: Promise<T>, isUnknown: (error: NodeError) => boolean): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof NodeError && isUnknown(error)) return undefined;
    throw error;
  }
}

const hashes = z.array(displayedHash);

function readBytes(result: unknown, site: CallSite): Uint8Array {
  return fitting(hexBytes, result, site);
}

function readHash(result: unknown, site: CallSite): Hash {
  return fitting(displayedHash, result, site);
}

function readHashes(result: unknown, site: CallSite): readonly Hash[] {
  return fitting(hashes, result, site);
}

function rpcUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new RangeError("a node's url is written like http://127.0.0.1:8332");
  }
  if (url.username !== "" || url.password !== "") {
    throw new RangeError("a node's url holds no user and password; give them as auth");
  }
  return url;
}

function checkBounds(bounds: Bounds): void {
  for (const name of [
    "timeoutMs",
    "chainTimeoutMs",
    "blockTimeoutMs",
    "longPollMs",
    "maxConcurrent",
    "maxQueued",
    "maxBodyBytes",
  ] as const) {
    if (!Number.isSafeInteger(bounds[name]) || bounds[name] < 1)
      throw new RangeError(`${name} is not a positive integer`);
  }
}
