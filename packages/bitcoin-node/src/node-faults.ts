import type { Network } from "@adit/bitcoin";
import { errors } from "undici";
import { NodeError, type NodeErrorCode } from "./errors.ts";
import type { HttpAnswer } from "./http-exchange.ts";

/** Which call a fault belongs to. */
export interface CallSite {
  /** `host:port` of the node. */
  readonly node: string;
  /** The RPC method. */
  readonly method: string;
}

/** An error as a node puts it into its answer. */
export interface RpcError {
  /** Bitcoin Core's number for it (`rpc/protocol.h`), which the other nodes use as well. */
  readonly code: number;
  /** The node's words. */
  readonly message: string;
}

/** Ports of Bitcoin Core's RPC and peer-to-peer listeners (`chainparamsbase.cpp`, `chainparams.cpp`). */
const ports: Readonly<Record<Network, { readonly rpc: number; readonly p2p: number }>> = {
  mainnet: { rpc: 8332, p2p: 8333 },
  testnet4: { rpc: 48332, p2p: 48333 },
  signet: { rpc: 38332, p2p: 38333 },
  regtest: { rpc: 18443, p2p: 18444 },
};

/** The port where Bitcoin Core serves JSON-RPC on a network unless its config says otherwise. */
export function defaultRpcPort(network: Network): number {
  return ports[network].rpc;
}

/** The fault behind an exchange that brought no whole answer. */
export function exchangeFault(error: unknown, site: CallSite): NodeError {
  if (error instanceof errors.HTTPParserError) return notJsonRpc("did not answer in HTTP", site, error);
  const fault = exchangeFaults.find(({ codes }) => codes.includes(codeOf(error)));
  const code = fault?.code ?? "unreachable";
  const message = (fault?.message ?? unreachableMessage)(site, error);
  return new NodeError(code, { ...site, message, cause: error });
}

/** The fault a signal's end means: `timed-out` for a TimeoutError, `aborted` for anything else. */
export function signalFault(signal: AbortSignal, site: CallSite): NodeError {
  const cause: unknown = signal.reason;
  if (cause instanceof Error && cause.name === "TimeoutError") {
    const message = `${cause.message}; check whether the node is overloaded or its disk is slow, or allow more time`;
    return new NodeError("timed-out", { ...site, message, cause });
  }
  return new NodeError("aborted", { ...site, message: "stopped before there was an answer", cause });
}

/** The fault an HTTP status alone tells; undefined when the body has to be read. */
export function statusFault({ status, text }: HttpAnswer, site: CallSite): NodeError | undefined {
  if (status === 403) {
    const message =
      "the node refuses this address (HTTP 403); add rpcallowip=<this host's address> to its bitcoin.conf";
    return new NodeError("auth-refused", { ...site, message });
  }
  if (status === 503) {
    const said = text === "" ? "" : `: ${printable(text)}`;
    const message = `the node has too many requests waiting (HTTP 503${said}); raise its rpcworkqueue and rpcthreads`;
    return new NodeError("busy", { ...site, message });
  }
  return undefined;
}

/** The fault of a node that refused the credentials. */
export function authFault(source: string, site: CallSite): NodeError {
  const message = `the node refuses ${source} (HTTP 401); compare them with rpcauth, rpcuser and rpcpassword of the node`;
  return new NodeError("auth-refused", { ...site, message });
}

/** The fault of something that answered, but not as a node does. `what` completes "the other side …". */
export function notJsonRpc(what: string, site: CallSite, cause?: unknown): NodeError {
  const message = `the other side ${what}; check that ${site.node} is a Bitcoin node's RPC port (${rpcPorts()})`;
  return new NodeError("bad-response", { ...site, message, cause });
}

/** The fault of an error the node sent. */
export function rpcFault({ code, message: said }: RpcError, site: CallSite): NodeError {
  const known = rpcFaults.get(code) ?? (/\bpruned\b/i.test(said) ? prunedFault : undefined);
  const advice = known?.advice ?? "see the node's debug.log";
  const message = `the node says "${printable(said)}" (${code}); ${advice}`;
  return new NodeError(known?.code ?? "rpc-error", { ...site, message, rpcCode: code });
}

/** Text from a node made fit for a message: control characters replaced, at most `limit` characters. */
export function printable(text: string, limit = 200): string {
  const clean = text.slice(0, limit).replace(/[^\x20-\x7e]/g, "?");
  return text.length > limit ? `${clean}...` : clean;
}

interface ExchangeFault {
  readonly codes: readonly string[];
  readonly code: NodeErrorCode;
  readonly message: (site: CallSite, error: unknown) => string;
}

const exchangeFaults: readonly ExchangeFault[] = [
  {
    codes: ["ENOTFOUND", "EAI_AGAIN"],
    code: "unreachable",
    message: () => "the host name does not resolve; check its spelling and the name server",
  },
  {
    codes: ["UND_ERR_RES_EXCEEDED_MAX_SIZE"],
    code: "bad-response",
    message: () =>
      "the answer is larger than maxBodyBytes; check that this is a Bitcoin node's RPC port, or raise the bound",
  },
];

interface KnownFault {
  readonly code: NodeErrorCode;
  readonly advice: string;
}

const prunedFault: KnownFault = {
  code: "pruned",
  advice: "ask a node that keeps all blocks, or run this one with prune=0",
};

const rpcFaults: ReadonlyMap<number, KnownFault> = new Map<number, KnownFault>([
  [-28, { code: "warming-up", advice: "wait until the node has started" }],
  [-10, { code: "initial-block-download", advice: "wait until the node has downloaded the chain" }],
  [-9, { code: "not-connected", advice: "give the node peers: check its network, or addnode in its bitcoin.conf" }],
  [
    -32601,
    {
      code: "method-not-found",
      advice:
        "use Bitcoin Core 28 or later, allow the method in rpcwhitelist, and enable the wallet if it is a wallet's",
    },
  ],
]);

function unreachableMessage({ node }: CallSite, error: unknown): string {
  const port = Number(/:(\d+)$/.exec(node)?.[1]);
  const wrong = Object.entries(ports).find(([, { p2p }]) => p2p === port);
  const advice =
    wrong === undefined
      ? `check that the node runs with server=1 and listens there (${rpcPorts()})`
      : `${port} is the peer-to-peer port of ${wrong[0]}, its RPC port is ${wrong[1].rpc}`;
  return `no connection (${codeOf(error)}); ${advice}`;
}

function rpcPorts(): string {
  const list = Object.entries(ports).map(([network, { rpc }]) => `${rpc} on ${network}`);
  return `by default ${list.join(", ")}`;
}

function codeOf(error: unknown): string {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "connection lost";
}
