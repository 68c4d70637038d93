import { Backoff, type Listener, pause } from "@adit/network-helpers";
import {
  type CallReport,
  type RpcConnectionInfo,
  RpcServer,
  type RpcServerEvent,
  type ServedService,
  ServiceTable,
} from "@adit/network-helpers/rpc";
import {
  describeError,
  type HttpMethod,
  type HttpMethods,
  type Operations,
  peerText,
  type RoleContext,
  type RpcServiceName,
  type RpcSettings,
} from "@adit/role-kit";
import type { IdentityNode, IrohIdentity, IrohRoleSettings } from "../iroh-identity.ts";
import { serviceHandlers } from "./handlers.ts";
import { RPC_ALPN } from "./services.ts";

const RETRY = { minMs: 1000, maxMs: 30_000, random: Math.random };

/** What {@link serveRpc} needs of the role. */
export interface ServeRpcOptions {
  readonly settings: RpcSettings;
  readonly context: RoleContext<IrohRoleSettings>;
  readonly operations: Operations;
  /** Who the process is on Iroh; undefined when it is not there. */
  readonly iroh: IrohIdentity | undefined;
  /** Breaks a connection off; null when there is none with that id, else its peer. */
  readonly disconnect: (id: number) => string | null;
}

/** Whether a role's RPC takes an Iroh node: without anybody who may call, it takes none. */
export function rpcNeedsIroh({ allowedPeers, iroh }: RpcSettings): boolean {
  return allowedPeers.length > 0 && iroh.length > 0;
}

/** The operator's services, running. */
export interface ServedRpc extends AsyncDisposable {
  /** Connections over Iroh. A call over HTTP is none: it is over with its answer. */
  connections(): readonly RpcConnectionInfo[];
  /** Ends the connection with this id. Null when there is none, else its peer. */
  disconnect(id: number): string | null;
}

/**
 * Serves the operator's services: over Iroh to the allowed peers, and on the monitoring server. They go on while the role
 * drains; disposing says goodbye.
 */
export async function serveRpc(options: ServeRpcOptions): Promise<ServedRpc> {
  const { settings, context, operations, iroh } = options;
  const onCall = callReporter(context);
  const table = (names: readonly RpcServiceName[]): ServiceTable =>
    new ServiceTable(
      [...new Set(names)].map((name): ServedService => handlers[name]),
      onCall,
    );
  const door = iroh !== undefined && rpcNeedsIroh(settings) ? { iroh, listeners: new Set<Listener>() } : undefined;
  const handlers = serviceHandlers({ ...options, irohAddress: () => addressOf(door) });
  operations.serveHttp(overHttp(table(settings.http)));
  if (door === undefined) {
    return { connections: () => [], disconnect: () => null, [Symbol.asyncDispose]: async () => undefined };
  }
  return await serveOverIroh(door, table(settings.iroh), options);
}

/** Where the services are called over Iroh: at each endpoint id that the process answers under. */
interface IrohDoor {
  readonly iroh: IrohIdentity;
  readonly listeners: Set<Listener>;
}

function addressOf(door: IrohDoor | undefined): {
  readonly endpoint_id: string | null;
  readonly ticket: string | null;
} {
  const current = [...(door?.listeners ?? [])].find(({ endpointId }) => endpointId === door?.iroh.endpointId);
  return { endpoint_id: current?.endpointId ?? null, ticket: current?.ticket ?? null };
}

async function serveOverIroh(
  { iroh, listeners }: IrohDoor,
  services: ServiceTable,
  { settings, context }: ServeRpcOptions,
): Promise<ServedRpc> {
  const allowed = new Set(settings.allowedPeers);
  const server = new RpcServer({
    services,
    maxConnections: settings.maxConnections,
    // The node has asked already; this asks again where the services are.
    admits: ({ endpointId }) => endpointId !== null && allowed.has(endpointId),
    onEvent: (event) => logEvent(context, event),
  });
  context.metrics.onCollect(connectionGauge(context, server));
  followAllowedPeers(context, allowed, server);
  const accepting = new Set<Promise<void>>();
  const ending = new AbortController();
  const serveOnce = async (node: IdentityNode, onFirst: () => void): Promise<void> => {
    const listener = await node.transportFor(RPC_ALPN, allowed).listen("", { signal: node.signal });
    listeners.add(listener);
    const { endpointId, ticket } = listener;
    context.log.info({ endpointId, ticket, services: settings.iroh, peers: allowed.size }, "rpc served over iroh");
    onFirst();
    await server.accept(listener).finally(() => listeners.delete(listener));
  };
  /** A node that breaks is started again: what listened on it listens again. */
  const keepServing = async (node: IdentityNode, onFirst: () => void): Promise<void> => {
    const stop = AbortSignal.any([ending.signal, node.signal]);
    const backoff = new Backoff(RETRY);
    while (!stop.aborted) {
      try {
        await serveOnce(node, onFirst);
        backoff.reset();
      } catch (error) {
        if (!stop.aborted) context.log.error({ error }, "rpc not served over iroh");
      }
      onFirst();
      await pause(backoff.next(), stop);
    }
  };
  /** Resolves after the first attempt. */
  const listenOn = async (node: IdentityNode): Promise<void> =>
    await new Promise((resolve) => {
      const serving = keepServing(node, resolve).finally(() => accepting.delete(serving));
      accepting.add(serving);
    });
  await listenOn(iroh.current);
  const detach = await iroh.attach(listenOn);
  return {
    connections: () => server.list(),
    disconnect: (id) => server.disconnect(id),
    [Symbol.asyncDispose]: async () => {
      detach();
      ending.abort();
      for (const listener of listeners) await listener[Symbol.asyncDispose]();
      await Promise.all(accepting);
      await server[Symbol.asyncDispose]();
    },
  };
}

function followAllowedPeers(context: RoleContext<IrohRoleSettings>, allowed: Set<string>, server: RpcServer): void {
  context.onReload(["rpc.allowed_peers"], ({ rpc }) => {
    allowed.clear();
    for (const peer of rpc.allowedPeers) allowed.add(peer);
    server.dismissStrangers();
  });
}

function overHttp(table: ServiceTable): HttpMethods {
  return {
    find: (service, method): HttpMethod | undefined => {
      const found = table.find(service, method);
      if (found?.kind === "call") {
        return { kind: "call", run: (input, call) => found.run(input, { ...call, transport: "http" }) };
      }
      return found && { kind: "stream", run: (input, call) => found.run(input, { ...call, transport: "http" }) };
    },
  };
}

/** Counts and logs calls: those that change something for everyone to see, the rest for whoever looks closer. */
export function callReporter({ metrics, log }: Pick<RoleContext, "metrics" | "log">): (report: CallReport) => void {
  const calls = metrics.counter({
    name: "sv2_rpc_calls_total",
    help: "Calls of operators that are over, by what became of them",
    labels: ["service", "method", "transport", "result"],
  });
  return ({ service, method, transport, peer, result, tookMs, cause }) => {
    calls.inc({ service, method, transport, result });
    const fields = { service, method, transport, peer: peerText(peer), result, tookMs: Math.round(tookMs) };
    if (cause !== null) log.error({ ...fields, error: describeError(cause) }, "rpc call failed");
    else log[service === "control" ? "info" : "debug"](fields, "rpc call");
  };
}

/** Registers the gauge of connections; the result reads it. */
export function connectionGauge({ metrics }: Pick<RoleContext, "metrics">, server: RpcServer): () => void {
  const gauge = metrics.gauge({ name: "sv2_rpc_connections", help: "Live RPC connections over Iroh" });
  return () => gauge.set({}, server.connections);
}

function logEvent({ log }: RoleContext, event: RpcServerEvent): void {
  const { peer, path } = event.info;
  const fields = { peer: peerText(peer), path };
  if (event.type === "connected") log.info(fields, "rpc peer connected");
  else if (event.type === "refused") log.warn({ ...fields, reason: event.reason }, "rpc peer refused");
  else log.info({ ...fields, ...(event.error === null ? {} : { error: event.error }) }, "rpc peer gone");
}
