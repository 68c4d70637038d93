import { type FastifyInstance, fastify } from "fastify";
import { HttpCalls, type HttpMethods } from "./http-calls.ts";
import type { MetricsRegister } from "./metrics.ts";

/** What the monitoring server shows. */
export interface MonitoringSources {
  readonly role: string;
  readonly version: string;
  readonly metrics: MetricsRegister;
  /** Null while ready, else the reason why not. */
  notReadyReason(): string | null;
  /** The role's own status document. */
  status(): unknown;
  /** Methods that may be called over HTTP, once there are some. */
  methods?(): HttpMethods | undefined;
}

/** A running monitoring server. */
export interface Monitoring extends AsyncDisposable {
  /** The bound `host:port`. */
  readonly address: string;
}

/**
 * Serves `/metrics`, `/api/v1/health`, `/api/v1/ready`, `/api/v1/status` and calls at `/rpc/v1` over HTTP. There is no
 * authentication, so it belongs on loopback or behind something that has one.
 *
 * @param listen `host:port`; port 0 takes a free one.
 */
export async function serveMonitoring(listen: string, sources: MonitoringSources): Promise<Monitoring> {
  // Idle connections count, too: kept for long, sixty-four of them would shut everybody else out.
  const timeouts = { requestTimeout: 10_000, connectionTimeout: 10_000, keepAliveTimeout: 5_000 };
  const server = fastify({ logger: false, bodyLimit: 1024, maxRequestsPerSocket: 1_000, ...timeouts });
  server.server.maxConnections = 64;
  server.server.headersTimeout = 5_000;
  addRoutes(server, sources);
  const { host, port } = splitAddress(listen);
  const calls = new HttpCalls({ methods: () => sources.methods?.(), onLoopback: isLoopback(host) });
  calls.addTo(server);
  await server.listen({ host, port });
  const bound = server.server.address();
  const address = typeof bound === "object" && bound !== null ? joinAddress(bound.address, bound.port) : listen;
  const close = async (): Promise<void> => {
    calls.stop();
    await server.close();
  };
  return { address, [Symbol.asyncDispose]: close };
}

function addRoutes(server: FastifyInstance, sources: MonitoringSources): void {
  const started = Date.now();
  const uptimeSecs = (): number => Math.floor((Date.now() - started) / 1000);
  server.get("/", () => ({
    service: `Adit ${sources.role}`,
    version: sources.version,
    endpoints: ["/metrics", "/api/v1/health", "/api/v1/ready", "/api/v1/status"],
  }));
  server.get("/api/v1/health", () => ({
    status: "ok",
    timestamp: Math.floor(Date.now() / 1000),
    uptime_secs: uptimeSecs(),
  }));
  server.get("/api/v1/ready", (_request, reply) => {
    const reason = sources.notReadyReason();
    if (reason === null) return { ready: true };
    return reply.code(503).send({ ready: false, reason });
  });
  server.get("/api/v1/status", (_request, reply) => {
    return reply
      .type("application/json")
      .send(statusJson({ role: sources.role, uptime_secs: uptimeSecs(), ...object(sources.status()) }));
  });
  server.get("/metrics", async (_request, reply) => {
    const { contentType, body } = await sources.metrics.expose();
    return reply.type(contentType).send(body);
  });
}

function object(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** JSON with integers wider than a double as decimal strings, and keys in snake_case left as the role wrote them. */
export function statusJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? inner.toString() : inner));
}

/** Splits `host:port`, `[v6]:port` or `:port`. @throws RangeError when there is no valid port. */
export function splitAddress(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new RangeError(`expected host:port, found ${text}`);
  return { host: match[1] ?? (match[2] === "" ? "127.0.0.1" : (match[2] ?? "127.0.0.1")), port };
}

/** True when only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function joinAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
